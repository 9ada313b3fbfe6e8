"""Parsing and normalising in processes that can be killed: a hostile feed costs its own job, nothing else."""

from aggregator.workers.pool import ParserPool, PoolClosedError, end_fork_server

__all__ = ["ParserPool", "PoolClosedError", "end_fork_server"]
