"""What a server may do to a feed reader, case by case; docs/fetching.md shows them as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.stage import Stage

Act = Callable[[Stage], None]

PARTS = {
    1: "Conditional requests",
    2: "Intervals",
    3: "Refusals",
    4: "Moves",
    5: "Manners",
    6: "Credentials",
    7: "Addresses",
    8: "Sizes and times",
    9: "Bodies",
    10: "Strange feeds",
}


@dataclass(frozen=True)
class Case:
    """A thing that happens, what a good client does (`rule`), the `standard` that says so ("" = good sense)."""

    part: int
    name: str
    rule: str
    standard: str
    act: Act


CASES: list[Case] = []


def case(part: int, standard: str = "") -> Callable[[Act], Act]:
    """Takes a function for a case: its name is the case's, its docstring the rule."""

    def register(act: Act) -> Act:
        assert act.__doc__, f"{act.__name__} says no rule"
        CASES.append(Case(part, act.__name__.replace("_", "-"), act.__doc__.strip(), standard, act))
        return act

    return register


def table() -> str:
    """The cases as Markdown, a table for each part."""
    lines: list[str] = []
    for part, title in PARTS.items():
        lines += [
            "",
            f"### {part}. {title}",
            "",
            "| case | what a good client does | standard |",
            "|---|---|---|",
        ]
        lines += [f"| `{one.name}` | {one.rule} | {one.standard} |" for one in CASES if one.part == part]
    return "\n".join(lines).strip() + "\n"
