"""The JSON API, version 1: additions only. Every answer is read from the database, with an ETag."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from aggregator.publish import event_json, feed_advice, feed_json, plain_json
from aggregator.store import StoreError
from aggregator.store.events import teasers_of
from aggregator.store.feeds import feed_statuses
from aggregator.store.listing import entry_record, list_changes, list_entries, list_events
from aggregator.store.reads import event_record
from aggregator.types import Change, EntryId, EventFilter, EventId
from aggregator.web.answers import Answers, Made, answer
from aggregator.web.cursors import CursorError, read_place, write_place
from aggregator.web.problems import problem

JSON = "application/json"
MOST = 200
CHANGES = "/api/v1/changes"
LONGEST_WAIT = 30.0
LOOK_SECONDS = 0.5
"""How long a request may wait for changes, and how often the database is looked at meanwhile."""

BEAT_SECONDS = 15.0
"""Seconds after which a stream without changes sends a comment: so that both ends know that the other is there."""

MOST_ID = (1 << 63) - 1
TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d")


class Teaser(BaseModel):
    """A truncated item beside an event: `coverage` (told it, too) or `related`."""

    kind: str
    text: str
    full_text: str
    title: str
    url: str
    source: str
    published_at: datetime | None
    entry_id: int | None
    related_event_id: int | None


class Event(BaseModel):
    """An event in a list: its canonical entry, without the text."""

    id: int
    title: str
    url: str
    source: str
    summary: str
    lang: str
    category: str
    published_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    entry_count: int
    source_count: int
    teasers: list[Teaser]


class Events(BaseModel):
    """A page of events; `next` is the `cursor` of the next page, "" behind the last."""

    events: list[Event]
    next: str


class Member(BaseModel):
    """An entry of an event."""

    entry_id: int
    relation: str
    score: float | None
    feed_url: str
    source: str
    guid: str
    title: str
    url: str
    published_at: datetime


class Record(BaseModel):
    """The whole record of an event. Of one that was merged, `merged_into` says where it is now."""

    id: int
    title: str
    url: str
    source: str
    summary: str
    text: str
    lang: str
    published_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    entry_count: int
    source_count: int
    canonical_entry_id: int | None
    merged_into: int | None
    entries: list[Member]
    teasers: list[Teaser]


class Entry(BaseModel):
    """An entry as its feed gave it, cleaned."""

    id: int
    feed_url: str
    guid: str
    url: str
    title: str
    summary: str
    text: str
    lang: str
    author: str
    source: str
    published_at: datetime
    first_seen_at: datetime
    date_guessed: bool
    event_id: int | None


class Entries(BaseModel):
    """A page of entries; `next` is the `before` of the next page, null behind the last."""

    entries: list[Entry]
    next: int | None


class OneChange(BaseModel):
    """Something that happened to an event: created, updated, merged (into `other_event_id`) or split."""

    cursor: int
    event_id: int
    kind: str
    other_event_id: int | None
    at: datetime


class Changes(BaseModel):
    """Changes in order; `next` is the `after` of the next request."""

    changes: list[OneChange]
    next: int


class Feed(BaseModel):
    """A listed feed and its health; `advice` is what a person should do, "" = nothing."""

    id: int
    url: str
    title: str
    category: str
    state: str
    last_polled_at: datetime | None
    last_success_at: datetime | None
    next_poll_at: datetime | None
    failures: int
    problem: str
    entries: int
    moved_to: str
    advice: str


class Feeds(BaseModel):
    """All listed feeds."""

    feeds: list[Feed]


class Problem(BaseModel):
    """What is wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


def _told(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {
        status.value: {
            "description": status.phrase,
            "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }


router = APIRouter(
    prefix="/api/v1",
    responses={
        304: {"description": "The client has this answer (If-None-Match)."},
        **_told(HTTPStatus.BAD_REQUEST),
    },
)

Limit = Annotated[int, Query(ge=1, le=MOST, description="at most so many")]
Id = Annotated[int, Path(ge=1, le=MOST_ID, description="the id")]
Text = Annotated[str, Query(max_length=200, description="only events one entry of which has all these words")]
Named = Annotated[str, Query(max_length=200, description="only of this outlet")]
Category = Annotated[str, Query(max_length=200, description="only of this category, or one below it")]
Language = Annotated[str, Query(max_length=20, description="only in this language (a primary language tag)")]


def _rfc3339(value: object) -> object:
    """Seconds since 1970 are a time to the library, and to no reader of the description."""
    if isinstance(value, str) and not TIME.match(value):
        raise ValueError("give a time as RFC 3339 has it, such as 2026-11-23T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
Since = Annotated[Moment | None, Query(description="only those that grew at this time or later")]
Until = Annotated[Moment | None, Query(description="only those that grew before this time")]
PageCursor = Annotated[
    str, Query(max_length=100, pattern="^[A-Za-z0-9_-]*$", description="`next` of the page before")
]
AfterChange = Annotated[int, Query(ge=0, le=MOST_ID, description="the last cursor that is known")]


@router.get("/events", response_model=Events)
def events(  # noqa: PLR0913 (each argument is a parameter of the request)
    request: Request,
    *,
    q: Text = "",
    source: Named = "",
    category: Category = "",
    lang: Language = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: PageCursor = "",
) -> Response:
    """Events, those that grew last first; with words, those with the newest entry that has them first."""
    try:
        place = read_place(cursor)
    except CursorError:
        return problem(
            request, HTTPStatus.BAD_REQUEST, "cursor: not one of ours: start again without a cursor."
        )
    wanted = EventFilter(q, source, category, lang, since, until)

    def make(db: Connection, _now: datetime) -> Made:
        page = list_events(db, wanted, limit, place)
        teasers = teasers_of(db, [one.id for one in page.events])
        listed = [_plain(one) | {"teasers": _plain_all(teasers.get(one.id, []))} for one in page.events]
        return _json({"events": listed, "next": write_place(page.next) if page.next else ""})

    return _answers(request).of_events(request, make)


@router.get("/events/{number}", response_model=Record, responses=_told(HTTPStatus.NOT_FOUND))
def event(request: Request, number: Id) -> Response:
    """One event with its entries and teasers."""
    with request.app.state.store.read() as db:
        record = event_record(db, EventId(number))
    if record is None:
        return problem(request, HTTPStatus.NOT_FOUND, f"There is no event {number}.")
    return answer(request, _json(event_json(record)))


@router.get("/entries", response_model=Entries)
def entries(
    request: Request,
    *,
    q: Annotated[str, Query(max_length=200, description="only entries that have all these words")] = "",
    event: Annotated[int | None, Query(ge=1, le=MOST_ID, description="only those of this event")] = None,
    before: Annotated[int | None, Query(ge=1, le=MOST_ID, description="only below this id")] = None,
    limit: Limit = 50,
) -> Response:
    """Entries, the newest first."""
    with request.app.state.store.read() as db:
        found = list_entries(
            db, limit + 1, before=before, event=None if event is None else EventId(event), words=q
        )
    shown = found[:limit]
    after = shown[-1].id if len(found) > limit else None
    return answer(request, _json({"entries": _plain_all(shown), "next": after}))


@router.get("/entries/{number}", response_model=Entry, responses=_told(HTTPStatus.NOT_FOUND))
def entry(request: Request, number: Id) -> Response:
    """One entry."""
    with request.app.state.store.read() as db:
        record = entry_record(db, EntryId(number))
    if record is None:
        return problem(request, HTTPStatus.NOT_FOUND, f"There is no entry {number}.")
    return answer(request, _json(_plain(record)))


@router.get("/feeds", response_model=Feeds)
def feeds(request: Request) -> Response:
    """Every listed feed and its health."""
    with request.app.state.store.read() as db:
        listed = [feed_json(status, feed_advice(status)) for status in feed_statuses(db)]
    return answer(request, _json({"feeds": listed}))


@router.get("/changes", response_model=Changes)
async def changes(
    request: Request,
    *,
    after: AfterChange = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="at most so many")] = 200,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for a change if there is none")
    ] = 0,
) -> Response:
    """What happened to events behind a cursor, in order; nothing is left out."""
    deadline = asyncio.get_running_loop().time() + wait
    while True:
        found = await _changes(request, after, limit)
        rest = deadline - asyncio.get_running_loop().time()
        if found or rest <= 0 or request.app.state.stopping.is_set():
            break
        await asyncio.sleep(min(LOOK_SECONDS, rest))
    last = found[-1].cursor if found else after
    return answer(request, _json({"changes": _plain_all(found), "next": last}))


@router.get("/changes/stream", response_class=StreamingResponse)
async def stream(
    request: Request,
    *,
    after: AfterChange = 0,
    last_event_id: Annotated[str | None, Header(description="as `after`, sent by EventSource")] = None,
) -> Response:
    """The same as server-sent events: one `change` for each, its `id` the cursor."""
    known = (
        int(last_event_id)
        if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19
        else after
    )
    return StreamingResponse(
        _events(request, known), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _events(request: Request, after: int) -> AsyncIterator[str]:
    yield "retry: 5000\n\n"
    loop = asyncio.get_running_loop()
    beat = loop.time() + BEAT_SECONDS
    while not (request.app.state.stopping.is_set() or await request.is_disconnected()):
        try:
            found = await _changes(request, after, MOST)
        except StoreError:
            return  # EventSource comes back by itself, with the last cursor that it had
        for change in found:
            after = change.cursor
            yield f"event: change\nid: {change.cursor}\ndata: {json.dumps(_plain(change))}\n\n"
        if not found:
            await asyncio.sleep(LOOK_SECONDS)
        if found or loop.time() > beat:
            beat = loop.time() + BEAT_SECONDS
            yield ": here\n\n"


async def _changes(request: Request, after: int, limit: int) -> list[Change]:
    def look() -> list[Change]:
        with request.app.state.store.read() as db:
            return list_changes(db, after, limit)

    return await run_in_threadpool(look)


def _plain(record: Any) -> dict[str, Any]:
    return {name: plain_json(getattr(record, name)) for name in record.__slots__}


def _plain_all(records: Any) -> list[dict[str, Any]]:
    return [_plain(record) for record in records]


def _json(value: Any) -> Made:
    return Made(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), JSON)


def _answers(request: Request) -> Answers:
    found: Answers = request.app.state.answers
    return found
