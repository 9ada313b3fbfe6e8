"""The daemon: it runs without configuration, follows its list, and stops when told to."""

from __future__ import annotations

import gc
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.config import load_settings
from aggregator.demo import DemoServer, expected_events, sample_feeds
from aggregator.fetch import HostQueue
from aggregator.opml import OpmlError
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import OpmlWatch, put_in_force, read_file
from aggregator.pipeline.poll import PollWorkers, open_poller
from aggregator.pipeline.reports import Result
from aggregator.store import Store, open_store
from aggregator.store.dialect import sqlite_path
from aggregator.store.feeds import listed_feeds
from aggregator.store.syncing import sync_feeds
from aggregator.types import Feed
from tests.databases import change, query
from tests.forks import Running
from tests.loopback import LoopbackServer
from tests.program import Program, write_jsonl
from tests.stage import ok

PATIENCE_SECONDS = 60


@contextmanager
def _daemon(program: Program, *arguments: str) -> Iterator[Running]:
    daemon = program.start(*arguments)
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def _wait(until: Callable[[], bool]) -> None:
    """Looks again and again until the promise holds: the only wait there is, bounded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _grouped(program: Program) -> Callable[[], bool]:
    return lambda: program.count("v1_event_entry") == len(expected_events())


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_polls_groups_and_stops_within_five_seconds(
    tmp_path: Path, program: Program, ending: signal.Signals
) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        with _daemon(program) as daemon:
            _wait(_grouped(program))
            daemon.send_signal(ending)
            _, log = daemon.communicate(timeout=5)
    assert daemon.returncode == 0
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["message"] for line in lines][-1] == "stopped"
    fetched = [line for line in lines if "feed_id" in line]
    assert fetched
    assert all(line["outcome"] == "ok" and line["new"] > 0 for line in fetched)
    assert sum(line["entries"] for line in lines if "entries" in line) == len(expected_events())
    assert any(line["logger"].startswith("uvicorn") for line in lines)


def test_at_rest_it_notices_what_another_process_brings(tmp_path: Path, program: Program) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        with _daemon(program):
            _wait(_grouped(program))
            known = program.count("v1_event_entry")
            entry = {"id": "1", "title": "A ferry reaches the island", "source": "Harbour"}
            program.run("import", write_jsonl(tmp_path / "more.jsonl", [entry]))
            _wait(lambda: program.count("v1_event_entry") == known + 1)
            change(
                program.database,
                "UPDATE feed SET last_polled_at = '2020-01-01 00:00:00.000000', "
                "next_poll_at = '2020-01-01 00:00:00.000000' WHERE listed",
            )
            polled_anew = "SELECT count(*) FROM feed WHERE listed AND last_polled_at < '2021-01-01'"
            _wait(lambda: program.query(polled_anew) == [(0,)])


STAYS = "The last good list stays in force"


@dataclass(frozen=True)
class Edited:
    """A daemon whose list is edited while it runs; each feed of the list is a path of a server on loopback."""

    program: Program
    loopback: LoopbackServer
    daemon: Running

    @property
    def file(self) -> Path:
        return self.program.folder / "feeds.opml"

    def content(self, *paths: str) -> bytes:
        return _list_of(self.loopback, *paths)

    def replace(self, content: bytes) -> None:
        """As editors save: a new file takes the old one's name."""
        (self.program.folder / "feeds.opml~").write_bytes(content)
        (self.program.folder / "feeds.opml~").replace(self.file)

    def wait_for(self, *paths: str) -> None:
        """Until these are the feeds in force."""
        _wait(lambda: self.in_force() == {self.loopback.url(path) for path in paths})

    def in_force(self) -> set[str]:
        rows = self.program.query("SELECT url FROM v1_feed WHERE state <> 'paused'")
        return {row[0] for row in rows}

    def read_until(self, words: str) -> str:
        """The line of the log that says so, the next one from here."""
        assert self.daemon.stderr
        return next(line for line in self.daemon.stderr if words in line)


def _list_of(loopback: LoopbackServer, *paths: str) -> bytes:
    outlines = "".join(f"<outline text='{path}' xmlUrl='{loopback.url(path)}'/>\n" for path in paths)
    return f"<opml version='2.0'><body>\n{outlines}</body></opml>\n".encode()


@pytest.fixture
def edited(program: Program, tmp_path: Path, loopback: LoopbackServer) -> Iterator[Edited]:
    for path in ("/a", "/b", "/c"):
        loopback.on(path, ok())
    (tmp_path / "feeds.opml").write_bytes(_list_of(loopback, "/a", "/b"))
    with _daemon(program, "serve", "--no-web", "--no-cluster") as daemon:
        one = Edited(program, loopback, daemon)
        one.read_until("running")
        one.wait_for("/a", "/b")
        yield one


def test_a_list_that_is_saved_as_a_new_file_is_in_force_and_its_new_feed_polled(edited: Edited) -> None:
    edited.replace(edited.content("/a", "/b", "/c"))
    _wait(lambda: bool(edited.loopback.asked("/c")))
    edited.wait_for("/a", "/b", "/c")


def test_a_list_that_is_written_in_place_is_in_force(edited: Edited) -> None:
    edited.file.write_bytes(edited.content("/a", "/c"))
    edited.wait_for("/a", "/c")


def test_two_saves_within_a_moment_and_of_one_size_both_count(edited: Edited) -> None:
    for path in ("/a", "/b", "/c") * 3:
        edited.file.write_bytes(edited.content(path))
    edited.wait_for("/c")


def test_a_touched_list_is_not_taken_for_another(edited: Edited) -> None:
    edited.file.touch()
    edited.replace(edited.content("/a"))
    assert "1 feeds, 0 of them new, 0 back; 1 have left" in edited.read_until("feeds.opml: ")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda whole: whole[:-20], "line 3, column"),
        (lambda _whole: b"", "is empty: restore it"),
        (lambda whole: whole[:40] + bytes(len(whole) - 40), "binary content at line"),
        (lambda whole: whole.replace(b"http:", b"htp:"), "Line 2: "),
        (lambda whole: whole.replace(b"xmlUrl", b"xmlURI"), "Line 2: "),
        (lambda _whole: b"<opml version='2.0'></opml>", "has no <body>"),
    ],
    ids=["torn", "emptied", "zeros", "no feed", "no address", "no body"],
)
def test_a_broken_list_leaves_the_last_good_one_in_force_and_is_told_once(
    edited: Edited, broken: Callable[[bytes], bytes], says: str
) -> None:
    edited.file.write_bytes(broken(edited.content("/a", "/b")))
    assert says in edited.read_until(STAYS)
    assert edited.in_force() == {edited.loopback.url("/a"), edited.loopback.url("/b")}
    edited.file.write_bytes(edited.content("/b", "/c"))
    edited.wait_for("/b", "/c")
    edited.daemon.send_signal(signal.SIGTERM)
    _, log = edited.daemon.communicate(timeout=5)
    assert STAYS not in log


def test_a_deleted_list_stays_in_force_until_it_is_put_back(edited: Edited) -> None:
    edited.file.unlink()
    assert "No such file" in edited.read_until(STAYS)
    assert edited.in_force() == {edited.loopback.url("/a"), edited.loopback.url("/b")}
    edited.file.write_bytes(edited.content("/c"))
    edited.wait_for("/c")


def test_a_list_that_is_emptied_on_purpose_lets_all_feeds_go_and_their_entries_stay(edited: Edited) -> None:
    program = edited.program
    # A poll under way when its feed leaves still brings its entries, so both are waited for.
    _wait(lambda: program.query("SELECT count(*) FROM v1_feed WHERE last_success_at IS NOT NULL") == [(2,)])
    entries = program.count("v1_entry")
    assert entries
    edited.replace(edited.content())
    edited.wait_for()
    assert program.count("v1_entry") == entries


@pytest.mark.parametrize(
    "emptied",
    [
        '<opml version="2.0"><head/><body/></opml>',
        "<opml version='2.0'><body><outline text='World'><outline text='Europe'/></outline></body></opml>",
    ],
    ids=["nothing", "categories"],
)
def test_a_list_without_a_feed_never_empties_a_longer_one_and_says_once_how_to_do_it(
    emptied: str, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def save(*names: str) -> None:
        outlines = "".join(f"<outline xmlUrl='https://{name}.example/feed'/>" for name in names)
        file.write_text(f"<opml version='2.0'><body>{outlines}</body></opml>" if names else emptied)

    def in_force() -> int:
        with store.read() as db:
            return len(listed_feeds(db))

    file = tmp_path / "feeds.opml"
    settings = load_settings({"opml": file})
    save(*"abcdefgh")
    watch = OpmlWatch(store, settings)
    watch.start()
    save()
    for _ in range(3):
        watch.look()
    (said,) = caplog.messages
    assert "it lists no feed" in said
    assert "leave one" in said
    assert said.endswith(f"{STAYS}.")
    OpmlWatch(store, settings).start()
    assert f"{STAYS} (8 feeds)" in caplog.messages[-1]
    with pytest.raises(OpmlError, match="it lists no feed"):
        put_in_force(store, read_file(settings), settings)
    assert in_force() == 8
    save("a")
    watch.look()
    assert in_force() == 1
    save()
    watch.look()
    assert in_force() == 0


def test_a_feed_that_comes_back_has_its_entries_and_its_history(edited: Edited) -> None:
    asked = (
        "SELECT id, last_success_at, body_hash FROM feed WHERE url LIKE '%/a' AND last_success_at IS NOT NULL"
    )
    program = edited.program
    _wait(lambda: bool(program.query(asked)))
    edited.replace(edited.content("/b"))
    edited.wait_for("/b")
    ((number, read_at, body_hash),) = program.query(asked)
    edited.replace(edited.content("/a", "/b"))
    edited.wait_for("/a", "/b")
    ((again, read_again_at, body_hash_again),) = program.query(asked)
    assert (again, body_hash_again) == (number, body_hash)
    assert read_again_at >= read_at
    entries = f"SELECT count(*) FROM entry WHERE feed_id = {number}"
    assert program.query(entries) == [(2,)]


def test_a_broken_list_at_the_start_leaves_the_last_good_one_in_force(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    loopback.on("/a", ok())
    (tmp_path / "feeds.opml").write_bytes(_list_of(loopback, "/a"))
    program.run("poll")
    (tmp_path / "feeds.opml").write_bytes(b"<opml><body><outline")
    with _daemon(program, "serve", "--no-web") as daemon:
        _read_until(daemon, f"{STAYS} (1 feeds)")


def test_the_garbage_collector_rests_while_a_list_is_put_in_force_and_works_after_it_or_a_refusal(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "feeds.opml"
    meanwhile: set[bool] = set()
    noting = store.guarded(lambda _: meanwhile.add(gc.isenabled()))
    watch = OpmlWatch(noting, load_settings({"opml": file}))
    with pytest.raises(OpmlError):
        watch.start()
    assert gc.isenabled()
    file.write_text("<opml><body><outline xmlUrl='https://paper.example/feed'/></body></opml>")
    watch.start()
    assert meanwhile == {False}
    assert gc.isenabled()


def test_a_page_without_a_place_does_not_hold_up_the_rest(tmp_path: Path, program: Program) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with _daemon(program, "serve", "--port", str(port)) as daemon:
            assert daemon.stderr
            lines = []
            for line in daemon.stderr:
                lines.append(line)
                if "running" in line:
                    break
        assert any("go on without it" in line and f"PORT={port}" in line for line in lines)
        done = program.run("serve", "--no-poll", "--no-cluster", "--port", port, status=1)
    assert "choose another with --host or --port" in done.stderr


@pytest.mark.sqlite("nothing is kept")
def test_a_page_for_everybody_must_be_meant(tmp_path: Path, program: Program) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    done = program.run("serve", "--host", "0.0.0.0", status=1)
    assert "set TOKEN to a secret" in done.stderr


@pytest.mark.sqlite("any number of processes poll one PostgreSQL")
def test_a_second_daemon_on_one_database_says_so_and_ends(tmp_path: Path, program: Program) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    with _daemon(program) as daemon:
        assert daemon.stderr
        for line in daemon.stderr:
            if "running" in line:
                break
        done = program.run("serve", status=1)
    assert "another process already polls" in done.stderr


@pytest.mark.sqlite("nothing is kept")
def test_without_a_list_it_says_what_to_do(program: Program) -> None:
    done = program.run("serve", status=2)
    assert "feeds.opml: can't be read" in done.stderr


def _read_until(daemon: Running, words: str) -> None:
    assert daemon.stderr
    for line in daemon.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def _list_one(folder: Path, url: str) -> None:
    outline = f'<outline text="Slow Paper" xmlUrl="{url}"/>'
    (folder / "feeds.opml").write_text(f'<opml version="2.0"><head/><body>{outline}</body></opml>')


def test_a_server_that_drips_does_not_hold_up_the_end(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    loopback.on("/rss", lambda _request: loopback.drip(b"HTTP/1.1 200 OK\r\n"))
    _list_one(tmp_path, loopback.url("/rss"))
    with _daemon(program) as daemon:
        _wait(lambda: bool(loopback.asked("/rss")))
        daemon.send_signal(signal.SIGTERM)
        _, log = daemon.communicate(timeout=5)
    assert daemon.returncode == 0
    assert "Traceback" not in log


@pytest.mark.sqlite("PostgreSQL has no lock of the whole database")
def test_a_database_that_another_program_holds_does_not_hold_up_the_end(
    tmp_path: Path, program: Program
) -> None:
    _list_one(tmp_path, "http://127.0.0.1:9/rss")
    with closing(sqlite3.connect(tmp_path / "news.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with _daemon(program) as daemon:
            _wait((tmp_path / "news.db.poll.lock").exists)
            daemon.send_signal(signal.SIGTERM)
            _, log = daemon.communicate(timeout=6)
    assert daemon.returncode == 0
    assert "nothing of it is kept" in log


def test_the_log_names_the_feed_that_failed(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    _list_one(tmp_path, loopback.url("/lost"))
    with _daemon(program) as daemon:
        _read_until(daemon, "Slow Paper: failed: ")


def _forbid_writing(store: Store) -> None:
    if store.engine.dialect.name == "sqlite":
        store.engine.dispose()
        sqlite_path(store.engine.url).write_bytes(b"overwritten by something else " * 1_000)
    else:
        with store.write() as db:
            name = store.engine.url.database
            db.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        store.engine.dispose()  # it holds for new connections


def test_a_feed_whose_poll_could_not_be_kept_is_not_asked_again_at_once(
    database: str, loopback: LoopbackServer
) -> None:
    settings = load_settings({"database": database})
    store = open_store(settings.database)
    with store.write() as db:
        sync_feeds(db, [Feed(loopback.url("/rss"), "Slow Paper", "", "")], settings, utc_now())
        (state,) = listed_feeds(db)
    _forbid_writing(store)
    queue = HostQueue([state], settings)
    queue.finish()
    with open_poller(store, settings) as poller:
        workers = PollWorkers(poller, queue, 1)
        (report,) = workers.reports()
    store.close()
    assert report.result is Result.FAILED
    assert "DATABASE=" in report.detail
    assert workers.is_held(state.id)


REFUSE = {
    "sqlite": """
        CREATE TRIGGER refuse BEFORE UPDATE OF body_hash ON feed WHEN OLD.title = 'Slow Paper'
        BEGIN SELECT RAISE(ABORT, 'no such state'); END
        """,
    "postgresql": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE check_violation USING MESSAGE = 'no such state'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE OF body_hash ON feed
        FOR EACH ROW WHEN (OLD.title = 'Slow Paper') EXECUTE FUNCTION refuse()
        """,
}
"""As a bug would: the state that follows a poll, or a failure, is one that the database has never seen."""


def test_a_bug_while_a_poll_is_kept_costs_that_poll_and_is_told_once(
    database: str, kind: str, loopback: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings({"database": database, "host_delay": 0.0, "allow_addresses": "127.0.0.1"})
    store = open_store(settings.database)
    for path in ("/slow", "/well"):
        loopback.on(path, ok())
    feeds = [Feed(loopback.url("/slow"), "Slow Paper", "", ""), Feed(loopback.url("/well"), "Paper", "", "")]
    with store.write() as db:
        sync_feeds(db, feeds, settings, utc_now())
    change(database, REFUSE[kind])
    with store.read() as db:
        states = listed_feeds(db)
    queue = HostQueue(states, settings)
    queue.finish()
    with open_poller(store, settings) as poller:
        reports = {report.state.title: report for report in PollWorkers(poller, queue, 1).reports()}
    store.close()
    assert reports["Slow Paper"].result is Result.FAILED
    assert "A bug in this program" in reports["Slow Paper"].detail
    assert reports["Paper"].result is Result.OK
    (told,) = [record for record in caplog.records if record.exc_info]
    assert "no such state" in caplog.text
    assert "feed" in told.getMessage()
    kept = query(database, "SELECT title, lease_until, last_polled_at IS NOT NULL FROM feed ORDER BY title")
    assert [(title, lease, bool(asked)) for title, lease, asked in kept] == [
        ("Paper", None, True),
        ("Slow Paper", None, True),
    ]
