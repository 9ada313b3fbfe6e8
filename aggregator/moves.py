"""Whether a feed has moved: permanent redirects become its address only when they prove to be permanent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aggregator.types import NOT_MOVED, FeedState, Move

SIGHTINGS = 4
"""Sightings of one permanent redirect, at most one a day, before the feed counts as moved: after three days. A
captive portal, a slip in a server's configuration or a hijacked domain is mostly noticed within a weekend."""

APART = timedelta(hours=20)
"""Time between two sightings that count; less than a day, so that a feed polled once a day counts each poll."""

LOST_AFTER = 3
"""Failed polls in a row at the new address after which the feed is asked for at its own URL again."""


LONGEST = 2000
"""Characters of an address that a feed can move to; databases can't index much longer ones."""


def after_answer(state: FeedState, moved_to: str, now: datetime) -> FeedState:
    """The state after a poll that found a real feed, to which permanent redirects led by `moved_to` ("" = none).

    The feed counts as moved after SIGHTINGS, or at once if only its scheme changes from http to https on the same
    host. RFC 9110 15.4.2 lets a client take the first 301 for good; too many of them are mistakes.
    """
    move = state.move
    if not moved_to or len(moved_to) > LONGEST:
        return replace(state, move=Move("", 0, None, move.address))
    if moved_to == state.url:
        return replace(state, move=NOT_MOVED)
    if moved_to != move.to or move.seen_at is None:
        move = Move(moved_to, 1, now, move.address)
    elif now - move.seen_at >= APART:
        move = Move(moved_to, move.sightings + 1, now, move.address)
    if move.sightings >= SIGHTINGS or _only_adds_tls(state.address, moved_to):
        move = replace(move, address=moved_to)
    return replace(state, move=move)


def after_failure(state: FeedState) -> FeedState:
    """The state after a failed poll, `failures` counted: a new address that does not hold is given up."""
    if state.move.address and state.failures >= LOST_AFTER:
        return replace(state, move=NOT_MOVED)
    return state


def _only_adds_tls(old: str, new: str) -> bool:
    before, after = urlsplit(old), urlsplit(new)
    return (before.scheme, after.scheme) == ("http", "https") and before.hostname == after.hostname
