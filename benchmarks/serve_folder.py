"""Serves a folder of feeds on loopback until its standard input ends: ETag, 304, gzip; prints its port.

usage: python benchmarks/serve_folder.py DIR     (DIR/feed/*, or all files below DIR)
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.demo import DemoServer, SampleFeed

TYPES = {".rss": "application/rss+xml", ".atom": "application/atom+xml", ".rdf": "application/rdf+xml"}


def main() -> None:
    """Serves until the end of standard input."""
    folder = Path(sys.argv[1])
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".gz")
    feeds = [
        SampleFeed(
            path=f"/{file.relative_to(folder).as_posix()}",
            title=file.name,
            category="",
            content_type=TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "text/plain",
            body=file.read_bytes(),
        )
        for file in files
    ]
    with DemoServer(tuple(feeds)) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
