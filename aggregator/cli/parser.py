"""The commands' arguments; flags for settings are made from Settings, so that none can be forgotten."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from aggregator.config import PREFIX, Settings

MOST_SHOWN = 1_000_000
MOST_ORDERS = 1000

Run = Callable[[Settings, argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` in its result is the command: (settings, arguments) -> status."""
    settings = _settings_flags()
    parser = argparse.ArgumentParser(
        prog="aggregator",
        usage="aggregator [settings] COMMAND ...",
        description="Polls news feeds and keeps one canonical record per event, with its related items as teasers.",
        epilog="No command is the same as serve. Every setting can also come from the environment: "
        f"--interval 900 and {PREFIX}INTERVAL=900 mean the same.",
        parents=[settings],
    )
    parser.set_defaults(run=_serve, poll=True, cluster=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog="aggregator")

    def command(name: str, run: Run, summary: str, arguments: str = "") -> argparse.ArgumentParser:
        usage = f"aggregator {name} [options]{arguments}"
        made = commands.add_parser(name, help=summary, description=summary, usage=usage, parents=[settings])
        made.set_defaults(run=run)
        return made

    serve = command("serve", _serve, "Run the daemon: poll, group, keep going until stopped.")
    serve.add_argument("--no-poll", dest="poll", action="store_false", help="fetch nothing in this process")
    serve.add_argument(
        "--no-cluster", dest="cluster", action="store_false", help="group nothing in this process"
    )
    serve.add_argument("--no-web", action="store_true", help="serve no web page (this version has none)")
    poll = command("poll", _poll, "Poll the feeds that are due once, group what they bring, and stop.")
    poll.add_argument(
        "--all", action="store_true", help="all feeds now, as far as MIN_INTERVAL and servers allow"
    )
    poll.add_argument("--json", action="store_true", help="the summary as JSON")
    bring = command("import", _import, "Import entries from JSON Lines, then group them.", " FILE")
    bring.add_argument("file", help='a file, gzipped or not; "-" is standard input')
    bring.add_argument("--json", action="store_true", help="the summary as JSON")
    measure = command(
        "evaluate",
        _evaluate,
        "Group labelled entries in a scratch database, compare with the labels.",
        " FILE LABELS",
    )
    measure.add_argument("file", help='entries as for import; "-" is standard input')
    measure.add_argument("labels", help="lines of id, tab, event")
    measure.add_argument(
        "--orders", type=_count, default=0, help="also all at once, and in so many random orders (default 0)"
    )
    measure.add_argument("--json", action="store_true", help="as JSON")
    events = command("events", _events, "List events, those that grew last first.", " [WORD ...]")
    events.add_argument("words", nargs="*", help="only events one of whose entries has all these words")
    events.add_argument("--limit", type=_positive, default=30, help="at most so many (default 30)")
    events.add_argument("--json", action="store_true", help="as JSON")
    event = command("event", _no_action, "Show one event.", " show ID")
    actions = event.add_subparsers(title="actions", metavar="ACTION", prog="aggregator event", required=True)
    show = actions.add_parser(
        "show",
        help="Print an event's record.",
        usage="aggregator event show [options] ID",
        parents=[settings],
    )
    show.add_argument("id", type=_row_id, help="the event's id")
    show.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    show.set_defaults(run=_show)
    feeds = command("feeds", _no_action, "Show the feeds, or check them.", " list|check")
    listing = feeds.add_subparsers(title="actions", metavar="ACTION", prog="aggregator feeds", required=True)
    for name, run, summary in (
        ("list", _list_feeds, "Every listed feed and its state, as last seen."),
        ("check", _check_feeds, "Poll every feed that may be asked, then say what to do about which."),
    ):
        usage = f"aggregator feeds {name} [options]"
        about = listing.add_parser(name, help=summary, description=summary, usage=usage, parents=[settings])
        about.add_argument("--json", action="store_true", help="as JSON")
        about.set_defaults(run=run)
    explain = command(
        "explain",
        _explain,
        "Say why an entry is in its event, or why two are (not) together.",
        " ENTRY [OTHER]",
    )
    explain.add_argument("entry", type=_row_id, help="an entry's id")
    explain.add_argument("other", type=_row_id, nargs="?", help="another entry's id")
    explain.add_argument("--json", action="store_true", help="as JSON")
    demo = command("demo", _demo, "Serve bundled sample feeds on loopback, poll them, and show the events.")
    demo.add_argument("--keep", action="store_true", help="keep the demo's database and say where it is")
    return parser


def _settings_flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(add_help=False)
    group = flags.add_argument_group("settings")
    for name, field in Settings.model_fields.items():
        default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        group.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=f"{field.description} (default: {default if default != '' else 'none'})".replace("%", "%%"),
        )
    return flags


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:20]) <= MOST_SHOWN:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_SHOWN:,}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text[:20]) > MOST_ORDERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST_ORDERS}")
    return int(text)


def _row_id(text: str) -> int:
    if not text.isdecimal() or int(text[:20]) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is no id: ids are numbers such as `events` shows")
    return int(text)


# A command's own modules load when it runs: --help answers at once, and events needs no HTTP client.


def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.polling import serve  # noqa: PLC0415

    return serve(settings, arguments)


def _poll(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.polling import poll  # noqa: PLC0415

    return poll(settings, arguments)


def _import(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.bringing import bring  # noqa: PLC0415

    return bring(settings, arguments)


def _evaluate(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.evaluating import evaluate_file  # noqa: PLC0415

    return evaluate_file(settings, arguments)


def _events(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.events import list_events  # noqa: PLC0415

    return list_events(settings, arguments)


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.events import show_event  # noqa: PLC0415

    return show_event(settings, arguments)


def _list_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.feeds import list_feeds  # noqa: PLC0415

    return list_feeds(settings, arguments)


def _check_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.feeds import check_feeds  # noqa: PLC0415

    return check_feeds(settings, arguments)


def _explain(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.explaining import explain  # noqa: PLC0415

    return explain(settings, arguments)


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.demonstrating import demo  # noqa: PLC0415

    return demo(settings, arguments)


def _no_action(_settings: Any, _arguments: Any) -> int:
    raise AssertionError("argparse asks for an action")
