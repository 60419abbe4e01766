"""Agglomerative hierarchical clustering: the tree of merges of one recording's windows, and its cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..formats.errors import InputError


@dataclass(frozen=True)
class Tree:
    """``merges`` [N-1, 2] of clusters (the k-th makes cluster N+k), and their ``affinity`` [N-1], falling."""

    merges: np.ndarray
    affinity: np.ndarray

    @property
    def leaves(self) -> int:
        return len(self.merges) + 1

    def clusters(self, threshold: float) -> int:
        """How many clusters there are when those whose mean affinity reaches ``threshold`` are merged."""
        return self.leaves - int((self.affinity >= threshold).sum())

    def labels(self, clusters: int) -> np.ndarray:
        """[N] labels 0, 1, ... in order of appearance when the tree is cut into ``clusters``."""
        count = self.leaves
        if not 1 <= clusters <= count:
            raise InputError(f"{clusters} clusters of {count} windows")
        parent = list(range(2 * count - 1))
        for number, (one, two) in enumerate(self.merges[: count - clusters].tolist()):
            parent[one] = parent[two] = count + number
        for node in range(len(parent) - 1, -1, -1):  # parents have higher numbers: they are settled first
            parent[node] = parent[parent[node]]
        return by_appearance(parent[:count])


def build_tree(affinity: np.ndarray) -> Tree:
    """Average linkage (UPGMA) of ``affinity`` [N, N]: two clusters are as like as their pairs in the mean."""
    count = len(affinity)
    if affinity.shape != (count, count) or not count:
        raise InputError(f"affinities of shape {affinity.shape}")
    if not np.isfinite(affinity).all():
        raise InputError("affinities that are not finite", mend="look for NaN among the x-vectors")
    if count == 1:
        return Tree(np.empty((0, 2), np.int64), np.empty(0))
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    pairs = squareform(affinity, checks=False)
    top = pairs.max()
    merges = linkage(np.subtract(top, pairs, out=pairs), "average")  # scipy refuses negative distances
    return Tree(merges[:, :2].astype(np.int64), top - merges[:, 2])


def by_appearance(labels: object) -> np.ndarray:
    """The same partition with labels 0, 1, ... in order of first appearance."""
    found, first, inverse = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(first)] = np.arange(len(found))
    return rank[inverse]
