"""Events and feeds for people and programs: text, JSON, advice. Pure: values in, text out."""

from __future__ import annotations

from aggregator.publish.advice import feed_advice
from aggregator.publish.jsons import event_json, feed_json, summary_json
from aggregator.publish.text import event_text

__all__ = ["event_json", "event_text", "feed_advice", "feed_json", "summary_json"]
