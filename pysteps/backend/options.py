"""Options of stage 8."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class BackendOptions:
    """cosine, plda: the chains before each scorer, e.g. ``center | lda 100 | length-norm``.

    plda_iterations: of EM. The baseline's vectors are centred only.
    """

    cosine: str = "center | length-norm"
    plda: str = "center | lda 64 | length-norm"
    plda_iterations: int = 10
