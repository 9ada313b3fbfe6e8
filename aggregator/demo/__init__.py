"""Sample feeds of invented outlets, and the loopback server that lets a newcomer poll them offline."""

from aggregator.demo.feeds import SampleFeed, sample_feeds
from aggregator.demo.server import DemoServer
from aggregator.demo.stories import expected_copies, expected_events, look_alikes

__all__ = [
    "DemoServer",
    "SampleFeed",
    "expected_copies",
    "expected_events",
    "look_alikes",
    "sample_feeds",
]
