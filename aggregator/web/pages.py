"""The pages: newest events, one event, search, feeds; and the same lists as feeds for feed readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy.engine import Connection
from starlette.responses import RedirectResponse, Response

from aggregator.opml import write_opml
from aggregator.pipeline.explaining import reasons
from aggregator.publish import FeedHead, alarm_words, atom, feed_advice, json_feed
from aggregator.store.activity import brought_by_day, day_number, find_alarms
from aggregator.store.events import teasers_of
from aggregator.store.feeds import feed_statuses, list_in_force
from aggregator.store.listing import (
    changes_of,
    choices,
    first_seen_of,
    latest_cursor,
    list_events,
)
from aggregator.store.reads import event_now, event_record
from aggregator.types import (
    Alarm,
    AlarmKind,
    Brought,
    Change,
    ChangeKind,
    EntryId,
    EventEntry,
    EventFilter,
    EventId,
    EventTime,
    FeedHealth,
    FeedList,
    FeedStatus,
    Relation,
)
from aggregator.web.answers import Answers, Made
from aggregator.web.cursors import CursorError, read_place, write_place
from aggregator.web.problems import problem
from aggregator.web.templates import language, render

HTML = "text/html; charset=utf-8"
PAGE = 30
MEMBERS_SHOWN = 100
CHANGES_SHOWN = 20
CHART_DAYS = 14
CHART_HEIGHT = 18
NOTHING = Brought(0, 0)

RELATIONS = {
    Relation.CANONICAL: "the record",
    Relation.COPY: "a copy",
    Relation.UPDATE: "an update by the same outlet",
    Relation.SAME_EVENT: "the same event in other words",
}

router = APIRouter(include_in_schema=False)

Words = Annotated[str, Query(max_length=200)]
Name = Annotated[str, Query(max_length=200)]
Day = Annotated[str, Query(max_length=10)]
Cursor = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True, slots=True)
class _Member:
    entry: EventEntry
    seen: datetime
    relation: str
    reason: str

    @property
    def is_record(self) -> bool:
        return self.entry.relation is Relation.CANONICAL


@dataclass(frozen=True, slots=True)
class _Told:
    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class _Health:
    status: FeedStatus
    words: str
    alarm: bool
    counts: list[int]
    bars: list[int]


@router.get("/")
def river(
    request: Request, category: Name = "", lang: Name = "", day: Day = "", after: Cursor = ""
) -> Response:
    """The newest events."""
    return _list(request, EventFilter(category=category, lang=lang, time=EventTime.NEWS), day, after)


@router.get("/search")
def search(  # noqa: PLR0913 (each argument is a parameter of the request)
    request: Request,
    *,
    q: Words = "",
    category: Name = "",
    lang: Name = "",
    day: Day = "",
    after: Cursor = "",
) -> Response:
    """The events with these words."""
    return _list(request, EventFilter(words=q, category=category, lang=lang, time=EventTime.NEWS), day, after)


def _list(request: Request, wanted: EventFilter, day: str, after: str) -> Response:
    try:
        chosen = date.fromisoformat(day) if day else None
        place = read_place(after)
    except (ValueError, CursorError):
        return problem(
            request, HTTPStatus.BAD_REQUEST, "This address is none of ours: start from the first page."
        )
    if chosen is not None:
        start = datetime(chosen.year, chosen.month, chosen.day, tzinfo=UTC)
        wanted = replace(wanted, since=start, until=start + timedelta(days=1))

    def make(db: Connection, now: datetime) -> Made:
        page = list_events(db, wanted, PAGE, place)
        categories, languages = choices(db)
        filters = {"q": wanted.words, "category": wanted.category, "lang": wanted.lang}
        given = {name: value for name, value in filters.items() if value}
        pages = _pages(request.url.path, given, chosen, now, is_first=not (day or after))
        if page.next is not None:
            older = given | ({"day": day} if day else {}) | {"after": write_place(page.next)}
            pages.insert(0, ("Older", f"{request.url.path}?{urlencode(older)}"))
        body = render(
            "events.html",
            title=_title(wanted, chosen),
            path=request.url.path,
            query=f"?{urlencode(given)}" if given else "",
            words=wanted.words,
            day=day,
            today=now.astimezone(UTC).date().isoformat(),
            unfiltered=f"{request.url.path}?{urlencode({'q': wanted.words})}" if wanted.words else "/",
            lang=wanted.lang,
            category=wanted.category,
            languages=_with(languages, wanted.lang),
            categories=_with(_above(categories), wanted.category),
            events=page.events,
            teasers=teasers_of(db, [event.id for event in page.events]),
            cursor=latest_cursor(db),
            live=not (day or after),
            now=now,
            pages=pages,
            nothing=_nothing(wanted),
        )
        return Made(body.encode(), HTML)

    return _answers(request).of_events(request, make, ages=True)


def _above(categories: Sequence[str]) -> list[str]:
    """The categories and those that hold them: whoever chooses one sees what is below it, too."""
    parts = (category.split("/") for category in categories)
    return sorted({"/".join(part[: depth + 1]) for part in parts for depth in range(len(part))})


def _with(choices: list[str], chosen: str) -> list[str]:
    """The choices, and what is chosen though it is none of them any more: a form must show what it filters by."""
    return choices if not chosen or chosen in choices else [*choices, chosen]


def _title(wanted: EventFilter, day: date | None) -> str:
    title = f"Events with “{wanted.words}”" if wanted.words else "Newest events"
    if wanted.category:
        title += f" in {wanted.category}"
    if wanted.lang:
        title += f", {language(wanted.lang)}"
    return title + (f" of {day.strftime('%-d %B %Y')}" if day else "")


def _nothing(wanted: EventFilter) -> str:
    if wanted.words and wanted.is_plain:
        return "No event has all these words in one entry: look for fewer, or for others."
    if wanted.words or not wanted.is_plain:
        return "No event fits: take a filter away, or look for fewer words."
    return "No events yet: they come with the first polls, within a minute or two."


def _pages(
    path: str, given: dict[str, str], day: date | None, now: datetime, *, is_first: bool
) -> list[tuple[str, str]]:
    """The day before, the day after, and the newest."""
    today = now.astimezone(UTC).date()
    shown = day or today
    days = [("Day before", shown - timedelta(days=1))] if shown > date(1990, 1, 1) else []
    if day is not None and day < today:
        days.append(("Day after", shown + timedelta(days=1)))
    pages = [
        (f"{name}: {one.strftime('%-d %B')}", f"{path}?{urlencode(given | {'day': one.isoformat()})}")
        for name, one in days
    ]
    return pages + ([("Newest", f"{path}?{urlencode(given)}" if given else path)] if not is_first else [])


@router.get("/events/{number}")
def event(request: Request, number: int) -> Response:
    """One event."""
    store = request.app.state.store
    with store.read() as db:
        now = event_now(db, EventId(number)) if 0 < number < 1 << 63 else None
    if now is None:
        return problem(request, HTTPStatus.NOT_FOUND, f"There is no event {number}.")
    if now != number:
        return RedirectResponse(f"/events/{now}", HTTPStatus.PERMANENT_REDIRECT)
    return _answers(request).of_events(request, lambda db, _now: _event_page(db, EventId(number)))


def _event_page(db: Connection, number: EventId) -> Made:
    record = event_record(db, number)
    if record is None:
        raise LookupError(number)
    shown = record.entries[:MEMBERS_SHOWN]
    seen = first_seen_of(db, [entry.entry_id for entry in shown])
    why = reasons(db, [entry.entry_id for entry in shown])
    members = [
        _Member(
            entry,
            seen[entry.entry_id],
            RELATIONS[entry.relation],
            _sentence(why.get(entry.entry_id, "it waits to be grouped")),
        )
        for entry in sorted(shown, key=lambda one: _place(one, seen[one.entry_id]))
    ]
    history = [_told(change, number) for change in changes_of(db, number, CHANGES_SHOWN)]
    left_out = len(record.entries) - len(shown)
    page = render("event.html", record=record, members=members, history=history, left_out=left_out)
    return Made(page.encode(), HTML)


def _place(entry: EventEntry, seen: datetime) -> tuple[datetime, datetime, EntryId]:
    """Where an entry stands on the timeline; those of one minute came with one pass: as they were published."""
    return seen.replace(second=0, microsecond=0), entry.published_at, entry.entry_id


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + "."


def _told(change: Change, event: EventId) -> _Told:
    other = change.other_event_id
    words = {
        ChangeKind.CREATED: "it began",
        ChangeKind.UPDATED: "it grew or changed",
        ChangeKind.MERGED: f"event {change.event_id} became part of it"
        if other == event
        else f"it became part of event {other}",
        ChangeKind.SPLIT: f"it was parted from event {change.event_id}"
        if other == event
        else f"event {other} was parted from it",
        ChangeKind.REMOVED: "it was removed for its age",
    }
    return _Told(change.at, words[change.kind])


@router.get("/feeds")
def feeds(request: Request) -> Response:
    """The feeds and their health."""
    return _answers(request).of_now(request, _feeds_page)


def _feeds_page(db: Connection, now: datetime) -> Made:
    today = day_number(now)
    activity = brought_by_day(db, today - CHART_DAYS)
    # A silent feed's advice says so.
    bursts = [alarm for alarm in find_alarms(db, now) if alarm.kind is not AlarmKind.SILENCE]
    strange = {url: list(alarms) for url, alarms in groupby(bursts, key=lambda alarm: alarm.url)}
    found = [
        _health(status, activity.get(status.url, {}), strange.get(status.url, []), today)
        for status in feed_statuses(db)
    ]
    found.sort(key=lambda one: (not one.alarm, one.status.title.casefold()))
    states = [
        (state, count)
        for state in FeedHealth
        if (count := sum(one.status.state == state for one in found)) and state != FeedHealth.OK
    ]
    page = render(
        "feeds.html",
        feeds=found,
        states=states,
        alarms=sum(one.alarm for one in found),
        days=CHART_DAYS,
        now=now,
    )
    return Made(page.encode(), HTML)


def _health(
    status: FeedStatus, by_day: Mapping[int, Brought], alarms: Sequence[Alarm], today: int
) -> _Health:
    advice = feed_advice(status)
    words = " ".join(
        [advice or status.problem, *(alarm_words(one.kind, one.count) for one in alarms)]
    ).strip()
    counts = [by_day.get(day, NOTHING).entries for day in range(today - CHART_DAYS + 1, today + 1)]
    most = max(1, *counts)
    bars = [max(1, round(CHART_HEIGHT * count / most)) if count else 0 for count in counts]
    return _Health(status, words, bool(advice or alarms), counts, bars)


@router.get("/feed.atom")
def atom_feed(request: Request, q: Words = "", category: Name = "", lang: Name = "") -> Response:
    """The newest events, or those that fit, as Atom."""
    wanted = EventFilter(words=q, category=category, lang=lang)
    return _syndicated(request, wanted, lambda *given: Made(atom(*given), "application/atom+xml"))


@router.get("/feed.json")
def json_feed_of(request: Request, q: Words = "", category: Name = "", lang: Name = "") -> Response:
    """The newest events, or those that fit, as JSON Feed."""
    wanted = EventFilter(words=q, category=category, lang=lang)
    return _syndicated(request, wanted, lambda *given: Made(json_feed(*given), "application/feed+json"))


def _syndicated(request: Request, wanted: EventFilter, write: Callable[..., Made]) -> Response:
    site = str(request.base_url)
    query = urlencode(
        [
            (name, value)
            for name, value in (("q", wanted.words), ("category", wanted.category), ("lang", wanted.lang))
            if value
        ]
    )
    suffix = f"?{query}" if query else ""
    home = f"{site}{'search' if wanted.words else ''}{suffix}"

    def make(db: Connection, _now: datetime) -> Made:
        found = list_events(db, wanted, PAGE).events
        updated = max((one.last_seen_at for one in found), default=datetime.fromtimestamp(0, UTC))
        head = FeedHead(
            _title(wanted, None), site, home, f"{site}{request.url.path.lstrip('/')}{suffix}", updated
        )
        return write(head, found, teasers_of(db, [one.id for one in found]))

    return _answers(request).of_events(request, make)


@router.get("/opml")
def opml(request: Request) -> Response:
    """The list of feeds as OPML with what it sets for them, so that another program of ours can take it over.

    Credentials are left out.
    """

    def make(db: Connection, _now: datetime) -> Made:
        listed = FeedList("News events", tuple(list_in_force(db)), ())
        return Made(write_opml(listed), "text/x-opml; charset=utf-8")

    return _answers(request).of_now(request, make)


@router.get("/docs")
def docs(request: Request) -> Response:
    """What the API has, for people."""
    document = request.app.openapi()
    operations = [
        {
            "path": path,
            "summary": methods["get"]["description"],
            "parameters": methods["get"].get("parameters", []),
        }
        for path, methods in document["paths"].items()
    ]
    page = render("docs.html", about=document["info"]["description"], operations=operations)
    return _answers(request).of_now(request, lambda _db, _now: Made(page.encode(), HTML))


def _answers(request: Request) -> Answers:
    found: Answers = request.app.state.answers
    return found
