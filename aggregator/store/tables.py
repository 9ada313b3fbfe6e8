"""The tables, as SQLModel classes: one place for every column, its type and its reason."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel

from aggregator.store.dialect import BIG_ID, UtcDateTime

LONG_AGO = "'1970-01-01 00:00:00.000000'"
NUMBERED = {"sqlite_autoincrement": True}
"""AUTOINCREMENT: SQLite would otherwise give the number of a deleted last row to a new one."""


# Partial indexes of flags: SQLite uses them only where the query says the same, and "flag = 1" is what it is asked.


class Row(SQLModel):
    """The base of all tables; `metadata` is ours alone."""

    metadata: ClassVar[MetaData] = MetaData()


def _number() -> Column[int]:
    return Column(BIG_ID, primary_key=True, autoincrement=True)


def _to(target: str, *, key: bool = False, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(BIG_ID, ForeignKey(target), primary_key=key, nullable=nullable, index=index)


def _text() -> Column[str]:
    return Column(Text, nullable=False, server_default="")


def _count() -> Column[int]:
    return Column(Integer, nullable=False, server_default="0")


def _time(*, nullable: bool = False) -> Column[datetime]:
    return Column(UtcDateTime, nullable=nullable)


def _bytes() -> Column[bytes]:
    return Column(LargeBinary, nullable=False)


class FeedRow(Row, table=True):
    """A feed: what the OPML file says of it, and all that polling remembers (types.FeedState).

    `url` may hold credentials; `public_url` is what the views show, and people. A row whose `url` starts with
    "import:" stands for imported entries and is never polled; `listed` is false for it, and for a feed that has
    left the OPML file: its entries stay. `leased_by` is the process that polls it, until `lease_until` unless it
    renews that; `fence` is one higher each time the feed is given to somebody.
    `silent_at`: read then or later without anything new since, it is silent (rhythm.silent_from).
    `set_interval`, `set_lang`, `weight` and `keep_days` are what the list
    sets for it (types.FeedSettings); one that it sets as not enabled has the health "paused".
    """

    __tablename__ = "feed"
    __table_args__ = (
        Index("feed_due", "listed", "next_poll_at"),
        Index("feed_address", "address", sqlite_where=text("address <> ''"),
              postgresql_where=text("address <> ''")),
        NUMBERED,
    )  # fmt: skip
    id: int | None = Field(default=None, sa_column=_number())
    url: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    public_url: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    category: str = Field(sa_column=_text())
    site_url: str = Field(sa_column=_text())
    lang: str = Field(sa_column=_text())
    listed: bool
    health: str = Field(sa_column=_text())
    etag: str = Field(sa_column=_text())
    last_modified: str = Field(sa_column=_text())
    body_hash: str = Field(sa_column=_text())
    interval: int
    failures: int
    problem: str = Field(sa_column=_text())
    moved_to: str = Field(sa_column=_text())
    moved_sightings: int = Field(sa_column=_count())
    moved_seen_at: datetime | None = Field(sa_column=_time(nullable=True))
    address: str = Field(sa_column=_text())
    ttl: int | None
    skip_hours: int = Field(sa_column=_count())
    skip_days: int = Field(sa_column=_count())
    next_poll_at: datetime | None = Field(sa_column=_time(nullable=True))
    last_polled_at: datetime | None = Field(sa_column=_time(nullable=True))
    last_success_at: datetime | None = Field(sa_column=_time(nullable=True))
    retry_at: datetime | None = Field(sa_column=_time(nullable=True))
    whole_at: datetime | None = Field(sa_column=_time(nullable=True))
    failure: str = Field(sa_column=_text())
    answer_seconds: float | None
    leased_by: str = Field(sa_column=_text())
    lease_until: datetime | None = Field(sa_column=_time(nullable=True))
    fence: int = Field(sa_column=Column(BIG_ID, nullable=False, server_default="0"))
    silent_at: datetime | None = Field(sa_column=_time(nullable=True))
    set_interval: int | None
    set_lang: str = Field(sa_column=_text())
    weight: float = Field(sa_column=Column(Float, nullable=False, server_default="1"))
    keep_days: int | None


class HostTurnRow(Row, table=True):
    """From when on a registrable domain may be asked again, for all processes that poll (PostgreSQL only)."""

    __tablename__ = "host_turn"
    host: str = Field(sa_column=Column(Text, primary_key=True))
    free_at: datetime = Field(sa_column=_time())


class HostPlaceRow(Row, table=True):
    """A feed under way at a registrable domain; the place is free again after `until`, whatever happened."""

    __tablename__ = "host_place"
    feed_id: int = Field(sa_column=_to("feed.id", key=True))
    host: str = Field(sa_column=Column(Text, nullable=False, index=True))
    until: datetime = Field(sa_column=_time())


class ElectionRow(Row, table=True):
    """How often a role was taken over (PostgreSQL only): who holds it may write while this is still its number."""

    __tablename__ = "election"
    role: str = Field(sa_column=Column(Text, primary_key=True))
    term: int = Field(sa_column=Column(BIG_ID, nullable=False))


class ListInForceRow(Row, table=True):
    """The file that the list in force was read from (PostgreSQL only, where several are used; types.ListSource)."""

    __tablename__ = "list_in_force"
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    place: str = Field(sa_column=_text())
    saved_at: datetime = Field(sa_column=_time())


class DocumentRow(Row, table=True):
    """What a feed's document held when it was last read (types.Seen). Apart from the feed: it is seldom needed."""

    __tablename__ = "document"
    feed_id: int = Field(sa_column=_to("feed.id", key=True))
    seen: bytes = Field(sa_column=_bytes())


class ActivityRow(Row, table=True):
    """How many new entries a feed brought on a day (days since 1970-01-01 UTC), and `again` (PollOutcome.again)."""

    __tablename__ = "activity"
    feed_id: int = Field(sa_column=_to("feed.id", key=True))
    day: int = Field(sa_column=Column(Integer, primary_key=True, index=True))
    entries: int = Field(sa_column=_count())
    again: int = Field(sa_column=_count())


class DayCountRow(Row, table=True):
    """What all processes did on a day (since 1970-01-01 UTC); `told_at`: when the log said so."""

    __tablename__ = "day_count"
    day: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    polls: int = Field(sa_column=_count())
    failed: int = Field(sa_column=_count())
    new: int = Field(sa_column=_count())
    events: int = Field(sa_column=_count())
    told_at: datetime | None = Field(sa_column=_time(nullable=True))


class ProcessRow(Row, table=True):
    """A process that serves this database (PostgreSQL only): since when, and when it said so last.

    Both by the database's clock. `roles`: what it does just now, of "poll", "cluster" and "web".
    """

    __tablename__ = "process"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    host: str = Field(sa_column=_text())
    pid: int
    roles: str = Field(sa_column=_text())
    since: datetime = Field(sa_column=_time())
    seen_at: datetime = Field(sa_column=_time())


class EventRow(Row, table=True):
    """A news event. Ids are permanent: a merged event stays, empty, with `merged_into`.

    `first_seen_at` and `last_seen_at`: when its first and its newest entry reached us. `news_at`: when the newest
    of its entries was published, at the latest when it reached us. `relate`: its related teasers are to be made
    anew.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("event_latest", "last_seen_at", "id"),
        Index("event_news", "news_at", "id"),
        Index("event_relate", "id", sqlite_where=text("relate = 1"), postgresql_where=text("relate")),
        Index("event_merged", "merged_into", sqlite_where=text("merged_into IS NOT NULL"),
              postgresql_where=text("merged_into IS NOT NULL")),
        NUMBERED,
    )  # fmt: skip
    id: int | None = Field(default=None, sa_column=_number())
    canonical_entry_id: int | None = Field(sa_column=Column(BIG_ID, nullable=True))
    merged_into: int | None = Field(sa_column=_to("event.id", nullable=True))
    first_seen_at: datetime = Field(sa_column=_time())
    last_seen_at: datetime = Field(sa_column=_time())
    news_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, server_default=text(LONG_AGO)))
    entry_count: int
    source_count: int
    relate: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=false()))


class EntryRow(Row, table=True):
    """A clean entry (types.Entry). `pending` until the clusterer has seen its present content."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("feed_id", "identity", name="entry_identity"),
        Index("entry_canonical_url", "feed_id", "canonical_url"),
        Index("entry_pending", "id", sqlite_where=text("pending = 1"), postgresql_where=text("pending")),
        Index("entry_text_key", "text_key", sqlite_where=text("text_key <> 0"),
              postgresql_where=text("text_key <> 0")),
        Index("entry_title_key", "title_key", sqlite_where=text("title_key <> 0"),
              postgresql_where=text("title_key <> 0")),
        NUMBERED,
    )  # fmt: skip
    id: int | None = Field(default=None, sa_column=_number())
    feed_id: int = Field(sa_column=_to("feed.id"))
    identity: str = Field(sa_column=_text())
    guid: str = Field(sa_column=_text())
    url: str = Field(sa_column=_text())
    canonical_url: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    summary: str = Field(sa_column=_text())
    text: str = Field(sa_column=_text())
    html: str = Field(sa_column=_text())
    lang: str = Field(sa_column=_text())
    author: str = Field(sa_column=_text())
    source: str = Field(sa_column=_text())
    published_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
    first_seen_at: datetime = Field(sa_column=_time())
    date_guessed: bool
    truncated: bool
    content_hash: str = Field(sa_column=_text())
    text_key: int = Field(sa_column=Column(BIG_ID, nullable=False))
    title_key: int = Field(sa_column=Column(BIG_ID, nullable=False))
    pending: bool
    event_id: int | None = Field(sa_column=_to("event.id", nullable=True, index=True))
    relation: str = Field(sa_column=_text())
    score: float | None


class PrunedRow(Row, table=True):
    """An item whose entry was removed for its age: it is not new when its feed shows it again.

    `identity`, `url_key` and `title_key` are 64-bit hashes (types.SeenItem.key), 0 = none; `entry_id` is the number
    that the entry had; `day` (since 1970-01-01 UTC) is when it was removed, or found in its feed after that.
    """

    __tablename__ = "pruned"
    __table_args__ = (Index("pruned_url", "feed_id", "url_key"),)
    feed_id: int = Field(sa_column=_to("feed.id", key=True))
    identity: int = Field(sa_column=Column(BIG_ID, primary_key=True, autoincrement=False))
    entry_id: int = Field(sa_column=Column(BIG_ID, nullable=False))
    url_key: int = Field(sa_column=Column(BIG_ID, nullable=False))
    title_key: int = Field(sa_column=Column(BIG_ID, nullable=False))
    published_at: datetime = Field(sa_column=_time())
    day: int = Field(sa_column=Column(Integer, nullable=False, index=True))


class AliasRow(Row, table=True):
    """Another identity under which a known entry came back (a changed guid)."""

    __tablename__ = "entry_alias"
    feed_id: int = Field(sa_column=_to("feed.id", key=True))
    identity: str = Field(sa_column=Column(Text, primary_key=True))
    entry_id: int = Field(sa_column=_to("entry.id", index=True))


class VersionRow(Row, table=True):
    """What an entry said before an edit; `replaced_at` is when the edit reached us."""

    __tablename__ = "entry_version"
    __table_args__ = (NUMBERED,)
    id: int | None = Field(default=None, sa_column=_number())
    entry_id: int = Field(sa_column=_to("entry.id", index=True))
    title: str = Field(sa_column=_text())
    summary: str = Field(sa_column=_text())
    text: str = Field(sa_column=_text())
    content_hash: str = Field(sa_column=_text())
    replaced_at: datetime = Field(sa_column=_time())


class ListedItemRow(Row, table=True):
    """A related item that the entry's own text ended with (types.ListedItem)."""

    __tablename__ = "listed_item"
    entry_id: int = Field(sa_column=_to("entry.id", key=True))
    position: int = Field(primary_key=True)
    text: str = Field(sa_column=_text())
    teaser: str = Field(sa_column=_text())
    url: str = Field(sa_column=_text())
    start_key: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))


class SignatureRow(Row, table=True):
    """What the clusterer compares (types.Signature); the index is rebuilt from these rows alone."""

    __tablename__ = "signature"
    entry_id: int = Field(sa_column=_to("entry.id", key=True))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
    scheme: int = Field(sa_column=Column(Integer, nullable=False, index=True))
    minhash: bytes = Field(sa_column=_bytes())
    title: bytes = Field(sa_column=_bytes())
    title_marks: bytes = Field(sa_column=_bytes())
    lead: bytes = Field(sa_column=_bytes())
    lead_marks: bytes = Field(sa_column=_bytes())
    body: bytes = Field(sa_column=_bytes())
    terms: bytes = Field(sa_column=_bytes())
    term_marks: bytes = Field(sa_column=_bytes())
    term_rarity: bytes = Field(sa_column=_bytes())
    truncated: bool
    meaning: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    content_key: int = Field(sa_column=Column(BIG_ID, nullable=False, server_default="0"))


class DecisionRow(Row, table=True):
    """Why an entry stands where it does, as decided at the time (types.Decision).

    `regroup`: its likeness to others was weighed anew since, and its event is to be looked at again.
    """

    __tablename__ = "decision"
    __table_args__ = (
        Index(
            "decision_regroup", "entry_id", sqlite_where=text("regroup = 1"), postgresql_where=text("regroup")
        ),
    )
    entry_id: int = Field(sa_column=_to("entry.id", key=True))
    at: datetime = Field(sa_column=_time())
    among: int
    seen: int
    rule: str = Field(sa_column=_text())
    mean: float
    size: int
    threshold: float
    model: str = Field(sa_column=_text())
    features: int
    compared: bytes = Field(sa_column=_bytes())
    regroup: bool


class LinkRow(Row, table=True):
    """A scored pair of entries (cluster.links): `a` < `b`, only pairs that are at least related."""

    __tablename__ = "link"
    a: int = Field(sa_column=_to("entry.id", key=True))
    b: int = Field(sa_column=Column(BIG_ID, ForeignKey("entry.id"), primary_key=True, index=True))
    score: float
    is_copy: bool


class CorrectionRow(Row, table=True):
    """What people said of entries (types.Correction): kept for good, and obeyed by every grouping."""

    __tablename__ = "correction"
    __table_args__ = (NUMBERED,)
    id: int | None = Field(default=None, sa_column=_number())
    kind: str = Field(sa_column=_text())
    a: int = Field(sa_column=_to("entry.id", index=True))
    b: int | None = Field(sa_column=_to("entry.id", nullable=True, index=True))
    at: datetime = Field(sa_column=_time())


class TeaserRow(Row, table=True):
    """A truncated item beside an event (types.Teaser), in the order to show."""

    __tablename__ = "teaser"
    __table_args__ = (
        Index(
            "teaser_entry",
            "entry_id",
            sqlite_where=text("entry_id IS NOT NULL"),
            postgresql_where=text("entry_id IS NOT NULL"),
        ),
    )
    event_id: int = Field(sa_column=_to("event.id", key=True))
    position: int = Field(primary_key=True)
    kind: str = Field(sa_column=_text())
    text: str = Field(sa_column=_text())
    full_text: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    url: str = Field(sa_column=_text())
    source: str = Field(sa_column=_text())
    published_at: datetime | None = Field(sa_column=_time(nullable=True))
    entry_id: int | None = Field(sa_column=_to("entry.id", nullable=True))
    related_event_id: int | None = Field(sa_column=_to("event.id", nullable=True, index=True))


class ChangeRow(Row, table=True):
    """One line of the change log: what happened to an event, for readers that follow by cursor.

    The log outlives events that were removed (store.retention), so it names them without a foreign key.
    """

    __tablename__ = "change"
    __table_args__ = (
        Index("change_other", "other_event_id", sqlite_where=text("other_event_id IS NOT NULL"),
              postgresql_where=text("other_event_id IS NOT NULL")),
        NUMBERED,
    )  # fmt: skip
    cursor: int | None = Field(default=None, sa_column=_number())
    event_id: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))
    kind: str = Field(sa_column=_text())
    other_event_id: int | None = Field(sa_column=Column(BIG_ID, nullable=True))
    at: datetime = Field(sa_column=_time())


class WebhookRow(Row, table=True):
    """One row while there is a webhook, none otherwise: every process that writes changes looks here.

    `paused_until`: its receiver asked for a rest, or could not be reached.
    """

    __tablename__ = "webhook"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    since: datetime = Field(sa_column=_time())
    paused_until: datetime | None = Field(sa_column=_time(nullable=True))


class OutboxRow(Row, table=True):
    """A message for the webhook (types.Message), kept until it is delivered; `dead_at`: given up then.

    `problem` is why the last try failed.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_event", "event_id", "number"), NUMBERED)
    number: int | None = Field(default=None, sa_column=_number())
    message_id: str = Field(sa_column=_text())
    event_id: int = Field(sa_column=_to("event.id"))
    type: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_time())
    tries: int = Field(sa_column=_count())
    next_at: datetime = Field(sa_column=_time())
    problem: str = Field(sa_column=_text())
    dead_at: datetime | None = Field(sa_column=_time(nullable=True))


class ImportRow(Row, table=True):
    """An import that is under way or was broken off: how far it came (store.imports.Reached).

    `identity` is a hash of the file's size, beginning and end. The row goes when all of the file is kept.
    """

    __tablename__ = "import"
    identity: str = Field(sa_column=Column(Text, primary_key=True))
    lines: int = Field(sa_column=Column(BIG_ID, nullable=False))
    text_bytes: int = Field(sa_column=Column(BIG_ID, nullable=False))
    disk_bytes: int = Field(sa_column=Column(BIG_ID, nullable=False))
    entries_read: int = Field(sa_column=Column(BIG_ID, nullable=False))
    entries_new: int = Field(sa_column=Column(BIG_ID, nullable=False))
    entries_edited: int = Field(sa_column=Column(BIG_ID, nullable=False))
    bad: int = Field(sa_column=Column(BIG_ID, nullable=False))
    bad_lines: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_time())


class ImportKeysRow(Row, table=True):
    """Hashes of source and id of the entries up to a line of a file whose import is under way: eight bytes each."""

    __tablename__ = "import_keys"
    identity: str = Field(sa_column=Column(Text, ForeignKey("import.identity"), primary_key=True))
    line: int = Field(sa_column=Column(BIG_ID, primary_key=True, autoincrement=False))
    hashes: bytes = Field(sa_column=_bytes())


def table_of(row: type[Row]) -> Table:
    """The SQLAlchemy table behind a row class, for core statements."""
    return Row.metadata.tables[str(row.__tablename__)]


FEED = table_of(FeedRow)
HOST_TURN = table_of(HostTurnRow)
HOST_PLACE = table_of(HostPlaceRow)
ELECTION = table_of(ElectionRow)
LIST_IN_FORCE = table_of(ListInForceRow)
DOCUMENT = table_of(DocumentRow)
ACTIVITY = table_of(ActivityRow)
DAY_COUNT = table_of(DayCountRow)
PROCESS = table_of(ProcessRow)
EVENT = table_of(EventRow)
ENTRY = table_of(EntryRow)
ALIAS = table_of(AliasRow)
PRUNED = table_of(PrunedRow)
VERSION = table_of(VersionRow)
LISTED = table_of(ListedItemRow)
SIGNATURE = table_of(SignatureRow)
DECISION = table_of(DecisionRow)
LINK = table_of(LinkRow)
TEASER = table_of(TeaserRow)
CORRECTION = table_of(CorrectionRow)
CHANGE = table_of(ChangeRow)
WEBHOOK = table_of(WebhookRow)
OUTBOX = table_of(OutboxRow)
IMPORT = table_of(ImportRow)
IMPORT_KEYS = table_of(ImportKeysRow)
