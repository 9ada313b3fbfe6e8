"""A database that an earlier version wrote becomes one of today's, with all that was in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, DateTime, Float, Integer, LargeBinary, MetaData, Table, insert, text
from sqlalchemy.engine import Connection

from aggregator.cluster.signature import SCHEME
from aggregator.config import load_settings
from aggregator.pipeline.checking import find_faults
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.signing import sign_missing
from aggregator.store import Store, open_store
from aggregator.store.checking import Check
from aggregator.store.dialect import open_engine
from aggregator.store.schema import HEAD
from tests.databases import Databases, change
from tests.program import ROOT, Program
from tests.test_corrections import BRIDGE, PIANO, _entry

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
NOW = AT + timedelta(hours=2)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "aggregator/store/migrations"))
    return config


REVISIONS = sorted(
    script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions() if script.revision != HEAD
)  # fmt: skip

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("feed", {"id": 1, "url": "https://me:hidden@paper.example/rss", "public_url": "https://paper.example/rss",
              "title": "Paper", "listed": True, "health": "ok", "interval": 900}),
    ("feed", {"id": 2, "url": "import:Wire", "public_url": "import:Wire", "health": "ok"}),
    ("event", {"id": 1, "canonical_entry_id": 1, "entry_count": 2, "source_count": 2}),
    ("event", {"id": 2, "merged_into": 1}),
    *(("entry", {"id": number, "feed_id": feed, "identity": name, "guid": name, "title": story.split(".")[0],
                 "text": story, "lang": "en", "source": source, "content_hash": name, "event_id": event,
                 "relation": relation, "pending": event is None})
      for number, feed, name, story, source, event, relation in (
          (1, 1, "bridge-1", BRIDGE, "Paper", 1, "canonical"),
          (2, 2, "bridge-2", BRIDGE, "Wire", 1, "copy"),
          (3, 1, "piano", PIANO, "Paper", None, ""))),
    ("entry_alias", {"feed_id": 1, "identity": "bridge-1b", "entry_id": 1}),
    ("entry_version", {"id": 1, "entry_id": 1, "title": "Bridge shut", "content_hash": "before"}),
    ("listed_item", {"entry_id": 1, "position": 0, "text": "Ferry fares rise", "teaser": "Ferry fares rise"}),
    *(("signature", {"entry_id": number, "scheme": 1}) for number in (1, 2, 3)),
    ("link", {"a": 1, "b": 2, "score": 1.0, "is_copy": True}),
    ("teaser", {"event_id": 1, "position": 0, "kind": "coverage", "text": "The old bridge", "entry_id": 2}),
    ("change", {"cursor": 1, "event_id": 1, "kind": "created"}),
    ("change", {"cursor": 2, "event_id": 2, "kind": "created"}),
    ("change", {"cursor": 3, "event_id": 2, "kind": "merged", "other_event_id": 1}),
    ("correction", {"id": 1, "kind": "pin", "a": 1}),
    ("decision", {"entry_id": 1, "rule": "copy", "features": 35}),
    ("document", {"feed_id": 1}),
    ("activity", {"feed_id": 1, "day": 20_000, "entries": 2}),
    ("outbox", {"number": 1, "message_id": "msg_1", "event_id": 1, "type": "event.created"}),
]  # fmt: skip
"""What every version kept, as far as it had the table and the column; other columns get a plain value."""


def _upgrade(db: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = db
    command.upgrade(config, revision)


def _write_as(revision: str, url: str) -> None:
    engine = open_engine(url)
    with engine.connect().execution_options(writes=True) as db, db.begin():
        _upgrade(db, revision)
        tables = MetaData()
        tables.reflect(db)
        for name, values in ROWS:
            if (table := tables.tables.get(name)) is not None:
                db.execute(insert(table), _row(table, values))
        if db.dialect.name == "postgresql":
            for name in ("feed", "event", "entry", "entry_version", "correction"):
                if name in tables.tables:
                    db.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), 100)"))
            db.execute(text("SELECT setval(pg_get_serial_sequence('change', 'cursor'), 3)"))
    engine.dispose()


def _row(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column.name: values.get(column.name, None if column.nullable else _plain(column.type))
        for column in table.columns
    }


def _plain(kind: Any) -> Any:
    if isinstance(kind, DateTime):
        return AT
    if isinstance(kind, LargeBinary):
        return b""
    if isinstance(kind, Boolean):
        return False
    return 0 if isinstance(kind, Integer | Float) else ""


@pytest.fixture
def url(databases: Databases) -> str:
    """A database that no program has opened yet."""
    return databases.bare()


def _rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as db:
        return [tuple(row) for row in db.execute(text(sql))]


def _group(store: Store, url: str) -> None:
    for _ in Clusterer(store, load_settings({"database": url}), lambda: NOW).work():
        pass


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_an_earlier_version_wrote_is_there_and_goes_on(url: str, revision: str) -> None:
    _write_as(revision, url)
    store = open_store(url)
    try:
        assert _rows(store, "SELECT version_num FROM alembic_version") == [(HEAD,)]
        events = "SELECT id, canonical_entry_id, entry_count, merged_into FROM v1_event ORDER BY id"
        assert _rows(store, events) == [
            (1, 1, 2, None),
            (2, None, 0, 1),
        ]
        assert _rows(store, "SELECT url, title FROM v1_feed ORDER BY url") == [
            ("https://paper.example/rss", "Paper"),
            ("import:Wire", ""),
        ]
        assert _rows(
            store, "SELECT cursor, event_id, kind, other_event_id FROM v1_change ORDER BY cursor"
        ) == [
            (1, 1, "created", None),
            (2, 2, "created", None),
            (3, 2, "merged", 1),
        ]
        assert _rows(store, "SELECT text, entry_id FROM v1_teaser") == [("The old bridge", 2)]
        wrong = {check for check, faults in find_faults(store).items() if faults}
        assert wrong <= {Check.UNSIGNED, Check.OTHER_SCHEME}, "nothing is wrong but what grouping makes anew"
        _group(store, url)
        assert not any(find_faults(store).values())
        assert _rows(store, "SELECT guid, event_id FROM v1_entry WHERE event_id = 1 ORDER BY guid") == [
            ("bridge-1", 1),
            ("bridge-2", 1),
        ]
        ((piano,),) = _rows(store, "SELECT event_id FROM v1_entry WHERE guid = 'piano'")
        assert piano > 2, "ids go on where they were"
        ((cursor,),) = _rows(store, "SELECT min(cursor) FROM v1_change WHERE cursor > 3")
        assert cursor == 4, "so do cursors"
    finally:
        store.close()


def test_an_upgrade_gives_each_signature_the_key_that_signing_gives_it(url: str) -> None:
    """Of more entries than one step has, one of them without words, one cut, one of an outlet in capitals."""
    brought = [
        _entry(f"ferry-{number}", f"Ferry {number} is late.") | {"source": "Wire"} for number in range(1_100)
    ]
    brought += [_entry("mute", "!"), _entry("cut", f"{BRIDGE} …"), _entry("loud", PIANO) | {"source": "ÇA"}]
    store = open_store(url)
    assert list(import_lines(store, [json.dumps(entry).encode() for entry in brought], NOW))
    signed = "SELECT entry_id, content_key FROM signature ORDER BY entry_id"
    made = _rows(store, signed)
    assert len({key for _, key in made}) == len(brought)
    try:
        with store.write() as db:
            db.execute(text("ALTER TABLE signature DROP COLUMN content_key"))
            db.execute(text("UPDATE alembic_version SET version_num = '0021'"))
        with store.engine.connect().execution_options(writes=True) as db, db.begin():
            _upgrade(db, "0022")
        assert _rows(store, signed) == made
    finally:
        store.close()


def test_a_feed_that_was_silent_before_an_upgrade_is_so_after_it(url: str) -> None:
    _write_as("0016", url)
    engine = open_engine(url)
    with engine.connect().execution_options(writes=True) as db, db.begin():
        for day in range(20_001, 20_010):
            db.execute(text(f"INSERT INTO activity (feed_id, day, entries) VALUES (1, {day}, 3)"))
        read = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=20_009 + 5)
        db.execute(text(f"UPDATE feed SET last_success_at = '{read:%Y-%m-%d %H:%M:%S.%f}'"))
    engine.dispose()
    store = open_store(url)
    try:
        assert _rows(store, "SELECT title, state FROM v1_feed ORDER BY url") == [
            ("Paper", "silent"),
            ("", "ok"),
        ]
    finally:
        store.close()


@pytest.fixture
def newer(program: Program) -> Program:
    change(program.database, "UPDATE alembic_version SET version_num = '9999'")
    (program.folder / "feeds.opml").write_text('<opml version="2.0"><body/></opml>')
    return program


@pytest.mark.parametrize("words", [("serve",), ("poll",), ("db", "check")], ids=" ".join)
def test_a_newer_schema_is_refused_and_left_alone(newer: Program, words: tuple[str, ...]) -> None:
    before = newer.contents()
    said = newer.run(*words, status=1).stderr
    assert "has schema 9999" in said
    assert "install that version or use another database" in said
    assert newer.query("SELECT version_num FROM alembic_version") == [("9999",)]
    assert newer.contents() == before


def test_entries_are_signed_whose_signature_is_older_newer_or_missing(url: str) -> None:
    store = open_store(url)
    try:
        lines = [json.dumps(_entry(f"bridge-{number}", BRIDGE)).encode() for number in range(4)]
        assert list(import_lines(store, lines, NOW))
        with store.write() as db:
            entries = db.execute(text("SELECT id FROM entry ORDER BY id")).scalars().all()
            for entry, scheme in zip(entries, (SCHEME - 1, SCHEME + 1), strict=False):
                told = {"entry": entry, "scheme": scheme}
                db.execute(text("UPDATE signature SET scheme = :scheme WHERE entry_id = :entry"), told)
            db.execute(text("DELETE FROM signature WHERE entry_id = :entry"), {"entry": entries[2]})
            while sign_missing(db):
                continue
        assert _rows(store, "SELECT entry_id, scheme FROM signature ORDER BY entry_id") == [
            (entry, SCHEME) for entry in entries
        ]
    finally:
        store.close()


def test_signatures_of_another_scheme_are_made_anew_and_never_compared(url: str) -> None:
    store = open_store(url)
    try:

        def bring(*entries: dict[str, Any]) -> None:
            assert list(import_lines(store, [json.dumps(entry).encode() for entry in entries], NOW))

        bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO, 3))
        _group(store, url)
        # As another version might have signed: the very same marks on two stories that have nothing in common.
        with store.write() as db:
            db.execute(text(f"UPDATE signature SET scheme = {SCHEME + 7}, minhash = (SELECT minhash FROM signature "
                            "WHERE entry_id = (SELECT min(entry_id) FROM signature)), title = lead"))  # fmt: skip
        bring(_entry("bridge-2", BRIDGE, 6))
        _group(store, url)
        assert _rows(store, "SELECT DISTINCT scheme FROM signature") == [(SCHEME,)]
        events = dict(_rows(store, "SELECT guid, event_id FROM v1_entry"))
        assert events["bridge-1"] == events["bridge-2"] != events["piano"]
        assert not any(find_faults(store).values())
    finally:
        store.close()
