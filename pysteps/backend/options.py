"""Options of stage 8."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..formats.errors import InputError

BASELINE = "baseline"
_NAME = r"[A-Za-z0-9_+-]+"
_TAKEN = (BASELINE, "truth")  # a truth stands among the answers
CALIBRATIONS = ("logistic", "pav", "none")


def _default() -> dict[str, str]:
    return {
        "cosine": "center | length-norm | cosine",
        "plda": "center | lda 64 | length-norm | plda",
    }


def _classifiers() -> dict[str, str]:
    return {"network": "network", "logistic": "xvectors | center | length-norm | logistic"}


@dataclass
class BackendOptions:
    """backends: name -> line, ``transforms | cosine or plda | score normalisation`` (docs/backend.md).

    The baseline (``center | cosine`` of its own vectors) is always there beside them. calibration:
    logistic, pav or none, learned on the development set. seed: of a cohort that is drawn, and of
    development pairs where there are more than a million. quality: measures that logistic calibration
    takes beside the score, of duration, magnitude and cohort (docs/scores.md). classifiers: name -> line, in
    the place of backends where the recipe says ``labels`` (docs/classify.md).
    """

    backends: dict[str, str] = field(default_factory=_default)
    calibration: str = "logistic"
    quality: list[str] = field(default_factory=list)
    seed: int = 0
    classifiers: dict[str, str] = field(default_factory=_classifiers)

    def __post_init__(self) -> None:
        from .calibration import QUALITIES
        from .line import parse_line

        if self.calibration not in CALIBRATIONS:
            known = ", ".join(CALIBRATIONS)
            raise InputError(f"unknown backend.calibration {self.calibration!r}: known are {known}")
        unknown = [name for name in self.quality if name not in QUALITIES]
        if unknown or len(set(self.quality)) < len(self.quality):
            raise InputError(f"backend.quality {self.quality}: known are {', '.join(QUALITIES)}, once each")
        if self.seed < 0:
            raise InputError(f"backend.seed {self.seed}: it must not be below 0")
        if self.quality and self.calibration != "logistic":
            raise InputError("backend.quality needs backend.calibration logistic")
        if not self.backends:
            raise InputError("no back ends", where="backend.backends", mend="give one a name and a line")
        for name, line in self.backends.items():
            if not re.fullmatch(_NAME, name) or name == BASELINE:
                raise InputError(
                    f"{name!r} cannot be a back end's name",
                    where="backend.backends",
                    mend="take letters, digits, _ + and -; baseline is taken",
                )
            if parse_line(line).norm is None and "cohort" in self.quality:
                raise InputError(
                    f"quality cohort, but back end {name} has no cohort",
                    where="backend.quality",
                    mend="give every back end a score normalisation, or leave cohort out",
                )
        self._check_classifiers()

    def _check_classifiers(self) -> None:
        from .classline import parse_class_line

        if not self.classifiers:
            raise InputError("no classifiers", where="backend.classifiers", mend="give one a name and a line")
        for name, line in self.classifiers.items():
            if not re.fullmatch(_NAME, name) or name in _TAKEN:
                raise InputError(
                    f"{name!r} cannot be a classifier's name",
                    where="backend.classifiers",
                    mend=f"take letters, digits, _ + and -; {', '.join(_TAKEN)} are taken",
                )
            parse_class_line(line)
