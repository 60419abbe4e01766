"""Options of diarization, and what their numbers may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..formats.errors import InputError

AFFINITIES = ("cosine", "plda")
CLUSTERINGS = ("ahc", "spectral")
RESEGMENTATIONS = ("none", "vbx")
SPEECH = ("vad", "reference")
# What decides the windows and their x-vectors, and what the error rates; the rest decides the clusters.
CUTTING = ("window", "shift", "least_window", "least_gap", "speech", "shard_recordings", "max_dropped")
JUDGING = ("collar", "skip_overlap", "replicates")
EXPLAINED = {
    "window": "length of a window, s",
    "shift": "from a window's start to the next one's, s",
    "least_window": "stretches of speech below this are left out, s",
    "least_gap": "shorter pauses of a VAD do not end a stretch of speech, s",
    "speech": "vad, or reference: data/SET/rttm says where speech is, as in most published results",
    "affinity": "cosine or plda",
    "plda_energy": "share of the recording's variance that PLDA keeps (Kaldi's target-energy; 1: all)",
    "clustering": "ahc or spectral",
    "threshold": "AHC merges while the mean affinity reaches it",
    "relative": "count the threshold from the point between the recording's two humps of scores",
    "speakers": "how many there are in each recording (0: not known)",
    "max_speakers": "never more, where their number is not known (0: no limit; spectral needs one)",
    "max_windows": "refuse a recording of more (memory is about 20 bytes a pair)",
    "resegment": "none or vbx",
    "lda_dim": "VBx: dimensions (0: all)",
    "fa": "VBx: scale of a window's evidence",
    "fb": "VBx: weight of the speakers' prior; larger: fewer speakers",
    "loop": "VBx: probability of staying with a speaker",
    "smoothing": "VBx: how sure the first labels are",
    "iterations": "VBx: at most so many",
    "seed": "of spectral clustering's k-means, and of the intervals' draws",
    "backend": "the run's back end whose transforms (and PLDA, where one is needed) are taken",
    "tune": "choose the threshold on diarize_dev_set, if AHC clusters and no number of speakers is given",
    "tune_count": "thresholds to try",
    "given_numbers": "take each recording's number of speakers from data/SET/reco2num_spk",
    "collar": "s on each side of a reference border that are not scored",
    "skip_overlap": "overlapped speech is not scored",
    "replicates": "of the bootstrap over recordings",
    "max_dropped": "the share of windows that may be too short for the network",
    "shard_recordings": "recordings in a job's unit of work",
}


@dataclass
class DiarizeOptions:
    """How speech becomes windows and windows become speakers; EXPLAINED says what each option is.

    From ``backend`` on they are stage diarize's alone.
    """

    window: float = 1.44
    shift: float = 0.24
    least_window: float = 0.1
    least_gap: float = 0.5
    speech: str = "vad"
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
            ("speech", SPEECH),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)}", mend=f"one of {', '.join(known)}")
        if self.speakers > self.max_speakers > 0:
            raise InputError(
                f"speakers {self.speakers}, max_speakers {self.max_speakers}",
                mend="max_speakers 0 where their number is known",
            )
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
