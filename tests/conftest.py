"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.cases", "tests.stage")

from tests.loopback import LoopbackServer  # noqa: E402 (after the line that shall count for what it imports)

# A promise is about what is computed, never about how fast this machine happens to be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server
