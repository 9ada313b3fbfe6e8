"""Events and feeds for people and programs: text, JSON, advice. Pure: values in, text out."""

from __future__ import annotations

from aggregator.publish.advice import alarm_words, failure_words, feed_advice
from aggregator.publish.diagnosis import FeedEvidence, diagnose
from aggregator.publish.jsons import event_json, event_values, feed_json, plain_json, summary_json
from aggregator.publish.syndication import FeedHead, atom, json_feed
from aggregator.publish.text import event_text
from aggregator.publish.webhook import RESEND_PAUSE_CAP, message_body, signed_headers, wait_to_resend

__all__ = [
    "RESEND_PAUSE_CAP",
    "FeedEvidence",
    "FeedHead",
    "alarm_words",
    "atom",
    "diagnose",
    "event_json",
    "event_text",
    "event_values",
    "failure_words",
    "feed_advice",
    "feed_json",
    "json_feed",
    "message_body",
    "plain_json",
    "signed_headers",
    "summary_json",
    "wait_to_resend",
]
