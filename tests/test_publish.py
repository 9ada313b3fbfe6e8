"""An event as text and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime

from aggregator.publish import event_json, event_text
from aggregator.types import EventId, EventRecord, Teaser, TeaserKind

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = "The lamp of Veldmark was lit at dusk on Saturday, eleven years after the storm.\nTwo thousand people came."


def _teaser(text: str, full_text: str = "", kind: TeaserKind = TeaserKind.RELATED) -> Teaser:
    return Teaser(kind, text, full_text, "", "", "", None, None, None)


def _record(*teasers: Teaser, text: str = TEXT, title: str = "Lamp lit") -> EventRecord:
    return EventRecord(
        id=EventId(3),
        title=title,
        url="",
        source="",
        summary="",
        text=text,
        lang="en",
        published_at=NOON,
        first_seen_at=NOON,
        last_seen_at=NOON,
        entry_count=1,
        source_count=1,
        canonical_entry_id=None,
        merged_into=None,
        entries=(),
        teasers=teasers,
    )


def test_paragraphs_come_first_and_then_each_teaser() -> None:
    assert event_text(_record(_teaser("One…"), _teaser("Two…"))) == f"{TEXT}\nOne…\nTwo…\n"


def test_an_item_carried_in_full_prints_its_text_and_then_its_teaser() -> None:
    assert event_text(_record(_teaser("One…", "One and more"))).endswith("\nOne and more\nOne…\n")


def test_an_item_that_fits_uncut_is_printed_once() -> None:
    assert event_text(_record(_teaser("One", "One"))).endswith("came.\nOne\n")


def test_copies_do_not_repeat_the_records_own_beginning() -> None:
    copy = _teaser("The lamp of Veldmark was lit at dusk on Saturday, eleven ye…", kind=TeaserKind.COVERAGE)
    assert event_text(_record(copy, _teaser("One…"), _teaser("One…"))) == f"{TEXT}\nOne…\n"


def test_a_headline_alone_is_its_own_text() -> None:
    assert event_text(_record(text="")) == "Lamp lit\n"


def test_json_has_the_names_of_the_views_and_times_in_utc() -> None:
    value = event_json(_record(_teaser("One…")))
    assert value["published_at"] == "2026-11-23T12:00:00Z"
    assert value["teasers"][0]["kind"] == "related"
    assert value["merged_into"] is None
