"""The lines of a file, gzipped or not, in parts; where each begins, so that reading can go on there."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import xxhash

from aggregator.pipeline.lines import LINE_LIMIT, Part

PART_LINES = 500
PART_BYTES = 400_000
"""A part ends with whichever it reaches first: half a second of reading, and little to read again after a kill."""

TOLD_BYTES = 1 << 20
"""Bytes of a file's beginning, and of its end, that tell it from another one of the same size."""


class UnreadableFileError(Exception):
    """The file can't be read at all; the text says why and what to do."""


class Source:
    """An open file of lines. `identity` is "" and `size` None where the same can't be read again (standard input).

    Reading raises UnreadableFileError.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._disk = file
        with _read_errors(name):
            start = file.peek(2)[:2]  # type: ignore[attr-defined]  # a buffered reader
            self._is_zipped = start == b"\x1f\x8b"
            is_kept = file.seekable() and name != "-"
            self.size = os.fstat(file.fileno()).st_size if is_kept else None
            self.identity = "" if self.size is None else _identity(file, self.size)

    def parts(self, lines: int = 0, offset: int = 0) -> Iterator[Part]:
        """The lines from byte `offset` of the uncompressed text on, before which there were so many lines."""
        with _read_errors(self.name):
            file = gzip.GzipFile(fileobj=self._disk) if self._is_zipped else self._disk
            if offset:
                # Of a compressed file all before it is inflated again, but not read.
                file.seek(offset)
            first, end, kept, size = lines + 1, offset, list[bytes](), 0
            try:
                for line, length in _lines(file):
                    kept.append(line)
                    end += length
                    size += len(line)
                    if len(kept) == PART_LINES or size >= PART_BYTES:
                        yield Part(first, tuple(kept), end, self._disk.tell() if self._is_zipped else end)
                        first, kept, size = first + len(kept), [], 0
            except (EOFError, zlib.error, OSError):
                # What came before the damage is kept.
                if kept:
                    yield Part(first, tuple(kept), end, end)
                raise
            if kept:
                yield Part(first, tuple(kept), end, self.size or end)

    def lines(self) -> Iterator[bytes]:
        """All lines; of one that is longer than LINE_LIMIT only its beginning, which is too long, too."""
        for part in self.parts():
            yield from part.lines


def in_parts(lines: Iterable[bytes]) -> Iterator[Part]:
    """Lines from anywhere, as a source gives them."""
    kept: list[bytes] = []
    first, end, size = 1, 0, 0
    for line in lines:
        kept.append(line)
        size += len(line)
        if len(kept) == PART_LINES or size >= PART_BYTES:
            end += size
            yield Part(first, tuple(kept), end, end)
            first, kept, size = first + len(kept), [], 0
    if kept:
        yield Part(first, tuple(kept), end + size, end + size)


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """The file of that name; "-" is standard input. Raises UnreadableFileError."""
    if name == "-":
        if sys.stdin is None:
            raise UnreadableFileError("-: standard input is closed: pipe a file into it, or name one")
        yield Source(name, sys.stdin.buffer)
        return
    with _read_errors(name):
        file = Path(name).open("rb")  # noqa: SIM115 (closed below)
    with file:
        yield Source(name, file)


@contextmanager
def open_lines(name: str) -> Iterator[Iterable[bytes]]:
    """As `open_source`, the lines alone."""
    with open_source(name) as source:
        yield source.lines()


def _identity(file: BinaryIO, size: int) -> str:
    told = xxhash.xxh3_128(str(size).encode())
    for place in (0, max(0, size - TOLD_BYTES)):
        file.seek(place)
        told.update(file.read(TOLD_BYTES))
    file.seek(0)
    return told.hexdigest()


def _lines(file: BinaryIO | gzip.GzipFile) -> Iterator[tuple[bytes, int]]:
    """Each line and how many bytes it takes in the file."""
    while line := file.readline(LINE_LIMIT + 2):
        length, rest = len(line), line
        while len(line) > LINE_LIMIT and rest and not rest.endswith(b"\n"):
            rest = file.readline(LINE_LIMIT)
            length += len(rest)
        yield line, length


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(
            f"{name}: the compressed file is damaged or cut short ({error}): get it again; what came before is kept"
        ) from None
    except OSError as error:
        raise UnreadableFileError(
            f"{name}: can't be read ({error.strerror or error}): name another file, or let this user read it"
        ) from None
