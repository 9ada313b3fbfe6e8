"""The sample feeds on a loopback HTTP server: validators, gzip, an OPML list, and nothing else."""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

from aggregator.demo.feeds import SampleFeed

# Seconds between two looks at the stop flag: what leaving the `with` block may cost.
STOP_POLL = 0.05
ZERO_WEIGHT = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


class DemoServer:
    """Serves feeds at their paths inside a `with` block; port 0 takes a free one.

    Answers GET and HEAD: 200 with ETag, 304 to a matching If-None-Match, gzip if accepted, 404 elsewhere.
    """

    def __init__(self, feeds: Iterable[SampleFeed], host: str = "127.0.0.1", port: int = 0) -> None:
        self._feeds = tuple(feeds)
        by_path = {feed.path: feed for feed in self._feeds}
        self._server = _QuietServer((host, port), partial(_FeedRequest, by_path))
        self._thread = Thread(target=self._server.serve_forever, args=(STOP_POLL,), daemon=True, name="demo")

    @property
    def base_url(self) -> str:
        """The server's own address, without a slash at its end."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def opml(self) -> bytes:
        """An OPML 2.0 list of the feeds, categories as nested outlines (https://opml.org/spec2.opml)."""
        root = ET.Element("opml", {"version": "2.0"})
        ET.SubElement(ET.SubElement(root, "head"), "title").text = "Demo feeds"
        outlines = {"": ET.SubElement(root, "body")}
        for feed in self._feeds:
            path = ""
            for name in feed.category.split("/"):
                parent, path = outlines[path], f"{path}/{name}"
                if path not in outlines:
                    outlines[path] = ET.SubElement(parent, "outline", {"text": name, "title": name})
            address = {"type": "rss", "xmlUrl": self.base_url + feed.path}
            ET.SubElement(outlines[path], "outline", {"text": feed.title, "title": feed.title, **address})
        ET.indent(root)
        body: bytes = ET.tostring(root, encoding="utf-8")
        return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietServer(ThreadingHTTPServer):
    """Keeps no request thread alive at exit, and says nothing of clients that hang up."""

    daemon_threads = True
    # Requests queued while a thread starts: more than the sample feeds, all of which are polled at once.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: a client that goes away mid-answer is no news."""


class _FeedRequest(BaseHTTPRequestHandler):
    """One request for one of `feeds`, by path."""

    def __init__(self, feeds: dict[str, SampleFeed], *args: Any) -> None:
        self._feeds = feeds  # before the base class, whose constructor answers the request
        super().__init__(*args)

    def do_GET(self) -> None:
        """The feed at the path."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """The headers that GET would send."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Silence: the demo's output is its events."""

    def _answer(self, *, with_body: bool) -> None:
        feed = self._feeds.get(self.path.partition("?")[0])
        if feed is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # Weak, because the plain and the gzipped form share it (RFC 9110, 8.8.3.3).
        etag = f'W/"{sha256(feed.body).hexdigest()[:20]}"'
        if _matches(self.headers.get("If-None-Match", ""), etag):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.send_header("ETag", etag)
            self.end_headers()
            return
        zipped = _accepts_gzip(self.headers.get("Accept-Encoding", ""))
        body = gzip.compress(feed.body, mtime=0) if zipped else feed.body
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", feed.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", etag)
        self.send_header("Vary", "Accept-Encoding")
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether one of the listed validators is `etag`, by weak comparison (RFC 9110, 13.1.2)."""
    listed = [value.strip().removeprefix("W/") for value in if_none_match.split(",")]
    return "*" in listed or etag.removeprefix("W/") in listed


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is listed and not refused by a weight of zero (RFC 9110, 12.5.3)."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not ZERO_WEIGHT.fullmatch(weight)
    return False
