"""The webhook: every event that is created, grows or merges is told, signed, in order, at least once."""

from __future__ import annotations

import hmac
import json
import os
import signal
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from aggregator.config import SettingsError, load_settings
from aggregator.fetch import Poster
from aggregator.meters import Meters
from aggregator.pipeline import correcting
from aggregator.pipeline.delivering import Courier, Round
from aggregator.publish import signed_headers, wait_to_resend
from aggregator.store import Store
from aggregator.store.events import add_changes, create_events
from aggregator.store.outbox import claim_messages, forget_dead, outbox_counts, switch_webhook
from aggregator.types import ChangeKind, EventId, MessageType
from tests.documents import blocks
from tests.forks import Running
from tests.loopback import Answer, LoopbackServer, Reply, Request
from tests.pages import ENTRIES, bridge, bring
from tests.program import Program, write_jsonl

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_SECONDS = 60
OPML = '<opml version="2.0"><head/><body></body></opml>'


@pytest.fixture
def store(store: Store) -> Store:
    """A store whose changes are put into the outbox."""
    with store.write() as db:
        switch_webhook(db, NOW, on=True)
    return store


class Mail:
    """A courier with a clock that moves only when told to, and its receiver."""

    def __init__(self, store: Store, receiver: LoopbackServer, seconds: float = 5.0) -> None:
        self.store = store
        self.receiver = receiver
        self.now = NOW
        settings = load_settings({"webhook_url": receiver.url("/hook"), "webhook_secret": SECRET})
        self.poster = Poster(settings.webhook_url, "", seconds)
        self.courier = Courier(store, settings, self.poster, lambda: self.now, Random(7))

    def answer(self, *answers: Answer | Callable[[Request], Answer]) -> None:
        self.receiver.on("/hook", *answers)

    def deliver(self, *, hours: float = 0.0) -> list[Round]:
        """Rounds until nothing is due, `hours` later."""
        self.now += timedelta(hours=hours)
        rounds = []
        while (done := self.courier.deliver()) is not None:
            rounds.append(done)
        return rounds

    def change(self, *changes: tuple[EventId, ChangeKind], grown: tuple[EventId, ...] = ()) -> None:
        with self.store.write() as db:
            add_changes(db, [(event, kind, None) for event, kind in changes], self.now, grown)

    def events(self, count: int = 1) -> list[EventId]:
        with self.store.write() as db:
            return create_events(db, count, self.now)

    @property
    def told(self) -> list[Any]:
        """The bodies that arrived."""
        return [json.loads(request.body) for request in self.receiver.asked("/hook")]

    @property
    def counts(self) -> tuple[int, int]:
        """Messages that wait, and dead ones."""
        with self.store.read() as db:
            found = outbox_counts(db)
        return found.waiting, found.dead


@pytest.fixture
def mail(store: Store, loopback: LoopbackServer) -> Iterator[Mail]:
    made = Mail(store, loopback)
    made.answer(Reply(204))
    yield made
    made.poster.close()


def _verified(request: Request) -> bool:
    """Whether the request is signed as Standard Webhooks has it, worked out anew."""
    name, at = request.header("webhook-id"), request.header("webhook-timestamp")
    key = b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{name}.{at}.".encode() + request.body, "sha256")
    return request.header("webhook-signature") == f"v1,{b64encode(digest).decode()}"


# ---- what is told --------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_events_that_are_created_grow_and_merge_are_told_with_their_records(mail: Mail) -> None:
    bring(mail.store, ENTRIES)
    mail.deliver()
    with mail.store.read() as db:
        events = {row.id: row.title for row in db.execute(text("SELECT id, title FROM v1_event"))}
    assert {body["event"]["id"]: body["event"]["title"] for body in mail.told} == events
    assert {body["type"] for body in mail.told} == {"event.created"}
    first = mail.receiver.requests[0]
    assert (first.method, first.header("content-type")) == ("POST", "application/json")
    assert all(_verified(request) for request in mail.receiver.requests)
    assert [request.header("webhook-id") for request in mail.receiver.requests] == [
        b["id"] for b in mail.told
    ]
    before = len(mail.told)

    bring(mail.store, [bridge(1)])
    mail.deliver()
    (grown,) = mail.told[before:]
    assert grown["type"] == "event.grown"
    assert grown["event"]["entry_count"] == 4
    assert grown["event"]["teasers"]

    others = sorted(events.keys() - {grown["event"]["id"]})
    correcting.merge(mail.store, grown["event"]["id"], EventId(others[0]), NOW)
    mail.deliver()
    told = {body["type"]: body for body in mail.told[before + 1 :]}
    assert set(told) == {"event.merged", "event.grown"}
    assert told["event.merged"]["event"]["id"] == others[0]
    assert told["event.merged"]["event"]["merged_into"] == grown["event"]["id"]
    assert mail.counts == (0, 0)


def test_the_documents_message_has_the_parts_of_a_real_one(mail: Mail) -> None:
    (shown,) = (json.loads(block.body) for block in blocks("json"))
    bring(mail.store, ENTRIES)
    mail.deliver()
    assert MessageType(shown["type"])
    real = mail.told[0]
    assert list(shown) == list(real)
    for there, parts in ((real, shown), (real["event"], shown["event"])):
        assert {name: type(value) for name, value in parts.items()}.items() <= {
            name: type(value) for name, value in there.items()
        }.items()
    assert datetime.fromisoformat(real["at"]).tzinfo == datetime.fromisoformat(shown["at"]).tzinfo


def test_without_a_webhook_nothing_is_written(mail: Mail) -> None:
    with mail.store.write() as db:
        switch_webhook(db, NOW, on=False)
    bring(mail.store, ENTRIES)
    assert mail.counts == (0, 0)


def test_a_change_that_is_not_kept_is_not_told(mail: Mail) -> None:
    (event,) = mail.events()
    with pytest.raises(ZeroDivisionError), mail.store.write() as db:  # noqa: PT012 (written, then given up)
        add_changes(db, [(event, ChangeKind.CREATED, None)], NOW)
        raise ZeroDivisionError
    assert mail.counts == (0, 0)
    mail.change((event, ChangeKind.CREATED))
    assert mail.counts == (1, 0)


def test_growth_that_was_not_told_yet_is_told_once(mail: Mail) -> None:
    (event,) = mail.events()
    for _ in range(50):
        mail.change((event, ChangeKind.UPDATED), grown=(event,))
    assert mail.counts == (1, 0)
    with mail.store.write() as db:
        assert len(claim_messages(db, mail.now, 10)) == 1
    mail.change((event, ChangeKind.UPDATED), grown=(event,))
    assert mail.counts == (2, 0), "growth after the first try needs a message of its own"


# ---- receivers that fail -------------------------------------------------------------------------


def test_a_message_is_sent_again_with_the_same_id_until_it_is_taken(mail: Mail) -> None:
    mail.answer(Reply(500), Reply(503), b"garbage\r\n\r\n", Reply(200))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    for _ in range(4):
        mail.deliver(hours=2)
    requests = mail.receiver.asked("/hook")
    assert len(requests) == 4
    assert len({request.header("webhook-id") for request in requests}) == 1
    assert len({request.header("webhook-timestamp") for request in requests}) == 4
    assert all(_verified(request) for request in requests)
    assert mail.counts == (0, 0)


def test_waits_grow_are_spread_and_end(mail: Mail) -> None:
    waits = [wait_to_resend(tries, None, 0.0) for tries in range(1, 12)]
    assert waits[:4] == [5, 20, 80, 320]
    assert waits == sorted(waits, key=lambda wait: wait or 0)
    assert wait_to_resend(2, None, 1.0) == 10
    assert wait_to_resend(12, None, 0.0) is None
    mail.answer(Reply(500))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    for _ in range(20):
        mail.deliver(hours=12)
    assert len(mail.told) == 12
    assert mail.counts == (0, 1)


def test_retry_after_is_obeyed_for_all_messages(mail: Mail) -> None:
    mail.answer(Reply(429, (("Retry-After", "3600"),)), Reply(200))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    mail.deliver()
    mail.change((mail.events()[0], ChangeKind.CREATED))
    mail.deliver(hours=0.9)
    assert len(mail.told) == 1
    mail.deliver(hours=0.11)
    assert len(mail.told) == 3
    assert mail.counts == (0, 0)


def test_a_redirect_is_not_followed(mail: Mail) -> None:
    mail.answer(Reply(307, (("Location", mail.receiver.url("/elsewhere")),)))
    mail.receiver.on("/elsewhere", Reply(200))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    assert mail.deliver() == [Round(0, 1, 0)]
    assert mail.receiver.asked("/elsewhere") == []
    assert mail.counts == (1, 0)


def test_a_receiver_that_drips_is_given_up_in_time(store: Store, loopback: LoopbackServer) -> None:
    mail = Mail(store, loopback, seconds=0.3)
    mail.answer(lambda _request: loopback.drip(b"HTTP/1.1 "))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    started = time.monotonic()
    assert mail.deliver() == [Round(0, 1, 0)]
    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    mail.poster.close()


def test_nobody_there_is_a_failure_like_any_other(store: Store) -> None:
    with LoopbackServer() as gone:
        mail = Mail(store, gone)
    mail.change((mail.events()[0], ChangeKind.CREATED))
    assert mail.deliver() == [Round(0, 1, 0)]
    mail.poster.close()


def test_while_the_receiver_is_down_what_waits_keeps_its_tries(mail: Mail) -> None:
    mail.answer(Reply(500))
    events = mail.events(100)
    mail.change(*((event, ChangeKind.CREATED) for event in events))
    for _ in range(3):
        mail.deliver()
    assert len(mail.told) == 8
    mail.answer(Reply(200))
    mail.deliver(hours=1)
    assert mail.counts == (0, 0)
    assert {body["event"]["id"] for body in mail.told} == set(events)


def test_messages_of_an_event_keep_their_order_and_others_do_not_wait(mail: Mail) -> None:
    one, other = mail.events(2)

    def refuse_one(request: Request) -> Answer:
        return Reply(500 if json.loads(request.body)["event"]["id"] == one else 200)

    mail.answer(refuse_one)
    mail.change((one, ChangeKind.CREATED), (other, ChangeKind.CREATED))
    mail.change((one, ChangeKind.UPDATED), (other, ChangeKind.UPDATED), grown=(one, other))
    mail.change((one, ChangeKind.MERGED))
    mail.deliver()
    told = [(body["event"]["id"], body["type"]) for body in mail.told]
    assert (other, "event.grown") in told
    assert [kind for event, kind in told if event == one] == ["event.created"]
    mail.answer(Reply(200))
    mail.deliver(hours=1)
    kinds = [body["type"] for body in mail.told if body["event"]["id"] == one]
    assert kinds == ["event.created", "event.created", "event.grown", "event.merged"]


def test_the_figures_tell_what_waits_and_what_is_dead(mail: Mail) -> None:
    mail.answer(Reply(500))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    for _ in range(12):
        mail.deliver(hours=12)
    mail.change(*((event, ChangeKind.CREATED) for event in mail.events(2)))
    meters = Meters()
    meters.count_messages(3, 2, 1)
    shown = meters.as_text(mail.store, NOW).decode()
    for line in (
        "aggregator_webhook_waiting 2.0",
        "aggregator_webhook_dead 1.0",
        'aggregator_webhook_messages_total{outcome="delivered"} 3.0',
        'aggregator_webhook_messages_total{outcome="failed"} 1.0',
        'aggregator_webhook_messages_total{outcome="given up"} 1.0',
    ):
        assert line in shown.splitlines()


def test_the_dead_let_the_next_pass_and_are_not_kept_for_good(mail: Mail) -> None:
    mail.answer(Reply(500))
    (event,) = mail.events()
    mail.change((event, ChangeKind.CREATED))
    for _ in range(12):
        mail.deliver(hours=12)
    assert mail.counts == (0, 1)
    mail.answer(Reply(200))
    mail.change((event, ChangeKind.UPDATED), grown=(event,))
    mail.deliver(hours=1)
    assert mail.told[-1]["type"] == "event.grown"
    with mail.store.write() as db:
        assert forget_dead(db, mail.now - timedelta(days=9), 5) == 0
        assert forget_dead(db, mail.now + timedelta(days=1), 5) == 1
    mail.answer(Reply(500))
    mail.change(*((one, ChangeKind.CREATED) for one in mail.events(3)))
    for _ in range(40):
        mail.deliver(hours=12)
    assert mail.counts == (0, 3)
    with mail.store.write() as db:
        assert forget_dead(db, NOW, 2) == 1


def test_growth_written_while_it_is_being_sent_is_sent_again(mail: Mail) -> None:
    """A grouping transaction that is open while the courier looks: what it adds is never only half told."""
    (event,) = mail.events()
    mail.change((event, ChangeKind.UPDATED), grown=(event,))
    is_open, may_end = threading.Event(), threading.Event()

    def group() -> None:
        with mail.store.write() as db:
            add_changes(db, [(event, ChangeKind.UPDATED, None)], NOW, (event,))
            db.execute(text(f"UPDATE event SET entry_count = 77 WHERE id = {event}"))
            is_open.set()
            assert may_end.wait(PATIENCE_SECONDS)

    grouping = threading.Thread(target=group)
    grouping.start()
    assert is_open.wait(PATIENCE_SECONDS)
    delivering = threading.Thread(target=mail.deliver)
    delivering.start()
    time.sleep(0.2)
    may_end.set()
    grouping.join()
    delivering.join()
    mail.deliver()
    assert mail.told[-1]["event"]["entry_count"] == 77
    assert mail.counts == (0, 0)


# ---- the program ---------------------------------------------------------------------------------


def _daemon(program: Program, settings: dict[str, object]) -> Running:
    return program.start("serve", "--no-web", "--no-poll", settings=settings)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@pytest.mark.parametrize("answers_first", [True, False])
def test_killed_before_or_after_the_answer_it_tells_the_same_message_again(
    tmp_path: Path, program: Program, loopback: LoopbackServer, *, answers_first: bool
) -> None:
    settings: dict[str, object] = {"WEBHOOK_URL": loopback.url("/hook"), "WEBHOOK_SECRET": SECRET}
    (tmp_path / "feeds.opml").write_text(OPML)
    daemons: list[Running] = []
    was_asked = threading.Event()

    def answer(_request: Request) -> Answer:
        """Sends its answer and then kills the daemon, or kills it and never answers."""
        was_asked.set()
        while not daemons:
            time.sleep(0.01)
        if answers_first:
            threading.Timer(0.0005, os.kill, (daemons[0].pid, signal.SIGKILL)).start()
            return Reply(200)
        os.kill(daemons[0].pid, signal.SIGKILL)
        return iter(())

    loopback.on("/hook", answer)
    daemon = _daemon(program, settings)
    assert daemon.stderr
    for line in daemon.stderr:
        if "events are told to" in line:
            break
    program.run("import", write_jsonl(tmp_path / "in.jsonl", ENTRIES[:3]), status=0, settings=settings)
    daemons.append(daemon)
    assert was_asked.wait(PATIENCE_SECONDS)
    daemon.wait(PATIENCE_SECONDS)
    daemon.communicate()
    first = {request.header("webhook-id") for request in loopback.asked("/hook")}
    left = program.query("SELECT message_id FROM outbox")
    loopback.on("/hook", Reply(200))
    again = _daemon(program, settings)
    _wait(lambda: not program.query("SELECT 1 FROM outbox"))
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=6)
    assert again.returncode == 0
    told = [request.header("webhook-id") for request in loopback.asked("/hook")]
    assert {name for (name,) in left} <= set(told[len(first) :])
    if not answers_first:
        assert first <= {name for (name,) in left}
    events = {json.loads(request.body)["event"]["id"] for request in loopback.asked("/hook")}
    assert events == {row[0] for row in program.query("SELECT id FROM v1_event")}


def test_a_slow_receiver_does_not_hold_up_the_end(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    settings: dict[str, object] = {"WEBHOOK_URL": loopback.url("/hook"), "WEBHOOK_SECRET": SECRET}
    (tmp_path / "feeds.opml").write_text(OPML)
    loopback.on("/hook", lambda _request: loopback.drip(b"HTTP/1.1 "))
    daemon = _daemon(program, settings)
    assert daemon.stderr
    for line in daemon.stderr:
        if "running" in line:
            break
    correction = write_jsonl(tmp_path / "in.jsonl", ENTRIES[:1])
    assert "grouped by the process" in program.run("import", correction, settings={}).stdout
    _wait(lambda: bool(loopback.asked("/hook")))
    daemon.send_signal(signal.SIGTERM)
    daemon.communicate(timeout=5)
    assert daemon.returncode == 0
    assert program.query("SELECT count(*) FROM outbox") == [(1,)]
    done = program.run("webhook", "--json")
    assert json.loads(done.stdout)["waiting"] == 1


def test_what_was_given_up_is_shown_and_can_be_sent_again(
    store: Store, program: Program, loopback: LoopbackServer
) -> None:
    mail = Mail(store, loopback)
    mail.answer(Reply(500))
    mail.change((mail.events()[0], ChangeKind.CREATED))
    for _ in range(12):
        mail.deliver(hours=12)
    shown = program.run("webhook").stdout
    assert "dead" in shown
    assert "127.0.0.1 answered 500" in shown
    assert "--retry" in shown
    assert "1 messages wait" in program.run("webhook", "--retry").stdout
    mail.answer(Reply(200))
    mail.now = datetime.now(UTC)
    mail.deliver()
    assert mail.counts == (0, 0)
    mail.poster.close()


def test_a_process_that_does_not_group_says_that_it_tells_nothing(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    settings: dict[str, object] = {"WEBHOOK_URL": loopback.url("/hook"), "WEBHOOK_SECRET": SECRET}
    (tmp_path / "feeds.opml").write_text(OPML)
    daemon = program.start("serve", "--no-web", "--no-cluster", settings=settings)
    assert daemon.stderr
    for line in daemon.stderr:
        if "WEBHOOK_URL is not used here" in line:
            break
    daemon.kill()
    daemon.communicate()
    assert program.query("SELECT count(*) FROM webhook") == [(0,)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"webhook_url": "https://a.example/"}, "needs WEBHOOK_SECRET"),
        ({"webhook_url": "ftp://me:hidden@a.example/"}, r"--webhook-url=\.\.\.: give a URL"),
        ({"webhook_secret": "whsec_hidden"}, r"--webhook-secret=\.\.\.: write whsec_"),
        ({"webhook_secret": "hidden" * 9}, "write whsec_"),
    ],
)
def test_settings_that_can_not_work_are_refused_and_not_repeated(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        load_settings(given)
    assert "hidden" not in str(refused.value)
