"""The sample stories as values: reads outlets.toml and stories_*.toml, and spells out copies, edits and cuts.

A `[[story]]` is one news event: `key`, `lang` (default "en"), `resembles` (the key of another story that shares
its words and must stay apart). Each of its `[[story.item]]` is one outlet's telling:

    outlet      a key of outlets.toml
    id          tells two items of one outlet in one story apart (default: the outlet's key)
    kind        original (default), copy, edit, truncated, rewrite, update
    hours_ago   age in hours
    title
    text        paragraphs between empty lines; or `summary`, one paragraph; or neither: the title is all
    of          copy, edit, truncated: the `id` of the item of this story that the text is taken from
    changes     edit: pairs of old and new words, each old one present in the text
    drop        edit: how many of the last paragraphs are left out
    cut         truncated: how many characters are kept
    dateline    stands before the first paragraph; it is no part of what others take over
    related     "story/id" of the items whose truncated texts the outlet sticks to the end
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Literal

TRUNCATION_MARK = "… [more]"


class Kind(StrEnum):
    """How an item's text came about."""

    ORIGINAL = "original"
    COPY = "copy"
    EDIT = "edit"
    TRUNCATED = "truncated"
    REWRITE = "rewrite"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Outlet:
    """An invented publisher and the habits of its one feed. `utc_offset` is in hours."""

    key: str
    title: str
    host: str
    category: str
    lang: str
    dialect: Literal["rss", "rdf", "atom", "json"]
    carries: Literal["full", "summary", "headline"]
    guids: Literal["url", "tag", "plain"]
    tracking: str
    utc_offset: int


@dataclass(frozen=True, slots=True)
class SampleItem:
    """One outlet's telling of one story.

    `key` is "story/id". `paragraphs` are without the dateline and the related items; none for a bare headline.
    `taken_from` and `related` are keys of other items, "" and () if there are none. `url` has no tracking.
    """

    key: str
    story: str
    outlet: Outlet
    kind: Kind
    hours_ago: float
    guid: str
    url: str
    lang: str
    title: str
    dateline: str
    paragraphs: tuple[str, ...]
    taken_from: str
    related: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """The paragraphs as the outlet prints them: the first one opens with the dateline."""
        if not self.paragraphs:
            return ()
        return (self.dateline + self.paragraphs[0], *self.paragraphs[1:])


@cache
def read_outlets() -> tuple[Outlet, ...]:
    """The outlets in the order of outlets.toml."""
    tables = tomllib.loads((files(__package__) / "outlets.toml").read_text("utf-8"))
    return tuple(Outlet(key=key, **table) for key, table in tables.items())


@cache
def read_items() -> tuple[SampleItem, ...]:
    """All items of all stories, newest first; a mistake in the files raises KeyError or ValueError."""
    outlets = {outlet.key: outlet for outlet in read_outlets()}
    items = [item for story in _stories() for item in _spell_out(story, outlets)]
    return tuple(sorted(items, key=lambda item: (item.hours_ago, item.key)))


@cache
def _stories() -> tuple[dict[str, Any], ...]:
    """The stories as they stand in the files."""
    sources = [entry for entry in files(__package__).iterdir() if entry.name.startswith("stories_")]
    sources.sort(key=lambda entry: entry.name)
    return tuple(story for entry in sources for story in tomllib.loads(entry.read_text("utf-8"))["story"])


def expected_events() -> dict[str, str]:
    """The story key of each item by its guid: items with the same key tell the same event, others don't."""
    return {item.guid: item.story for item in read_items()}


def expected_copies() -> dict[str, str]:
    """The guid that each copied or truncated item took its text from, by its own guid; edits are left out."""
    guids = {item.key: item.guid for item in read_items()}
    verbatim = (Kind.COPY, Kind.TRUNCATED)
    return {item.guid: guids[item.taken_from] for item in read_items() if item.kind in verbatim}


def look_alikes() -> tuple[tuple[str, str], ...]:
    """Pairs of story keys that share their words and are not the same event."""
    return tuple((story["key"], story["resembles"]) for story in _stories() if "resembles" in story)


def _spell_out(story: dict[str, Any], outlets: Mapping[str, Outlet]) -> list[SampleItem]:
    """The items of one story; a text may be taken from an earlier item only."""
    told: dict[str, SampleItem] = {}
    for table in story["item"]:
        outlet = outlets[table["outlet"]]
        name = table.get("id", outlet.key)
        if name in told:
            raise ValueError(f"{story['key']}/{name} stands twice")
        url = f"https://{outlet.host}/{story['key']}-{name}"
        told[name] = SampleItem(
            key=f"{story['key']}/{name}",
            story=story["key"],
            outlet=outlet,
            kind=Kind(table.get("kind", "original")),
            hours_ago=table["hours_ago"],
            guid=_guid(outlet, story["key"], name, url),
            url=url,
            lang=story.get("lang", "en"),
            title=table["title"],
            dateline=table.get("dateline", ""),
            paragraphs=_paragraphs(table, told),
            taken_from=told[table["of"]].key if "of" in table else "",
            related=tuple(table.get("related", ())),
        )
    return list(told.values())


def _guid(outlet: Outlet, story: str, name: str, url: str) -> str:
    if outlet.guids == "url":
        return url
    if outlet.guids == "tag":
        # RFC 4151; the date is any on which the authority held the name.
        return f"tag:{outlet.host},2020-01-01:{story}/{name}"
    return f"{outlet.key}-{story}-{name}"


def _paragraphs(table: Mapping[str, Any], told: Mapping[str, SampleItem]) -> tuple[str, ...]:
    """The item's text: its own, or what its kind makes of the text it is taken from."""
    if "of" not in table:
        source = table.get("text", table.get("summary", ""))
        return tuple(" ".join(part.split()) for part in source.split("\n\n") if part.strip())
    taken = told[table["of"]].paragraphs
    kind = Kind(table["kind"])
    if kind is Kind.COPY:
        return taken
    if kind is Kind.TRUNCATED:
        return (" ".join(taken)[: table["cut"]].rstrip() + TRUNCATION_MARK,)
    if kind is Kind.EDIT:
        return _edited(taken[: len(taken) - table.get("drop", 0)], table["changes"])
    raise ValueError(f"{table['title']}: a text of kind {kind} is taken from no other item")


def _edited(paragraphs: tuple[str, ...], changes: list[list[str]]) -> tuple[str, ...]:
    text = "\n".join(paragraphs)
    for old, new in changes:
        if old not in text:
            raise ValueError(f"nothing to change: {old!r}")
        text = text.replace(old, new)
    return tuple(text.split("\n"))
