"""What PostgreSQL's planner knows of partitioned tables as a whole: counted here, since nothing else counts it.

Autovacuum counts each partition by itself, and never the table above them; without figures for that, a join or a
range of times over all partitions is planned by guesses.
"""

from __future__ import annotations

from sqlalchemy import Engine

from aggregator.store.dialect import hold_role, refusals_told

GROWTH = 0.1
"""A table is counted anew when its rows are by so much more or fewer than they were: autovacuum's own measure."""

GROWN = """
SELECT CAST(parent.oid AS regclass) AS name
FROM pg_class AS parent
JOIN pg_inherits ON inhparent = parent.oid
JOIN pg_class AS part ON part.oid = inhrelid
WHERE parent.relkind = 'p' AND parent.relnamespace = CAST(current_schema() AS regnamespace)
GROUP BY parent.oid, parent.reltuples
HAVING parent.reltuples < 0
    OR abs(sum(greatest(part.reltuples, 0)) - parent.reltuples) > %(growth)s * parent.reltuples
ORDER BY 1
"""
"""reltuples: the rows at the last count, below 0 if there was none; autovacuum sees to those of partitions."""

ALONE_SINCE = 180_000
"""The server's version from which on a table is counted without each of its partitions once more."""


def analyse_grown(engine: Engine) -> list[str]:
    """Which partitioned tables were counted: those never counted, and those that grew or shrank since.

    None on SQLite, or while another process counts. At most 30,000 rows of each are read, on servers before version
    18 of each partition, too. Readers and writers go on meanwhile. Raises StoreError.
    """
    if engine.dialect.name == "sqlite":
        return []
    with hold_role(engine, "analyse") as is_held, refusals_told(engine.url):
        if not is_held:
            return []
        with engine.connect() as db:
            grown = [str(row.name) for row in db.exec_driver_sql(GROWN, {"growth": GROWTH})]
            version = int(db.exec_driver_sql("SHOW server_version_num").scalar_one())
        only = "ONLY " if version >= ALONE_SINCE else ""
        for table in grown:
            # Each by itself: no table waits for the count of another.
            with engine.begin() as db:
                db.exec_driver_sql(f"ANALYZE {only}{table}")
    return grown
