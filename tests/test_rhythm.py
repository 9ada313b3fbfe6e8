"""A feed's own rhythm: when it falls silent, and what is far too much for it."""

from __future__ import annotations

import pytest

from aggregator.rhythm import bursts, emits_anew, silent_from
from aggregator.types import AlarmKind, Brought

WEEKLY = {7 * week: 1 for week in range(10)}
HOURLY = dict.fromkeys(range(64), 24)
DAILY = dict.fromkeys(range(64), Brought(24, 0))


@pytest.mark.parametrize(
    ("by_day", "day"),
    [
        (WEEKLY, 63 + 3 * 7 + 1),
        (HOURLY, 63 + 1 + 1),
        (dict.fromkeys(range(64), 2), 63 + 3 + 1),
        (HOURLY | {30: 0}, 63 + 3 * 2 + 1),
        (HOURLY | {63: 1}, 63 + 1 + 1),
        ({0: 1, 1: 1, 2: 1}, None),
        ({}, None),
    ],
)
def test_a_feed_is_silent_after_far_more_quiet_than_it_ever_had(
    by_day: dict[int, int], day: int | None
) -> None:
    assert silent_from(by_day) == day


def test_a_later_entry_of_the_same_day_puts_no_silence_off() -> None:
    assert silent_from(HOURLY | {64: 1}) == silent_from(HOURLY | {64: 90})


@pytest.mark.parametrize(
    ("by_day", "found"),
    [
        (DAILY, {}),
        (DAILY | {64: Brought(119, 0)}, {}),
        (DAILY | {64: Brought(120, 0)}, {AlarmKind.FLOOD: 120}),
        (dict.fromkeys(range(64), Brought(1, 0)) | {64: Brought(49, 0)}, {}),
        ({64: Brought(5_000, 0)}, {}),
        (DAILY | {63: Brought(120, 0)}, {AlarmKind.FLOOD: 120}),
        (DAILY | {62: Brought(120, 0)}, {}),
        (DAILY | {64: Brought(0, 30)}, {AlarmKind.AGAIN: 30}),
        (DAILY | {64: Brought(900, 30)}, {AlarmKind.FLOOD: 900, AlarmKind.AGAIN: 30}),
        ({64: Brought(0, 30)}, {}),
        (dict.fromkeys(range(64), Brought(3, 30)) | {64: Brought(3, 30)}, {}),
        (dict.fromkeys(range(64), Brought(3, 30)) | {64: Brought(3, 150)}, {AlarmKind.AGAIN: 150}),
        (DAILY | {10: Brought(24, 30), 64: Brought(24, 30)}, {AlarmKind.AGAIN: 30}),
    ],
)
def test_what_is_far_too_much_goes_by_the_feeds_own_days(
    by_day: dict[int, Brought], found: dict[AlarmKind, int]
) -> None:
    assert bursts(by_day, 64) == found


@pytest.mark.parametrize(
    ("again", "items", "does"), [(10, 20, True), (9, 9, False), (10, 21, False), (200, 200, True)]
)
def test_a_feed_emits_anew_when_a_large_part_of_its_document_was_there_before(
    again: int,
    items: int,
    does: bool,  # noqa: FBT001
) -> None:
    assert emits_anew(again, items) is does
