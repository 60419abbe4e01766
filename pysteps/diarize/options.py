"""Options of diarization, and what their numbers may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..formats.errors import InputError

AFFINITIES = ("cosine", "plda")
CLUSTERINGS = ("ahc", "spectral")
RESEGMENTATIONS = ("none", "vbx")
# What decides the windows and their x-vectors, and what the error rates; the rest decides the clusters.
CUTTING = ("window", "shift", "least_window", "least_gap", "shard_recordings", "max_dropped")
JUDGING = ("collar", "skip_overlap", "replicates")


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
    seed: of spectral clustering's k-means, and of the intervals' draws.

    Of stage diarize: backend: the back end of the run whose transforms, and PLDA where one is needed, are
    taken. tune: choose the threshold on the development set, where there is one, AHC clusters and the number
    of speakers is not given; tune_count: thresholds to try. given_numbers: take each recording's number of
    speakers from data/SET/reco2num_spk. collar: s on each side of a reference border that are not scored;
    skip_overlap: overlapped speech is not scored; replicates: of the bootstrap over recordings.
    max_dropped: the share of windows that may be too short for the network; shard_recordings: a job's unit.
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
    backend: str = "cosine"
    tune: bool = True
    tune_count: int = 40
    given_numbers: bool = False
    collar: float = 0.0
    skip_overlap: bool = False
    replicates: int = 1000
    max_dropped: float = 0.01
    shard_recordings: int = 4

    def __post_init__(self) -> None:
        for name, known in (
            ("affinity", AFFINITIES),
            ("clustering", CLUSTERINGS),
            ("resegment", RESEGMENTATIONS),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)}", mend=f"one of {', '.join(known)}")
        numbers = ("speakers", "max_speakers", "lda_dim", "least_gap", "smoothing", "collar", "max_dropped")
        for name in numbers:
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} {getattr(self, name)}", mend="at least 0")
        for name, least in (
            ("iterations", 1),
            ("max_windows", 1),
            ("tune_count", 1),
            ("shard_recordings", 1),
            ("replicates", 2),
        ):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)}", mend=f"at least {least}")
        if not 0 < self.shift <= self.window or not self.least_window > 0:
            raise InputError(
                f"window {self.window}, shift {self.shift}, least_window {self.least_window}",
                mend="0 < shift <= window, least_window above 0",
            )

    @property
    def needs_plda(self) -> bool:
        """Whether a PLDA model must be named."""
        return self.affinity == "plda" or self.resegment == "vbx"

    @property
    def has_threshold(self) -> bool:
        """Whether a threshold decides how many speakers there are, so that there is one to choose."""
        return self.clustering == "ahc" and not self.speakers and not self.given_numbers


def refuse_backend(options: DiarizeOptions, lines: Mapping[str, str]) -> None:
    """InputError unless ``lines`` (a run's back ends: name -> line) has the one that ``options`` need."""
    from ..backend.line import parse_line

    if options.backend not in lines:
        known = ", ".join(lines)
        raise InputError(f"diarize.backend {options.backend}: this run has {known}", mend="name one of them")
    if options.needs_plda and parse_line(lines[options.backend]).scorer != "plda":
        having = [name for name, line in lines.items() if parse_line(line).scorer == "plda"]
        raise InputError(
            f"diarize.affinity {options.affinity}, diarize.resegment {options.resegment}: "
            f"back end {options.backend} has no PLDA",
            mend=f"--diarize.backend {having[0]}" if having else "give the run a back end with plda",
        )
