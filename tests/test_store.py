"""The store: its schema, its transactions, and what it does with entries."""

from __future__ import annotations

from _thread import LockType
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aggregator.config import load_settings
from aggregator.store import Store, StoreError, open_store
from aggregator.store.dialect import hold_role, open_engine, tidy
from aggregator.store.feeds import due_feeds, listed_feeds, next_due, put_off, write_state
from aggregator.store.schema import HEAD
from aggregator.store.syncing import plan_list, sync_feeds, write_list
from aggregator.store.tables import Row
from aggregator.types import Feed, FeedHealth, FeedSettings, ListChange, Move
from tests.databases import Databases, change, columns_of, count, query, sqlite_file, sqlite_url
from tests.program import ROOT, is_ours

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = load_settings({})


def _feed(number: int, title: str = "") -> Feed:
    return Feed(f"https://news{number}.example/rss", title or f"News {number}", "World", "")


def test_the_migrations_make_the_tables_that_the_program_uses(store: Store) -> None:
    with store.read() as db:
        context = MigrationContext.configure(db, opts={"include_name": is_ours})
        differences = [(one[0], one[1].name) for one in compare_metadata(context, Row.metadata)]
    # By migration 0018 an entry's identity and its event, by 0020 the two ends of a pair, by 0023 the entry of a
    # decision and of a teaser.
    dropped = [("add_constraint", "entry_identity"), *[("add_fk", None)] * 5]
    assert sorted(map(str, differences)) == (
        [] if store.engine.dialect.name == "sqlite" else sorted(map(str, dropped))
    )


@pytest.mark.sqlite("only there has the database one writer at a time")
def test_threads_that_write_stand_in_one_line_those_with_a_role_too(store: Store) -> None:
    with store.guarded(lambda _db: None).write():
        assert isinstance(store._turn, LockType)
        assert not store._turn.acquire(blocking=False), "it would meet a locked database and sleep"


class Line:
    """Counts who stood in it."""

    def __init__(self) -> None:
        self.served = 0

    def __enter__(self) -> None:
        self.served += 1

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.sqlite("only there has the database one writer at a time")
def test_tidying_stands_in_the_line_of_those_that_write(store: Store) -> None:
    line = Line()
    store._turn = line  # type: ignore[assignment]
    store.tidy()
    assert line.served == 1


def test_the_newest_revision_is_the_one_the_program_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "aggregator/store/migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_views_have_the_columns_that_other_programs_rely_on(database: str) -> None:
    expected = {
        "v1_event": "id title url source summary text lang published_at first_seen_at last_seen_at entry_count"
        " source_count canonical_entry_id merged_into",
        "v1_event_entry": "event_id entry_id relation score feed_url source guid title url published_at",
        "v1_teaser": "event_id position kind text title url source published_at entry_id related_event_id",
        "v1_entry": "id feed_url guid url title text html lang author published_at first_seen_at date_guessed"
        " event_id",
        "v1_change": "cursor event_id kind other_event_id at",
        "v1_feed": "url title category state last_polled_at last_success_at next_poll_at failures problem entries"
        " moved_to",
    }
    for view, columns in expected.items():
        assert columns_of(database, view) == columns.split(), view


def test_a_database_of_a_newer_program_is_refused(database: str) -> None:
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="a newer version wrote it"):
        open_store(database)


@pytest.mark.sqlite("PostgreSQL looks after its own files")
def test_a_file_that_is_no_database_is_refused_and_left_alone(database: str) -> None:
    file = sqlite_file(database)
    file.write_text("shopping list\n" * 100)
    with pytest.raises(StoreError, match="none of this program: name another file"):
        open_store(database)
    assert file.read_text().startswith("shopping list")


@pytest.mark.sqlite("PostgreSQL has no folder")
def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        open_store(sqlite_url(tmp_path / "nowhere" / "news.db"))


def test_a_transaction_that_fails_leaves_nothing(store: Store, database: str) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as db:  # noqa: PT012 (the write before it is the point)
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
        raise ZeroDivisionError
    assert count(database, "feed") == 0


def test_a_role_is_held_by_one_process_and_free_after_it(database: str) -> None:
    one, other = open_engine(database), open_engine(database)
    with hold_role(one, "poll") as first:
        with hold_role(other, "poll") as second:
            assert (first, second) == (True, False)
        with hold_role(other, "cluster") as different:
            assert different
    with hold_role(other, "poll") as third:
        assert third
    one.dispose()
    other.dispose()


def test_new_feeds_are_due_at_once(store: Store) -> None:
    with store.write() as db:
        assert sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, NOW).new == 2
        assert [state.url for state in due_feeds(db, NOW)] == [_feed(1).url, _feed(2).url]


def test_a_feed_that_left_the_list_keeps_its_history_and_is_paused(store: Store, database: str) -> None:
    with store.write() as db:
        sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, NOW)
        sync_feeds(db, [_feed(2)], SETTINGS, NOW)
        assert [state.url for state in listed_feeds(db)] == [_feed(2).url]
    assert dict(query(database, "SELECT title, state FROM v1_feed")) == {
        "News 1": "paused",
        "News 2": "ok",
    }
    with store.write() as db:
        assert sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, NOW) == ListChange(0, 1, 0, 0)
        assert len(listed_feeds(db)) == 2


def test_a_gone_feed_that_is_listed_anew_gets_a_new_chance_and_no_other_does(store: Store) -> None:
    never, later = datetime(9999, 1, 1, tzinfo=UTC), NOW + timedelta(days=1)
    with store.write() as db:
        sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, NOW)
        for state, next_poll in zip(listed_feeds(db), (never, later), strict=True):
            health = FeedHealth.GONE if next_poll == never else FeedHealth.FAILING
            write_state(db, replace(state, health=health, failures=3, problem="410", next_poll_at=next_poll))
        sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, later)
        assert due_feeds(db, NOW) == []
        sync_feeds(db, [], SETTINGS, later)
        sync_feeds(db, [_feed(1), _feed(2)], SETTINGS, later)
        gone, failing = sorted(listed_feeds(db), key=lambda state: state.url)
    assert (gone.health, gone.failures, gone.problem, gone.next_poll_at) == (FeedHealth.OK, 0, "", later)
    assert (failing.health, failing.failures) == (FeedHealth.FAILING, 3)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://user:s3cret@host:port/x", "can't be read as a URL"),
        ("postgresql://user:s3cret@127.0.0.1:1/x", r"user:\*\*\*@127.*check that the server runs"),
        ("sqlite:///news.db?mode=ro", "takes no options"),
        ("sqlite:////", "is a folder"),
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as refused:
        open_store(url)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.sqlite("PostgreSQL looks after its own files")
def test_a_damaged_file_is_named_with_what_to_do(store: Store, database: str) -> None:
    with store.write() as db:
        sync_feeds(db, [_feed(number) for number in range(500)], SETTINGS, NOW)
    tidy(store.engine)
    store.close()
    file = sqlite_file(database)
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StoreError, match="restore a backup"), open_store(database).read() as db:
        listed_feeds(db)


@pytest.mark.sqlite("PostgreSQL needs no file for a lock")
def test_a_lock_that_can_not_be_made_is_named(database: str, tmp_path: Path) -> None:
    (tmp_path / "news.db.poll.lock").mkdir()
    engine = open_engine(database)
    with pytest.raises(StoreError, match=r"news\.db\.poll\.lock: can't be opened"), hold_role(engine, "poll"):
        pass


def test_a_new_title_in_the_list_is_taken_over(store: Store) -> None:
    with store.write() as db:
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
        sync_feeds(db, [_feed(1, "Better Name")], SETTINGS, NOW)
        assert [state.title for state in listed_feeds(db)] == ["Better Name"]


@pytest.mark.sqlite("PostgreSQL tells of no commit without being asked")
def test_every_commit_is_noticed_whoever_makes_it_and_reading_is_none(store: Store, database: str) -> None:
    marks = [store.commits.mark()]
    with store.write() as db:
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
    marks.append(store.commits.mark())
    change(database, "UPDATE feed SET title = 'from elsewhere'")
    marks.append(store.commits.mark())
    with store.read() as db:
        assert listed_feeds(db)[0].title == "from elsewhere"
    assert len(set(marks)) == len(marks)
    assert store.commits.mark() == marks[-1]


def test_the_next_due_feed_is_the_first_after_now(store: Store) -> None:
    with store.write() as db:
        assert next_due(db, NOW) is None
        sync_feeds(db, [_feed(1), _feed(2), _feed(3)], SETTINGS, NOW)
        times = [NOW, NOW + timedelta(hours=2), NOW + timedelta(hours=1)]
        put_off(db, [(state.id, at) for state, at in zip(listed_feeds(db), times, strict=True)])
        assert next_due(db, NOW) == NOW + timedelta(hours=1)


@pytest.mark.sqlite("the bytes of PostgreSQL are its own affair")
def test_opening_a_database_writes_nothing(database: str, tmp_path: Path) -> None:
    before = (tmp_path / "news.db").read_bytes()
    store = open_store(database)
    with store.read() as db:
        assert listed_feeds(db) == []
    store.close()
    assert (tmp_path / "news.db").read_bytes() == before


def test_tidying_an_open_database_does_no_harm(store: Store) -> None:
    tidy(store.engine)
    with store.read() as db:
        assert listed_feeds(db) == []


def test_a_database_of_the_first_schema_is_brought_up_to_date(databases: Databases) -> None:
    database = databases.bare()
    engine = open_engine(database)
    config = Config()
    config.set_main_option("script_location", str(ROOT / "aggregator/store/migrations"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO feed (url, listed, health, interval, failures) VALUES "
            "('http://me:hidden@paper.example/rss', true, 'ok', 1800, 0), ('import:me@home', false, 'ok', 0, 0)"
        )
    engine.dispose()
    store = open_store(database)
    with store.write() as db:
        sync_feeds(db, [Feed("http://me:hidden@paper.example/rss", "Paper", "", "")], SETTINGS, NOW)
        assert [state.url for state in listed_feeds(db)] == ["http://me:hidden@paper.example/rss"]
    store.close()
    assert query(database, "SELECT url FROM v1_feed ORDER BY url") == [
        ("http://paper.example/rss",),
        ("import:me@home",),
    ]


def test_what_the_list_sets_for_a_feed_is_kept_and_taken_back(store: Store, database: str) -> None:
    special = replace(_feed(1), settings=FeedSettings(interval=900, language="de", weight=2.0, keep_days=7))
    columns = "set_interval, set_lang, weight, keep_days"
    for feeds, expected in (([special], (900, "de", 2.0, 7)), ([_feed(1)], (None, "", 1.0, None))):
        with store.write() as db:
            sync_feeds(db, feeds, SETTINGS, NOW)
        assert query(database, f"SELECT {columns} FROM feed") == [expected]


def test_a_paused_feed_is_not_due_whatever_a_poll_under_way_writes_and_goes_on_when_enabled(
    store: Store,
) -> None:
    paused = replace(_feed(1), settings=FeedSettings(enabled=False))
    with store.write() as db:
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
        (under_way,) = listed_feeds(db)
        sync_feeds(db, [paused], SETTINGS, NOW)
        write_state(db, replace(under_way, last_polled_at=NOW))
        (state,) = listed_feeds(db)
        assert (state.health, due_feeds(db, NOW + timedelta(days=99))) == (FeedHealth.PAUSED, [])
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
        (state,) = listed_feeds(db)
        assert (state.health, state.next_poll_at) == (
            FeedHealth.OK,
            NOW + timedelta(seconds=SETTINGS.min_interval),
        )


def test_a_feed_that_has_moved_to_where_a_paused_one_is_listed_is_polled(store: Store) -> None:
    paused = replace(_feed(2), settings=FeedSettings(enabled=False))
    with store.write() as db:
        sync_feeds(db, [_feed(1), paused], SETTINGS, NOW)
        moved = next(state for state in listed_feeds(db) if state.url == _feed(1).url)
        write_state(db, replace(moved, move=Move(paused.url, 3, NOW, paused.url)))
        assert [state.url for state in due_feeds(db, NOW)] == [_feed(1).url]


def test_an_interval_that_the_list_shortens_brings_the_next_poll_forward(store: Store) -> None:
    with store.write() as db:
        sync_feeds(db, [_feed(1)], SETTINGS, NOW)
        (state,) = listed_feeds(db)
        write_state(db, replace(state, last_polled_at=NOW, next_poll_at=NOW + timedelta(days=1)))
        sync_feeds(db, [replace(_feed(1), settings=FeedSettings(interval=900))], SETTINGS, NOW)
        assert next_due(db, NOW) == NOW + timedelta(seconds=900)


def test_a_list_that_is_written_in_parts_or_twice_is_the_same_list(store: Store) -> None:
    feeds = [_feed(number) for number in range(1200)]
    with store.read() as db:
        plan = plan_list(db, feeds, SETTINGS, NOW)
    parts = list(plan.parts())
    assert len(parts) == 3
    for part in (*parts, *parts):
        with store.write() as db:
            write_list(db, part)
    with store.read() as db:
        assert len(listed_feeds(db)) == 1200
        assert list(plan_list(db, feeds, SETTINGS, NOW).parts()) == []
