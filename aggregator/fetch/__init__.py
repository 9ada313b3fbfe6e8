"""FeedStates become FetchResults here, politely and out of harm's way; the home of httpx and httpcore."""

from aggregator.fetch.client import Fetcher
from aggregator.fetch.exchange import Permits
from aggregator.fetch.hosts import HostQueue, registrable_domain
from aggregator.fetch.limits import Limits

__all__ = ["Fetcher", "HostQueue", "Limits", "Permits", "registrable_domain"]
