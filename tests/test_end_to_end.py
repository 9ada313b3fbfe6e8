"""The main job as a user runs it: feeds and files in, one record per event out."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest

from aggregator.demo import DemoServer, expected_copies, expected_events, look_alikes, sample_feeds
from tests.databases import Databases
from tests.program import Contents, Program, write_jsonl

PARAGRAPHS = (
    (
        "The harbour town of Veldmark opened its rebuilt lighthouse on Saturday, eleven years after a storm tore"
        " off the lantern room and left the coast dark."
    ),
    (
        "Mayor Ilse Brandt lit the lamp at dusk while some two thousand people watched from the mole. The work cost"
        " 4.2 million crowns, a third of it given by fishing families along the coast."
    ),
    (
        "Engineers kept the old granite tower and hung a new steel stair inside it. The lens, ground in 1911, was"
        " found in a museum cellar and cleaned by hand over two winters."
    ),
)
SHORT_ITEM = (
    "A ferry to the outer islands will run twice a day again from the first of May, the harbour office said."
)
TEASERS = (
    SHORT_ITEM[:59].rstrip() + "…",
    "Beekeepers in the hills north of the town report the stron…",
    "The regional theatre cancels its autumn season after water…",
)
RECORD = "\n".join((*PARAGRAPHS, SHORT_ITEM, *TEASERS)) + "\n"
LISTED = (
    SHORT_ITEM,
    "Beekeepers in the hills north of the town report the strongest spring in a decade, with hives twice as heavy.",
    "The regional theatre cancels its autumn season after water damaged the stage and the lighting bridge in July.",
)


def _record_file(folder: Path) -> Path:
    entry = {"id": "lighthouse", "title": "Veldmark lights its lamp again", "text": RECORD, "lang": "en"}
    return write_jsonl(folder / "record.jsonl", [entry])


def _listed_file(folder: Path) -> Path:
    entries = [
        {
            "id": f"listed-{n}",
            "title": f"Listed item {n}",
            "text": text,
            "source": "Coast Courier",
            "lang": "en",
        }
        for n, text in enumerate(LISTED)
    ]
    return write_jsonl(folder / "listed.jsonl", entries)


def _show(program: Program, guid: str, form: str = "text") -> str:
    ((event,),) = program.query(f"SELECT event_id FROM v1_entry WHERE guid = '{guid}'")
    return program.run("event", "show", event, "--format", form).stdout


# ---- the record ----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["text", "content", "summary"])
def test_a_record_comes_back_line_for_line(tmp_path: Path, program: Program, field: str) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [{"id": "r", field: RECORD}]))
    assert _show(program, "r") == RECORD


def test_a_record_in_html_comes_back_line_for_line(tmp_path: Path, program: Program) -> None:
    html = "".join(f"<p>{line}</p>" for line in RECORD.splitlines())
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [{"id": "r", "content": html}]))
    assert _show(program, "r") == RECORD


def test_a_full_text_and_its_teaser_are_one_related_item(tmp_path: Path, program: Program) -> None:
    program.run("import", _record_file(tmp_path))
    teasers = program.query("SELECT kind, text FROM v1_teaser ORDER BY position")
    assert teasers == [("related", text) for text in TEASERS]


def test_the_body_is_kept_without_the_related_items(tmp_path: Path, program: Program) -> None:
    program.run("import", _record_file(tmp_path))
    assert program.query("SELECT text FROM v1_event") == [("\n".join(PARAGRAPHS),)]


@pytest.mark.parametrize("record_first", [True, False])
def test_a_teaser_is_linked_to_the_event_it_truncates_whichever_comes_first(
    tmp_path: Path, program: Program, *, record_first: bool
) -> None:
    files = [_record_file(tmp_path), _listed_file(tmp_path)]
    for file in files if record_first else reversed(files):
        program.run("import", file)
    linked = program.query(
        "SELECT entry.guid, teaser.related_event_id = entry.event_id FROM v1_teaser teaser"
        " JOIN v1_entry entry ON entry.id = teaser.entry_id"
        " WHERE teaser.kind = 'related' AND teaser.event_id ="
        " (SELECT event_id FROM v1_entry WHERE guid = 'lighthouse') ORDER BY teaser.position",
    )
    assert linked == [(f"listed-{n}", 1) for n in range(3)]
    assert _show(program, "lighthouse") == RECORD


def test_a_record_as_json_has_its_entries_and_teasers(tmp_path: Path, program: Program) -> None:
    program.run("import", _record_file(tmp_path))
    record = json.loads(_show(program, "lighthouse", "json"))
    assert record["title"] == "Veldmark lights its lamp again"
    assert [entry["relation"] for entry in record["entries"]] == ["canonical"]
    assert [teaser["text"] for teaser in record["teasers"]] == list(TEASERS)


# ---- importing -----------------------------------------------------------------------------------


def test_importing_twice_changes_nothing(tmp_path: Path, program: Program) -> None:
    file = _listed_file(tmp_path)
    program.run("import", file)
    before = program.contents()
    again = json.loads(program.run("import", "--json", file).stdout)
    assert (again["entries_read"], again["entries_new"], again["entries_edited"]) == (3, 0, 0)
    assert program.contents() == before


def test_a_gzipped_file_and_standard_input_are_read_alike(tmp_path: Path, program: Program) -> None:
    lines = _listed_file(tmp_path).read_bytes()
    (tmp_path / "in.gz").write_bytes(gzip.compress(lines))
    program.run("import", tmp_path / "in.gz")
    assert "0" in program.run("import", "-", stdin=lines).stdout
    assert program.count("v1_entry") == 3


def test_bad_lines_are_named_and_the_good_ones_kept(tmp_path: Path, program: Program) -> None:
    good = json.dumps({"id": "a", "title": "A good line among bad ones"})
    (tmp_path / "in.jsonl").write_bytes(
        b"\n".join(
            (b"{torn", good.encode(), b"[1]", b'{"id": "x"}', b'{"id": "y", "title": []}', b"\xff\xfe{")
        )
    )
    done = program.run("import", tmp_path / "in.jsonl")
    assert [f"line {n}:" in done.stderr for n in range(1, 7)] == [True, False, True, True, True, True]
    assert program.query("SELECT title FROM v1_entry") == [("A good line among bad ones",)]


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path, program: Program) -> None:
    assert program.run("import", tmp_path / "none.jsonl", status=1).stderr.count("\n") == 1


def test_a_damaged_archive_keeps_what_came_before_the_damage(tmp_path: Path, program: Program) -> None:
    lines = b"".join(
        json.dumps({"id": n, "title": f"Line {n}", "text": f"{random.Random(n).random()}"}).encode() + b"\n"
        for n in range(3000)
    )
    (tmp_path / "in.gz").write_bytes(gzip.compress(lines)[:-2000])
    done = program.run("import", tmp_path / "in.gz", status=1)
    assert "damaged or cut short" in done.stderr
    assert program.count("v1_entry") > 1000


def test_an_edited_entry_keeps_its_earlier_version_and_its_event(tmp_path: Path, program: Program) -> None:
    entry = {
        "id": "a",
        "title": "Bridge closed after crack is found",
        "text": "The old bridge was closed on Monday.",
    }
    program.run("import", write_jsonl(tmp_path / "1.jsonl", [entry]))
    before = program.query("SELECT id, event_id FROM v1_entry")
    entry["text"] = "The old bridge was closed on Monday. It reopened an hour later."
    program.run("import", write_jsonl(tmp_path / "2.jsonl", [entry]))
    assert program.query("SELECT id, event_id FROM v1_entry") == before
    assert program.query("SELECT text FROM v1_event") == [(entry["text"],)]
    assert program.query("SELECT text FROM entry_version") == [("The old bridge was closed on Monday.",)]
    kinds = [row[0] for row in program.query("SELECT kind FROM v1_change ORDER BY cursor")]
    assert kinds == ["created", "updated"]


# ---- polling -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer(sample_feeds(datetime.now(UTC))) as started:
        yield started


@pytest.fixture(scope="module")
def polled(
    server: DemoServer, shared_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    program = Program(tmp_path_factory.mktemp("polled"), shared_databases.bare())
    (program.folder / "feeds.opml").write_bytes(server.opml())
    summary = json.loads(program.run("poll", "--json").stdout)
    assert summary["feeds_failed"] == 0
    assert summary["entries_new"] == summary["entries_seen"] == len(expected_events())
    return program


def _event_of(polled: Program) -> dict[str, int]:
    return dict(polled.query("SELECT guid, event_id FROM v1_entry"))


def test_copies_and_truncations_are_together(polled: Program) -> None:
    event_of = _event_of(polled)
    apart = [(a, b) for a, b in expected_copies().items() if event_of[a] != event_of[b]]
    assert apart == []


def test_no_two_stories_are_merged(polled: Program) -> None:
    event_of, story_of = _event_of(polled), expected_events()
    merged = [
        (a, b)
        for a, b in combinations(story_of, 2)
        if event_of[a] == event_of[b] and story_of[a] != story_of[b]
    ]
    assert merged == []
    assert look_alikes()


def test_some_rewrites_of_other_outlets_are_found(polled: Program) -> None:
    event_of, story_of, copies = _event_of(polled), expected_events(), expected_copies()
    rewrites = [
        (a, b)
        for a, b in combinations(story_of, 2)
        if story_of[a] == story_of[b] and a not in copies and b not in copies
    ]
    found = [pair for pair in rewrites if event_of[pair[0]] == event_of[pair[1]]]
    assert len(found) > len(rewrites) / 4


def test_every_event_has_one_canonical_entry_and_a_teaser_for_each_other(polled: Program) -> None:
    assert (
        polled.query(
            "SELECT event_id FROM v1_event_entry GROUP BY event_id"
            " HAVING sum(CASE relation WHEN 'canonical' THEN 1 ELSE 0 END) <> 1",
        )
        == []
    )
    assert (
        polled.query(
            "SELECT id FROM v1_event WHERE merged_into IS NULL AND entry_count - 1 <>"
            " (SELECT count(*) FROM v1_teaser WHERE event_id = v1_event.id AND kind = 'coverage')",
        )
        == []
    )


def test_a_second_poll_stores_nothing_new(polled: Program) -> None:
    before = polled.contents()
    changes = polled.count("v1_change")
    summary = json.loads(polled.run("poll", "--all", "--json").stdout)
    assert summary["feeds_unchanged"] == polled.count("v1_feed")
    assert (summary["entries_new"], summary["events_new"]) == (0, 0)
    assert polled.contents() == before
    assert polled.count("v1_change") == changes


def test_the_table_of_events_shows_titles_and_takes_search_words(polled: Program) -> None:
    ((title,),) = polled.query("SELECT title FROM v1_event WHERE lang = 'en' ORDER BY id LIMIT 1")
    word = max(title.split(), key=len)
    assert word in polled.run("events", word).stdout
    assert "No event has these words" in polled.run("events", "xylophonequartet").stdout


def test_a_failed_feed_is_listed_and_the_others_go_on(
    server: DemoServer, tmp_path: Path, program: Program
) -> None:
    url = next(iter(query_urls(server)))
    (tmp_path / "feeds.opml").write_text(
        '<opml version="2.0"><head/><body>'
        f'<outline text="Good" xmlUrl="{url}"/><outline text="Lost" xmlUrl="{server.base_url}/lost.xml"/>'
        "</body></opml>"
    )
    done = program.run("poll")
    assert "Lost" in done.stdout
    assert "404" in done.stdout
    assert program.query("SELECT state FROM v1_feed ORDER BY title") == [("ok",), ("failing",)]


def query_urls(server: DemoServer) -> list[str]:
    return [f"{server.base_url}{feed.path}" for feed in sample_feeds(datetime.now(UTC))]


def test_an_opml_file_that_is_torn_ends_a_poll_with_status_2_and_changes_nothing(polled: Program) -> None:
    whole = (polled.folder / "feeds.opml").read_bytes()
    feeds = polled.count("v1_feed")
    (polled.folder / "feeds.opml").write_bytes(whole[: len(whole) // 2])
    done = polled.run("poll", status=2)
    (polled.folder / "feeds.opml").write_bytes(whole)
    assert done.stderr.count("\n") == 1
    assert "feeds.opml" in done.stderr
    assert polled.query("SELECT count(*) FROM v1_feed WHERE state <> 'paused'") == [(feeds,)]


# ---- order ---------------------------------------------------------------------------------------


def test_the_order_of_arrival_and_restarts_do_not_change_what_is_together(
    polled: Program, databases: Databases, tmp_path: Path
) -> None:
    rows = polled.query("SELECT guid, title, text, url, lang, published_at, feed_url FROM v1_entry")
    names = ("id", "title", "text", "url", "lang", "published", "source")
    entries = [dict(zip(names, map(str, row), strict=True)) for row in rows]
    found: list[Contents] = []
    for seed in range(3):
        program = Program(tmp_path, databases.new())
        random.Random(seed).shuffle(entries)
        # Each part is a run of its own: a restart in the middle of the stream.
        for part in range(2):
            program.run("import", write_jsonl(tmp_path / f"{part}.jsonl", entries[part::2]))
        found.append(program.contents())
    assert found[0].events == found[1].events == found[2].events
    assert found[0].canonical == found[1].canonical == found[2].canonical
    assert found[0].teasers == found[1].teasers == found[2].teasers


def test_no_teaser_is_longer_than_sixty_characters(polled: Program) -> None:
    assert polled.query("SELECT text FROM v1_teaser WHERE length(text) > 60") == []
