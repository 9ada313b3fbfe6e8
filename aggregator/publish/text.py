"""An event's record as plain text, line for line."""

from __future__ import annotations

from aggregator.teaser import truncate
from aggregator.types import EventRecord


def event_text(record: EventRecord) -> str:
    """The record as text: the canonical entry's paragraphs (its title, if it has no text), then its teasers.

    One paragraph or teaser a line, each line once; a related item that the record itself carried in full prints
    its text, then its teaser. What would only repeat the record's own beginning (its copies) is left out.
    """
    own = record.text or record.title
    lines = [own]
    shown = {truncate(own)}
    for teaser in record.teasers:
        if teaser.text in shown:
            continue
        shown.add(teaser.text)
        lines += (
            [teaser.full_text, teaser.text] if teaser.full_text not in ("", teaser.text) else [teaser.text]
        )
    return "\n".join(lines) + "\n"
