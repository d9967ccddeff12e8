"""Sizes of type, sorted into a few kinds by k-means.

PaddleX calls scikit-learn's `KMeans(random_state=42)`, whose result depends on its random start, so the start is made
the same way here: k-means++ with local trials from the same seed, then Lloyd's iterations until nothing moves. The
arithmetic is in its order too, for sizes that lie in the middle of two kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

_SEED = 42
_KINDS = 4
_MOST_ITERATIONS = 300
_TOLERANCE = 1e-4

Values = NDArray[np.float64]


def size_ranks(sizes: Sequence[int]) -> dict[int, int]:
    """The rank of every size, 1 for the largest of up to four kinds."""
    different = sorted(set(sizes))
    if not different:
        return {}
    centres = _k_means(np.array(sizes, np.float64), min(_KINDS, len(different)))
    rank = {int(kind): place for place, kind in enumerate(np.argsort(-centres), 1)}
    return {size: rank[int(np.abs(size - centres).argmin())] for size in different}


def _k_means(values: Values, kinds: int) -> Values:
    mean = float(values.mean())
    around = values - mean
    centres = _start(around, kinds)
    still = np.var(values) * _TOLERANCE
    nearest = np.full(len(values), -1)
    for _ in range(_MOST_ITERATIONS):
        before, nearest = nearest, (centres**2 - 2 * around[:, np.newaxis] * centres).argmin(axis=1)
        members = np.bincount(nearest, minlength=kinds)
        means = np.bincount(nearest, around, kinds) * (1 / np.maximum(members, 1))
        moved = np.where(members, means, centres)
        shift, centres = float(((moved - centres) ** 2).sum()), moved
        if np.array_equal(before, nearest) or shift <= still:
            break
    return centres + mean


def _start(values: Values, kinds: int) -> Values:
    """Centres far apart: each the best of a few drawn with the squared distance to those before as their weight."""
    draw = np.random.RandomState(_SEED)
    first = values[draw.choice(len(values), p=np.full(len(values), 1 / len(values)))]
    centres = [first]
    distances = _squared_distances(np.array([first]), values)[0]
    for _ in range(1, kinds):
        drawn = draw.uniform(size=2 + int(log(kinds))) * distances.sum()
        candidates = np.searchsorted(np.cumsum(distances), drawn).clip(max=len(values) - 1)
        left = np.minimum(distances, _squared_distances(values[candidates], values))
        best = int(left.sum(axis=1).argmin())
        centres.append(values[candidates[best]])
        distances = left[best]
    return np.array(centres)


def _squared_distances(ones: Values, others: Values) -> Values:
    return np.maximum(-2 * ones[:, np.newaxis] * others + ones[:, np.newaxis] ** 2 + others**2, 0)
