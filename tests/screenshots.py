"""The pictures of the page that the README shows, taken anew: python -m tests.screenshots"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.browsing import PHONE, browsing, reading, site
from tests.databases import sqlite_url
from tests.program import ROOT

FOLDER = ROOT / "docs/screenshots"
WINDOW = (1000, 760)
MOST_BYTES = 150_000


@dataclass(frozen=True)
class Picture:
    """A page, and how it is looked at; `part` is what stands at the upper edge, the top without it."""

    name: str
    path: str
    size: tuple[int, int] = WINDOW
    dark: bool = False
    part: str = ""


PICTURES = (
    Picture("river", "/"),
    Picture("river-dark", "/", dark=True),
    Picture("river-phone", "/", PHONE),
    Picture("event", "/events/{largest}", (1000, 680)),
    Picture("timeline", "/events/{largest}", part="#coverage"),
    Picture("search", "/search?q=bridge"),
    Picture("feeds", "/feeds"),
    Picture("feeds-phone", "/feeds", PHONE),
)


def main() -> None:
    """Writes the pictures; says how large they are."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        site(Path(folder), sqlite_url(Path(folder) / "news.db"), hostile=False) as news,
        browsing() as browser,
    ):
        for picture in PICTURES:
            file = FOLDER / f"{picture.name}.png"
            with reading(browser, news.url, picture.size, dark=picture.dark) as reader:
                page = reader.go(picture.path.format(largest=news.largest_event()))
                if picture.part:
                    page.locator(picture.part).evaluate("one => one.scrollIntoView()")
                page.screenshot(path=file)
            size = file.stat().st_size
            assert size < MOST_BYTES, f"{file.name} has {size:,} bytes"
            print(f"{file.name} {size:,} bytes")  # noqa: T201 (a command for people)


if __name__ == "__main__":
    main()
