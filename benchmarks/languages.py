"""Made-up events told in several languages (languages.toml), with look-alikes of them, in two halves."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path


def told_in_languages(suffix: str) -> tuple[list[bytes], dict[str, str]]:
    """One half, "a" or "b": the lines of its entries, and the event of each.

    An event and its look-alike are in the same half.
    """
    events = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))["event"]
    families = sorted({event.get("like", event["key"]) for event in events})
    random.Random(1).shuffle(families)
    half = families[: len(families) // 2] if suffix == "a" else families[len(families) // 2 :]
    lines, labels = [], {}
    for event in events:
        if event.get("like", event["key"]) not in half:
            continue
        for lang, title, lead in event["items"]:
            name = f"{event['key']}-{lang}"
            labels[name] = event["key"]
            line = {"id": name, "title": title, "text": lead, "url": None, "published": None, "lang": lang}
            lines.append(json.dumps(line).encode())
    return lines, labels
