"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.loopback import LoopbackServer

# A promise is about what is computed, never about how fast this machine happens to be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server
