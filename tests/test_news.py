"""What is new in a document, given what the store knows of its items."""

from __future__ import annotations

from aggregator.pipeline.news import TELLING_TEXT, find_news
from aggregator.types import EntryId, KnownEntry
from tests.test_signature import NOON, TEXT, entry

URL = "https://news.example/a"


def _known(name: str = "g:1", **given: object) -> tuple[str, KnownEntry]:
    values: dict[str, object] = {
        "id": EntryId(7),
        "canonical_url": URL,
        "title": "Lamp lit",
        "text": "",
        "published_at": NOON,
        "content_hash": "x",
    }
    return name, KnownEntry(**(values | given))  # type: ignore[arg-type]  # a table of defaults


def test_an_unknown_item_is_new_and_signed() -> None:
    news = find_news([entry("Lamp lit", TEXT, identity="g:1")], [])
    assert [one.identity for one, _ in news.new] == ["g:1"]
    assert news.new[0][1].minhash
    assert (news.edits, news.aliases) == ((), ())


def test_a_known_item_is_nothing() -> None:
    news = find_news([entry("Lamp lit", TEXT, identity="g:1", content_hash="x")], [_known()])
    assert (news.new, news.edits, news.aliases) == ((), (), ())


def test_a_known_item_that_reads_otherwise_is_an_edit() -> None:
    news = find_news([entry("Lamp lit", TEXT, identity="g:1", content_hash="y")], [_known()])
    assert [edit.id for edit in news.edits] == [7]
    assert (news.new, news.aliases) == ((), ())


def test_the_same_item_under_a_changed_guid_is_not_new() -> None:
    changed = entry("Lamp lit", TEXT, identity="g:2", canonical_url=URL, content_hash="x")
    news = find_news([changed], [_known()])
    assert [(alias.id, alias.identity) for alias in news.aliases] == [(7, "g:2")]
    assert (news.new, news.edits) == ((), ())


def test_an_alias_that_is_known_is_the_item_itself() -> None:
    changed = entry("Lamp lit", TEXT, identity="g:2", canonical_url=URL, content_hash="x")
    news = find_news([changed], [_known(), _known("g:2")])
    assert (news.new, news.edits, news.aliases) == ((), (), ())


def test_two_items_of_one_address_in_one_document_are_two() -> None:
    first = entry("Lamp lit", TEXT, identity="g:1", canonical_url=URL, content_hash="x")
    second = entry("Lamp lit", TEXT, identity="g:2", canonical_url=URL, content_hash="x")
    assert [one.identity for one, _ in find_news([first, second], [_known()]).new] == ["g:2"]


def test_another_story_at_a_known_address_is_new() -> None:
    other = entry("Bees are back", TEXT, identity="g:2", canonical_url=URL)
    assert len(find_news([other], [_known()]).new) == 1


def test_items_without_an_address_are_never_taken_for_each_other() -> None:
    other = entry("Lamp lit", TEXT, identity="g:2", canonical_url="")
    assert len(find_news([other], [_known(canonical_url="")]).new) == 1


LONG = TEXT * (1 + TELLING_TEXT // len(TEXT))


def test_a_long_text_that_comes_again_under_another_name_and_address_is_no_news() -> None:
    again = entry("Lamp lit", LONG, identity="g:2", canonical_url="https://moved.example/a", content_hash="y")
    news = find_news([again], [_known(text=LONG)])
    assert ([alias.identity for alias in news.aliases], news.new) == (["g:2"], ())


def test_a_short_text_that_comes_again_at_another_address_is_news() -> None:
    again = entry("Lamp lit", "As ever.", identity="g:2", canonical_url="https://news.example/b")
    assert len(find_news([again], [_known(text="As ever.")]).new) == 1


def test_an_item_without_an_address_that_says_the_same_is_no_news() -> None:
    again = entry("Lamp lit", "As ever.", identity="g:2", content_hash="x")
    assert len(find_news([again], [_known(canonical_url="", text="As ever.")]).aliases) == 1


def test_of_a_part_of_a_feed_nothing_is_taken_for_a_changed_guid() -> None:
    changed = entry("Lamp lit", TEXT, identity="g:2", canonical_url=URL, content_hash="x")
    news = find_news([changed], [_known()], is_whole=False)
    assert (len(news.new), news.aliases) == (1, ())
