"""A small network that turns features into a probability, and how it is fitted to labelled pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.features import FEATURES, MEANINGS

Matrix = NDArray[np.float32]

HIDDEN = (24, 12)
EPOCHS = 12
BATCH = 1024
FASTEST, SLOWEST = 3e-3, 1e-4
DECAY = 1e-4
MEMBERS = 3
"""Two hidden layers, Adam (Kingma and Ba 2015) with a cosine schedule, weight decay. More layers, epochs or
decay changed the B-cubed F1 of held-out halves by less than .005; none of them lost .05 to .1. The mean of
several networks that start differently is worth another .004 (bagging without the bags)."""

AGAIN_EPOCHS, AGAIN_STEPS, AGAIN_FASTEST = 4, 500, 1e-3
HOLD = 100.0
"""To go on from fitted weights: at least so many steps, and a pull back to where they were (L2-SP: Li,
Grandvalet, Davoine 2018) that weighs as much as HOLD pairs do: sixty labelled events made the grouping of others
of their kind worse (B-cubed F1 -.04) with 1, and did not (-.01 to +.01) with 100."""

MOST_DEVIATION = 5.0
"""Standardised features are held within this: nothing is extrapolated."""

MOST_LOGIT = 30.0


Layer = tuple[Matrix, Matrix]
"""Weights [inputs, outputs] and biases [outputs]."""


@dataclass(frozen=True, slots=True)
class Network:
    """`mean` and `deviation` standardise the features; the log-odds are the mean over the `members`' own.

    `name` tells it from others in the decisions that it made.
    """

    name: str
    mean: Matrix
    deviation: Matrix
    members: tuple[tuple[Layer, ...], ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return (FEATURES + MEANINGS)[: len(self.mean)]

    @property
    def semantic(self) -> bool:
        """Whether it compares what entries mean, too."""
        return len(self.mean) > len(FEATURES)

    def logits(self, features: Matrix) -> Matrix:
        """The log-odds [n] of features [n, inputs]."""
        total = np.zeros(len(features), np.float32)
        standard = _standardised(features, self.mean, self.deviation)
        for layers in self.members:
            values = standard
            for weights, biases in layers[:-1]:
                values = values @ weights
                values += biases
                np.maximum(values, 0.0, out=values)
            weights, biases = layers[-1]
            total += np.clip((values @ weights + biases)[:, 0], -MOST_LOGIT, MOST_LOGIT)
        return (total / max(1, len(self.members))).astype(np.float32)

    def weights_of(self, features: Sequence[float]) -> list[float]:
        """For each feature of one pair, by how much the log-odds would fall if it had its usual value instead."""
        values = np.tile(np.array(features, np.float32), (len(features) + 1, 1))
        np.fill_diagonal(values, self.mean)
        logits = self.logits(values)
        found: list[float] = (logits[-1] - logits[:-1]).tolist()
        return found


def probability(logits: NDArray[np.float64] | Matrix) -> NDArray[np.float64]:
    """The logistic of log-odds."""
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))


def fit(
    features: Matrix,
    truth: NDArray[np.bool_],
    weight: NDArray[np.float64],
    name: str,
    start: Network | None = None,
) -> Network:
    """The network that tells true pairs best: least weighted cross-entropy. The same for the same input.

    With `start` it goes on from there, gently: an operator's few labels move the weights without replacing all
    that they were fitted to before.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + np.float32(1e-3)
    if start is not None:
        mean, deviation = start.mean, start.deviation
    values = _standardised(features, mean, deviation)
    target, share = truth.astype(np.float32), (weight / weight.mean()).astype(np.float32)
    starts = start.members if start is not None else tuple(_fresh(values.shape[1], s) for s in range(MEMBERS))
    batches = max(1, len(values) // BATCH)
    plan = _Plan(EPOCHS * batches, FASTEST, DECAY, 0.0)
    if start is not None:
        plan = _Plan(max(AGAIN_EPOCHS * batches, AGAIN_STEPS), AGAIN_FASTEST, 0.0, HOLD / len(values))
    members = tuple(
        _fit_member(layers, (values, target, share), seed, plan) for seed, layers in enumerate(starts)
    )
    return Network(name, mean, deviation, members)


def _fresh(inputs: int, seed: int) -> tuple[Layer, ...]:
    """Layers with random weights of the size that keeps values in range (He, Zhang, Ren, Sun 2015)."""
    numbers = np.random.default_rng(seed)
    return tuple(
        (numbers.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise((inputs, *HIDDEN, 1))
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to fit: `decay` pulls weights to zero, `hold` pulls all to where they began."""

    steps: int
    fastest: float
    decay: float
    hold: float


def _fit_member(
    start: tuple[Layer, ...], pairs: tuple[Matrix, Matrix, Matrix], seed: int, plan: _Plan
) -> tuple[Layer, ...]:
    values, target, share = pairs
    numbers = np.random.default_rng(seed)
    layers = [(weights.copy(), biases.copy()) for weights, biases in start]
    adam = _Adam(layers)
    batches = max(1, len(values) // BATCH)
    order = np.arange(len(values))
    for step in range(plan.steps):
        if step % batches == 0:
            order = numbers.permutation(len(values))
        chosen = order[(step % batches) * BATCH :][:BATCH]
        rate = SLOWEST + (plan.fastest - SLOWEST) * (1 + np.cos(np.pi * step / plan.steps)) / 2
        gradients = _gradients(layers, values[chosen], target[chosen], share[chosen])
        pulled = [
            (
                slope + plan.decay * weights + plan.hold * (weights - first),
                bias_slope + plan.hold * (biases - first_biases),
            )
            for (slope, bias_slope), (weights, biases), (first, first_biases) in zip(
                gradients, layers, start, strict=True
            )
        ]
        adam.step(pulled, rate)
    return tuple(layers)


def written(network: Network, provenance: str) -> str:
    """The network as JSON, with where it comes from."""
    members = [
        [{"weights": _rounded(weights), "biases": _rounded(biases)} for weights, biases in layers]
        for layers in network.members
    ]
    return json.dumps(
        {
            "name": network.name,
            "provenance": provenance,
            "features": list(network.features),
            "mean": _rounded(network.mean),
            "deviation": _rounded(network.deviation),
            "members": members,
        },
        indent=1,
    )


def _rounded(values: Matrix) -> list[Any]:
    rounded = np.array([float(f"{value:.5g}") for value in values.ravel().tolist()])
    found: list[Any] = rounded.reshape(values.shape).tolist()
    return found


def read_network(text: str) -> Network:
    """The network in a JSON text. Raises ValueError if it holds none, or one that was fitted to other features."""
    try:
        found = json.loads(text)
        known = tuple(found["features"])
        network = Network(
            str(found["name"]),
            _array(found["mean"]),
            _array(found["deviation"]),
            tuple(
                tuple((_array(layer["weights"]), _array(layer["biases"])) for layer in layers)
                for layers in found["members"]
            ),
        )
        network.logits(np.zeros((1, len(known)), np.float32))
    except (ValueError, KeyError, TypeError, IndexError):
        raise ValueError("it holds no weights") from None
    if known not in (FEATURES, FEATURES + MEANINGS):
        raise ValueError("its weights are for other features")
    return network


def _array(values: list[Any]) -> Matrix:
    return np.array(values, dtype=np.float32)


@cache
def shipped(*, semantic: bool = False) -> Network:
    """The network that comes with the program; the other one compares what entries mean, too."""
    name = "weights_semantic.json" if semantic else "weights.json"
    return read_network(files("aggregator.cluster").joinpath(name).read_text(encoding="utf-8"))


def _standardised(features: Matrix, mean: Matrix, deviation: Matrix) -> Matrix:
    found: Matrix = np.clip((features - mean) / deviation, -MOST_DEVIATION, MOST_DEVIATION).astype(np.float32)
    return found


def _gradients(
    layers: Sequence[tuple[Matrix, Matrix]], values: Matrix, target: Matrix, share: Matrix
) -> list[tuple[Matrix, Matrix]]:
    """The gradient of each layer's weights and biases (back-propagation)."""
    inputs = [values]
    for weights, biases in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weights + biases, 0.0))
    weights, biases = layers[-1]
    logits = np.clip((inputs[-1] @ weights + biases)[:, 0], -MOST_LOGIT, MOST_LOGIT)
    slope = ((1 / (1 + np.exp(-logits)) - target) * share / len(values))[:, None]
    found: list[tuple[Matrix, Matrix]] = []
    for (weights, _), given in zip(reversed(layers), reversed(inputs), strict=True):
        found.append((given.T @ slope, slope.sum(axis=0)))
        slope = (slope @ weights.T) * (given > 0)
    return found[::-1]


class _Adam:
    """Adam's running means for each layer; `step` changes the layers in place."""

    def __init__(self, layers: Sequence[tuple[Matrix, Matrix]]) -> None:
        self._parts = [part for layer in layers for part in layer]
        self._means = [np.zeros_like(part) for part in self._parts]
        self._squares = [np.zeros_like(part) for part in self._parts]
        self._steps = 0

    def step(self, gradients: Sequence[tuple[Matrix, Matrix]], rate: float) -> None:
        self._steps += 1
        flat = [part for layer in gradients for part in layer]
        for part, mean, square, gradient in zip(self._parts, self._means, self._squares, flat, strict=True):
            mean[...] += 0.1 * (gradient - mean)
            square[...] += 0.001 * (gradient**2 - square)
            corrected = mean / (1 - 0.9**self._steps)
            part[...] -= rate * corrected / (np.sqrt(square / (1 - 0.999**self._steps)) + 1e-8)
