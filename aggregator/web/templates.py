"""The pages' templates, and the filters that they use."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

LANGUAGES_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "iw", "ur", "ps", "sd", "ug", "yi", "dv"})
LONGEST_SHOWN = 300
"""Characters of a title on a page."""


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
        "link": link,
    }
    environment.globals["asset"] = asset
    return environment


@cache
def asset(name: str) -> str:
    """The address of a file of ours, another one whenever the file is another."""
    content = files("aggregator.web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={blake2b(content, digest_size=6).hexdigest()}"


def shown(text: str, most: int = LONGEST_SHOWN) -> str:
    """The text without control and direction characters, cut where it is endless."""
    kept = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf"})
    return kept if len(kept) <= most else f"{kept[: most - 1].rstrip()}…"


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


def counted(number: int, one: str, many: str) -> str:
    """The number with its noun: "1 outlet", "12 outlets"."""
    return f"{number:,} {one if number == 1 else many}"


def link(url: str) -> str:
    """The address if a browser may be sent there, "" if not."""
    return url if url.startswith(("http://", "https://")) else ""
