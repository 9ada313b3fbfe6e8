"""A role that one process at a time has on a database, and which others take over when it ends or is cut off."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from aggregator.store import Store
from aggregator.store.dialect import StoreError, hold_role, refusals_told, role_number

ELECT = text(
    "INSERT INTO election AS known (role, term) VALUES (:role, 1) "
    "ON CONFLICT (role) DO UPDATE SET term = known.term + 1 RETURNING term"
)
PRESENT = text("SELECT term FROM election WHERE role = :role FOR SHARE")


class RoleLostError(StoreError):
    """Another process has the role now: this transaction writes nothing."""


class Office:
    """The role, held or sought until the context ends.

    On PostgreSQL the holder has a session-level advisory lock, which the server takes back as soon as the
    holder's connection ends; the next one raises the role's term, and who writes under an older term is refused.
    On SQLite it is a lock on a file beside the database, which ends with its process.
    """

    def __init__(self, store: Store, role: str) -> None:
        self.store = store
        self._role = role
        self._held: Store | None = None
        self._lock: Connection | None = None
        self._stack = ExitStack()

    @property
    def is_held(self) -> bool:
        """Whether the role was this process's when last sought."""
        return self._held is not None

    def seek(self) -> Store | None:
        """The store by which to write in this role, None while another process has it; to be called now and then.

        It is the same object as before if the role was not lost in between. Raises StoreError if the database
        fails, and then the role is lost.
        """
        if self.store.engine.dialect.name == "sqlite":
            if self._held is None and self._stack.enter_context(hold_role(self.store.engine, self._role)):
                self._held = self.store
            return self._held
        if self._held is not None and self._is_alive():
            return self._held
        with refusals_told(self.store.engine.url):
            self._held = self._elected()
        return self._held

    def _is_alive(self) -> bool:
        try:
            assert self._lock is not None
            self._lock.exec_driver_sql("SELECT 1")
        except DBAPIError:
            self._resign()
            return False
        return True

    def _elected(self) -> Store | None:
        self._lock = self.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            locked = self._lock.exec_driver_sql(f"SELECT pg_try_advisory_lock({role_number(self._role)})")
            if not locked.scalar_one():
                self._lock.close()
                self._lock = None
                return None
            # Waits for what the last holder is just writing; from here on it writes no more.
            term = self._lock.execute(ELECT, {"role": self._role}).scalar_one()
        except BaseException:
            self._resign()
            raise

        def check(db: Connection) -> None:
            if db.execute(PRESENT, {"role": self._role}).scalar_one_or_none() != term:
                raise RoleLostError(
                    f"another process has taken over (role {self._role}): nothing was written"
                )

        return self.store.guarded(check)

    def _resign(self) -> None:
        """Ends the session that has the lock, and with it the role."""
        if self._lock is not None:
            self._lock.invalidate()
            self._lock.close()
        self._lock = self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            # The server notices the end of a session a moment later: too late for who wants the role at once.
            with suppress(DBAPIError):
                self._lock.exec_driver_sql(f"SELECT pg_advisory_unlock({role_number(self._role)})")
        self._resign()
        self._stack.close()
