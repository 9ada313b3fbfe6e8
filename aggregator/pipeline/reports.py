"""What the flows report of what they did. A pass with nothing to do reports without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aggregator.types import FeedState


class Result(StrEnum):
    """How a poll ended."""

    OK = "ok"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    PASSED_OVER = "passed over"
    STALE = "stale"
    OFFLINE = "no network"
    UNREACHED = "database unreachable"


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one poll did: `seen` items in the document, `new` of them stored for the first time.

    `seconds`: from its start to its last write.
    Passed over: not asked, as it was asked by somebody else since its state was read, or left the list. Stale:
    asked, but given to somebody else meanwhile, so that nothing was kept. Offline: not asked, or in vain, as there
    is no network. Unreached: nothing was kept, as the
    database could not be reached.
    """

    state: FeedState
    result: Result
    seen: int
    new: int
    edited: int
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What a step did: new entries settled, old ones looked at again, and what became of events."""

    entries: int = 0
    reviewed: int = 0
    created: int = 0
    grown: int = 0
    merged: int = 0

    def __add__(self, other: ClusterReport) -> ClusterReport:
        return ClusterReport(
            self.entries + other.entries,
            self.reviewed + other.reviewed,
            self.created + other.created,
            self.grown + other.grown,
            self.merged + other.merged,
        )
