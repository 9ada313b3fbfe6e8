"""The program's own changes to the OPML file touch nothing else in it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from aggregator.cli import main
from aggregator.config import load_settings
from aggregator.opml import OpmlError, read_opml
from aggregator.opml.edit import add_feeds, remove_feed
from aggregator.pipeline.editing import change_list
from aggregator.pipeline.lists import put_in_force, read_file
from aggregator.store import open_store
from aggregator.types import Feed

TABBED = """<?xml version="1.0" encoding="ISO-8859-1"?>\r
<!-- mine -->\r
<opml version="2.0">\r
<body>\r
\t<outline text="W&#246;rld" x:color='red'>\r
\t\t<outline  xmlUrl='http://a.example/'   text='\xc4' />\r
\t</outline>\r
</body></opml>\r
"""
NEW = Feed("https://new.example/?a=1&b=2", 'New "one" ☃', "Wörld/North", "")
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
SPACES = st.sampled_from(["", "\n", "\n  ", "\r\n\t", " <!-- & <outline> --> "])


def test_a_feed_is_added_in_the_files_own_encoding_line_ends_and_indent() -> None:
    before = TABBED.encode("latin-1")
    after = add_feeds(before, [NEW])
    line = b'\t\t<outline text="North" title="North">\r\n'
    start = after.index(line)
    assert after[:start] == before[:start]
    assert after.endswith(before[start:])
    assert b"&#9731;" in after


@pytest.mark.parametrize(
    ("body", "opened"), [("<body/>", "<body>"), ("<o:body  a='1>2' />\n", "<o:body  a='1>2'>")]
)
def test_a_feed_is_added_to_an_empty_body(body: str, opened: str) -> None:
    around = '<opml version="2.0" xmlns:o="urn:o"><!-- <body/> --><head/>{}</opml>'
    added = add_feeds(around.format(body).encode(), [Feed("https://new.example/", "New", "World", "")])
    (feed,) = read_opml(added).feeds
    assert (feed.url, feed.category) == ("https://new.example/", "World")
    assert around.format(opened)[: -len("</opml>")].encode() in added


def test_what_was_added_is_removed_and_nothing_else() -> None:
    before = TABBED.encode("latin-1")
    added = add_feeds(before, [Feed("https://new.example/", "New", "Wörld", "")])
    assert remove_feed(added, "HTTPS://new.example") == before


@given(
    st.lists(st.tuples(NAMES, SPACES), max_size=5), NAMES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_adding_and_removing_give_the_same_bytes_whatever_the_file_looks_like(
    others: list[tuple[str, str]], name: str, encoding: str
) -> None:
    outlines = "".join(
        f"{space}<outline text='Paper {number}' xmlUrl='http://{number}.example/'/>"
        for number, (_, space) in enumerate(others)
    )
    before = f"<opml version='2.0'><body>{outlines}\n</body></opml>".encode(encoding)
    feed = Feed("http://new.example/", name, "", "")
    after = add_feeds(before, [feed])
    assert (feed.url, feed.title) in [(one.url, one.title) for one in read_opml(after).feeds]
    assert remove_feed(after, feed.url) == before


def test_a_malformed_list_is_changed_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feeds.opml"
    before = b"<opml><body><outline text='A & B' xmlUrl='http://a.example/'/></body></opml>"
    file.write_bytes(before)
    arguments = ["--opml", str(file), "feeds", "add", "--no-fetch", "http://b.example/"]
    assert main(arguments) == 2
    assert "--repair" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main([*arguments, "--repair"]) == 0
    assert [feed.title for feed in read_opml(file.read_bytes()).feeds] == ["A & B", "b.example"]
    assert (tmp_path / "feeds.opml.bak").read_bytes() == before


def test_a_link_is_followed_and_the_files_mode_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "real.opml", tmp_path / "feeds.opml"
    real.write_bytes(TABBED.encode("latin-1"))
    real.chmod(0o640)
    link.symlink_to(real)
    assert main(["--opml", str(link), "feeds", "remove", "http://a.example/"]) == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert read_opml(real.read_bytes()).feeds == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feeds.opml", "real.opml", "real.opml.bak"]


def test_a_feed_added_to_a_paused_category_is_said_not_to_be_polled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feeds.opml"
    file.write_text(
        '<opml xmlns:agg="urn:news-event-aggregator:opml:1"><body>'
        '<outline text="W" agg:enabled="false"><outline xmlUrl="http://a.example/"/></outline></body></opml>'
    )
    arguments = ["--opml", str(file), "feeds", "add", "--no-fetch", "http://b.example/"]
    assert main([*arguments, "--category", "W"]) == 0
    assert 'it is not polled, as its category W has agg:enabled="false".' in capsys.readouterr().out
    assert main([*arguments[:-1], "http://c.example/"]) == 0
    assert "polls it within seconds." in capsys.readouterr().out


def test_a_feed_that_is_listed_is_said_and_not_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    assert main(["--opml", str(file), "feeds", "add", "http://A.example"]) == 0
    assert "lists it already: Ä" in capsys.readouterr().out
    assert file.read_bytes() == TABBED.encode("latin-1")


def test_a_list_that_somebody_else_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    theirs = b"<opml><body><outline xmlUrl='http://theirs.example/'/></body></opml>"

    def change_while_an_editor_saves(content: bytes) -> bytes:
        file.write_bytes(theirs)
        return add_feeds(content, [NEW])

    with pytest.raises(OpmlError, match="somebody else has just changed it: try again"):
        change_list(load_settings({"opml": file}), change_while_an_editor_saves, repair=False)
    assert file.read_bytes() == theirs


def test_commands_that_change_a_list_at_the_same_time_all_count(tmp_path: Path) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    settings = load_settings({"opml": file})
    start = threading.Barrier(8)

    def add(number: int) -> None:
        feed = Feed(f"https://new.example/{number}", str(number), "", "")
        start.wait()
        change_list(settings, lambda content: add_feeds(content, [feed]), repair=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert len(read_opml(file.read_bytes()).feeds) == 9


@pytest.mark.parametrize("name", ["feeds.opml", "link.opml", "notes.txt"])
def test_an_export_replaces_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    (tmp_path / "link.opml").symlink_to(file)
    (tmp_path / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["--opml", str(file), "feeds", "export", str(tmp_path / name)]) == 1
    said = "is there already" if name == "notes.txt" else "is the list itself"
    assert f"{name}: {said}" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_an_export_is_as_private_as_the_list(tmp_path: Path, mode: int) -> None:
    file, copy = tmp_path / "feeds.opml", tmp_path / "copy.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    file.chmod(mode)
    assert main(["--opml", str(file), "feeds", "export", str(copy)]) == 0
    assert copy.stat().st_mode & 0o777 == mode
    assert [feed.url for feed in read_opml(copy.read_bytes()).feeds] == ["http://a.example/"]


@pytest.fixture
def known(database: str, tmp_path: Path) -> list[str]:
    """Flags of a list that the database knows; two of its feeds share a title, one has its own in the database."""
    (tmp_path / "feeds.opml").write_text(
        "<opml><body><outline text='Paper' xmlUrl='http://me:hidden@a.example/'/>"
        "<outline text='Twin' xmlUrl='http://b.example/'/><outline text='Twin' xmlUrl='http://c.example/'/>"
        "<outline xmlUrl='http://d.example/'/></body></opml>"
    )
    settings = load_settings({"opml": tmp_path / "feeds.opml", "database": database})
    store = open_store(settings.database)
    put_in_force(store, read_file(settings), settings)
    with store.write() as db:
        db.execute(text("UPDATE feed SET title = 'Its own' WHERE url = 'http://d.example/'"))
    store.close()
    return ["--opml", str(settings.opml), "--database", settings.database, "feeds"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("Paper", "bcd"),
        ("http://b.example", "acd"),
        ("3", "abd"),
        ("Its own", "abc"),
    ],
)
def test_a_feed_is_removed_by_address_id_or_title(
    tmp_path: Path, known: list[str], name: str, left: str
) -> None:
    assert main([*known, "remove", name]) == 0
    feeds = read_opml((tmp_path / "feeds.opml").read_bytes()).feeds
    assert [feed.url.partition(".example")[0][-1] for feed in feeds] == list(left)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Twin", "2 feeds of the list have the title"),
        ("9", "no feed of the list has the id 9"),
        ("paper", "no feed of the list has the title"),
        ("http://me:hidden@other.example/", "no feed of the list has this address"),
    ],
)
def test_a_name_that_is_not_one_feeds_removes_none(
    tmp_path: Path, known: list[str], capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    before = (tmp_path / "feeds.opml").read_bytes()
    assert main([*known, "remove", name]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "feeds list" in told
    assert "hidden" not in told
    assert (tmp_path / "feeds.opml").read_bytes() == before


def test_the_list_shows_the_ids_by_which_feeds_are_removed(
    known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*known, "list"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        ["4", "Its"],
        ["1", "Paper"],
        ["2", "Twin"],
        ["3", "Twin"],
    ]


def test_a_feed_that_is_not_listed_cant_be_removed() -> None:
    with pytest.raises(OpmlError, match="no feed of the list"):
        remove_feed(TABBED.encode("latin-1"), "http://other.example/")
