"""The commands' arguments; flags for settings are made from Settings, so that none can be forgotten."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from textwrap import fill
from typing import Any, NoReturn

from aggregator.cli.examples import epilog
from aggregator.config import PREFIX, Settings

MOST_SHOWN = 1_000_000
MOST_ORDERS = 1000

HELP_WIDTH = 78
SHELLS = ("bash", "zsh", "fish")

Run = Callable[[Settings, argparse.Namespace], int]


EXPORT = "events export"
"""A command of two words beside `events [WORD ...]`, whose words may be any but this one."""


def as_commands(argv: Sequence[str]) -> list[str]:
    """The arguments with `events export` as one word, as the parser knows that command."""
    words = list(argv)
    place = words.index("events") if "events" in words else len(words)
    if words[place : place + 2] == EXPORT.split():
        words[place : place + 2] = [EXPORT]
    return words


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line; one that is wrong ends the program with a message and status 2."""
    arguments, unknown = build_parser().parse_known_args(as_commands(argv))
    if unknown:
        parser: _Parser = arguments.parser
        parser.refuse(unknown)
    return arguments


class _Parser(argparse.ArgumentParser):
    """A parser that names what comes near to a word it does not know."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with the usage, the message and where to read more."""
        self.print_usage(sys.stderr)
        self.exit(2, f"aggregator: {message}; `{self.prog} --help` shows what there is\n")

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Ends the program for arguments that it has no use for."""
        first = unknown[0].partition("=")[0]
        self.error(f"unrecognized arguments: {' '.join(unknown)}{_near(first, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            near = _near(str(value), choices) or f" (choose from {', '.join(choices)})"
            raise argparse.ArgumentError(action, f"invalid choice: {str(value)!r}{near}")


def _near(word: str, known: Iterable[str]) -> str:
    # Without the dashes, which make any two short options look alike.
    names = {name.lstrip("-"): name for name in known}
    near = get_close_matches(word.lstrip("-"), names, 1)
    return f", did you mean {names[near[0]]}?" if near else ""


def build_parser(*, as_typed: bool = False) -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` in its result is the command: (settings, arguments) -> status.

    With `as_typed`, `events export` is two words, as shells see it; WORD is then not known.
    """
    settings = _settings_flags()
    about = (
        "Polls news feeds and keeps one canonical record per event, with its related items as teasers. "
        "No command is the same as serve. Every setting can also come from the environment: "
        f"--interval 900 and {PREFIX}INTERVAL=900 mean the same."
    )
    parser = _Parser(
        prog="aggregator",
        usage="aggregator [settings] COMMAND ...",
        description=fill(about, HELP_WIDTH),
        epilog=epilog(""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[settings],
    )
    parser.set_defaults(run=_serve, poll=True, cluster=True, web=True, parser=parser)
    commands = _Commands(
        parser.add_subparsers(title="commands", metavar="COMMAND", prog="aggregator"), settings
    )
    _polling(commands)
    _entries(commands)
    _events(commands, as_typed=as_typed)
    _event(commands)
    _webhook_command(commands)
    _feeds(commands)
    _weights(commands)
    _database(commands)
    commands.add(
        "demo", _demo, "Serve bundled sample feeds on loopback, poll them, and show the events."
    ).add_argument("--keep", action="store_true", help="keep the demo's database and say where it is")
    commands.add(
        "completion",
        _completion,
        "Print a script by which a shell completes this program's commands.",
        " SHELL",
    ).add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")
    return parser


@dataclass(frozen=True, slots=True)
class _Commands:
    """A level of commands, each of which also takes the settings; `path` is what stands before their names."""

    parsers: Any
    settings: argparse.ArgumentParser
    path: str = ""

    def add(self, name: str, run: Run, summary: str, arguments: str = "") -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = self.parsers.add_parser(
            name,
            help=summary,
            description=fill(summary, HELP_WIDTH),
            epilog=epilog(f"{self.path}{name}"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            usage=f"aggregator {self.path}{name} [options]{arguments}",
            parents=[self.settings],
        )
        made.set_defaults(run=run, parser=made)
        return made

    def below(self, name: str, summary: str, arguments: str) -> _Commands:
        """A command that is a level of its own."""
        parser = self.add(name, _no_action, summary, arguments)
        actions = parser.add_subparsers(
            title="actions", metavar="ACTION", prog=f"aggregator {name}", required=True
        )
        return _Commands(actions, self.settings, f"{self.path}{name} ")


def _polling(commands: _Commands) -> None:
    serve = commands.add("serve", _serve, "Run the daemon: poll, group, keep going until stopped.")
    serve.add_argument("--no-poll", dest="poll", action="store_false", help="fetch nothing in this process")
    serve.add_argument(
        "--no-cluster", dest="cluster", action="store_false", help="group nothing in this process"
    )
    serve.add_argument("--no-web", dest="web", action="store_false", help="serve no web page")
    poll = commands.add("poll", _poll, "Poll the feeds that are due once, group what they bring, and stop.")
    poll.add_argument(
        "--all", action="store_true", help="all feeds now, as far as MIN_INTERVAL and servers allow"
    )
    _as_json(poll)


def _entries(commands: _Commands) -> None:
    bring = commands.add("import", _import, "Import entries from JSON Lines, then group them.", " FILE")
    bring.add_argument("file", help='a file, gzipped or not; "-" is standard input')
    workers = bring.add_mutually_exclusive_group()
    workers.add_argument(
        "--cores",
        type=_positive,
        default=None,
        metavar="N",
        help="processes that read and weigh (default: one for each core of this machine); the result is the same",
    )
    workers.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="the workers of a Dask cluster do that instead; ADDRESS: its scheduler's, as tcp://host:8786",
    )
    _as_json(bring)
    measure = commands.add(
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
    _as_json(measure)
    explain = commands.add(
        "explain",
        _explain,
        "Say why an entry is in its event, or why two are (not) together.",
        " ENTRY [OTHER]",
    )
    explain.add_argument("entry", type=_row_id, help="an entry's id")
    explain.add_argument("other", type=_row_id, nargs="?", help="another entry's id")
    _as_json(explain)


def _events(commands: _Commands, *, as_typed: bool) -> None:
    events = commands.add("events", _list_events, "List events, those that grew last first.", " [WORD ...]")
    events.add_argument("--limit", type=_positive, default=30, help="at most so many (default 30)")
    _as_json(events)
    if as_typed:
        below = events.add_subparsers(prog="aggregator events")
        _export_command(_Commands(below, commands.settings, "events "), "export")
    else:
        events.add_argument("words", nargs="*", help="only events one of whose entries has all these words")
        _export_command(commands, EXPORT)


def _event(commands: _Commands) -> None:
    event = commands.below("event", "Show an event, or correct it.", " show|merge|split|pin|unpin ...")
    show = event.add("show", _show, "Print an event's record.", " ID")
    show.add_argument("id", type=_row_id, help="the event's id")
    show.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _corrections(event)


def _feeds(commands: _Commands) -> None:
    feeds = commands.below(
        "feeds", "Show, check or change the list of feeds.", " list|check|add|remove|import|export"
    )
    _as_json(feeds.add("list", _list_feeds, "Every listed feed and its state, as last seen."))
    _as_json(
        feeds.add(
            "check",
            _check_feeds,
            "Poll every feed that may be asked, then say what to do about which; "
            "exit status 3 if anything, 1 if it could not look.",
        )
    )
    add = feeds.add(
        "add", _add_feed, "Add a feed to the OPML file, found from the address of its site.", " URL"
    )
    add.add_argument("url", metavar="URL", help="the address of the feed, or of a page of its site")
    add.add_argument("--pick", type=_positive, metavar="NUMBER", help="of several feeds found, that one")
    add.add_argument("--no-fetch", action="store_true", help="fetch nothing: add the address as it is")
    add.add_argument("--category", default="", metavar="PATH", help="where it belongs, as World/Europe")
    add.add_argument("--title", default="", help="its title (default: as the feed says, else its host)")
    remove = feeds.add("remove", _remove_feed, "Take a feed out of the OPML file; its entries stay.", " FEED")
    remove.add_argument(
        "feed",
        metavar="FEED",
        help="its address, its id as `feeds list` shows it, or its title if no other has that",
    )
    merge = feeds.add("import", _import_feeds, "Add the feeds of another program's OPML export.", " FILE")
    merge.add_argument("file", metavar="FILE", help="an OPML file, as other feed readers export it")
    merge.add_argument("--dry-run", action="store_true", help="only show what would be added")
    for command in (add, remove, merge):
        command.add_argument(
            "--repair", action="store_true", help="write the file anew if it is not well-formed"
        )
    export = feeds.add("export", _export_feeds, "Write the list as clean OPML.", " [FILE]")
    export.add_argument(
        "file", nargs="?", default="-", help='a new file; "-", the default, is standard output'
    )


def _export_command(commands: _Commands, name: str) -> None:
    export = commands.add(name, _export, "Write the records of all events to a file, for other programs.")
    export.add_argument(
        "--output", metavar="FILE", default="-", help='where to; "-", the default, is standard output'
    )
    export.add_argument(
        "--format",
        choices=("jsonl", "parquet"),
        help="JSON Lines or Parquet (default: parquet if FILE ends so, else jsonl)",
    )
    for flag, about in (("--since", "since then"), ("--until", "before then")):
        export.add_argument(
            flag,
            type=_time,
            metavar="TIME",
            help=f"only events that grew last {about}, as 2026-11-20 or 2026-11-20T14:00 (UTC)",
        )


def _webhook_command(commands: _Commands) -> None:
    webhook = commands.add("webhook", _webhook, "Show what waits for the webhook, and what was given up.")
    webhook.add_argument("--retry", action="store_true", help="send again what was given up")
    _as_json(webhook)


def _database(commands: _Commands) -> None:
    _as_json(commands.add("status", _status, "Show what runs, what is wrong, and what comes next."))
    database = commands.below("db", "Look after the database.", " prune|backup|check|vacuum|upgrade|move")
    prune = database.add("prune", _prune, "Remove the events that have not grown for KEEP_DAYS.")
    prune.add_argument("--dry-run", action="store_true", help="only say how much that is")
    backup = database.add(
        "backup", _backup, "Copy the database, also while it is used, and verify it.", " FILE"
    )
    backup.add_argument("file", help="a new file")
    check = database.add("check", _check, "Look for what does not fit together; exit status 3 if anything.")
    check.add_argument("--repair", action="store_true", help="make anew what can be made from the entries")
    vacuum = database.add("vacuum", _vacuum, "Give the room of what was removed back to the disk.")
    upgrade = database.add("upgrade", _upgrade, "Bring the database to the newest schema.")
    move = database.add(
        "move", _move, "Move an SQLite database to an empty PostgreSQL database, verified.", " TARGET_URL"
    )
    move.add_argument("target", metavar="TARGET_URL", help="postgresql://user:password@host:5432/name")
    move.add_argument(
        "--restart", action="store_true", help="throw away what an unfinished move left in the target"
    )
    for action in (prune, backup, check, vacuum, upgrade, move):
        _as_json(action)


def _corrections(event: _Commands) -> None:
    merge = event.add("merge", _merge, "Say that two events are one; it keeps the id of the first.", " A B")
    merge.add_argument("id", type=_row_id, metavar="A", help="the event that stays")
    merge.add_argument("other", type=_row_id, metavar="B", help="the event that joins it")
    split = event.add("split", _split, "Say that entries of an event tell another one.", " ID ENTRY ...")
    split.add_argument("id", type=_row_id, metavar="ID", help="the event, which keeps its id")
    split.add_argument(
        "entries", type=_row_id, nargs="+", metavar="ENTRY", help="entries that leave it together"
    )
    pin = event.add("pin", _pin, "Make an entry the record of its event, now and later.", " ENTRY")
    unpin = event.add("unpin", _unpin, "Let the record of a pinned entry's event be chosen again.", " ENTRY")
    for action in (pin, unpin):
        action.add_argument("entry", type=_row_id, metavar="ENTRY", help="the entry's id")
    for action in (merge, split, pin, unpin):
        _as_json(action)


def _weights(commands: _Commands) -> None:
    tune = commands.add(
        "calibrate",
        _calibrate,
        "Move the weights towards labelled entries, or corrections.",
        " [FILE LABELS]",
    )
    tune.add_argument(
        "file",
        nargs="?",
        help='entries as for import; "-" is standard input; without it, the corrections in the database count',
    )
    tune.add_argument("labels", nargs="?", help="lines of id, tab, event")
    tune.add_argument("--output", default="weights.json", help="where to write them (default weights.json)")
    _as_json(tune)

    anew = commands.add(
        "recluster",
        _recluster,
        "Group the newest entries anew, after the weights or the window have changed.",
    )
    anew.add_argument(
        "--since",
        type=_time,
        help="entries published since then, as 2026-11-20 or 2026-11-20T14:00 (UTC); default: those within "
        "WINDOW_DAYS of the newest",
    )
    anew.add_argument("--dry-run", action="store_true", help="only say what would change")
    anew.add_argument(
        "--cores",
        type=_positive,
        default=None,
        metavar="N",
        help="processes that weigh (default: one for each core of this machine); the result is the same",
    )
    _as_json(anew)


def _time(value: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{value!r} is no date: write 2026-11-20 or 2026-11-20T14:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _settings_flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(add_help=False)
    group = flags.add_argument_group("settings")
    for name, field in Settings.model_fields.items():
        shown = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        default = "none" if shown in ("", None) else shown
        flag, about = f"--{name.replace('_', '-')}", f"{field.description} (default: {default})"
        if field.annotation is bool:
            group.add_argument(
                flag, action="store_const", const="true", default=argparse.SUPPRESS, help=about
            )
        else:
            group.add_argument(
                flag, metavar="VALUE", default=argparse.SUPPRESS, help=about.replace("%", "%%")
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


def _calibrate(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.calibrating import calibrate  # noqa: PLC0415

    return calibrate(settings, arguments)


def _recluster(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.reclustering import recluster  # noqa: PLC0415

    return recluster(settings, arguments)


def _completion(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.completing import completion  # noqa: PLC0415

    return completion(settings, arguments)


def _list_events(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.events import list_events  # noqa: PLC0415

    return list_events(settings, arguments)


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.exporting import export_events  # noqa: PLC0415

    return export_events(settings, arguments)


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.events import show_event  # noqa: PLC0415

    return show_event(settings, arguments)


def _merge(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.correcting import merge_command  # noqa: PLC0415

    return merge_command(settings, arguments)


def _split(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.correcting import split_command  # noqa: PLC0415

    return split_command(settings, arguments)


def _pin(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.correcting import pin_command  # noqa: PLC0415

    return pin_command(settings, arguments)


def _unpin(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.correcting import unpin_command  # noqa: PLC0415

    return unpin_command(settings, arguments)


def _list_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.feeds import list_feeds  # noqa: PLC0415

    return list_feeds(settings, arguments)


def _add_feed(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.editing import add_to_list  # noqa: PLC0415

    return add_to_list(settings, arguments)


def _remove_feed(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.editing import remove_from_list  # noqa: PLC0415

    return remove_from_list(settings, arguments)


def _import_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.editing import import_list  # noqa: PLC0415

    return import_list(settings, arguments)


def _export_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.editing import export_list  # noqa: PLC0415

    return export_list(settings, arguments)


def _check_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.feeds import check_feeds  # noqa: PLC0415

    return check_feeds(settings, arguments)


def _explain(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.explaining import explain  # noqa: PLC0415

    return explain(settings, arguments)


def _webhook(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.webhook import webhook  # noqa: PLC0415

    return webhook(settings, arguments)


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.status import status  # noqa: PLC0415

    return status(settings, arguments)


def _prune(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.database import prune  # noqa: PLC0415

    return prune(settings, arguments)


def _backup(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.database import backup  # noqa: PLC0415

    return backup(settings, arguments)


def _check(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.database import check  # noqa: PLC0415

    return check(settings, arguments)


def _vacuum(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.database import vacuum  # noqa: PLC0415

    return vacuum(settings, arguments)


def _upgrade(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.database import upgrade  # noqa: PLC0415

    return upgrade(settings, arguments)


def _move(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.moving import move  # noqa: PLC0415

    return move(settings, arguments)


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from aggregator.cli.demonstrating import demo  # noqa: PLC0415

    return demo(settings, arguments)


def _no_action(_settings: Any, _arguments: Any) -> int:
    raise AssertionError("argparse asks for an action")
