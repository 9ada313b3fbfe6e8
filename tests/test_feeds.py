"""The commands about feeds: what they say of each, and that they leave the list alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aggregator.publish import feed_advice
from aggregator.types import FeedId, FeedStatus
from tests.databases import columns_of
from tests.loopback import LoopbackServer, Reply, authority
from tests.program import Program
from tests.stage import FEED, ok, said

HEALTHY = FeedStatus(
    url="https://paper.example/rss",
    title="Paper",
    category="",
    state="ok",
    last_polled_at=None,
    last_success_at=datetime(2026, 11, 23, tzinfo=UTC),
    next_poll_at=None,
    failures=0,
    problem="",
    entries=3,
    moved_to="",
    has_moved=False,
    twin="",
    id=FeedId(1),
)


@pytest.fixture
def listed(loopback: LoopbackServer, program: Program) -> Iterator[Program]:
    """The program with a list of three feeds: one well, one moved to https and one gone."""
    with LoopbackServer(certified="127.0.0.1") as secure:
        loopback.on("/well", ok())
        loopback.on("/moved", said(308, Location=secure.url("/moved")))
        secure.on("/moved", ok(FEED))
        loopback.on("/gone", Reply(410))
        outlines = "".join(
            f"<outline text='{path}' xmlUrl='{loopback.url(path, login=login)}'/>\n"
            for path, login in (("/well", ""), ("/moved", ""), ("/gone", "me:hidden"))
        )
        (program.folder / "feeds.opml").write_text(f"<opml version='2.0'><body>\n{outlines}</body></opml>")
        yield program


def _check(program: Program, status: int) -> dict[str, Any]:
    authority().cert_pem.write_to_path(str(program.folder / "authority.pem"))
    done = program.run(
        "feeds", "check", "--json", status=status, extra={"SSL_CERT_FILE": program.folder / "authority.pem"}
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_check_polls_and_says_what_to_do_and_leaves_the_list_alone(
    listed: Program, loopback: LoopbackServer
) -> None:
    before = (listed.folder / "feeds.opml").read_bytes()
    found = _check(listed, 1)
    advice = {feed["title"]: feed["advice"] for feed in found["to_do"]}
    assert found["feeds"] == 3
    assert set(advice) == {"/moved", "/gone"}
    assert "is polled there: put that address into the list" in advice["/moved"]
    assert "remove it" in advice["/gone"]
    assert (listed.folder / "feeds.opml").read_bytes() == before
    assert len(loopback.asked("/well")) == 1


def test_a_table_of_feeds_shows_no_credentials(listed: Program) -> None:
    assert "No feeds yet" in listed.run("feeds", "list").stdout
    listed.run("poll")
    table = listed.run("feeds", "list").stdout
    assert "/gone" in table
    assert "hidden" not in table
    shown = listed.run("feeds", "list", "--json").stdout
    assert "hidden" not in shown
    columns = columns_of(listed.database, "v1_feed")
    assert {feed["title"] for feed in json.loads(shown)} == {"/well", "/moved", "/gone"}
    assert set(json.loads(shown)[0]) == {*columns, "id", "advice"}


def test_a_healthy_list_needs_nothing(loopback: LoopbackServer, tmp_path: Path, program: Program) -> None:
    loopback.on("/well", ok())
    (tmp_path / "feeds.opml").write_text(
        f"<opml version='2.0'><body><outline xmlUrl='{loopback.url('/well')}'/></body></opml>"
    )
    assert "1 feeds, 0 with something to do" in program.run("feeds", "check").stdout


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({}, ""),
        ({"state": "gone"}, "remove it"),
        ({"moved_to": "https://new.example/"}, ""),
        ({"moved_to": "https://new.example/", "has_moved": True}, "put that address into the list"),
        ({"has_moved": True, "twin": "https://b.example/"}, "remove this one"),
        ({"state": "failing", "failures": 1, "problem": "Slow."}, ""),
        ({"state": "failing", "failures": 3, "problem": "Slow."}, "3 times in a row: Slow."),
        (
            {"state": "failing", "failures": 1, "problem": "Slow.", "last_success_at": None},
            "never read: Slow.",
        ),
    ],
)
def test_advice_is_one_sentence_or_none(known: dict[str, Any], says: str) -> None:
    advice = feed_advice(replace(HEALTHY, **known))
    assert says in advice
    assert bool(says) == bool(advice)
