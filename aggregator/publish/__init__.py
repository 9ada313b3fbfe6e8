"""Events for people and programs: the record as text and as JSON. Pure: values in, text out."""

from __future__ import annotations

from aggregator.publish.jsons import event_json, summary_json
from aggregator.publish.text import event_text

__all__ = ["event_json", "event_text", "summary_json"]
