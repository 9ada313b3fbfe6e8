"""The commands about feeds: what they say of each, and that they leave the list alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.publish import FeedEvidence, diagnose, feed_advice
from aggregator.types import FailureKind, FeedId, FeedStatus, LatestEntry
from tests.databases import columns_of
from tests.loopback import LoopbackServer, Reply, Request, authority
from tests.program import Program
from tests.stage import FEED, item, ok, rss, said

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

NEVER_READ = replace(HEALTHY, state="failing", failures=1, problem="A page.", last_success_at=None)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUIET = replace(HEALTHY, state="silent", quiet_days=10)


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
    found = _check(listed, 3)
    advice = {feed["title"]: feed["advice"] for feed in found["to_do"]}
    assert found["feeds"] == 3
    assert set(advice) == {"/moved", "/gone"}
    assert "is polled there: put that address into the list" in advice["/moved"]
    assert "remove it" in advice["/gone"]
    assert (listed.folder / "feeds.opml").read_bytes() == before
    assert len(loopback.asked("/well")) == 1


def test_a_table_of_feeds_shows_no_credentials(listed: Program) -> None:
    assert "No feeds: " in listed.run("feeds", "list").stdout
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


def _dated(*days: float, guessed: bool = False, name: str = "n") -> tuple[LatestEntry, ...]:
    return tuple(
        LatestEntry(f"{name}{number}", NOW - timedelta(days=day), NOW, guessed)
        for number, day in enumerate(days)
    )


FRESH = _dated(0, 1, 2, 3, 4, 5)


def _took(seconds: float) -> FeedStatus:
    return replace(HEALTHY, entries=len(FRESH), answer_seconds=seconds)


def _failed(kind: FailureKind) -> FeedStatus:
    return replace(NEVER_READ, failure=kind)


@pytest.mark.parametrize(
    ("known", "trouble", "says"),
    [
        ({"latest": FRESH}, "", ""),
        ({"latest": _dated(0, 0, 0, 0, 0)}, "wrong_dates", "bear the same date"),
        ({"latest": _dated(0, 0, 0, 0, 0, guessed=True)}, "wrong_dates", "None of its dates can be used"),
        (
            {"latest": _dated(*[-n / 10 for n in range(1, 7)])},
            "wrong_dates",
            "in the future, by up to 14.4 hours",
        ),
        ({"latest": _dated(-0.1, 0, 1, 2, 3)}, "", ""),
        ({"latest": _dated(200, 300)}, "silent", "Its newest entry is of 2026-05-07, 200 days ago"),
        ({"latest": FRESH, "status": QUIET}, "silent", "Quiet for 10 days"),
        ({}, "silent", "never had an entry"),
        ({"latest": FRESH, "status": _took(9.9)}, "", ""),
        ({"latest": FRESH, "status": _took(10.0)}, "slow", "took 10.0 s"),
        ({"status": _failed(FailureKind.NOT_A_FEED)}, "not_a_feed", "never read: A page."),
        ({"status": _failed(FailureKind.TIMEOUT)}, "slow", "never read"),
        ({"status": _failed(FailureKind.DNS)}, "failing", "never read: A page."),
        ({"status": NEVER_READ}, "failing", "never read"),
    ],
)
def test_a_check_finds_what_is_wrong_with_a_feed(known: dict[str, Any], trouble: str, says: str) -> None:
    entries = len(known.get("latest", ()))
    evidence = FeedEvidence(**({"status": replace(HEALTHY, entries=entries)} | known))
    findings = [finding for _, found in diagnose([evidence], NOW, 30.0) for finding in found]
    assert [finding.kind for finding in findings] == ([trouble] if trouble else [])
    assert all(says in finding.advice for finding in findings)


def _evidence(number: int, latest: tuple[LatestEntry, ...], seconds: float | None = None) -> FeedEvidence:
    status = replace(HEALTHY, id=FeedId(number), url=f"https://{number}.example/", title=f"Paper {number}")
    return FeedEvidence(replace(status, answer_seconds=seconds), latest)


def test_a_feed_with_the_entries_of_another_is_found_and_one_of_a_section_is_not() -> None:
    whole = _dated(*(n / 10 for n in range(30)))
    section = whole[20:30]
    found = diagnose([_evidence(1, whole), _evidence(2, section), _evidence(3, whole[2:])], NOW, 30.0)
    assert [(feed.id, [finding.kind for finding in findings]) for feed, findings in found] == [
        (3, ["duplicate"])
    ]
    assert "the same entries as Paper 1 (https://1.example/)" in found[0][1][0].advice


def test_a_feed_is_slow_beside_the_others_alone_and_the_worst_comes_first() -> None:
    others = [_evidence(number, _dated(*range(6), name=str(number)), 4.0) for number in range(3)]
    assert diagnose([*others, _evidence(9, FRESH, 12.0)], NOW, 30.0) == []
    gone = FeedEvidence(replace(HEALTHY, id=FeedId(8), state="gone"))
    found = diagnose([*others, _evidence(9, FRESH, 21.0), gone], NOW, 30.0)
    assert [(feed.id, findings[0].kind) for feed, findings in found] == [(8, "gone"), (9, "slow")]


def test_a_check_names_pages_doubles_bad_dates_and_slow_servers(
    loopback: LoopbackServer, program: Program
) -> None:
    dated = [item(f"n{n}", extra="<pubDate>Mon, 23 Nov 2026 10:00:00 GMT</pubDate>") for n in range(6)]
    undated = rss(*(item(f"u{n}") for n in range(6)))

    def late(_request: Request) -> Reply:
        loopback.is_closing.wait(1.0)
        return ok(FEED)

    page = b"<html><head><link rel='alternate' type='application/rss+xml' href='/real'></head></html>"
    loopback.on("/page", ok(page))
    loopback.on("/dated", ok(rss(*dated)))
    loopback.on("/again", ok(rss(*dated, channel="<description>x</description>")))
    loopback.on("/undated", ok(undated))
    loopback.on("/late", late)
    outlines = "".join(
        f"<outline text='{path}' xmlUrl='{loopback.url(path)}'/>"
        for path in ("/page", "/dated", "/again", "/undated", "/late")
    )
    (program.folder / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    settings = {"FETCH_TIMEOUT": 3, "MIN_INTERVAL": 600}
    done = json.loads(program.run("feeds", "check", "--json", status=3, settings=settings).stdout)
    assert (done["asked_before"], done["asked_since"]) == (0, None)
    found = {feed["title"]: feed for feed in done["to_do"]}
    kinds = {title: [finding["kind"] for finding in feed["findings"]] for title, feed in found.items()}
    assert kinds["/page"] == ["not_a_feed"]
    assert loopback.url("/real") in found["/page"]["advice"]
    # Which of two equal feeds is listed first is that with the lower id.
    assert kinds["/again"] == ["duplicate", "wrong_dates"]
    assert kinds["/dated"] == ["wrong_dates"]
    assert kinds["/undated"] == ["wrong_dates"]
    assert kinds["/late"] == ["slow"]
    assert next(iter(found)) == "/page"
    again = json.loads(program.run("feeds", "check", "--json", status=3, settings=settings).stdout)
    assert again["to_do"] == done["to_do"]
    assert again["asked_before"] == 5
    assert again["asked_since"] == min(feed["last_polled_at"] for feed in again["to_do"])
    said = program.run("feeds", "check", status=3, settings=settings).stdout
    assert "5 feeds were not asked anew: what is told of them is of 20" in said
