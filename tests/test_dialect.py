"""What is asked of SQLite and PostgreSQL alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import BigInteger, literal, select, union_all

from aggregator.store.dialect import among, open_engine


@pytest.mark.parametrize("numbers", [[], [7], [-(2**63), 2**63 - 1], list(range(70_000))])
def test_any_number_of_integers_is_one_parameter(
    tmp_path: Path, new_database: str, numbers: list[int]
) -> None:
    stored = [7, -(2**63), 2**63 - 1, 80_000]
    known = union_all(*(select(literal(one, BigInteger).label("number")) for one in stored)).subquery()
    for url in (f"sqlite:///{tmp_path / 'news.db'}", new_database):
        engine = open_engine(url)
        with engine.connect() as db:
            found = db.execute(select(known.c.number).where(among(known.c.number, numbers))).scalars().all()
        engine.dispose()
        assert set(found) == set(stored) & set(numbers)
