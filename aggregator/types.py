"""Every value that crosses from one room to another: frozen, slotted, with no behaviour beyond derivation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, NewType, Self

FeedId = NewType("FeedId", int)
EntryId = NewType("EntryId", int)
EventId = NewType("EventId", int)


# ---- the list of feeds ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """What the operator wants otherwise for one feed.

    `interval`: seconds between polls, None = its own rhythm. Not `enabled`: it is not polled. `language`: of all
    its entries, "" = as detected. `weight`: of two records that tell a story equally well, that of the heavier feed
    stands for it. `keep_days`: for how long its entries are kept, 0 = for ever, None = KEEP_DAYS.
    """

    interval: int | None = None
    enabled: bool = True
    language: str = ""
    weight: float = 1.0
    keep_days: int | None = None


AS_ALL = FeedSettings()
"""The settings of a feed of which the operator wants nothing special."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed as the operator lists it. `category` is a path: nested outlines joined by "/"."""

    url: str
    title: str
    category: str
    site_url: str
    settings: FeedSettings = AS_ALL


@dataclass(frozen=True, slots=True)
class FeedList:
    """What an OPML file holds: the usable feeds, each URL once, and a sentence per outline left out."""

    title: str
    feeds: tuple[Feed, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListSource:
    """The file that a list was read from: a hash of its content, the machine and path, when it was saved."""

    digest: str
    place: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class ListChange:
    """How many feeds a new list brought for the first time, brought back, let go, and says something else of."""

    new: int
    back: int
    left: int
    changed: int


class FeedHealth(StrEnum):
    """The state column of `v1_feed`."""

    OK = "ok"
    FAILING = "failing"
    SILENT = "silent"
    GONE = "gone"
    PAUSED = "paused"


class AlarmKind(StrEnum):
    """What is strange about what a feed brings."""

    SILENCE = "silence"
    FLOOD = "flood"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A listed feed is strange by its own rhythm. `count`: quiet days, new entries, or items that came again."""

    url: str
    name: str
    kind: AlarmKind
    count: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """What all processes did on a day (since 1970-01-01 UTC)."""

    day: int
    polls: int
    failed: int
    new: int
    events: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process that works on the database.

    `roles`: of "poll", "cluster" (it groups), "standby" (it would) and "web". `seen_at`: when it said last that it
    runs, None where its lock says so (SQLite). Stale: it was killed or is cut off.
    """

    name: str
    host: str
    pid: int
    roles: tuple[str, ...]
    since: datetime
    seen_at: datetime | None
    is_stale: bool


class Brought(NamedTuple):
    """What a feed brought on a day: new entries, and items again that it had brought before (News.again)."""

    entries: int
    again: int


@dataclass(frozen=True, slots=True)
class PollHints:
    """What a feed document says about when to ask for it again.

    `ttl`: seconds between polls (RSS ttl, sy:updatePeriod), None if unstated. `skip_hours` and `skip_days`:
    hours (0 to 23) and days (0 = Monday) in UTC in which nothing new comes (RSS skipHours, skipDays).
    """

    ttl: int | None
    skip_hours: frozenset[int]
    skip_days: frozenset[int]


NO_HINTS = PollHints(None, frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Move:
    """What is known of a feed's new address.

    `to` is where permanent redirects led when last polled ("" = none), without credentials; `sightings`
    counts the polls that say so, at most one a day, the last of them at `seen_at`. `address` is where the
    feed is asked for since it counts as moved, "" while that is its own URL.
    """

    to: str
    sightings: int
    seen_at: datetime | None
    address: str


NOT_MOVED = Move("", 0, None, "")


@dataclass(frozen=True, slots=True)
class FeedState:
    """All that the program remembers of a feed between two polls.

    `url` is the one that the operator listed, credentials included; `set_interval` and `set_lang` are what the list
    sets for this feed (FeedSettings: interval, language). `etag` and `last_modified` are the server's
    own bytes, decoded as Latin-1 ("" = none). `interval` is the seconds between polls that the feed's own
    rhythm asks for. `failures` counts failed polls in a row. `retry_at` is the time before which the server
    asked not to be asked again (Retry-After). `whole_at` is when the whole document was last asked for or
    sent. `failure` is why the last poll failed, None if it did not; `answer_seconds` how long its server was waited
    for. `fence` counts who was given the feed so far: only who knows the present number may write its state.
    """

    id: FeedId
    url: str
    title: str
    category: str
    lang: str
    health: FeedHealth
    etag: str
    last_modified: str
    body_hash: str
    interval: int
    failures: int
    problem: str
    next_poll_at: datetime
    last_polled_at: datetime | None
    last_success_at: datetime | None
    retry_at: datetime | None
    whole_at: datetime | None
    failure: FailureKind | None
    answer_seconds: float | None
    hints: PollHints
    move: Move
    fence: int
    set_interval: int | None
    set_lang: str

    @classmethod
    def unknown(cls, url: str, now: datetime) -> Self:
        """A feed of which nothing but its address is known; it is due."""
        return cls(
            id=FeedId(0),
            url=url,
            title="",
            category="",
            lang="",
            health=FeedHealth.OK,
            etag="",
            last_modified="",
            body_hash="",
            interval=0,
            failures=0,
            problem="",
            next_poll_at=now,
            last_polled_at=None,
            last_success_at=None,
            retry_at=None,
            whole_at=None,
            failure=None,
            answer_seconds=None,
            hints=NO_HINTS,
            move=NOT_MOVED,
            fence=0,
            set_interval=None,
            set_lang="",
        )

    @property
    def address(self) -> str:
        """Where the feed is asked for, credentials left out if it has moved."""
        return self.move.address or self.url


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A row of `v1_feed` and the feed's id: what people and programs get to see of a listed feed.

    `has_moved`: it is polled at `moved_to` already. `twin`: the address at which another listed feed is
    polled that this one has moved to, so that this one rests; "" without one. `quiet_days`: since when a silent
    feed brought nothing, 0 for others. `failure`, `answer_seconds`: those of its FeedState.
    """

    url: str
    title: str
    category: str
    state: str
    last_polled_at: datetime | None
    last_success_at: datetime | None
    next_poll_at: datetime | None
    failures: int
    problem: str
    entries: int
    moved_to: str
    has_moved: bool
    twin: str
    id: FeedId
    quiet_days: int = 0
    failure: FailureKind | None = None
    answer_seconds: float | None = None


class FeedTrouble(StrEnum):
    """What can be wrong with a feed, the worst first."""

    GONE = "gone"
    NOT_A_FEED = "not_a_feed"
    FAILING = "failing"
    MOVED = "moved"
    DUPLICATE = "duplicate"
    WRONG_DATES = "wrong_dates"
    SILENT = "silent"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a feed, and in a sentence or two what a person should do."""

    kind: FeedTrouble
    advice: str


class LatestEntry(NamedTuple):
    """One of a feed's latest entries: `name` is its address without tracking, else its guid."""

    name: str
    published_at: datetime
    first_seen_at: datetime
    date_guessed: bool


# ---- fetching ------------------------------------------------------------------------------------


class FailureKind(StrEnum):
    """Why a poll brought nothing; the schedule backs off by it."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    HTTP = "http"
    GONE = "gone"
    THROTTLED = "throttled"
    FORBIDDEN_ADDRESS = "forbidden_address"
    BAD_URL = "bad_url"
    TOO_LARGE = "too_large"
    BROKEN_BODY = "broken_body"
    NOT_A_FEED = "not_a_feed"
    PARSER = "parser"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete body (content coding removed) with the headers that matter later.

    `url` is where the body came from after redirects; `moved_to` the target of the permanent redirects that
    come first, "" without one. `max_age`: seconds of freshness left (RFC 9111), None if unstated. `is_delta`:
    the body has only what is new since the validators that were sent (RFC 3229). `set_lang`: the language that
    the operator set for the feed, "" if none.
    """

    url: str
    status: int
    body: bytes
    content_type: str
    content_location: str
    etag: str
    last_modified: str
    max_age: int | None
    moved_to: str
    is_delta: bool = False
    set_lang: str = ""


@dataclass(frozen=True, slots=True)
class NotModified:
    """A 304: the validators to keep and the freshness it stated."""

    etag: str
    last_modified: str
    max_age: int | None
    moved_to: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An expected failure: `detail` is a plain sentence for the operator.

    `retry_after` and `max_age` are the seconds for which the server asked to be left alone, and for which it
    called its refusal fresh; None if unstated. `status`: of its HTTP answer, None without one. `is_unasked`: no
    connection came about, so no server has been sent anything.
    """

    kind: FailureKind
    detail: str
    retry_after: int | None = None
    max_age: int | None = None
    status: int | None = None
    is_unasked: bool = False


FetchResult = Fetched | NotModified | Failed


# ---- parsing and normalising ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParsedEntry:
    """One item as the feed gave it, "" where it gave nothing; markup untouched.

    `title`, `summary` and `content` may be HTML or plain text as `*_is_html` says. `base` is the URL against
    which the item's relative links resolve (xml:base, Content-Location, or the feed's own). `published` is in
    UTC; None if absent or unreadable. `source` is the outlet that an aggregating feed names for the item.
    """

    guid: str
    link: str
    title: str
    title_is_html: bool
    summary: str
    summary_is_html: bool
    content: str
    content_is_html: bool
    base: str
    author: str
    lang: str
    source: str
    published: datetime | None


class SeenItem(NamedTuple):
    """An item of a document that was read, as 64-bit hashes of its bytes and of what tells it from others.

    `guid` and `page` (its address without a fragment) are 0 where it has none, `identity` where it is no entry.
    `entry` is the stored entry that it is, 0 = none or not known yet.
    """

    content: int
    guid: int = 0
    page: int = 0
    identity: int = 0
    entry: int = 0

    @staticmethod
    def key(name: str) -> int:
        """The hash of a guid, an address or an identity; 0 for none."""
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) if name else 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a document held when it was last read: the items, and a hash of all that is around them.

    No items: those of the document may depend on one another, or it was none of XML; all of it is to be read.
    """

    frame: int
    items: tuple[SeenItem, ...]


NOTHING_SEEN = Seen(0, ())


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """A feed document: its own description and its items in document order.

    `contents` are hashes of the bytes of `entries`, one each, where these can be told. `skipped` are the items
    that were left out, because they are known as they are or because there is nothing in them. `frame`: see Seen.
    """

    title: str
    site_url: str
    lang: str
    hints: PollHints
    entries: tuple[ParsedEntry, ...]
    frame: int = 0
    contents: tuple[int, ...] = ()
    skipped: tuple[SeenItem, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedItem:
    """A related item that the source stuck to the end of its text.

    `teaser` is the truncated form (at most 60 characters), `text` the whole text if the source carried it
    (else ""). `start_key` finds the item by how its text starts, 0 if it is too short to be told.
    """

    text: str
    teaser: str
    url: str
    start_key: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One clean item.

    `identity` is what makes it the same item at the next poll within its feed. `text` is plain, one paragraph
    a line, without the trailing related items (they are in `listed`). `summary` is plain, at most 300
    characters. `html` is sanitised. `url` is as given but absolute; `canonical_url` without tracking.
    `published_at` is UTC and always set: `date_guessed` says that it is the time of fetching. `content_hash`
    changes when a reader would see a change. `text_key` and `title_key` find the item from a teaser (see
    teaser.start_key), 0 = none. `truncated` says that the source cut the text short.
    """

    identity: str
    guid: str
    url: str
    canonical_url: str
    title: str
    summary: str
    text: str
    html: str
    lang: str
    author: str
    source: str
    published_at: datetime
    date_guessed: bool
    truncated: bool
    content_hash: str
    text_key: int
    title_key: int
    listed: tuple[ListedItem, ...]

    @property
    def second_identity(self) -> str:
        """What makes it the same item where its identity belongs to another item already (a guid used twice)."""
        other = (self.canonical_url or self.title).encode()
        return f"{self.identity}\n{blake2b(other, digest_size=12).hexdigest()}"


@dataclass(frozen=True, slots=True)
class NormalisedFeed:
    """What leaves the parsing process: the feed's own description and its entries, each identity once.

    Entries of items that are known as they are were left out; `seen` has them, too. `signatures`: one for each
    of `entries`, or none at all.
    """

    title: str
    site_url: str
    lang: str
    hints: PollHints
    entries: tuple[Entry, ...]
    seen: Seen = NOTHING_SEEN
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of an imported file that is no entry: its number from 1, and what is wrong with it."""

    number: int
    reason: str


# ---- polling: what to write ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """What the store holds of an item of this feed; `text` is "" unless it was found by what it says."""

    id: EntryId
    canonical_url: str
    title: str
    text: str
    published_at: datetime
    content_hash: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What the clusterer compares instead of texts; a pure function of the entry, stored beside it.

    `minhash`: 128 uint32, little-endian (datasketch affine32 over word 1- and 2-grams of title + lead).
    `title`, `lead`, `body`: token ids in order of appearance, uint32 little-endian; `lead` is the summary and
    the text up to about 60 tokens, `body` the first 64 tokens of the text alone.
    `title_marks`, `lead_marks`: one byte per token: rarity and kind (see cluster.signature).
    `terms`: its different terms (stems) in rising order, uint32 little-endian, each with a byte in
    `term_marks`: how often it stands in title, address and lead, and whether it is a number; and one in
    `term_rarity`, its rarity in eighths (see cluster.signature). `scheme` names the way all this was
    computed; signatures of two schemes are never compared. `content_key`: a number made of all this and the
    outlet, by which ties fall (see cluster.signature.content_key). `meaning`: what the texts mean, see
    cluster.meaning; empty if it was not encoded.
    """

    scheme: int
    minhash: bytes
    title: bytes
    title_marks: bytes
    lead: bytes
    lead_marks: bytes
    body: bytes
    terms: bytes
    term_marks: bytes
    term_rarity: bytes
    truncated: bool
    content_key: int
    meaning: bytes = b""


@dataclass(frozen=True, slots=True)
class Edit:
    """A known entry whose content changed; `entry` replaces it, the old content becomes a version."""

    id: EntryId
    entry: Entry
    signature: Signature


@dataclass(frozen=True, slots=True)
class Alias:
    """An entry that came back under another identity: `identity` from now on means `id`."""

    id: EntryId
    identity: str


@dataclass(frozen=True, slots=True)
class News:
    """What a document brings beyond what is known: new entries, edited ones, known ones under a new identity.

    `known`: which stored entries the others are, and also the edited ones, by their identity in the document.
    `again`: how many items the feed had brought before and brings now as new, edited, or under another name.
    """

    new: tuple[tuple[Entry, Signature], ...]
    edits: tuple[Edit, ...]
    aliases: tuple[Alias, ...]
    known: Mapping[str, EntryId] = field(default_factory=dict)
    again: int = 0


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """Everything that one poll writes, in one transaction. `seen` counts the items in the document.

    `read` is what they were, None if what is known of the document stays as it is. `again` is News.again where
    that is a large part of the document, else 0.
    """

    state: FeedState
    seen: int
    news: News
    failure: Failed | None
    unchanged: bool
    read: Seen | None = None
    again: int = 0


# ---- clustering ----------------------------------------------------------------------------------


class Relation(StrEnum):
    """How an entry relates to the canonical entry of its event."""

    CANONICAL = "canonical"
    COPY = "copy"
    UPDATE = "update"
    SAME_EVENT = "same_event"


@dataclass(frozen=True, slots=True)
class Signed:
    """An entry as the clusterer sees it. `at` is the entry's own time (published, else first seen), UTC.

    `source_key` tells outlets apart (lower-case outlet name; "" = unknown, equal to no other). `content_hash` is
    that of the content which was signed.
    """

    id: EntryId
    feed_id: FeedId
    source_key: str
    lang: str
    at: datetime
    event_id: EventId | None
    signature: Signature
    content_hash: str = ""


class CorrectionKind(StrEnum):
    """What people say of entries: two tell the same event, two do not, one is the record of its event."""

    TOGETHER = "must_link"
    APART = "cannot_link"
    PIN = "pin"


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing that people said, for good. `b` is None for a pin. Of two that contradict the newer holds."""

    kind: CorrectionKind
    a: EntryId
    b: EntryId | None
    at: datetime


class Rule(StrEnum):
    """What decided where an entry stands."""

    ALONE = "alone"
    COPY = "copy"
    AVERAGE = "average"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate as the decision on an entry saw it.

    `features`: in the order of cluster.features.FEATURES, with MEANINGS after them if entries were encoded.
    `veto` is the number of a reason in cluster.judge.VETOES for which the probability is 0 whatever the
    features say, 0 = none.
    """

    other: EntryId
    probability: float
    is_copy: bool
    veto: int
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Why an entry was put where it is, as it was decided `at` that time.

    `among`: the entries around it then, negative until it is weighed again. `seen`: the candidates
    compared; `compared` the most probable of them. `mean` is the mean probability that the entry tells the
    same event as each other entry of its event, over `size` entries; `threshold` the evidence needed, as a
    probability. `model` names the weights.
    """

    entry: EntryId
    at: datetime
    among: int
    seen: int
    rule: Rule
    mean: float
    size: int
    threshold: float
    model: str
    compared: tuple[Compared, ...]


class ChangeKind(StrEnum):
    """The kind column of `v1_change`."""

    CREATED = "created"
    UPDATED = "updated"
    MERGED = "merged"
    SPLIT = "split"
    REMOVED = "removed"


class TeaserKind(StrEnum):
    """The kind column of `v1_teaser`."""

    COVERAGE = "coverage"
    RELATED = "related"


@dataclass(frozen=True, slots=True)
class Teaser:
    """One truncated item beside an event. `full_text` is set when the record itself carried the text."""

    kind: TeaserKind
    text: str
    full_text: str
    title: str
    url: str
    source: str
    published_at: datetime | None
    entry_id: EntryId | None
    related_event_id: EventId | None


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an event as the choice of the canonical record and of the teasers sees it.

    `weight` is that of its feed (FeedSettings).
    """

    id: EntryId
    feed_id: FeedId
    feed_url: str
    identity: str
    url: str
    title: str
    summary: str
    text: str
    lang: str
    source: str
    published_at: datetime
    first_seen_at: datetime
    date_guessed: bool
    truncated: bool
    weight: float = 1.0


# ---- telling programs ----------------------------------------------------------------------------


class MessageType(StrEnum):
    """What a message to the webhook is about."""

    CREATED = "event.created"
    GROWN = "event.grown"
    MERGED = "event.merged"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the webhook. `number` orders the messages of an event; `id` stays the same at every try.

    `tries` counts the present one.
    """

    number: int
    id: str
    event: EventId
    type: MessageType
    at: datetime
    tries: int


# ---- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event in a list: the columns of `v1_event` without the long ones."""

    id: EventId
    title: str
    url: str
    source: str
    lang: str
    published_at: datetime | None
    last_seen_at: datetime
    entry_count: int
    source_count: int


class EventTime(StrEnum):
    """Which of an event's times counts: when its newest entry reached us, or when that was published."""

    GROWN = "last_seen_at"
    NEWS = "news_at"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; "" and None = whichever.

    `words`: all of them in one entry of the event. `category` holds those below it ("world" also "world/asia").
    `since` (included) and `until` (not) are when the event grew last, or when its news is from: whichever `time`
    says, by which they are also in order.
    """

    words: str = ""
    source: str = ""
    category: str = ""
    lang: str = ""
    since: datetime | None = None
    until: datetime | None = None
    time: EventTime = EventTime.GROWN

    @property
    def is_plain(self) -> bool:
        """Whether nothing but words is asked for."""
        return not (self.source or self.category or self.lang or self.since or self.until)


class Span(NamedTuple):
    """A stretch of time: `since` is in it, `until` is not; None = without an end."""

    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """Where a page of a list ends: at this time, if the list is ordered by time, and this number."""

    at: datetime | None
    number: int


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event in a list: the columns of `v1_event` without its text, and the category of its canonical entry."""

    id: EventId
    title: str
    url: str
    source: str
    summary: str
    lang: str
    category: str
    published_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    entry_count: int
    source_count: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a list of events; `next` is where the next one begins, None behind the last."""

    events: tuple[EventLine, ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """A row of `v1_entry` without its HTML, with summary and outlet."""

    id: EntryId
    feed_url: str
    guid: str
    url: str
    title: str
    summary: str
    text: str
    lang: str
    author: str
    source: str
    published_at: datetime
    first_seen_at: datetime
    date_guessed: bool
    event_id: EventId | None


@dataclass(frozen=True, slots=True)
class Change:
    """A row of `v1_change`."""

    cursor: int
    event_id: EventId
    kind: ChangeKind
    other_event_id: EventId | None
    at: datetime


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An entry of an event: a row of `v1_event_entry`."""

    entry_id: EntryId
    relation: Relation
    score: float | None
    feed_url: str
    source: str
    guid: str
    title: str
    url: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class EventRecord:
    """The whole record of an event: a row of `v1_event` with its entries and teasers, in the order to show."""

    id: EventId
    title: str
    url: str
    source: str
    summary: str
    text: str
    lang: str
    published_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    entry_count: int
    source_count: int
    canonical_entry_id: EntryId | None
    merged_into: EventId | None
    entries: tuple[EventEntry, ...]
    teasers: tuple[Teaser, ...]
