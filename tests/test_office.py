"""One clusterer of many on PostgreSQL: elected, fenced, taken over within seconds, with nothing lost or doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url

from aggregator.store import Store, StoreError, open_store
from aggregator.store.events import create_events
from aggregator.store.office import Office, RoleLostError
from tests.forks import Running, start
from tests.program import environment, run, write_jsonl
from tests.test_corrections import NOON

pytestmark = pytest.mark.postgresql("on SQLite a lock on a file says who groups")

PATIENCE_SECONDS = 240
TAKE_OVER_SECONDS = 10


@pytest.fixture
def stores(database: str) -> Iterator[tuple[Store, Store]]:
    opened = open_store(database), open_store(database)
    yield opened
    for store in opened:
        store.close()


def _wait(until: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _cut_off(url: str) -> None:
    """Ends all other sessions of the database, as a server that restarts does."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


def test_one_of_two_holds_the_role_and_the_other_has_it_after(stores: tuple[Store, Store]) -> None:
    with Office(stores[1], "cluster") as second:
        with Office(stores[0], "cluster") as first:
            elected = first.seek()
            assert elected is not None
            assert first.seek() is elected
            assert second.seek() is None
        _wait(lambda: second.seek() is not None)
        assert second.is_held


def test_who_was_cut_off_can_write_no_more(database: str, stores: tuple[Store, Store]) -> None:
    with Office(stores[0], "cluster") as first, Office(stores[1], "cluster") as second:
        old = first.seek()
        assert old is not None
        _cut_off(database)
        new: list[Store] = []

        def takes_over() -> bool:
            try:
                new.extend(store for store in [second.seek()] if store is not None)
            except StoreError:
                return False
            return bool(new)

        _wait(takes_over)
        # The pool may still hand out a connection that was cut off: that is refused, too, for another reason.
        _wait(lambda: _refused(old))
        with new[0].write() as db:
            create_events(db, 1, NOON)
        assert first.seek() is None
    with stores[0].read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM event").scalar() == 1


def _refused(store: Store) -> bool:
    try:
        with store.write() as db:
            create_events(db, 1, NOON)
    except RoleLostError:
        return True
    except StoreError:
        return False
    raise AssertionError("it was written")


def test_a_new_holder_waits_for_what_the_last_one_is_just_writing(stores: tuple[Store, Store]) -> None:
    with Office(stores[0], "cluster") as first, Office(stores[1], "cluster") as second:
        old = first.seek()
        assert old is not None
        with ThreadPoolExecutor(1) as thread:
            with old.write() as db:
                create_events(db, 1, NOON)
                first._resign()  # as if its session had been cut off
                _wait(lambda: _is_free(stores[1]))
                seeking = thread.submit(second.seek)
                with pytest.raises(TimeoutError):
                    seeking.result(0.3)
            assert seeking.result(PATIENCE_SECONDS) is not None
        assert _refused(old)
    with stores[0].read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM event").scalar() == 1


def _is_free(store: Store) -> bool:
    """Whether no session has an advisory lock."""
    with store.read() as db:
        query = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory'"
        return db.exec_driver_sql(f"{query} AND datname = current_database()").scalar() == 0


def _entries(count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Entries of known events: four outlets carry each story word for word, an hour apart at most."""
    made = []
    for event in range(count // 4):
        words = ["".join(chance.choices("bcdfghklmnprstvz", k=3)) + chance.choice("aeiou") for _ in range(60)]
        title, text = " ".join(words[:8]).capitalize(), " ".join(words[8:])
        made += [
            {
                "id": f"{event}-{outlet}",
                "source": f"Outlet {outlet}",
                "title": title,
                "text": text,
                "url": f"https://outlet{outlet}.example/{event}",
                "published": NOON.isoformat(),
            }
            for outlet in range(4)
        ]
    chance.shuffle(made)
    return made


class _Group:
    """Processes that only group, on one database; any of them may be killed."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.running: list[Running] = []

    def start(self) -> None:
        variables = environment(self.folder, {"DATABASE": self.url})
        process = start(self.folder, variables, "serve", "--no-poll", "--no-web")
        self.running.append(process)

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        while self.running:
            self.kill(0)


def _is_at_rest(store: Store) -> bool:
    try:
        with store.read() as db:
            waiting = db.exec_driver_sql(
                "SELECT (SELECT count(*) FROM entry WHERE pending) "
                "+ (SELECT count(*) FROM decision WHERE regroup) + (SELECT count(*) FROM event WHERE relate)"
            )
            return waiting.scalar() == 0
    except StoreError:
        return False


def test_another_takes_over_within_seconds(database: str, tmp_path: Path) -> None:
    store = open_store(database)
    group = _Group(tmp_path, database)

    def term() -> int:
        with store.read() as db:
            return int(db.exec_driver_sql("SELECT coalesce(max(term), 0) FROM election").scalar() or 0)

    with ExitStack() as stack:
        stack.callback(store.close)
        stack.callback(group.end)
        group.start()
        _wait(lambda: term() == 1)
        group.start()
        file = write_jsonl(tmp_path / "one.jsonl", _entries(4, random.Random(1)))
        variables = environment(tmp_path, {"DATABASE": database, "LOG_FORMAT": "text"})
        log = start(tmp_path, variables, "serve", "--no-poll", "--no-web", stderr=subprocess.PIPE)
        stack.callback(log.communicate)
        stack.callback(log.kill)
        assert log.stderr
        assert any("standing by" in line for line in log.stderr)
        group.kill(0)
        killed_at = time.monotonic()
        _wait(lambda: term() == 2)
        assert time.monotonic() - killed_at < TAKE_OVER_SECONDS
        run(tmp_path, "import", file, settings={"DATABASE": database})
        _wait(lambda: _is_at_rest(store))


def test_a_role_that_was_given_back_can_be_taken_at_once(store: Store) -> None:
    for _ in range(50):
        with Office(store, "cluster") as office:
            assert office.seek() is not None
