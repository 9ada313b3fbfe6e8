"""Cases of conditional requests: validators go back as they came, and only those of a feed that was read."""

from __future__ import annotations

from aggregator.pipeline.reports import Result
from tests.cases import case
from tests.loopback import Answer
from tests.stage import FEED, Stage, item, ok, rss, said

TAG = '"v1"'
DATE = "Mon, 23 Nov 2026 08:00:00 GMT"
PAGE = b"<!doctype html><html><head><title>Sorry</title></head><body><p>Down</p></body></html>"


def _sent_back(stage: Stage, **headers: str) -> tuple[str | None, str | None]:
    """The validators of the second request, after a first answer with these headers."""
    stage.serve(ok(**headers), said(304))
    stage.poll()
    assert stage.poll(hours=1).result is Result.UNCHANGED
    return stage.last.header("If-None-Match"), stage.last.header("If-Modified-Since")


def _kept_through(stage: Stage, answer: Answer) -> None:
    """The validators of the first answer survive the second, which brings others but no feed."""
    stage.serve(ok(ETag=TAG, Last_Modified=DATE), answer, said(304))
    stage.poll()
    assert stage.poll(hours=1).result is Result.FAILED
    assert stage.poll(hours=30).result is Result.UNCHANGED
    assert (stage.last.header("If-None-Match"), stage.last.header("If-Modified-Since")) == (TAG, DATE)
    assert len(stage.titles) == 2


@case(1, "RFC 9110 13")
def first_request(stage: Stage) -> None:
    """The first request of a feed is unconditional."""
    stage.serve(ok())
    stage.poll()
    assert not {"if-none-match", "if-modified-since", "a-im"} & {
        name.lower() for name, _ in stage.last.headers
    }


@case(1, "RFC 9110 13.1.2")
def strong_tag(stage: Stage) -> None:
    """An entity tag goes back in If-None-Match, byte for byte."""
    assert _sent_back(stage, ETag=TAG) == (TAG, None)


@case(1, "RFC 9110 8.8.3")
def weak_tag(stage: Stage) -> None:
    """A weak tag keeps its W/."""
    assert _sent_back(stage, ETag='W/"5f-abc"') == ('W/"5f-abc"', None)


@case(1, "RFC 9110 8.8.3")
def unquoted_tag(stage: Stage) -> None:
    """A tag without its quotation marks goes back without them: the server knows what it means."""
    assert _sent_back(stage, ETag="5f-abc") == ("5f-abc", None)


@case(1, "RFC 9110 8.8.3")
def odd_tag(stage: Stage) -> None:
    """A tag with commas, quotes and bytes beyond ASCII goes back unchanged."""
    assert _sent_back(stage, ETag='"a", b;"\xe9\xff"') == ('"a", b;"\xe9\xff"', None)


@case(1, "RFC 9110 8.8.3")
def empty_tag(stage: Stage) -> None:
    """The empty tag `""` is a tag."""
    assert _sent_back(stage, ETag='""') == ('""', None)


@case(1, "RFC 9110 13.1.3")
def modification_date(stage: Stage) -> None:
    """Last-Modified goes back in If-Modified-Since, byte for byte."""
    assert _sent_back(stage, Last_Modified=DATE) == (None, DATE)


@case(1, "RFC 9110 13.1.3")
def modification_without_date(stage: Stage) -> None:
    """A Last-Modified that is no date goes back as it is, never as a date of our own."""
    assert _sent_back(stage, Last_Modified="around noon, 2026") == (None, "around noon, 2026")


@case(1, "RFC 9110 5.6.7")
def modification_in_another_zone(stage: Stage) -> None:
    """A date in another zone or form is not rewritten."""
    odd = "Mon, 23-Nov-26 09:00:00 +0100"
    assert _sent_back(stage, Last_Modified=odd) == (None, odd)


@case(1, "RFC 9110 13.1.3")
def both_validators(stage: Stage) -> None:
    """Of a server that gives both, both go back."""
    assert _sent_back(stage, ETag=TAG, Last_Modified=DATE) == (TAG, DATE)


@case(1, "RFC 9110 8.8")
def new_validators_of_the_same_body(stage: Stage) -> None:
    """A 200 with a body that is known brings its validators all the same."""
    stage.serve(ok(ETag=TAG), ok(ETag='"v2"'), said(304))
    stage.poll()
    assert stage.poll(hours=1).result is Result.UNCHANGED
    stage.poll(hours=2)
    assert stage.last.header("If-None-Match") == '"v2"'


@case(1, "RFC 9111 4.3.4")
def new_validators_in_a_304(stage: Stage) -> None:
    """Validators in a 304 replace the stored ones."""
    stage.serve(ok(ETag=TAG), said(304, ETag='"v2"', Last_Modified=DATE), said(304))
    stage.poll()
    stage.poll(hours=1)
    stage.poll(hours=2)
    assert (stage.last.header("If-None-Match"), stage.last.header("If-Modified-Since")) == ('"v2"', DATE)


@case(1, "RFC 9111 4.3.4")
def a_304_without_validators(stage: Stage) -> None:
    """What a 304 does not repeat stays."""
    stage.serve(ok(ETag=TAG, Last_Modified=DATE), said(304))
    for hours in (0, 1, 2):
        stage.poll(hours=hours)
    assert (stage.last.header("If-None-Match"), stage.last.header("If-Modified-Since")) == (TAG, DATE)


@case(1, "RFC 9110 8.8")
def validators_no_longer_sent(stage: Stage) -> None:
    """A 200 without validators ends them."""
    stage.serve(ok(ETag=TAG, Last_Modified=DATE), ok(rss(item("three"))), ok())
    for hours in (0, 1, 2):
        stage.poll(hours=hours)
    assert (stage.last.header("If-None-Match"), stage.last.header("If-Modified-Since")) == (None, None)


@case(1, "RFC 9110 15.6")
def validators_of_an_error(stage: Stage) -> None:
    """Validators of an error are not those of the feed."""
    _kept_through(stage, said(500, b"oops", ETag='"error"', Last_Modified="today"))


@case(1)
def validators_of_a_page(stage: Stage) -> None:
    """Validators of an HTML page with status 200 are not those of the feed."""
    _kept_through(stage, ok(PAGE, ETag='"page"', Last_Modified="today"))


@case(1)
def validators_of_an_unreadable_body(stage: Stage) -> None:
    """Validators of a body that can't be read are not kept."""
    _kept_through(stage, ok(b"<rss><channel><ti", ETag='"torn"', Last_Modified="today"))


@case(1, "RFC 9112 8")
def validators_of_an_incomplete_body(stage: Stage) -> None:
    """Validators of a body that breaks off are not kept."""
    head = b'HTTP/1.1 200 OK\r\nETag: "cut"\r\nContent-Length: 9999\r\n\r\n'
    _kept_through(stage, head + FEED)


@case(1, "RFC 9110 15.4.5")
def a_304_that_nobody_asked_for(stage: Stage) -> None:
    """A 304 to an unconditional request is an error, not an unchanged feed."""
    stage.serve(said(304, ETag=TAG))
    report = stage.poll()
    assert report.result is Result.FAILED
    assert "304" in report.detail
    assert stage.state.etag == ""


@case(1)
def a_304_for_ever(stage: Stage) -> None:
    """A server that always says 304 is asked for the whole feed once a week, and no more often."""
    stage.serve(ok(ETag=TAG), said(304))
    stage.poll()
    for _ in range(60):
        stage.poll(hours=8)
    whole = [at for at, request in enumerate(stage.requests) if request.header("If-None-Match") is None]
    assert whole == [0, 21, 42]
    assert stage.state.etag == TAG


@case(1)
def a_304_for_ever_ends(stage: Stage) -> None:
    """What the weekly whole request brings is read, and its validators count."""
    stage.serve(
        ok(ETag=TAG),
        lambda request: said(304) if request.header("If-None-Match") else ok(rss(item("three")), ETag='"v2"'),
    )
    stage.poll()
    for _ in range(8):
        stage.poll(hours=24)
    assert len(stage.titles) == 3
    assert stage.state.etag == '"v2"'


@case(1, "RFC 9110 13.1")
def validators_along_a_redirect(stage: Stage) -> None:
    """Validators go along to where a redirect leads: they came from there."""
    stage.serve(said(302, Location="/elsewhere"))
    stage.serve(ok(ETag=TAG), said(304), path="/elsewhere")
    stage.poll()
    assert stage.poll(hours=1).result is Result.UNCHANGED
    assert stage.last.header("If-None-Match") == TAG
