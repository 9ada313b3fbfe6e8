"""Turns at registrable domains, among all processes that poll one PostgreSQL; one alone keeps them itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, text
from sqlalchemy.engine import Connection

from aggregator.config import Settings
from aggregator.store.tables import HOST_PLACE
from aggregator.types import FeedId

PLACE_SPARE = 60.0
"""Seconds beyond FETCH_TIMEOUT for which a place is held whose process says nothing: for parsing and saving."""

LEAST_WAIT = 0.1
"""Seconds before a host with all places taken is asked for again."""

LOCK = text(
    "INSERT INTO host_turn AS turn (host, free_at) VALUES (:host, clock_timestamp()) "
    "ON CONFLICT (host) DO UPDATE SET "
    "free_at = least(turn.free_at, clock_timestamp() + make_interval(secs => :delay)) "
    "RETURNING extract(epoch FROM free_at - clock_timestamp()) AS wait"
)
TAKE = text(
    "WITH place AS ("
    "INSERT INTO host_place (feed_id, host, until) "
    "SELECT :feed, :host, clock_timestamp() + make_interval(secs => :seconds) "
    "WHERE (SELECT count(*) FROM host_place WHERE host = :host AND feed_id <> :feed "
    "AND until > clock_timestamp() AND until <= clock_timestamp() + make_interval(secs => :seconds)) "
    "< :connections "
    "ON CONFLICT (feed_id) DO UPDATE SET host = excluded.host, until = excluded.until RETURNING host) "
    "UPDATE host_turn SET free_at = clock_timestamp() + make_interval(secs => :delay) "
    "FROM place WHERE host_turn.host = place.host"
)
"""Two statements: the second counts what was committed before the first had the host's row for itself. Times are
the database's own, so that clocks of several machines need not agree; one further off than any wait of ours was
written before that clock was set back."""


class HostBusyError(Exception):
    """The host may not be asked yet; ask again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def take_turn(db: Connection, feed: FeedId, host: str, settings: Settings) -> None:
    """Takes a place at a registrable domain for a feed under way, in exchange for one that it had elsewhere.

    HOST_CONNECTIONS and HOST_DELAY hold over all processes. Raises HostBusyError, and then the transaction must
    not be committed, if none is free. On SQLite, where one process polls, it keeps turns itself.
    """
    if db.dialect.name == "sqlite":
        return
    wait = float(db.execute(LOCK, {"host": host, "delay": settings.host_delay}).scalar_one())
    if wait > 0:
        raise HostBusyError(wait)
    values: dict[str, Any] = {
        "feed": feed,
        "host": host,
        "seconds": settings.fetch_timeout + PLACE_SPARE,
        "connections": settings.host_connections,
        "delay": settings.host_delay,
    }
    if db.execute(TAKE, values).rowcount != 1:
        raise HostBusyError(LEAST_WAIT)


def leave_host(db: Connection, feed: FeedId) -> None:
    """Gives the feed's place back."""
    if db.dialect.name != "sqlite":
        db.execute(delete(HOST_PLACE).where(HOST_PLACE.c.feed_id == feed))
