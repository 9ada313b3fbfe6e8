"""What parse_date promises: one instant or None, never a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parse import parse_date

NOON = "2021-03-09 17:05:07"

READ = [
    # RFC 5322 and what becomes of it
    ("Tue, 09 Mar 2021 17:05:07 +0000", NOON),
    ("Tue, 9 Mar 2021 17:05:07 GMT", NOON),
    ("tue,9 mar 2021 17:05:07 ut", NOON),
    ("Tue , 09 Mar 2021 17:05:07 Z", NOON),
    ("09 Mar 21 17:05:07 UTC", NOON),
    ("9 Mar 2021 17:05 GMT", "2021-03-09 17:05:00"),
    ("Tue, 9, Mar 2021 17:5", "2021-03-09 17:05:00"),
    ("Tue, 09 Mar 2021 12:05:07 EST", NOON),
    ("Tue, 09 Mar 2021 12:05:07EST", NOON),
    ("Tue, 09 Mar 2021 11:05:07 -0600 CST", NOON),
    ("Tue, 09 Mar 2021 11:05:07 CST-06:00", NOON),
    ("Tue, 09 Mar 2021 18:05:07 GMT+0100", NOON),
    ("Tue, 09 Mar 2021 19:05:07 GMT+2", NOON),
    ("Tue, 09 Mar 2021 18:05:07+01:00", NOON),
    ("Tue, 09 Mar 2021 12:05:07 --0500", NOON),
    ("Tue, 09 Mar 2021 12:05:07 -05", NOON),
    ("Tue, 09 Mar 2021 12:05:07 -500", NOON),
    ("Tue, 09 Mar 2021 22:35:07 +0530 IST", NOON),
    ("Tue, 09 Mar 2021 17:05:07 00", NOON),
    ("Tue, 09 Mar 2021 17 +0000", "2021-03-09 17:00:00"),
    ("Tue Mar 09 2021 18:05:07 GMT+0100 (Central European Standard Time)", NOON),
    ("Tue Mar  9 17:05:07 2021", NOON),
    ("Tue Mar 9 12:05:07 EST 2021", NOON),
    ("Tue Mar 09 17:05:07 +0000 2021", NOON),
    ("Tuesday, 09-Mar-21 17:05:07 GMT", NOON),
    ("Tue, 09 Mar 2021 18:05:07 Europe/Brussels", NOON),
    ("Fri, 09 Jul 2021 19:05:07 Europe/Brussels", "2021-07-09 17:05:07"),
    ("Mon, 09 Mar 2021 17:05:07 GMT", NOON),
    ("Tues, 9th Mar 2021 17:05:07", NOON),
    ("9rd Mar 2021 17:05:07", NOON),
    # RFC 3339 and ISO 8601
    ("2021-03-09T17:05:07Z", NOON),
    ("2021-03-09t17:05:07z", NOON),
    ("2021-03-09T18:05:07+01:00", NOON),
    ("2021-03-09T18:05:07+01:00:00", NOON),
    ("2021-03-09T12:05:07:-0500", NOON),
    ("2021-03-09T12:05:07-05:00Z", NOON),
    ("2021-03-09T17:05:07:00", NOON),
    ("2021-3-9 17:05:07", NOON),
    ("2021/3/9 17:05:07 +00:00", NOON),
    ("20210309T170507Z", NOON),
    ("20210309180507+0100", NOON),
    ("2021-03-09 00:00:00.0 17:05:07.0 +0000", NOON),
    ("2021-03-09 at 17:05:07", NOON),
    ("2021-03-09T17:05:07.123456789Z", "2021-03-09 17:05:07.123456"),
    ("2021-03-09T17:05:07,5Z", "2021-03-09 17:05:07.500000"),
    ("2021-03-09T24:00:00Z", "2021-03-10 00:00:00"),
    ("2016-12-31T23:59:60Z", "2017-01-01 00:00:00"),
    ("2021-03-09T17:05:07\u221201:00", "2021-03-09 18:05:07"),
    # Offsets that no place uses are arithmetic all the same
    ("2021-03-09 00:00:00-13:00", "2021-03-09 13:00:00"),
    ("2021-03-09 00:00:00+15:00", "2021-03-08 09:00:00"),
    # Twelve hours
    ("March 9, 2021, 5:05 p.m.", "2021-03-09 17:05:00"),
    ("Mar. 9, 2021, 5:05 pm", "2021-03-09 17:05:00"),
    ("Tuesday, March 9, 2021 - 5:05pm", "2021-03-09 17:05:00"),
    ("Tue, March 9, 2021 at 12:05 PM EST", "2021-03-09 17:05:00"),
    ("March 9, 2021 12:00 AM", "2021-03-09 00:00:00"),
    ("March 9, 2021 17:05 PM", "2021-03-09 17:05:00"),
    ("March 9, 2021 5 PM", "2021-03-09 17:00:00"),
    ("March 9, 2021 5:05\u202fPM", "2021-03-09 17:05:00"),
    ("March 9, 2021 12:05 PM ET", "2021-03-09 17:05:00"),
    ("July 9, 2021 1:05 PM ET", "2021-07-09 17:05:00"),
    # Five more languages
    ("Di, 09 Mär 2021 18:05:07 +0100", NOON),
    ("Dienstag, 9. März 2021 - 17:05 Uhr", "2021-03-09 17:05:00"),
    ("mar., 09 mars 2021 17:05:07 +0000", NOON),
    ("mardi 9 mars 2021 à 17h05", "2021-03-09 17:05:00"),
    ("1er août 2021", "2021-08-01 00:00:00"),
    ("mar, 09 mar 2021 17:05:07 +0000", NOON),
    ("martes, 9 de marzo de 2021 17:05:07", NOON),
    ("terça-feira, 9 de março de 2021 17:05:07", NOON),
    ("ter, 09 fev 2021 17:05:07 +0000", "2021-02-09 17:05:07"),
    ("martedì 9 marzo 2021 ore 17:05", "2021-03-09 17:05:00"),
    ("sab, 01 mag 2021", "2021-05-01 00:00:00"),
    ("Sze, 10 Mar 2021 17:05:07 +0000", "2021-03-10 17:05:07"),
    # Dates without a time are midnight, without a zone UTC
    ("9 March, 2021", "2021-03-09 00:00:00"),
    ("2021 March 09", "2021-03-09 00:00:00"),
    ("09 Tuesday, Mar 2021 17:05", "2021-03-09 17:05:00"),
    ("9 Mar 2021 MST", "2021-03-09 07:00:00"),
    # Numeric dates that say which part is the day
    ("03/19/2021 5:05 pm EST", "2021-03-19 22:05:00"),
    ("Fri, 19/03/2021", "2021-03-19 00:00:00"),
    ("Tue, 03/09/2021 - 17:05", "2021-03-09 17:05:00"),
    ("Tue, 09/03/2021 - 17:05", "2021-03-09 17:05:00"),
    ("Tue, 09 03 2021 17:05:07 +0000", NOON),
    ("05/05/2021", "2021-05-05 00:00:00"),
    ("09.03.2021 17:05", "2021-03-09 17:05:00"),
    ("17:05 09.03.2021 +0000", "2021-03-09 17:05:00"),
    ("19.03.21", "2021-03-19 00:00:00"),
    ("03/19/21 17:05:07", "2021-03-19 17:05:07"),
    # Unix time
    ("1615309507", NOON),
    ("1615309507000", NOON),
]

REFUSED = [
    "",
    "today",
    "Mar. 2021",
    "2021",
    "2021-03",
    "17:05:07",
    "9 March",
    "09/03/2021",
    "9-3-2021",
    "Wed, 09/03/2021",
    "01/02/03",
    "21-3-9 17:05",
    "31/10/23",
    "2021-02-29",
    "2021-13-01",
    "2021-03-09T25:00:00Z",
    "2021-03-09T17:61:00Z",
    "2021-03-09T24:00:01Z",
    "2021-03-09 00:30 PM",
    "2021-03-09 16:30 AM",
    "Tue, 09 Mar 2021 17:05:07 IST",
    "Tue, 09 Mar 2021 17:05:07 Europe/Atlantis",
    "Tue, 09 Mar 2021 17:05:07 America/Argentina",
    "Tue, 09 Mar 2021 17:05:07 PST+1",
    "Tue, 09 Mar 2021 17:05:07 EST PST",
    "Tue, 09 Mar 2021 17:05:07 18:05:07",
    "9 Mar 2021 10 Apr 2021",
    "0001-01-01T00:00:00Z",
    "-0001-11-30T00:00:00+00:00",
    "0000-00-00 00:00:00",
    "9999-12-31T23:59:59-23:00",
    "161530950",
    "2021-W10-2",
    "2021-068",
    "9 Mar 2021 and more",
    "2021-03-09T17:05:07Z" + " " * 100,
]

FORMATS = [
    "%a, %d %b %Y %H:%M:%S +0000",
    "%A, %d %B %Y %H:%M:%S GMT",
    "%d %b %Y %H:%M:%S Z",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S UTC %Y",
    "%B %d, %Y, %I:%M:%S %p",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%dT%H%M%SZ",
    "%d.%m.%Y %H:%M:%S",
    "%a, %Y-%m-%d %H:%M:%S",
]

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2199, 12, 30))  # noqa: DTZ001  # naive: formatted below
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@pytest.mark.parametrize(("text", "expected"), READ)
def test_a_date_is_read(text: str, expected: str) -> None:
    assert parse_date(text) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", REFUSED)
def test_what_does_not_name_one_instant_is_refused(text: str) -> None:
    assert parse_date(text) is None


@given(MOMENTS, st.sampled_from(FORMATS))
def test_a_formatted_moment_comes_back(moment: datetime, layout: str) -> None:
    moment = moment.replace(microsecond=0)
    assert parse_date(moment.strftime(layout)) == moment.replace(tzinfo=UTC)


@given(MOMENTS, OFFSETS)
def test_any_offset_comes_back(moment: datetime, minutes: int) -> None:
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_date(aware.isoformat()) == aware
    assert parse_date(aware.strftime("%a, %d %b %Y %H:%M:%S %z")) == aware


@given(MOMENTS)
def test_a_numeric_date_is_never_read_the_wrong_way_round(moment: datetime) -> None:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    for layout in ("%d/%m/%Y", "%m/%d/%Y", "%a, %d/%m/%Y", "%a, %m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"):
        assert parse_date(day.strftime(layout)) in {day, None}


@given(st.text(max_size=120) | st.text("0123456789 :-+/.,TZapmGMT()janfebJul", max_size=100))
def test_any_text_gives_an_aware_moment_or_none(text: str) -> None:
    moment = parse_date(text)
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_the_longest_hostile_strings_are_refused_at_once() -> None:
    for piece in ("0", "00:", "a", "a.", "- ", "(", "1/", "Jan ", "\ufdfa", "A/", "00:00:00 "):
        assert parse_date((piece * 100)[:100]) is None


@given(
    st.sampled_from(["Tue, {day:02} Mar {year} ", "{year}-{month:02}-{day:02}T"]),
    st.tuples(st.integers(999, 9999), st.integers(0, 13), st.integers(0, 32)),
    st.tuples(st.integers(0, 24), st.integers(0, 60), st.integers(0, 60)),
    st.sampled_from(["Z", "GMT", " UTC", " {}{:02}{:02}", "{}{:02}:{:02}", ""]),
    st.tuples(st.sampled_from("+-"), st.integers(0, 24), st.integers(0, 60)),
)
def test_usual_dates_mean_what_they_mean_with_a_comment(
    form: str, day: tuple[int, ...], time: tuple[int, ...], zone: str, offset: tuple[str, int, int]
) -> None:
    named = form.format(year=day[0], month=day[1], day=day[2])
    text = named + ":".join(f"{part:02}" for part in time) + zone.format(*offset)
    # A comment keeps it from being read in the short way.
    assert parse_date(text) == parse_date(f"{text} (as said)")
