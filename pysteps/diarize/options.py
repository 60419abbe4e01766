"""Options of diarization, and what their numbers may be."""

from __future__ import annotations

from dataclasses import dataclass

from ..formats.errors import InputError

AFFINITIES = ("cosine", "plda")
CLUSTERINGS = ("ahc", "spectral")
RESEGMENTATIONS = ("none", "vbx")


@dataclass
class DiarizeOptions:
    """How speech becomes windows and windows become speakers.

    window, shift: length of a window and time to the next, s; least_window: a stretch of speech below
    this is left out; least_gap: pauses shorter than this do not end a stretch.
    affinity: cosine or plda; plda_energy: share of a recording's variance that PLDA's projection keeps
    (Kaldi's target-energy; 1 for no projection).
    clustering: ahc or spectral. AHC merges while the mean affinity is above threshold, counted from the
    point between the recording's two humps of scores when relative, else as it is.
    speakers: their number where it is known (0: it is not); max_speakers: never more (0: no limit; spectral
    clustering needs one). max_windows: a recording of more is refused, memory is about 20 bytes a pair.
    resegment: none or vbx, with lda_dim (0: all dimensions), fa, fb, loop, smoothing, iterations (see vbx).
    seed: of spectral clustering's k-means.
    """

    window: float = 1.44
    shift: float = 0.24
    least_window: float = 0.1
    least_gap: float = 0.5
    affinity: str = "cosine"
    plda_energy: float = 1.0
    clustering: str = "ahc"
    threshold: float = 0.0
    relative: bool = True
    speakers: int = 0
    max_speakers: int = 0
    max_windows: int = 15000
    resegment: str = "none"
    lda_dim: int = 128
    fa: float = 0.3
    fb: float = 17.0
    loop: float = 0.99
    smoothing: float = 5.0
    iterations: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("affinity", AFFINITIES),
            ("clustering", CLUSTERINGS),
            ("resegment", RESEGMENTATIONS),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)}", mend=f"one of {', '.join(known)}")
        for name in ("speakers", "max_speakers", "lda_dim", "least_gap", "smoothing"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} {getattr(self, name)}", mend="at least 0")
        if self.iterations < 1 or self.max_windows < 1:
            raise InputError(
                f"iterations {self.iterations}, max_windows {self.max_windows}", mend="at least 1"
            )
        if not 0 < self.shift <= self.window or not self.least_window > 0:
            raise InputError(
                f"window {self.window}, shift {self.shift}, least_window {self.least_window}",
                mend="0 < shift <= window, least_window above 0",
            )

    @property
    def needs_plda(self) -> bool:
        """Whether a PLDA model must be named."""
        return self.affinity == "plda" or self.resegment == "vbx"
