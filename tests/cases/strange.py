"""Cases of strange feeds: none creates a second event for one story, and none loses an entry."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

from aggregator.pipeline.reports import Result
from aggregator.types import FeedHealth
from tests.cases import case
from tests.loopback import Answer
from tests.stage import START, Stage, item, ok, rss, said

STORIES = (
    ("Harbour bridge closes for repairs", "The old bridge over the harbour closes on Monday for six weeks."),
    ("Council votes on school meals", "Free meals for all pupils were adopted by one vote on Tuesday night."),
    ("Glacier lake drains overnight", "A lake on the glacier emptied within hours, hydrologists report."),
    ("Orchestra names new conductor", "The city orchestra will be led by its first violinist from autumn."),
)


def story(number: int, *, guid: str = "", link: str = "", date: str = "", more: str = "") -> str:
    """One of four stories that have nothing in common."""
    title, text = STORIES[number]
    extra = f"<description>{text}{more}</description>" + (f"<pubDate>{date}</pubDate>" if date else "")
    return item(f"s{number}", title=title, extra=extra, guid=guid, link=link)


def stamp(hours: float = 0.0) -> str:
    """The stage's starting time and so many hours, as RSS writes it."""
    return format_datetime(START + timedelta(hours=hours), usegmt=True)


def _played(stage: Stage, *documents: bytes, hours: float = 1.0) -> list[int]:
    """How many entries each document brought, all polled one after another."""
    stage.serve(*(ok(document) for document in documents))
    return [stage.poll(hours=hours).new for _ in documents]


@case(10)
def the_same_items_again(stage: Stage) -> None:
    """A feed that brings the same items in another order brings nothing."""
    assert _played(stage, rss(story(0), story(1)), rss(story(1), story(0))) == [2, 0]
    assert stage.group() == 2


@case(10)
def guids_that_are_positions(stage: Stage) -> None:
    """A guid that goes from one story to the next does not push the older story out."""
    links = [f"https://paper.example/{number}" for number in range(4)]
    first = rss(story(0, guid="1", link=links[0]), story(1, guid="2", link=links[1]))
    second = rss(story(2, guid="1", link=links[2]), story(0, guid="2", link=links[0]))
    third = rss(story(3, guid="1", link=links[3]), story(2, guid="2", link=links[2]))
    assert _played(stage, first, second, third, third) == [2, 1, 1, 0]
    assert stage.titles == sorted(title for title, _ in STORIES)
    assert stage.group() == 4


@case(10)
def positions_without_addresses(stage: Stage) -> None:
    """Nor does one in a feed whose items have no address, when title and date are others too."""

    def bare(number: int, guid: str) -> str:
        title, text = STORIES[number]
        date = f"<pubDate>{stamp(number)}</pubDate>"
        name = f"<guid isPermaLink='false'>{guid}</guid><title>{title}</title>"
        return f"<item>{name}<description>{text}</description>{date}</item>"

    documents = (
        rss(bare(0, "1"), bare(1, "2")),
        rss(bare(2, "1"), bare(0, "2")),
        rss(bare(2, "1"), bare(0, "2")) + b" ",
    )
    assert _played(stage, *documents) == [2, 1, 0]
    assert len(stage.titles) == 3


@case(10)
def one_guid_for_all(stage: Stage) -> None:
    """Items that all have one guid are told apart by their addresses."""
    assert _played(stage, rss(*(story(number, guid="same") for number in range(3)))) == [3]


@case(10)
def guids_that_change(stage: Stage) -> None:
    """Guids made anew at every fetch do not make new items."""
    documents = [rss(story(0, guid=f"a{n}"), story(1, guid=f"b{n}")) for n in range(3)]
    assert _played(stage, *documents) == [2, 0, 0]
    assert stage.group() == 2


@case(10)
def guids_and_addresses_that_change(stage: Stage) -> None:
    """Nor do guids and addresses that both change, while the text says the same."""
    more = " More words follow, so that nobody would write the same twice." * 4
    documents = [
        rss(story(0, guid=f"a{n}", link=f"https://paper.example/{n}/x", more=more)) for n in range(3)
    ]
    assert _played(stage, *documents) == [1, 0, 0]
    assert stage.group() == 1


@case(10)
def no_guids(stage: Stage) -> None:
    """Without a guid the address tells an item."""
    plain = rss(story(0), story(1)).replace(b"<guid isPermaLink='false'>guid-s0</guid>", b"")
    plain = plain.replace(b"<guid isPermaLink='false'>guid-s1</guid>", b"")
    assert _played(stage, plain, plain + b" ") == [2, 0]


@case(10)
def nothing_but_titles(stage: Stage) -> None:
    """Without guid and address its words tell an item."""
    bare = b"<rss version='2.0'><channel><item><title>Bridge closes</title></item><item><title>Vote</title></item>"
    assert _played(stage, bare + b"</channel></rss>", bare + b"</channel></rss> ") == [2, 0]


@case(10)
def guids_shared_between_feeds(stage: Stage) -> None:
    """A guid counts within its feed: two feeds with the same guids keep their own items."""
    stage.serve(ok(rss(story(0, guid="1"))), path="/a")
    stage.serve(ok(rss(story(1, guid="1"))), path="/b")
    stage.subscribe(stage.server.url("/a"), stage.server.url("/b"))
    stage.pass_over()
    assert len(stage.titles) == 2
    assert stage.group() == 2


@case(10)
def one_guid_twice_in_a_document(stage: Stage) -> None:
    """An item that stands twice in a document is one."""
    assert _played(stage, rss(story(0), story(0), story(1))) == [2]


@case(10)
def flapping_items(stage: Stage) -> None:
    """Items that leave the feed and come back are known."""
    both, one = rss(story(0), story(1)), rss(story(0))
    assert _played(stage, both, one, both, one, both) == [2, 0, 0, 0, 0]
    assert len(stage.titles) == 2


@case(10)
def edited_items(stage: Stage) -> None:
    """An edited item stays one entry and one event, and its old words are kept as a version."""
    assert _played(stage, rss(story(0)), rss(story(0, more=" Ferries will run."))) == [1, 0]
    assert stage.group() == 1
    assert "Ferries" in stage.rows("SELECT text FROM v1_entry")[0][0]
    assert len(stage.rows("SELECT text FROM entry_version")) == 1


@case(10)
def edited_headline(stage: Stage) -> None:
    """A new headline under the same guid and address is an edit."""
    other = rss(story(0).replace(STORIES[0][0], "Six weeks without the old bridge"))
    assert _played(stage, rss(story(0)), other) == [1, 0]
    assert stage.titles == ["Six weeks without the old bridge"]


@case(10)
def archive_with_todays_dates(stage: Stage) -> None:
    """A whole archive that is sent again with today's dates brings nothing."""
    old = rss(*(story(number, date=stamp(-24 * number)) for number in range(4)))
    new = rss(*(story(number, date=stamp(24 * 30)) for number in range(4)))
    assert _played(stage, old, new, hours=24 * 30) == [4, 0]
    assert stage.group() == 4


@case(10)
def archive_with_new_guids(stage: Stage) -> None:
    """Nor does one with today's dates and new guids at the same addresses."""
    old = rss(*(story(number, guid=f"old-{number}", date=stamp()) for number in range(4)))
    new = rss(*(story(number, guid=f"new-{number}", date=stamp(24 * 30)) for number in range(4)))
    assert _played(stage, old, new, hours=24 * 30) == [4, 0]
    assert stage.group() == 4


def _survives(stage: Stage, answer: Answer) -> None:
    """The feed turns into something else and back: it says so, and nothing is lost or doubled."""
    stage.serve(ok(rss(story(0), story(1))), answer, ok(rss(story(0), story(1), story(2))))
    stage.poll()
    assert stage.poll(hours=1).result is Result.FAILED
    assert stage.state.health is FeedHealth.FAILING
    assert len(stage.titles) == 2
    assert stage.poll(hours=9).new == 1
    assert stage.group() == 3


@case(10)
def turned_into_a_page(stage: Stage) -> None:
    """A feed that becomes an HTML page is failing; its entries stay."""
    _survives(
        stage, ok(b"<!doctype html><title>Moved</title><p>We have a new site!", Content_Type="text/html")
    )


@case(10)
def turned_into_nothing(stage: Stage) -> None:
    """So is one that becomes empty."""
    _survives(stage, ok(b""))


@case(10)
def turned_into_a_json_error(stage: Stage) -> None:
    """So is one that becomes an error in JSON with status 200."""
    _survives(stage, ok(b'{"error": {"code": 503, "message": "try later"}}', Content_Type="application/json"))


@case(10)
def turned_into_another_document(stage: Stage) -> None:
    """So is one that becomes a sitemap."""
    _survives(stage, ok(b"<urlset><url><loc>https://paper.example/</loc></url></urlset>"))


@case(10)
def emptied(stage: Stage) -> None:
    """A feed without items is a feed; its entries stay."""
    assert _played(stage, rss(story(0)), rss(), rss(story(0))) == [1, 0, 0]
    assert len(stage.titles) == 1


@case(10, "RFC 9110 15.3")
def emptied_by_an_error(stage: Stage) -> None:
    """A document torn behind some of its items gives those, and keeps the rest."""
    whole = rss(story(0), story(1), story(2))
    torn = whole[: whole.index(b"</item>") + 30]
    stage.serve(ok(whole), ok(torn), said(304))
    stage.poll()
    stage.poll(hours=1)
    assert len(stage.titles) == 3


@case(10)
def dates_before_the_web(stage: Stage) -> None:
    """A date of 1970 is a mistake: the item counts as published when first seen."""
    _played(stage, rss(story(0, date="Thu, 01 Jan 1970 00:00:00 GMT")))
    assert stage.rows("SELECT date_guessed FROM v1_entry") == [(1,)]


@case(10)
def dates_to_come(stage: Stage) -> None:
    """So is a date of 2099; and it stays where it was put, however often it is seen."""
    feed = rss(story(0, date="Thu, 01 Jan 2099 00:00:00 GMT"))
    assert _played(stage, feed, feed + b" ") == [1, 0]
    ((published, first_seen, guessed),) = stage.rows(
        "SELECT published_at, first_seen_at, date_guessed FROM v1_entry"
    )
    assert (published, guessed) == (first_seen, 1)


@case(10)
def dates_of_nothing(stage: Stage) -> None:
    """A date that can't be read is none, and the item is kept."""
    assert _played(stage, rss(story(0, date="31 February, noonish"))) == [1]
