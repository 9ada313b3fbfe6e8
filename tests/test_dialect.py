"""What is asked of SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, literal, select, union_all

from aggregator.store import Store
from aggregator.store.dialect import among


@pytest.mark.parametrize("numbers", [[], [7], [-(2**63), 2**63 - 1], list(range(70_000))])
def test_any_number_of_integers_is_one_parameter(store: Store, numbers: list[int]) -> None:
    stored = [7, -(2**63), 2**63 - 1, 80_000]
    known = union_all(*(select(literal(one, BigInteger).label("number")) for one in stored)).subquery()
    with store.read() as db:
        found = db.execute(select(known.c.number).where(among(known.c.number, numbers))).scalars().all()
    assert set(found) == set(stored) & set(numbers)
