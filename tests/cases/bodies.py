"""Cases of bodies: what is incomplete is no feed, what is dangerous does not get through."""

from __future__ import annotations

import gzip
import json
import re

from aggregator.pipeline.reports import Result
from tests.cases import case
from tests.loopback import Answer
from tests.stage import FEED, Stage, item, ok, rss

JSON_FEED = "https://jsonfeed.org/version/1.1"


def _refused(stage: Stage, answer: Answer) -> None:
    """Nothing of it is kept: no entry, no validator; the next poll reads the feed."""
    stage.serve(answer, ok())
    assert stage.poll().result is Result.FAILED
    assert (stage.titles, stage.state.etag, stage.state.body_hash) == ([], "", "")
    assert stage.poll(hours=9).new == 2


def _text(stage: Stage, extra: str = "", *, body: bytes = b"") -> str:
    """All that is kept of the first entry, in one string."""
    stage.serve(ok(body or rss(item("one", extra=extra))))
    assert stage.poll().new == 1
    (row,) = stage.rows(
        "SELECT title, text, html, author, url, guid, source FROM v1_entry "
        "JOIN (SELECT source FROM entry) AS kept ON true"
    )
    return "\n".join(row)


def _markup(stage: Stage, html: str) -> str:
    escaped = html.replace("&", "&amp;").replace("<", "&lt;")
    return _text(stage, f"<description>{escaped}</description>")


@case(9, "RFC 9112 8")
def short_body(stage: Stage) -> None:
    """A body shorter than its Content-Length is an error."""
    _refused(stage, b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 9999\r\n\r\n' + FEED)


@case(9, "RFC 9112 8")
def body_cut_in_a_chunk(stage: Stage) -> None:
    """A chunk that breaks off is an error."""
    head = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n'
    _refused(stage, head + b"9999\r\n" + FEED)


@case(9, "RFC 9112 8")
def no_last_chunk(stage: Stage) -> None:
    """Chunks without the last, empty one are an error."""
    head = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n'
    _refused(stage, head + b"%x\r\n%s\r\n" % (len(FEED), FEED))


@case(9, "RFC 9112 7.1")
def garbage_for_chunks(stage: Stage) -> None:
    """Chunk sizes that are no numbers are an error."""
    head = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n'
    _refused(stage, head + b"lots\r\n" + FEED)


@case(9, "RFC 1952 2.2")
def truncated_gzip(stage: Stage) -> None:
    """Compressed data that breaks off is an error, even if a whole feed could be got out of it."""
    _refused(stage, ok(gzip.compress(FEED)[:-8], Content_Encoding="gzip", ETag='"a"'))


@case(9, "RFC 1952 2.3.1")
def gzip_with_a_wrong_checksum(stage: Stage) -> None:
    """Compressed data whose checksum is wrong is an error."""
    packed = bytearray(gzip.compress(FEED))
    packed[-6] ^= 1
    _refused(stage, ok(bytes(packed), Content_Encoding="gzip", ETag='"a"'))


@case(9, "RFC 9110 8.4")
def coding_that_is_not_so(stage: Stage) -> None:
    """A body that is not in the coding it claims is an error."""
    _refused(stage, ok(FEED, Content_Encoding="gzip", ETag='"a"'))


@case(9, "RFC 9112 2.1")
def no_http(stage: Stage) -> None:
    """An answer that is no HTTP is an error."""
    _refused(stage, b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


@case(9)
def empty_body(stage: Stage) -> None:
    """An empty body is an error, not a feed without items."""
    _refused(stage, ok(b"", ETag='"a"'))


@case(9, "XML 1.0 2.1")
def document_cut_before_its_first_item(stage: Stage) -> None:
    """A document that stops before its first item is an error."""
    _refused(stage, ok(b"<rss version='2.0'><channel><title>Pap", ETag='"a"'))


@case(9, "XML 1.0 4.4")
def billion_laughs(stage: Stage) -> None:
    """Entities are not expanded: a kilobyte stays a kilobyte."""
    doubled = "".join(f"<!ENTITY e{n} '&e{n - 1};&e{n - 1};'>" for n in range(1, 40))
    body = f"<!DOCTYPE rss [<!ENTITY e0 'ha'>{doubled}]>".encode() + rss(
        item("one", extra="<description>&e39;</description>")
    )
    assert "haha" not in _text(stage, body=body)


@case(9, "XML 1.0 4.2.2")
def external_entity(stage: Stage) -> None:
    """External entities are not read, neither from disk nor from the network."""
    secret = stage.folder / "secret"
    secret.write_text("top secret")
    spy = stage.server.url("/spy")
    head = f"<!DOCTYPE rss [<!ENTITY a SYSTEM '{secret.as_uri()}'><!ENTITY b SYSTEM '{spy}'>]>".encode()
    assert "top secret" not in _text(
        stage, body=head + rss(item("one", extra="<description>&a;&b;</description>"))
    )
    assert [request.path for request in stage.requests] == ["/feed"]


@case(9, "XInclude 1.0")
def included_file(stage: Stage) -> None:
    """XInclude is not followed."""
    secret = stage.folder / "secret"
    secret.write_text("top secret")
    extra = f"<description><xi:include href='{secret.as_uri()}' parse='text'/></description>"
    body = rss(item("one", extra=extra), namespaces="xmlns:xi='http://www.w3.org/2001/XInclude'")
    assert "top secret" not in _text(stage, body=body)


@case(9, "XML 1.0 2.2")
def control_characters(stage: Stage) -> None:
    """NUL and other control characters never reach the database."""
    body = rss(
        item("one", title="N\x00e\x01w\x1bs&#0;&#x1F;", extra="<description>a\x00b\x0bc&#8;</description>")
    )
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", _text(stage, body=body))


@case(9, "RFC 8259 8.2")
def lone_surrogates(stage: Stage) -> None:
    """Half a surrogate pair, which JSON can write and no database can keep, becomes harmless."""
    items = [
        {
            "id": "1",
            "title": "Half \ud83d",
            "content_text": "\udc00 of it",
            "url": "https://paper.example/\ud800",
        }
    ]
    body = json.dumps({"version": JSON_FEED, "title": "P", "items": items}).encode()
    assert _text(stage, body=body).encode()


@case(9, "RFC 7303 3")
def wrong_charset(stage: Stage) -> None:
    """A charset in the header that the bytes disprove does not spoil the text."""
    body = b'<?xml version="1.0" encoding="utf-8"?>' + rss(item("one", title="Große Lücke"))
    stage.serve(ok(body, Content_Type="text/xml; charset=us-ascii"))
    stage.poll()
    assert stage.titles == ["Große Lücke"]


@case(9, "XML 1.0 F")
def bytes_that_are_no_text(stage: Stage) -> None:
    """Bytes that fit no charset leave marks in the text, and the rest is read."""
    body = rss(item("one", title="Caf")).replace(b"Caf", b"Caf\xff\xfe\xed\xa0\x80e")
    assert "Caf" in _text(stage, body=body)


@case(9)
def script(stage: Stage) -> None:
    """Scripts, and what is in them, never leave the normaliser."""
    kept = _markup(stage, "<p>Words<script>alert(1)</script><style>p{}</style><svg onload=alert(1)></p>")
    assert "Words" in kept
    assert not re.search("alert|script|style|svg|onload", kept)


@case(9)
def event_handlers(stage: Stage) -> None:
    """Event handlers never leave the normaliser."""
    assert "alert" not in _markup(stage, "<p onclick=alert(1)>W</p><img src=x onerror='alert(1)'>")


@case(9)
def script_links(stage: Stage) -> None:
    """javascript:, vbscript: and data: links never leave it, in whatever spelling."""
    links = ("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "&#106;avascript:alert(1)",
             " javascript:alert(1)", "vbscript:alert(1)", "data:text/html;base64,YWxlcnQ=")  # fmt: skip
    kept = _markup(stage, "".join(f"<a href='{link}'>w</a><img src='{link}'>" for link in links) + "<p>Words")
    assert not re.search(r"(javascript|vbscript|data):", kept, re.IGNORECASE)


@case(9)
def script_for_a_link(stage: Stage) -> None:
    """An item's own link is an http address or none."""
    stage.serve(ok(rss(item("one", link="javascript:alert(1)"), item("two", link="data:text/html,x"))))
    stage.poll()
    assert stage.rows("SELECT DISTINCT url FROM v1_entry") == [("",)]


@case(9)
def script_in_a_title(stage: Stage) -> None:
    """Markup in a title is markup and not text, and leaves no tag behind."""
    stage.serve(ok(rss(item("one", title="&lt;b>Bold&lt;/b>&lt;script>alert(1)&lt;/script> news"))))
    stage.poll()
    assert stage.titles == ["Bold news"]


@case(9)
def frames_and_forms(stage: Stage) -> None:
    """Frames, forms, objects and embedded pages never leave the normaliser."""
    html = "<iframe src='//x'></iframe><form action='//x'><input></form><object data='x'></object><base href='//x'>"
    assert not re.search("iframe|form|input|object|base", _markup(stage, f"<p>Words</p>{html}"))
