"""Messages for the webhook: written with the changes they tell of, claimed, delivered, or dead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from aggregator.store.dialect import among, chunks
from aggregator.store.tables import OUTBOX, WEBHOOK
from aggregator.types import ChangeKind, EventId, Message, MessageType

THE_ONE = 1
"""There is one webhook, so its row has a fixed id."""

TYPES = {ChangeKind.CREATED: MessageType.CREATED, ChangeKind.MERGED: MessageType.MERGED}


class Undelivered(NamedTuple):
    """A message that was not taken: when to send it again (None = never), and why."""

    number: int
    next_at: datetime | None
    problem: str


class Troubled(NamedTuple):
    """A message that was not taken at its last try."""

    id: str
    type: str
    event_id: EventId
    at: datetime
    tries: int
    is_dead: bool
    problem: str


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Messages that wait, and those that were given up."""

    waiting: int
    dead: int


def switch_webhook(db: Connection, now: datetime, *, on: bool) -> None:
    """From now on changes are put into the outbox, or are not; what is in it stays."""
    known = db.execute(select(WEBHOOK.c.id)).first() is not None
    if on and not known:
        db.execute(insert(WEBHOOK).values(id=THE_ONE, since=now))
    elif known and not on:
        db.execute(delete(WEBHOOK))


def put_messages(
    db: Connection,
    changes: Iterable[tuple[EventId, ChangeKind, EventId | None]],
    grown: Collection[EventId],
    now: datetime,
) -> None:
    """Puts a message for each event created or merged, and each of `grown`, into the outbox, if there is a webhook.

    A message tells what its event is when it is sent. One of growth that was never sent yet tells of further
    growth, too: an event has one such at most. The update locks it against being claimed meanwhile, so that no
    growth falls between what was sent and what was put here.
    """
    if db.execute(select(WEBHOOK.c.id)).first() is None:
        return
    wanted = [(event, TYPES[kind]) for event, kind, _ in changes if kind in TYPES]
    told: set[int] = set()
    for part in chunks(grown):
        unsent = (OUTBOX.c.type == MessageType.GROWN, OUTBOX.c.tries == 0, OUTBOX.c.dead_at.is_(None))
        renewed = update(OUTBOX).where(among(OUTBOX.c.event_id, part), *unsent).values(at=now)
        told.update(row.event_id for row in db.execute(renewed.returning(OUTBOX.c.event_id)))
    wanted += [(event, MessageType.GROWN) for event in sorted(grown) if event not in told]
    if wanted:
        rows = [
            {"message_id": f"msg_{uuid4().hex}", "event_id": event, "type": kind, "at": now, "next_at": now}
            for event, kind in wanted
        ]
        db.execute(insert(OUTBOX), rows)


def is_due(db: Connection, now: datetime) -> bool:
    """Whether a message may be sent now."""
    paused = select(WEBHOOK.c.id).where(WEBHOOK.c.paused_until > now).exists()
    return bool(db.execute(select(select(OUTBOX.c.number).where(_due(now)).exists() & ~paused)).scalar_one())


def claim_messages(db: Connection, now: datetime, limit: int) -> list[Message]:
    """Messages to send now, the oldest first, one of an event: the next waits until it is delivered or dead.

    Each counts as tried. If the sender ends before it says more of them, they are due again at once.
    """
    query = select(OUTBOX).where(_due(now)).order_by(OUTBOX.c.number).limit(limit)
    rows = db.execute(query.with_for_update(skip_locked=True)).all()
    numbers = [row.number for row in rows]
    if numbers:
        db.execute(update(OUTBOX).where(among(OUTBOX.c.number, numbers)).values(tries=OUTBOX.c.tries + 1))
    return [
        Message(
            number=row.number,
            id=row.message_id,
            event=EventId(row.event_id),
            type=MessageType(row.type),
            at=row.at,
            tries=row.tries + 1,
        )
        for row in rows
    ]


def _due(now: datetime) -> ColumnElement[bool]:
    earlier = OUTBOX.alias("earlier")
    is_held = (
        select(earlier.c.number)
        .where(
            earlier.c.event_id == OUTBOX.c.event_id,
            earlier.c.number < OUTBOX.c.number,
            earlier.c.dead_at.is_(None),
        )
        .exists()
    )
    return OUTBOX.c.dead_at.is_(None) & (OUTBOX.c.next_at <= now) & ~is_held


def settle_messages(
    db: Connection, delivered: Sequence[int], undelivered: Sequence[Undelivered], now: datetime
) -> None:
    """Forgets the messages that were delivered; the others wait for their next time, or are dead."""
    if delivered:
        db.execute(delete(OUTBOX).where(among(OUTBOX.c.number, delivered)))
    if undelivered:
        change = update(OUTBOX).where(OUTBOX.c.number == bindparam("message"))
        values: dict[str, Any] = {
            name: bindparam(f"its_{name}") for name in ("next_at", "problem", "dead_at")
        }
        rows = [
            {
                "message": one.number,
                "its_next_at": one.next_at or now,
                "its_problem": one.problem,
                "its_dead_at": None if one.next_at else now,
            }
            for one in undelivered
        ]
        db.execute(change.values(values), rows)


def pause_webhook(db: Connection, until: datetime | None) -> None:
    """Nothing is sent until then; None = nothing holds it up."""
    db.execute(update(WEBHOOK).values(paused_until=until))


def forget_dead(db: Connection, before: datetime, most: int) -> int:
    """Forgets messages that died before then, and the oldest beyond `most`; how many."""
    newest = select(OUTBOX.c.number).where(OUTBOX.c.dead_at.is_not(None)).order_by(OUTBOX.c.number.desc())
    line = db.execute(newest.offset(most).limit(1)).scalar()
    too_old = OUTBOX.c.dead_at < before
    doomed = too_old if line is None else too_old | (OUTBOX.c.number <= line)
    return db.execute(delete(OUTBOX).where(OUTBOX.c.dead_at.is_not(None), doomed)).rowcount


def revive_dead(db: Connection, now: datetime) -> int:
    """Lets all dead messages be sent again from now on, and ends a pause; how many."""
    pause_webhook(db, None)
    change = update(OUTBOX).where(OUTBOX.c.dead_at.is_not(None))
    return db.execute(change.values(dead_at=None, tries=0, next_at=now)).rowcount


def outbox_counts(db: Connection) -> OutboxCounts:
    """How many messages there are of each kind."""
    query = select(func.count(), func.count(OUTBOX.c.dead_at)).select_from(OUTBOX)
    every, dead = db.execute(query).one()
    return OutboxCounts(waiting=every - dead, dead=dead)


def troubled_messages(db: Connection, most: int) -> list[Troubled]:
    """The newest messages that were not taken at their last try."""
    query = select(OUTBOX).where(OUTBOX.c.problem != "").order_by(OUTBOX.c.number.desc()).limit(most)
    return [
        Troubled(
            row.message_id,
            row.type,
            EventId(row.event_id),
            row.at,
            row.tries,
            row.dead_at is not None,
            row.problem,
        )
        for row in db.execute(query)
    ]
