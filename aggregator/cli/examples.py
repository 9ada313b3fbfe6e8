"""What people type: an example or two of each command, shown by its --help."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": ("aggregator", "aggregator --opml ~/news.opml poll", "aggregator events --help"),
        "serve": ("aggregator serve --port 8080", "aggregator serve --no-web"),
        "poll": ("aggregator poll --all",),
        "import": ("aggregator import archive.jsonl.gz --cores 4", "aggregator import - < entries.jsonl"),
        "evaluate": ("aggregator evaluate entries.jsonl labels.tsv --orders 3",),
        "explain": ("aggregator explain 17", "aggregator explain 17 42"),
        "events": ("aggregator events", "aggregator events lighthouse storm --limit 10"),
        "events export": ("aggregator events export --output events.jsonl --since 2026-11-01",),
        "webhook": ("aggregator webhook --retry",),
        "event": ("aggregator event show 7",),
        "event show": ("aggregator event show 7 --format json",),
        "event merge": ("aggregator event merge 7 9",),
        "event split": ("aggregator event split 7 17 42",),
        "event pin": ("aggregator event pin 17",),
        "event unpin": ("aggregator event unpin 17",),
        "feeds": ("aggregator feeds list",),
        "feeds list": ("aggregator feeds list --json",),
        "feeds check": ("aggregator feeds check",),
        "feeds add": (
            "aggregator feeds add https://paper.example/ --category World/Europe",
            "aggregator feeds add https://paper.example/ --pick 2",
        ),
        "feeds remove": (
            "aggregator feeds remove https://paper.example/rss",
            "aggregator feeds remove 12",
            "aggregator feeds remove 'The Paper'",
        ),
        "feeds import": ("aggregator feeds import feedly.opml --dry-run",),
        "feeds export": ("aggregator feeds export backup.opml",),
        "calibrate": (
            "aggregator calibrate",
            "aggregator calibrate entries.jsonl labels.tsv --output weights.json",
        ),
        "recluster": ("aggregator recluster --dry-run --since 2026-11-20",),
        "status": ("aggregator status",),
        "db": ("aggregator db check",),
        "db prune": ("aggregator db prune --dry-run --keep-days 90",),
        "db backup": ("aggregator db backup news-copy.db",),
        "db check": ("aggregator db check --repair",),
        "db vacuum": ("aggregator db vacuum",),
        "db upgrade": ("aggregator db upgrade",),
        "db move": ("aggregator db move postgresql://news@db.example/news",),
        "demo": ("aggregator demo --keep",),
        "completion": ("aggregator completion bash > aggregator.bash",),
    }
)
"""By the words of the command."""


def epilog(path: str) -> str:
    """The examples of a command as its help shows them, "" without any."""
    lines = EXAMPLES.get(path, ())
    return (
        "\n".join(["examples:" if len(lines) > 1 else "example:", *(f"  {line}" for line in lines)])
        if lines
        else ""
    )
