"""One pass of a flow for the commands that run one, with a progress bar: over feeds, over what waits."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aggregator.cli.screen import progress_bar
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.memory import give_back
from aggregator.pipeline.poll import open_poller, poll_all
from aggregator.pipeline.pruning import Doomed, Pruner
from aggregator.pipeline.reports import ClusterReport, PollReport
from aggregator.store import Store
from aggregator.store.analysing import analyse_grown
from aggregator.store.entries import count_pending
from aggregator.store.office import Office
from aggregator.types import FeedState
from aggregator.workers import ALONE, Crew, OnDemand, end_fork_server, helper_count

PAUSE_SECONDS = 0.02
"""Between two steps of removing: SQLite's waiting writers ask again within a tenth of that."""


def poll_once(store: Store, settings: Settings, states: Sequence[FeedState]) -> list[PollReport]:
    """Polls these feeds and gives a report for each."""
    reports = []
    with open_poller(store, settings) as poller, progress_bar("polling", len(states)) as steps:
        for report in poll_all(poller, states):
            reports.append(report)
            steps.advance()
    end_fork_server()
    give_back()
    return reports


def cluster_once(store: Store, settings: Settings, crew: Crew | None = None) -> ClusterReport | None:
    """Groups all pending entries; None if another process does that for this database.

    What waits is weighed by the crew; without one by this process, and what fits into one window by helpers, too.
    """
    with Office(store, "cluster") as office:
        elected = office.seek()
        if elected is None:
            return None
        with store.read() as db:
            waiting = count_pending(db)
        total = ClusterReport()
        with OnDemand(helper_count()) as own, progress_bar("grouping", waiting) as steps:
            clusterer = Clusterer(elected, settings, utc_now, crew or ALONE, crew or own)
            for report in clusterer.work():
                total += report
                steps.advance(report.entries)
        prune_all(Pruner(elected, settings, utc_now))
    analyse_grown(store.engine)
    return total


def prune_all(pruner: Pruner) -> Doomed:
    """Removes all that is past its time, in steps between which others can write; what that was."""
    events = entries = 0
    while (done := pruner.step()) is not None:
        events, entries = events + done.events, entries + done.entries
        time.sleep(PAUSE_SECONDS)
    return Doomed(events, entries)
