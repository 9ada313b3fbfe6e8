"""From scored pairs to groups: average link whose evidence grows with the number of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int64]

SUPPORT = 0.5
MOST_PAIRS = 3000.0
"""What each e-fold of pairs adds to the log-odds, and the pairs beyond which no more is added. Chosen on the
first halves of the labelled sets, where .4 and .5 serve groups of three and of three hundred alike
(docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Sums of probabilities between nodes: `total[e]` between `a[e]` and `b[e]`; a node pair may stand twice."""

    a: Nodes
    b: Nodes
    total: NDArray[np.float64]


def evidence(total: NDArray[np.float64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that two groups tell one event: of the mean over all their pairs, raised by how many these are.

    Pairs that were never compared count as 0. The mean of two large groups of headlines on one story is low, as
    most of its pairs share no word; but it is the mean of many. SUPPORT says how much each doubling is worth.
    """
    mean = np.clip(total / pairs, 1e-4, 1 - 1e-4)
    return np.log(mean / (1 - mean)) + SUPPORT * np.log(np.minimum(pairs, MOST_PAIRS))


def agglomerate(weight: NDArray[np.float64], edges: Edges, least: float, apart: tuple[Nodes, Nodes]) -> Nodes:
    """The group of each node, named by its lowest node.

    `weight[n]`: how many entries node n counts for. In every round each group finds the one with the most
    evidence for it, and pairs of groups that find one another are joined, as long as it is at least `least`
    (log-odds). That is average link by reciprocal nearest neighbours (Murtagh 1983), many merges at a time;
    nodes in order of content make it a function of the set alone. Groups with a pair of nodes in `apart` are
    never joined.
    """
    size = weight.astype(np.float64).copy()
    group = np.arange(len(weight))
    a, b, total = _summed(edges.a, edges.b, edges.total)
    while len(a):
        proof = evidence(total, size[a] * size[b])
        proof[_forbidden(a, b, group[apart[0]], group[apart[1]])] = -np.inf
        best, best_proof = _best_of(len(weight), a, b, proof)
        joined = np.flatnonzero((best_proof >= least) & (best >= 0))
        joined = joined[(best[best[joined]] == joined) & (joined < best[joined])]
        if not len(joined):
            break
        into = np.arange(len(weight))
        into[best[joined]] = joined
        size[joined] += size[best[joined]]
        group = into[group]
        a, b, total = _summed(into[a], into[b], total)
    return group


def _summed(a: Nodes, b: Nodes, total: NDArray[np.float64]) -> tuple[Nodes, Nodes, NDArray[np.float64]]:
    """Each pair of different nodes once, lower node first, with the sum of its totals."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    other = low != high
    keys, place = np.unique((low[other] << 32) | high[other], return_inverse=True)
    summed = np.bincount(place, total[other], minlength=len(keys)).astype(np.float64)
    return keys >> 32, keys & 0xFFFFFFFF, summed


def _best_of(nodes: int, a: Nodes, b: Nodes, proof: NDArray[np.float64]) -> tuple[Nodes, NDArray[np.float64]]:
    """The neighbour with the most evidence for each node and that evidence; -1 without one. Ties: the lowest."""
    one, other, value = np.concatenate((a, b)), np.concatenate((b, a)), np.concatenate((proof, proof))
    order = np.lexsort((other, -value, one))
    one, other, value = one[order], other[order], value[order]
    first = np.flatnonzero(np.diff(one, prepend=-1))
    best, best_proof = np.full(nodes, -1, np.int64), np.full(nodes, -np.inf)
    best[one[first]], best_proof[one[first]] = other[first], value[first]
    return best, best_proof


def _forbidden(a: Nodes, b: Nodes, one: Nodes, other: Nodes) -> NDArray[np.bool_]:
    if not len(one):
        return np.zeros(len(a), np.bool_)
    keys = (np.minimum(one, other) << 32) | np.maximum(one, other)
    return np.isin((a << 32) | b, keys)
