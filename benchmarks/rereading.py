"""Whether reading only what is new, and reading items strictly, keeps the same as reading all with feedparser.

`python benchmarks/rereading.py DIR [ROUNDS]`: each file below DIR is read as a feed, with documents made from it
that a feed may have had before and after (items come, go, change, move and double) and with what chance makes of
its bytes, ROUNDS times (default 1), in both ways. Prints what differs. Items that parse.strict reads are compared
with what feedparser makes of them, too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus import LEFT_OUT

from tests.mutations import mutate
from tests.rereading import Reader, later_documents
from tests.strictly import both

MOST_BYTES = 1_000_000


def main() -> None:
    """Reads all files and prints a line for each difference, then the totals."""
    folder, rounds = Path(sys.argv[1]), int((sys.argv[2:] or ["1"])[0])
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix not in LEFT_OUT and file.stat().st_size <= MOST_BYTES
    ]
    documents = skipped = different = strict = otherwise = 0
    seconds = {True: 0.0, False: 0.0}
    for number, file in enumerate(files * rounds):
        body = file.read_bytes()
        scratch = tempfile.TemporaryDirectory()
        readers = [Reader(f"sqlite:///{scratch.name}/{whole}.db", whole=whole) for whole in (True, False)]
        made = list(later_documents(body, "", Random(number)))
        for document in (*made, mutate(number, [body]), body, mutate(number + 1, [body, *made])):
            documents += 1
            if (read := both(document)) is not None:
                strict += 1
                if read[0] != read[1]:
                    otherwise += 1
                    print(f"read otherwise: {file}, document {documents}", flush=True)
            for whole, reader in zip((True, False), readers, strict=True):
                started = time.perf_counter()
                reader.read(document)
                seconds[whole] += time.perf_counter() - started
            if readers[0].stored() != readers[1].stored():
                different += 1
                print(f"different: {file}, document {documents}", flush=True)
                break
        skipped += readers[1].skipped
        for reader in readers:
            reader.close()
        scratch.cleanup()
    print(
        f"{len(files) * rounds} files, {documents} documents: {different} kept otherwise; {skipped} items left "
        f"out; {seconds[True]:.0f} s when all is read, {seconds[False]:.0f} s when only what is new; {strict} read "
        f"strictly, {otherwise} of them otherwise than by feedparser"
    )


if __name__ == "__main__":
    main()
