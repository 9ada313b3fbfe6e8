"""Every case of docs/fetching.md, played by a real server over real sockets into a real database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.store import Store
from aggregator.workers import ParserPool
from tests.cases import (
    CASES,
    PARTS,
    Case,
    bodies,
    conditional,
    intervals,
    manners,
    moves,
    reach,
    refusals,
    sizes,
    strange,
    table,
)
from tests.loopback import LoopbackServer, authority
from tests.program import ROOT
from tests.stage import Collected, Stage

MODULES = (conditional, intervals, refusals, moves, manners, reach, sizes, bodies, strange)
"""Where the cases are; importing them has registered them."""


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserPool]:
    with ParserPool(1) as pool:
        yield pool


@pytest.fixture
def stage(
    loopback: LoopbackServer,
    parsers: ParserPool,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    authority().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    log = Collected()
    logger = logging.getLogger("aggregator")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        yield Stage(store, loopback, parsers, tmp_path, log)
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_good_client(case: Case, stage: Stage) -> None:
    case.act(stage)


def test_every_part_has_cases_and_no_name_stands_twice() -> None:
    assert {case.part for case in CASES} == set(PARTS)
    assert len({case.name for case in CASES}) == len(CASES) >= 90


def test_the_documented_table_is_the_one_that_is_tested() -> None:
    assert table() in (ROOT / "docs/fetching.md").read_text()
