"""Changes to the OPML file that the program makes itself: whole or not at all, with the file before beside it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aggregator.config import Settings
from aggregator.opml import OpmlError
from aggregator.opml.edit import repaired


def change_list(settings: Settings, change: Callable[[bytes], bytes], *, repair: bool) -> None:
    """Replaces the OPML file by what `change` makes of its content; FILE.bak is the file before.

    Changes by several of our own commands at once are made one after another.
    A symbolic link is followed; mode and, where allowed, owner stay. With `repair` a file that is not well-formed
    is written anew first. Raises OpmlError if the file can't be changed, or somebody else changes it meanwhile.
    """
    file = settings.opml.resolve()
    with _alone_in(file.parent):
        _change(settings, file, change, repair=repair)


def _change(settings: Settings, file: Path, change: Callable[[bytes], bytes], *, repair: bool) -> None:
    try:
        before = file.read_bytes()
    except OSError as error:
        raise OpmlError(
            f"{settings.opml}: can't be read ({error.strerror}): name another with --opml."
        ) from None
    try:
        after = change(repaired(before) if repair else before)
    except OpmlError as error:
        raise OpmlError(f"{settings.opml}: {error}") from None
    status = file.stat()
    _write(file.with_name(f"{file.name}.bak"), before, status)
    if file.read_bytes() != before:
        raise OpmlError(f"{settings.opml}: somebody else has just changed it: try again.")
    _write(file, after, status)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other command of this program changes a list in the folder meanwhile, where its file system has locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield  # what is wrong with it will be said when the file is read
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, content: bytes, like: os.stat_result) -> None:
    """Puts a file with this content, and mode and owner of another, in the place of what is there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(content)
            new.flush()
            with suppress(PermissionError):
                os.fchown(new.fileno(), like.st_uid, like.st_gid)
            os.fchmod(new.fileno(), like.st_mode & 0o7777)
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
