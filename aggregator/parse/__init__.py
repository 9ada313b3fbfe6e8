"""Feed documents become ParsedFeeds here, whatever their format and however broken; the home of feedparser."""

from aggregator.parse.dates import parse_date
from aggregator.parse.feed import parse_feed

__all__ = ["parse_date", "parse_feed"]
