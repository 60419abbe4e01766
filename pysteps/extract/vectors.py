"""X-vectors of many utterances: work in order of length, batches of one length, nothing padded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Embed = Callable[[list[np.ndarray]], np.ndarray]


def parts(frames: int, limit: int) -> list[tuple[int, int]]:
    """[first, last) of the equal parts, none over ``limit`` frames, that an utterance is taken in."""
    count = 1 if limit <= 0 else -(-frames // limit)
    edges = [round(frames * index / count) for index in range(count + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def batches(lengths: Mapping[str, int], limit: int) -> list[list[str]]:
    """Utterances in order of (length, name), cut where the length changes and at ``limit`` utterances."""
    found: list[list[str]] = []
    for utt in sorted(lengths, key=lambda name: (lengths[name], name)):
        last = found[-1] if found else []
        if last and len(last) < limit and lengths[last[0]] == lengths[utt]:
            last.append(utt)
        else:
            found.append([utt])
    return found


def embed_all(
    features: Mapping[str, np.ndarray], embed: Embed, batch_size: int, max_frames: int
) -> dict[str, np.ndarray]:
    """X-vectors (float32) of ``features`` (utterance -> [time, feature]).

    ``embed`` takes matrices of one length and returns [N, xvector].
    """
    vectors = {}
    for group in batches({utt: len(matrix) for utt, matrix in features.items()}, batch_size):
        spans = parts(len(features[group[0]]), max_frames)
        total = np.sum(
            [
                (last - first) * embed([features[utt][first:last] for utt in group]).astype(np.float64)
                for first, last in spans
            ],
            axis=0,
        )
        for utt, vector in zip(group, total / spans[-1][1], strict=True):
            vectors[utt] = vector.astype(np.float32)
    return vectors


def mean_and_deviation(features: np.ndarray) -> np.ndarray:
    """The baseline's vector: mean and standard deviation over time of [time, feature] -> [2 x feature]."""
    return np.concatenate([features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)]).astype(
        np.float32
    )
