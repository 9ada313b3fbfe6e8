"""What a database refuses for reasons outside this program, told from what a fault in the program brings about."""

from __future__ import annotations

import sqlite3
from typing import Final

SQLITE_OUTSIDE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOTADB,
    }
)
"""The file, its disk, its rights and other programs. A wrong statement is SQLITE_ERROR, which Python's driver
gives the same class (https://www.sqlite.org/rescode.html)."""

OUTSIDE: Final = (
    "08",  # connections
    "25006",  # a server that may only be read, as a standby is
    "25P03",  # a session that idled for too long
    "25P04",  # a transaction that took too long
    "28",  # user and password
    "3D000",  # no such database
    "3F000",  # no schema in which the user may create
    "40",  # transactions that got into one another's way
    "42501",  # rights
    "53",  # no room on the disk, in memory, for connections
    "55006",  # what another program holds
    "55P03",  # a lock that did not come in time
    "57",  # somebody stopped the server, the session or the statement
    "58",  # the server's disk and files
    "F0",  # its configuration
    "XX001",
    "XX002",  # damaged data, damaged index
)
"""PostgreSQL's codes, or how they begin (its manual, appendix A)."""


def is_from_outside(error: BaseException | None, *, is_cut_off: bool = False) -> bool:
    """Whether a driver's error is a matter of the operator's: anything else is a bug, and has to look like one.

    `is_cut_off`: the connection broke with it, so that whatever it says comes from that.
    """
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in SQLITE_OUTSIDE  # the rest of it says more closely why
    code = getattr(error, "sqlstate", None)
    if code is not None:
        return is_cut_off or str(code).startswith(OUTSIDE)
    # Without a code it was no server that spoke: the driver could not reach one, or lost it.
    return is_cut_off or any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
