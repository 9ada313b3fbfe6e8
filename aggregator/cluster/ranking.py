"""The best of each owner among many, and numbers for the different ones: orders made by counting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.postings import order_of

LEVELS = 256


def numbered(numbers: NDArray[np.integer], end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The different ones of numbers (0 to `end` - 1), rising, and the place of each number among them.

    As `np.unique` with its inverse, without a sort: for rows and terms, which are dense.
    """
    seen = np.zeros(end, np.bool_)
    seen[numbers] = True
    different = np.flatnonzero(seen)
    place = np.empty(end, np.int64)
    place[different] = np.arange(len(different))
    return different, place.take(numbers)


def counted(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many of each row [n, at most 127] are chosen: in less than half the time of a sum."""
    found: NDArray[np.float64] = np.einsum("ij->i", chosen.view(np.int8)).astype(np.float64)
    return found


def best(
    owner: NDArray[np.int64],
    value: NDArray[np.floating],
    row: NDArray[np.integer],
    content: NDArray[np.uint64],
    most: int,
) -> NDArray[np.int64]:
    """Positions of the `most` highest values (not negative) of each owner, highest first, owners in order.

    Equal values are told apart by content, then by row.
    """
    if not len(owner):
        return np.empty(0, np.int64)
    kept = np.arange(len(owner))
    owners = int(owner.max()) + 1
    if len(owner) > 2 * most * owners:
        # Most can be left out unsorted: those below the level that `most` of their owner's reach, by more than
        # content can raise them.
        height = value * (LEVELS / (value.max() * 1.01 + 1e-12))
        level = owner * LEVELS + height.astype(np.int64)
        count = np.bincount(level, minlength=owners * LEVELS).reshape(owners, LEVELS)
        reach = (np.cumsum(count[:, ::-1], axis=1) >= most).sum(axis=1)
        kept = np.flatnonzero(height >= (reach - 1.001)[owner])
        owner = owner.take(kept)
    value = value.take(kept) * (1 + content.take(kept) / 2.0**64 * 1e-7)
    value /= value.max() * 1.01 + 1e-12
    order = _falling(owner, value, row.take(kept))
    return kept.take(order[ranks(owner.take(order)) < most])


def ranks(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each among those of its owner, which stand together."""
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    return np.arange(len(owner)) - np.repeat(first, np.diff(first, append=len(owner)))


def _falling(
    owner: NDArray[np.int64], value: NDArray[np.float64], row: NDArray[np.integer]
) -> NDArray[np.int64]:
    """The order of owners, of each the values (0 to 1) falling, of equal ones the rows rising."""
    least = ((1.0 - value) * (2.0**48 - 1)).astype(np.int64)
    return order_of(
        row & 0xFFFF,
        row >> 16,
        least & 0xFFFF,
        (least >> 16) & 0xFFFF,
        least >> 32,
        owner & 0xFFFF,
        owner >> 16,
    )
