"""The commands: argv in, exit status out. Each command's own work is in the file named after its subject."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from aggregator.cli.parser import build_parser
from aggregator.config import Settings, SettingsError, load_settings

OK, FAILED, USAGE = 0, 1, 2
"""Exit statuses: done; could not be done; wrong settings, arguments or OPML."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status; foreseeable faults are one message on standard error."""
    arguments = build_parser().parse_args(argv)
    given = vars(arguments)
    try:
        settings = load_settings({name: given.get(name) for name in Settings.model_fields})
    except SettingsError as error:
        return _fault(error, USAGE)
    _log_to_stderr(settings)
    from aggregator.opml import OpmlError  # noqa: PLC0415 (--help and wrong arguments answer without loading it)
    from aggregator.pipeline.importing import UnreadableFileError  # noqa: PLC0415
    from aggregator.store import StoreError  # noqa: PLC0415

    try:
        return int(arguments.run(settings, arguments))
    except OpmlError as error:
        return _fault(error, USAGE)
    except (StoreError, UnreadableFileError) as error:
        return _fault(error, FAILED)
    except KeyboardInterrupt:
        return _fault("stopped; what was finished is kept", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (head, less): nothing is left to say to it
        return OK


def _fault(error: object, status: int) -> int:
    sys.stderr.write(f"aggregator: {error}\n")
    return status


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    for chatty in ("httpx", "httpcore", "alembic", "apscheduler"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
