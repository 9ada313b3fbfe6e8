"""The program's own changes to the OPML file touch nothing else in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.cli import main
from aggregator.opml import OpmlError, read_opml
from aggregator.opml.edit import add_feeds, remove_feed
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
    arguments = ["--opml", str(file), "feeds", "add", "http://b.example/"]
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


def test_a_feed_that_is_listed_is_said_and_not_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    assert main(["--opml", str(file), "feeds", "add", "http://A.example"]) == 0
    assert "lists it already: Ä" in capsys.readouterr().out
    assert file.read_bytes() == TABBED.encode("latin-1")


def test_a_feed_that_is_not_listed_cant_be_removed() -> None:
    with pytest.raises(OpmlError, match="no feed of the list"):
        remove_feed(TABBED.encode("latin-1"), "http://other.example/")


EXPORT = """<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0" xmlns:frss="https://freshrss.org/opml">
<head><title>Feeds</title></head>
<body>
<outline text="Science">
<outline text="Stars" type="rss" xmlUrl="https://stars.example/feed"
 htmlUrl="https://stars.example/" frss:priority="main"/>
<outline text="A page" type="HTML+XPath" xmlUrl="https://page.example/" frss:xPathItem="//article"/>
<outline text="Again" type="rss" xmlUrl="HTTP://a.example"/>
</outline>
<outline title="Wörld"><outline type="rss" xmlUrl="https://plain.example/rss?a=1&amp;b=2"/></outline>
<outline text="Loose" type="rss" xmlUrl="https://loose.example/rss"/>
</body>
</opml>
"""


def test_another_programs_export_is_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, export = tmp_path / "feeds.opml", tmp_path / "export.opml"
    before = TABBED.encode("latin-1")
    file.write_bytes(before)
    export.write_text(EXPORT, encoding="utf-8")
    arguments = ["--opml", str(file), "feeds", "import", str(export)]
    assert main([*arguments, "--dry-run"]) == 0
    assert "3 feeds would be added, 1 are listed already, 1 warnings" in capsys.readouterr().out
    assert file.read_bytes() == before
    assert main(arguments) == 0
    assert "FreshRSS" in capsys.readouterr().out
    feeds = {(feed.title, feed.category, feed.url) for feed in read_opml(file.read_bytes()).feeds}
    assert feeds == {
        ("Ä", "Wörld", "http://a.example/"),
        ("Stars", "Science", "https://stars.example/feed"),
        ("plain.example", "Wörld", "https://plain.example/rss?a=1&b=2"),
        ("Loose", "", "https://loose.example/rss"),
    }
    assert b"<!-- mine -->" in file.read_bytes()
    assert main(arguments) == 0
    assert "0 feeds are added, 4 are listed already" in capsys.readouterr().out


def test_an_import_that_is_no_list_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "feeds.opml"
    file.write_bytes(TABBED.encode("latin-1"))
    assert main(["--opml", str(file), "feeds", "import", str(tmp_path / "none.opml")]) == 2
    assert "none.opml: can't be read" in capsys.readouterr().err
    (tmp_path / "feed.xml").write_text("<rss version='2.0'><channel/></rss>")
    assert main(["--opml", str(file), "feeds", "import", str(tmp_path / "feed.xml")]) == 2
    assert "feed.xml: This is a feed" in capsys.readouterr().err
