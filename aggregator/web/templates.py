"""The pages' templates, and the filters that they use."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aggregator.store.search import DENSE, words_of

LANGUAGES_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "iw", "ur", "ps", "sd", "ug", "yi", "dv"})
LONGEST_SHOWN = 300
"""Characters of a title on a page."""

JOINERS = frozenset("\u200c\u200d")
"""Format characters that words need: Persian and Indic scripts, and emoji of several parts."""

MOST_STACKED = 6
"""Marks on one letter that are shown: no language has more, and a pile of them covers the lines around it."""

WORD = rf"(?:(?!{DENSE.pattern})\w)+|\w"
"""A word; of scripts without spaces a character, so that a part of what stands together is found, too."""

LANGUAGES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""Names of the languages that most feeds are in; others are shown by their tag (BCP 47)."""


def render(name: str, **values: Any) -> str:
    """A page; everything in `values` is escaped."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("aggregator.web", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.filters |= {
        "shown": shown,
        "moment": moment,
        "stamp": stamp,
        "ago": ago,
        "direction": direction,
        "counted": counted,
        "language": language,
        "link": link,
        "marked": marked,
    }
    environment.globals["asset"] = asset
    return environment


@cache
def asset(name: str) -> str:
    """The address of a file of ours, another one whenever the file is another."""
    content = files("aggregator.web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={blake2b(content, digest_size=6).hexdigest()}"


def shown(text: str, most: int = LONGEST_SHOWN) -> str:
    """The text without control and direction characters and piles of marks, cut where it is endless."""
    return text if text.isprintable() and text.isascii() and len(text) <= most else _cut(_tamed(text), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _tamed(text: str) -> str:
    kept: list[str] = []
    stacked = 0
    for char in text:
        kind = unicodedata.category(char)
        stacked = stacked + 1 if kind in {"Mn", "Me"} else 0
        if stacked <= MOST_STACKED and (kind not in {"Cc", "Cf"} or char in "\n\t" or char in JOINERS):
            kept.append(char)
    return "".join(kept)


def marked(text: str, searched: str) -> Markup:
    """The text, escaped, with the words that were searched in <mark>.

    Whole words, in either case, with or without accents, as the index finds them; any part where a script has
    no spaces.
    """
    words = words_of(searched)
    if not words:
        return escape(text)
    parts = [re.escape(word) for word in words if DENSE.search(word)]
    whole = {_folded(word) for word in words}
    found = re.compile("|".join([*parts, WORD]))
    told: list[str] = []
    end = 0
    for word in found.finditer(text):
        if _folded(word.group()) in whole:
            told += (escape(text[end : word.start()]), "<mark>", escape(word.group()), "</mark>")
            end = word.end()
    told.append(escape(text[end:]))
    return Markup("".join(told))  # noqa: S704 (every part of the text is escaped above)


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def moment(at: datetime | None) -> str:
    """The time for people, in UTC."""
    return at.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC") if at else ""


def stamp(at: datetime | None) -> str:
    """The time for programs, as RFC 3339."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago in the largest fitting unit, or how long ahead."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            count = f"{int(abs(seconds) // size)} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now" if seconds >= 0 else "in a moment"


def direction(lang: str) -> str:
    """The dir attribute of a text in this language."""
    if not lang:
        return "auto"
    return "rtl" if lang in LANGUAGES_RIGHT_TO_LEFT else "ltr"


def language(tag: str) -> str:
    """The English name of a language, the tag where it has none here."""
    return LANGUAGES.get(tag, tag)


def counted(number: int, one: str, many: str) -> str:
    """The number with its noun: "1 outlet", "12 outlets"."""
    return f"{number:,} {one if number == 1 else many}"


def link(url: str) -> str:
    """The address if a browser may be sent there, "" if not."""
    return url if url.startswith(("http://", "https://")) else ""
