"""Parsing and normalising in processes that can be killed: a hostile feed costs its own job, nothing else."""

from aggregator.workers.pool import ParserPool, PoolClosedError

__all__ = ["ParserPool", "PoolClosedError"]
