"""Which processes run on a database: by rows that they renew on PostgreSQL, by their roles' locks on SQLite."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, func, insert, select, update

from aggregator.store import Store
from aggregator.store.dialect import role_process
from aggregator.store.tables import PROCESS
from aggregator.types import Process

RENEW_SECONDS = 10.0
"""How often a process says that it is there: a row written, which the database has long forgotten by the next."""

STALE = timedelta(seconds=6 * RENEW_SECONDS)
"""After which a process that says nothing was killed or is cut off."""

KEPT = timedelta(days=1)
"""For how long such a process is shown."""

ROLES = ("poll", "cluster")


def process_name() -> str:
    """A name for this process that no other has, on whichever machine."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


class Presence:
    """This process's row, while it runs. On SQLite there is none: a file that rests is not written."""

    def __init__(self, store: Store, name: str, roles: Callable[[], Sequence[str]]) -> None:
        self._store = store
        self._name = name
        self._roles = roles
        self._mine = PROCESS.c.name == name

    def say(self) -> None:
        """Renews the row with what the process does just now, by the database's clock."""
        now = {"roles": " ".join(self._roles()), "seen_at": func.now()}
        with self._store.write() as db:
            if not db.execute(update(PROCESS).where(self._mine).values(now)).rowcount:
                db.execute(delete(PROCESS).where(PROCESS.c.seen_at < func.now() - KEPT))
                own = {"name": self._name, "host": socket.gethostname(), "pid": os.getpid()}
                db.execute(insert(PROCESS).values(**own, since=func.now(), **now))

    def leave(self) -> None:
        """Takes the row away: the process ends as it should."""
        with self._store.write() as db:
            db.execute(delete(PROCESS).where(self._mine))


def running(store: Store) -> list[Process]:
    """The processes that run, those first that began first; also those that were killed within a day."""
    if store.engine.dialect.name == "sqlite":
        return _by_locks(store)
    with store.read() as db:
        rows = db.execute(select(PROCESS, func.now().label("now")).order_by(PROCESS.c.since, PROCESS.c.name))
        return [
            Process(
                name=row.name,
                host=row.host,
                pid=row.pid,
                roles=tuple(row.roles.split()),
                since=row.since,
                seen_at=row.seen_at,
                is_stale=row.now - row.seen_at > STALE,
            )
            for row in rows
        ]


def _by_locks(store: Store) -> list[Process]:
    roles: dict[int, list[str]] = {}
    since: dict[int, datetime] = {}
    for role in ROLES:
        if (holder := role_process(store.engine, role)) is not None:
            roles.setdefault(holder.pid, []).append(role)
            since[holder.pid] = min(holder.since, since.get(holder.pid, holder.since))
    host = socket.gethostname()
    return [
        Process(f"{host}:{pid}", host, pid, tuple(roles[pid]), since[pid], None, is_stale=False)
        for pid in sorted(roles, key=since.__getitem__)
    ]
