"""How well a grouping agrees with a reference: pairwise, B-cubed and adjusted Rand figures. Pure counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and their harmonic mean, each in [0, 1]."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of both, 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """A grouping compared with a reference over the same items."""

    pairwise: Scores
    bcubed: Scores
    ari: float
    groups: int
    reference_groups: int


def agreement(found: Mapping[str, Hashable], reference: Mapping[str, Hashable]) -> Agreement:
    """How `found` agrees with `reference`; both give each item's group and have the same keys.

    Pairwise: of the pairs of items together here, the share together there, and the other way round; 1 where there
    is no pair. B-cubed: Bagga and Baldwin 1998. ARI: Hubert and Arabie 1985, 1 for equal groupings, about 0 for
    independent ones.
    """
    ours, theirs = Counter(found.values()), Counter(reference.values())
    both = Counter((group, reference[item]) for item, group in found.items())
    together, claimed, true = (_pairs(counts.values()) for counts in (both, ours, theirs))
    return Agreement(
        pairwise=Scores(together / claimed if claimed else 1.0, together / true if true else 1.0),
        bcubed=bcubed(found, reference, found),
        ari=_adjusted_rand(together, claimed, true, len(found)),
        groups=len(ours),
        reference_groups=len(theirs),
    )


def bcubed(found: Mapping[str, Hashable], reference: Mapping[str, Hashable], items: Iterable[str]) -> Scores:
    """The means over `items` of each one's own precision and recall; 1 if there are none."""
    ours, theirs = Counter(found.values()), Counter(reference.values())
    both = Counter((group, reference[item]) for item, group in found.items())
    chosen = list(items)
    if not chosen:
        return Scores(1.0, 1.0)
    shared = [both[found[item], reference[item]] for item in chosen]
    precision = sum(count / ours[found[item]] for item, count in zip(chosen, shared, strict=True))
    recall = sum(count / theirs[reference[item]] for item, count in zip(chosen, shared, strict=True))
    return Scores(precision / len(chosen), recall / len(chosen))


def difference(one: Mapping[str, Hashable], other: Mapping[str, Hashable]) -> float:
    """The share of the pairs together in either grouping that are not together in both; 0 for equal groupings."""
    both = Counter((group, other[item]) for item, group in one.items())
    together, first, second = (
        _pairs(counts.values()) for counts in (both, Counter(one.values()), Counter(other.values()))
    )
    either = first + second - together
    return 1 - together / either if either else 0.0


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _adjusted_rand(together: int, claimed: int, true: int, count: int) -> float:
    every = count * (count - 1) // 2
    expected = claimed * true / every if every else 0.0
    most = (claimed + true) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0
