"""The pictures of README and docs/clustering.md, these drawn from what the demo brings: python -m tests.pictures"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from itertools import combinations
from pathlib import Path

from aggregator.cluster.assign import SAME_EVENT
from aggregator.config import load_settings
from aggregator.demo import expected_events
from aggregator.demo.stories import Kind, read_items
from aggregator.pipeline.explaining import Pair, explain_entry, explain_pair
from aggregator.store import Store, open_store
from aggregator.types import EntryId
from tests.program import ROOT, run

FOLDER = ROOT / "docs/pictures"
WIDTH = 760
STYLE = """
svg{--ink:#1d1d1f;--soft:#6b6b70;--paper:#fff;--line:#d5d5da;--same:#1f6f5c;--other:#c2571a;--need:#7a3fb0}
@media (prefers-color-scheme:dark){svg{--ink:#ececee;--soft:#a5a5ac;--paper:#17181a;--line:#3a3b40}
svg{--same:#5cc4a6;--other:#f0975a;--need:#c39af0}}
text{font:13px system-ui,sans-serif;fill:var(--ink)}
.soft{fill:var(--soft)}.small{font-size:11px}.strong{font-weight:600}
.end{text-anchor:end}.middle{text-anchor:middle}
.same{fill:var(--same)}.other{fill:var(--other)}.need{fill:var(--need)}
.line{stroke:var(--line);fill:none}.mark{stroke:var(--need);stroke-width:1.5;stroke-dasharray:4 3}
.box{stroke:var(--need);stroke-width:2;fill:none}.node{fill:var(--paper);stroke:var(--ink)}
.way{stroke:var(--soft)}
.near{stroke:var(--same);stroke-width:3}.far{stroke:var(--other);stroke-dasharray:2 4}
"""
ALIKE = ("trial-mayor", "trial-smuggler", "port-fire", "port-fire-brackenmoor")
"""Two pairs of stories that share their words and are not the same event."""

SHOWN = 46
"""Characters of a headline beside the matrix."""


@dataclass(frozen=True)
class News:
    """The demo as the program grouped it: its pairs that were compared, and what each entry's story is."""

    store: Store
    story: Mapping[EntryId, str]
    title: Mapping[EntryId, str]
    event: Mapping[EntryId, int]
    guid: Mapping[EntryId, str]

    def pair(self, one: EntryId, other: EntryId) -> Pair:
        """The two entries as `explain` shows them."""
        with self.store.read() as db:
            pair = explain_pair(db, one, other, load_settings({}))
        assert pair is not None
        return pair

    def pairs(self) -> dict[tuple[EntryId, EntryId], Pair]:
        """All pairs of which the decision on one keeps the figures."""
        found: dict[tuple[EntryId, EntryId], Pair] = {}
        with self.store.read() as db:
            for entry in self.story:
                explained = explain_entry(db, entry, load_settings({}))
                for pair in explained.pairs if explained else ():
                    one, other = sorted((entry, pair.other.id))
                    found.setdefault((one, other), pair)
        return found


@contextmanager
def news(folder: Path) -> Iterator[News]:
    """The demo, polled and grouped by the program itself."""
    run(folder, "demo", "--keep", extra={"TMPDIR": folder})
    (file,) = folder.glob("*/demo.db")
    store = open_store(f"sqlite:///{file}")
    stories = expected_events()
    with store.read() as db:
        rows = db.exec_driver_sql("SELECT id, guid, title, event_id FROM v1_entry ORDER BY id").all()
    yield News(
        store,
        {EntryId(row.id): stories[row.guid] for row in rows},
        {EntryId(row.id): row.title for row in rows},
        {EntryId(row.id): row.event_id for row in rows},
        {EntryId(row.id): row.guid for row in rows},
    )
    store.close()


def main() -> None:
    """Writes the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, news(Path(folder)) as demo:
        drawn = {
            "pairs": draw_pairs(demo),
            "matrix": draw_matrix(demo),
            "why": draw_why(demo),
        } | drawn_alone()
    for name, picture in drawn.items():
        (FOLDER / f"{name}.svg").write_text(picture)


def drawn_alone() -> dict[str, str]:
    """The pictures that need nothing computed, by their names."""
    return {"flow": draw_flow(), "copies": draw_copies(), "average": draw_average()}


def svg(height: int, title: str, told: str, parts: Iterable[str], *, width: int = WIDTH) -> str:
    """A picture that says in words what it shows, and follows the reader's light or dark."""
    size = "" if width == WIDTH else f' width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"{size} role="img" '
        f'aria-labelledby="title told"><title id="title">{escape(title)}</title>'
        f'<desc id="told">{escape(told)}</desc><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="var(--paper)"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def words(x: float, y: float, text: str, kind: str = "") -> str:
    """A line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>'


def bar(x: float, y: float, width: float, height: float, kind: str, *, opacity: float = 1.0) -> str:
    """A filled rectangle."""
    seen = "" if opacity == 1.0 else f' fill-opacity="{opacity:.2f}"'
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" class="{kind}"{seen}/>'


def line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" class="{kind}"/>'


def draw_pairs(demo: News) -> str:
    """How probable the compared pairs are, those of one story against those of two."""
    counted: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for (one, other), pair in demo.pairs().items():
        if pair.probability is not None:
            is_same = demo.story[one] == demo.story[other]
            counted[is_same][min(int(pair.probability * 10), 9)] += 1
    left, bottom, step, tall = 60, 230, 66, 170
    most = max(counted[True][at] + counted[False][at] for at in range(10))
    parts = []
    for at in range(10):
        x, y = left + at * step, float(bottom)
        for is_same, kind in ((True, "same"), (False, "other")):
            height = counted[is_same][at] / most * tall
            y -= height
            if height:
                parts.append(bar(x + 6, y, step - 12, height, kind))
        number = counted[True][at] + counted[False][at]
        parts += [words(x + step / 2, y - 6, str(number), "small middle")] if number else []
        parts.append(words(x, bottom + 18, f"{at * 10}%", "small soft middle"))
    need = left + SAME_EVENT * 10 * step
    parts += [
        words(left + 10 * step, bottom + 18, "100%", "small soft middle"),
        line(left, bottom, left + 10 * step, bottom, "line"),
        line(need, 34, need, bottom, "mark"),
        words(need + 6, 46, f"{SAME_EVENT:.0%} is needed of two entries", "need"),
        words(left + 5 * step, bottom + 40, "how probable it is that a pair tells one event", "soft middle"),
        bar(left, 14, 12, 12, "same"),
        words(left + 18, 24, "pairs of one story"),
        bar(left + 160, 14, 12, 12, "other"),
        words(left + 178, 24, "pairs of two stories"),
    ]  # fmt: skip
    above = sum(counted[False][at] for at in range(6, 10))
    told = f"Of the pairs above the line, {above} are of two stories; many pairs of one story are below it."
    return svg(290, "Compared pairs of the demo by probability", told, parts)


def draw_matrix(demo: News) -> str:
    """Stories that share their words: the probability of each pair, and the events that came of it."""
    chosen = sorted(
        (entry for entry in demo.story if demo.story[entry] in ALIKE),
        key=lambda entry: (ALIKE.index(demo.story[entry]), demo.event[entry], entry),
    )
    cell, left, top = 28, 330, 20
    parts = []
    for at, entry in enumerate(chosen):
        title = demo.title[entry]
        shown = title if len(title) <= SHOWN else f"{title[: SHOWN - 1]}…"
        parts.append(words(left - 8, top + at * cell + 19, shown, "small end"))
        parts.append(bar(left + at * cell + 1, top + at * cell + 1, cell - 2, cell - 2, "line"))
    for (at, one), (to, other) in combinations(enumerate(chosen), 2):
        pair = demo.pair(one, other)
        probable = pair.probability or 0.0
        kind = "same" if probable >= SAME_EVENT else "other"
        for x, y in ((at, to), (to, at)):
            parts.append(
                bar(
                    left + x * cell + 1,
                    top + y * cell + 1,
                    cell - 2,
                    cell - 2,
                    kind,
                    opacity=max(probable, 0.06),
                )
            )
            if probable >= 0.01:
                parts.append(
                    words(
                        left + x * cell + cell / 2,
                        top + y * cell + 18,
                        f"{probable * 100:.0f}",
                        "small middle",
                    )
                )
    events = [demo.event[entry] for entry in chosen]
    for event in dict.fromkeys(events):
        first, number = events.index(event), events.count(event)
        parts.append(
            f'<rect x="{left + first * cell}" y="{top + first * cell}" width="{number * cell}" '
            f'height="{number * cell}" class="box"/>'
        )
    height = top + len(chosen) * cell + 40
    parts.append(words(left, height - 14, "numbers: probability in %; frames: the events", "small soft"))
    told = (
        "Entries of one story are mostly near to one another; those of the look-alike stories hardly at all."
    )
    return svg(height, "Four stories of which two and two share their words", told, parts)


def draw_why(demo: News) -> str:
    """What spoke for and against two pairs: one told anew by another outlet, one of two stories alike."""
    pairs = [(key, pair) for key, pair in demo.pairs().items() if pair.told and not pair.is_copy]
    near = max(
        (pair for (one, other), pair in pairs if demo.story[one] == demo.story[other]),
        key=lambda pair: (-abs((pair.probability or 0) - 0.85), pair.entry.id),
    )
    far = max(
        (pair for (one, other), pair in pairs if demo.story[one] != demo.story[other]),
        key=lambda pair: (pair.probability or 0, pair.entry.id),
    )
    parts: list[str] = []
    y = 24
    for pair in (near, far):
        parts += _bars(pair, y)
        y += 200
    told = "Bars to the right speak for the same event, bars to the left against it."
    return svg(y - 4, "What spoke for and against two pairs of the demo", told, parts)


def _bars(pair: Pair, top: int) -> list[str]:
    middle, unit = 470, 60
    assert pair.probability is not None
    verdict = "together" if pair.together else "apart"
    parts = [
        words(20, top, f"{pair.entry.title}", "strong"),
        words(20, top + 18, f"{pair.other.title}", "strong"),
        words(WIDTH - 20, top + 36, f"{pair.probability:.0%}: {verdict}", "need end"),
    ]
    for at, told in enumerate(pair.told[:7]):
        y = top + 44 + at * 20
        width = min(abs(told.weight) * unit, 230)
        x = middle if told.weight > 0 else middle - width
        parts.append(bar(x, y, width, 13, "same" if told.weight > 0 else "other"))
        parts.append(words(20, y + 11, told.feature, "small"))
    parts.append(line(middle, top + 40, middle, top + 182, "line"))
    return parts


def draw_copies() -> str:
    """A text and what another outlet made of it: the same words in the same order, and those that are not."""
    items = {item.key: item for item in read_items()}
    edited = min(
        (item for item in items.values() if item.kind is Kind.EDIT),
        key=lambda item: (len(" ".join(item.told)), item.key),
    )
    one = " ".join(items[edited.taken_from].told).split()[:50]
    other = " ".join(edited.told).split()[:50]
    same = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    first = {at for block in same for at in range(block.a, block.a + block.size)}
    second = {at for block in same for at in range(block.b, block.b + block.size)}
    upper, y = _set_in_lines(one[: max(first) + 1], first, 44)
    lower, end = _set_in_lines(other[: max(second) + 1], second, y + 48)
    parts = [
        words(20, 22, items[edited.taken_from].outlet.title, "strong"),
        *upper,
        words(20, y + 26, edited.outlet.title, "strong"),
        *lower,
    ]
    told = "All but a few words of the second text are those of the first, in the same order."
    return svg(end + 12, "A text and its edited copy", told, parts)


def _set_in_lines(text: Sequence[str], same: set[int], top: int) -> tuple[list[str], int]:
    lines: list[list[str]] = [[]]
    length = 0
    for at, word in enumerate(text):
        if length + len(word) > 104:
            lines.append([])
            length = 0
        length += len(word) + 1
        kind = "same" if at in same else "other strong"
        lines[-1].append(f'<tspan class="{kind}">{escape(word)}</tspan>')
    rows = [f'<text x="20" y="{top + at * 19}">{" ".join(row)}</text>' for at, row in enumerate(lines)]
    return rows, top + (len(lines) - 1) * 19


def draw_flow() -> str:
    """How news come into the database and out of it; narrow, so that a phone shows its words at their size."""
    steps = (
        ("feeds.opml", "the list of feeds", ""),
        ("poll", "fetch, parse, normalise, sign", "feeds that are due"),
        ("database", "SQLite or PostgreSQL", "entries"),
        ("v1_* views", "for your tools, the page, commands", ""),
    )
    left, step, tall, far = 12, 84, 50, 268
    parts = []
    for at, (name, does, brought) in enumerate(steps):
        y = 12 + at * step
        parts += _box(left, y, 222, name, does)
        if at:
            parts += _arrow((left + 60, y - step + tall), (left + 60, y), "0,0 -4,-8 4,-8")
            parts.append(words(left + 72, y - 12, brought, "small"))
    y = 12 + 2 * step
    parts += [
        *_box(far, y, 140, "cluster", "score, assign"),
        *_arrow((left + 222, y + 16), (far, y + 16), "0,0 -8,-4 -8,4"),
        *_arrow((far, y + 36), (left + 222, y + 36), "0,0 8,-4 8,4"),
        words(far, y - 10, "takes pending entries", "small"),
        words(far, y + tall + 18, "gives events, teasers,", "small"),
        words(far, y + tall + 32, "changes", "small"),
    ]
    told = (
        "Polling reads the list of feeds and writes entries to the database. Grouping takes pending entries from "
        "it and gives back events, teasers and changes. Views show them to other tools, the page and commands."
    )
    return svg(328, "From the list of feeds to your tools", told, parts, width=420)


def _box(x: int, y: int, width: int, name: str, does: str) -> list[str]:
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="50" rx="8" class="node"/>',
        words(x + 14, y + 21, name, "strong"),
        words(x + 14, y + 38, does, "small soft"),
    ]


def _arrow(begin: tuple[int, int], end: tuple[int, int], head: str) -> list[str]:
    """A line with a head, whose points count from its end."""
    return [
        line(*begin, *end, "way"),
        f'<polygon points="{head}" transform="translate({end[0]} {end[1]})" class="soft"/>',
    ]


def draw_average() -> str:
    """Why events are joined by the mean of all pairs, and not from link to link."""
    parts = []
    for left, heading, is_chained in (
        (20, "link by link: one event", True),
        (400, "by the mean of all pairs: two", False),
    ):
        parts.append(words(left, 24, heading, "strong"))
        places = [(left + 40, 80), (left + 90, 140), (left + 170, 110), (left + 250, 90), (left + 290, 150)]
        for (at, one), (to, other) in combinations(enumerate(places), 2):
            is_near = (at, to) in {(0, 1), (1, 2), (0, 2), (2, 3), (3, 4)}
            parts.append(line(*one, *other, "near" if is_near else "far"))
        frames = (
            [(left + 12, 52, 306, 126)]
            if is_chained
            else [(left + 12, 52, 186, 126), (left + 224, 62, 94, 116)]
        )
        parts += [
            f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="14" class="box"/>'
            for x, y, wide, tall in frames
        ]
        parts += [f'<circle cx="{x}" cy="{y}" r="11" class="node"/>' for x, y in places]
        parts += [words(x, y + 4, "ABCDE"[at], "small middle") for at, (x, y) in enumerate(places)]
    parts.append(words(20, 208, "solid: probably the same event; dotted: probably not", "small soft"))
    told = "C and D are near by chance. Link by link all five entries become one event; by the mean they are two."
    return svg(222, "Chaining, and average link", told, parts)


if __name__ == "__main__":
    main()
