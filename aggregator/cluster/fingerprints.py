"""Fingerprints of entries: of many pairs at once they tell most that can't be copies, unread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from aggregator.cluster.copies import COPY_CONTAINMENT, SHORT_TOKENS, TITLE_TOKENS
from aggregator.cluster.prepared import TOKEN_BYTES

Fingerprints = NDArray[np.uint64]
"""One a row [entries, FINGERPRINT]."""

BITS = 512
"""Bits for a lead's pairs of words, each of which sets one: of 59 pairs some three fall on a bit that is set
already, and two leads that have no pair in common share some six bits."""

BITMAP = slice(BITS // 64)
SET, REPEATED, TITLE, START = range(BITS // 64, BITS // 64 + 4)
"""What stands in a fingerprint: the bitmap, how many of its bits are set, how many pairs fell on one that was set
already, and hashes of the title and of the start of the text, 0 if these are too short to make a copy."""

FINGERPRINT = START + 1

START_BYTES = SHORT_TOKENS * TOKEN_BYTES
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


def fingerprints(texts: Sequence[tuple[bytes, bytes, bytes]]) -> Fingerprints:
    """Those of entries whose title, lead and body these are (types.Signature)."""
    leads = [lead for _, lead, _ in texts]
    words = np.frombuffer(b"".join(leads), "<u4").astype(np.uint64)
    lengths = np.array([len(lead) // TOKEN_BYTES for lead in leads], np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    first = np.flatnonzero(owner[:-1] == owner[1:])
    owner, pairs = owner[first], words[first] << np.uint64(32) | words[first + 1]
    bits = np.zeros((len(texts), BITS), np.bool_)
    bits[owner, pairs * MULTIPLIER >> np.uint64(64 - BITS.bit_length() + 1)] = True
    found = np.zeros((len(texts), FINGERPRINT), np.uint64)
    found[:, BITMAP] = np.packbits(bits, axis=1).view(np.uint64)
    found[:, SET] = bits.sum(axis=1)
    found[:, REPEATED] = np.bincount(owner, minlength=len(texts)) - bits.sum(axis=1)
    found[:, TITLE] = [_key(title, TITLE_TOKENS * TOKEN_BYTES) for title, _, _ in texts]
    # The last word of a cut text may be half a word.
    found[:, START] = [_key(body[:-TOKEN_BYTES][:START_BYTES], START_BYTES) for _, _, body in texts]
    return found


def may_be_copies(one: Fingerprints, other: Fingerprints) -> NDArray[np.bool_]:
    """For each pair whether `copies.copy_reason` may find one: where this says no, it finds none."""
    common = ONES[(one[:, BITMAP] & other[:, BITMAP]).view(np.uint16)].sum(axis=1, dtype=np.int64)
    # A pair of words that both have sets a bit in both, or falls on one that is set already in both.
    shared = common + np.minimum(one[:, REPEATED], other[:, REPEATED]).astype(np.int64)
    shorter = np.minimum(one[:, SET], other[:, SET]).astype(np.int64)
    found: NDArray[np.bool_] = (shorter > 0) & (shared / np.maximum(shorter, 1) >= COPY_CONTAINMENT)
    for key in (TITLE, START):
        found |= (one[:, key] == other[:, key]) & (one[:, key] > 0)
    return found


def _key(words: bytes, least: int) -> int:
    """A hash of these words, 0 if they are fewer bytes than `least`."""
    return xxhash.xxh3_64_intdigest(words) | 1 if len(words) >= least else 0
