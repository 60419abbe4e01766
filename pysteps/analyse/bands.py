"""Which bands carry what is explained: maps averaged over time and over a set's utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..features.contract import FeaturesOptions
from ..features.mel import hertz, mel
from ..formats.errors import InputError
from ..formats.rng import generator
from ..metrics.intervals import interval


@dataclass(frozen=True)
class Bands:
    """Share of the relevance in each bin [bins] (their sum is 1), its 95 % interval, and the bins'
    centres."""

    hertz: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    utterances: int
    speakers: int


def bin_rows(options: FeaturesOptions) -> slice:
    """Which numbers of a feature vector are mel bins; InputError where there are none."""
    if options.kind != "fbank":
        mend = "a set with features of kind fbank"
        raise InputError(f"features of kind {options.kind} have no mel bins", mend=mend)
    first = int(options.use_energy and not options.htk_compat)
    return slice(first, first + options.num_mel_bins)


def bin_hertz(options: FeaturesOptions) -> np.ndarray:
    """Centres of the mel bins in Hz, [num_mel_bins]; without VTLN."""
    edges = np.linspace(mel(options.low_freq), mel(options.high_hz), options.num_mel_bins + 2)
    return hertz(edges[1:-1])


def share_of_bins(values: np.ndarray) -> np.ndarray:
    """Share of every bin in the absolute relevance of a map [time, bins]: [bins], sum 1."""
    total = np.abs(values).sum(0, dtype=np.float64)
    if not total.sum() > 0:
        raise InputError("the map is 0 everywhere", mend="take another method or layer")
    return total / total.sum()


def averaged(
    shares: Mapping[str, np.ndarray],
    speaker_of: Mapping[str, str],
    centres: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
) -> Bands:
    """Mean of the utterances' ``shares`` {utterance: [bins]}, with intervals of a bootstrap over speakers."""
    utts = sorted(shares)
    rows = np.stack([shares[utt] for utt in utts])
    names, numbers = np.unique([speaker_of[utt] for utt in utts], return_inverse=True)
    if len(names) < 2:
        raise InputError("utterances of one speaker: an interval needs two", mend="--utterances 20")
    drawn = generator(seed, "speakers", "bands").multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=replicates
    )
    weights = drawn[:, numbers].astype(np.float64)
    means = weights @ rows / weights.sum(1, keepdims=True)
    low, high = np.array([interval(column) for column in means.T]).T
    return Bands(centres, rows.mean(0), low, high, len(utts), len(names))


def as_lines(bands: Bands, title: str) -> list[str]:
    """A table as text: bin, centre in Hz, share, low, high; a comment first."""
    head = (
        f"# {title}: {bands.utterances} utterances of {bands.speakers} speakers\nbin hertz share low high\n"
    )
    rows = zip(bands.hertz, bands.share, bands.low, bands.high, strict=True)
    return [
        head,
        *(f"{n} {c:.1f} {s:.6f} {a:.6f} {b:.6f}\n" for n, (c, s, a, b) in enumerate(rows)),
    ]


def strongest(bands: Bands, parts: Sequence[float] = (0, 500, 1000, 2000, 4000, 1e9)) -> list[str]:
    """The share of wide bands in words: "0-500 Hz 21 % (of 18 % of the bins)"."""
    found = []
    for low, high in zip(parts[:-1], parts[1:], strict=True):
        inside = (bands.hertz >= low) & (bands.hertz < high)
        if inside.any():
            name = f"{low:g}-{high:g} Hz" if high < 1e9 else f"above {low:g} Hz"
            found.append(
                f"{name} {100 * bands.share[inside].sum():.1f} % (of {100 * inside.mean():.1f} % of the bins)"
            )
    return found
