"""${message}"""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """The schema of the revision before becomes this one."""
    ${upgrades if upgrades else "pass"}
