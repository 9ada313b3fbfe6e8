"""FeedStates become FetchResults here, politely and out of harm's way; the home of httpx and httpcore."""

from aggregator.fetch.client import Fetcher
from aggregator.fetch.exchange import Permits
from aggregator.fetch.hosts import HostQueue, host_of, registrable_domain
from aggregator.fetch.limits import FetchError, Limits
from aggregator.fetch.post import Poster

__all__ = [
    "FetchError",
    "Fetcher",
    "HostQueue",
    "Limits",
    "Permits",
    "Poster",
    "host_of",
    "registrable_domain",
]
