"""Several processes on one PostgreSQL whose files list other feeds: the list that was saved last is in force."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aggregator.config import Settings, load_settings
from aggregator.pipeline.lists import OpmlWatch, Outdated, put_in_force, read_file
from aggregator.store import Store
from aggregator.store.feeds import listed_feeds

MONDAY, TUESDAY, WEDNESDAY = (1_790_000_000 + 86_400 * day for day in range(3))

pytestmark = pytest.mark.postgresql("one process polls an SQLite database, with one list")


def _save(file: Path, saved_at: int, *names: str) -> Settings:
    file.parent.mkdir(exist_ok=True)
    outlines = "".join(f"<outline xmlUrl='https://{name}.example/feed'/>" for name in names)
    file.write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    os.utime(file, (saved_at, saved_at))
    return load_settings({"opml": file})


def _in_force(store: Store) -> set[str]:
    with store.read() as db:
        return {state.url.removeprefix("https://").partition(".")[0] for state in listed_feeds(db)}


def test_an_outdated_copy_of_the_list_undoes_no_edit_and_says_so_once(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outdated = _save(tmp_path / "one/feeds.opml", MONDAY, "a", "b")
    edited = _save(tmp_path / "other/feeds.opml", TUESDAY, "b", "c")
    OpmlWatch(store, outdated).start()
    assert _in_force(store) == {"a", "b"}
    OpmlWatch(store, edited).start()
    assert _in_force(store) == {"b", "c"}
    caplog.clear()
    restarted = OpmlWatch(store, outdated)
    restarted.start()
    restarted.look()
    restarted.look()
    assert _in_force(store) == {"b", "c"}
    (said,) = caplog.messages
    assert "other/feeds.opml" in said
    assert "Copy that file here, or save this one again" in said
    os.utime(outdated.opml, (WEDNESDAY, WEDNESDAY))
    restarted.look()
    assert _in_force(store) == {"a", "b"}


def test_a_copy_with_the_same_content_is_the_same_list_whenever_it_was_saved(
    store: Store, tmp_path: Path
) -> None:
    for place, saved_at in (("one", TUESDAY), ("other", MONDAY)):
        settings = _save(tmp_path / place / "feeds.opml", saved_at, "a")
        assert not isinstance(put_in_force(store, read_file(settings), settings), Outdated)
    assert _in_force(store) == {"a"}


def test_an_older_file_that_is_put_back_in_its_place_is_in_force(store: Store, tmp_path: Path) -> None:
    for saved_at, name in ((TUESDAY, "a"), (MONDAY, "b")):
        settings = _save(tmp_path / "feeds.opml", saved_at, name)
        assert not isinstance(put_in_force(store, read_file(settings), settings), Outdated)
        assert _in_force(store) == {name}


def test_of_two_long_lists_put_in_force_at_once_the_one_saved_later_is_whole(
    store: Store, tmp_path: Path
) -> None:
    first = _save(tmp_path / "one/feeds.opml", MONDAY, *(f"a{number}" for number in range(1_200)))
    later = _save(tmp_path / "other/feeds.opml", TUESDAY, *(f"b{number}" for number in range(1_200)))
    start = threading.Barrier(4)

    def put(settings: Settings) -> None:
        start.wait()
        put_in_force(store, read_file(settings), settings)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, [first, later, first, later]))
    assert _in_force(store) == {f"b{number}" for number in range(1_200)}
