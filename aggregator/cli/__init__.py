"""The commands: argv in, exit status out. Each command's own work is in the file named after its subject."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from aggregator.cli.parser import parse
from aggregator.config import Settings, SettingsError, load_settings, strange_variables
from aggregator.logs import log_to_stderr

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: done; could not be done; wrong settings, arguments or OPML; ended by Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status; foreseeable faults are one message on standard error."""
    _mend_output()
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (head, less): nothing is left to say to it.
        _drop_output()
        return OK
    except KeyboardInterrupt:
        return _fault("stopped; what was finished is kept", INTERRUPTED)
    except OSError as error:
        _drop_output()
        place = error.filename or "the output"
        said = error.strerror or error
        return _fault(
            f"{place}: can't be opened or written ({said}): check its path, its rights and its space", FAILED
        )
    return status


def _run(argv: Sequence[str] | None) -> int:
    arguments = parse(sys.argv[1:] if argv is None else argv)
    given = vars(arguments)
    try:
        settings = load_settings({name: given.get(name) for name in Settings.model_fields})
    except SettingsError as error:
        return _fault(error, USAGE)
    log_to_stderr(settings)
    for warning in strange_variables():
        logging.getLogger(__name__).warning("%s", warning)
    from aggregator.opml import OpmlError  # noqa: PLC0415 (--help and wrong arguments answer without loading it)
    from aggregator.store import StoreError  # noqa: PLC0415

    try:
        return int(arguments.run(settings, arguments))
    except (OpmlError, SettingsError) as error:
        return _fault(error, USAGE)
    except StoreError as error:
        return _fault(error, FAILED)


def _mend_output() -> None:
    """Gives standard output and error that are closed, or can't write every character, something that works."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open until the program ends)
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    """Lets what is still buffered for standard output go nowhere, so that the end of the program is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _fault(error: object, status: int) -> int:
    sys.stderr.write(f"aggregator: {error}\n")
    return status
