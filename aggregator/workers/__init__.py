"""Work in processes that can be killed: a hostile feed costs its own job, nothing else; and on all cores."""

from aggregator.workers.crew import (
    ALONE,
    Alone,
    Crew,
    CrewError,
    Lost,
    OnDemand,
    Processes,
    core_count,
    each_there,
    helper_count,
)
from aggregator.workers.dask_cluster import DaskCluster
from aggregator.workers.limits import JobLimits
from aggregator.workers.pool import ParserPool, PoolClosedError
from aggregator.workers.worker import end_fork_server

__all__ = [
    "ALONE",
    "Alone",
    "Crew",
    "CrewError",
    "DaskCluster",
    "JobLimits",
    "Lost",
    "OnDemand",
    "ParserPool",
    "PoolClosedError",
    "Processes",
    "core_count",
    "each_there",
    "end_fork_server",
    "helper_count",
]
