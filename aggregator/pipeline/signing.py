"""Signatures for what lacks one: entries that were never signed, or by another scheme."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from aggregator.cluster.signature import SCHEME, sign
from aggregator.store import decisions

SIGNED = 500
"""Entries signed in one transaction."""


def sign_missing(db: Connection) -> bool:
    """Signs some entries without a signature of this scheme, which then wait to be grouped; False without any."""
    missing = decisions.to_sign(db, SCHEME, SIGNED)
    signatures = sign([entry for _, entry in missing])
    signed = [(number, entry, s) for (number, entry), s in zip(missing, signatures, strict=True)]
    decisions.write_signatures(db, signed)
    return bool(missing)
