"""One POST to an address that the operator chose, within a time, and never anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_network
from types import TracebackType
from typing import Self

import httpx

from aggregator.fetch.address import look_up
from aggregator.fetch.client import user_agent
from aggregator.fetch.exchange import WIRE_ERRORS, answered, without_answer
from aggregator.fetch.headers import Fields, retry_after
from aggregator.fetch.limits import Deadline, FetchError
from aggregator.fetch.urls import read_target
from aggregator.fetch.wire import GuardedTransport
from aggregator.types import Failed, FailureKind

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The operator's own choice, and often a machine of their own: no address is refused."""

READ_BYTES = 64 * 1024
"""What is read of an answer at most; its body does not matter."""


class Poster:
    """Posts to one URL; one for all threads. Follows no redirects, keeps no cookies and no connections.

    Raises FetchError for a URL that is none.
    """

    def __init__(self, url: str, contact: str, seconds: float) -> None:
        self._target = read_target(url)
        self._seconds = seconds
        headers = {"User-Agent": user_agent(contact), "Accept": "*/*", "Connection": "close"}
        if self._target.authorization:
            headers["Authorization"] = self._target.authorization
        self._client = httpx.Client(
            transport=GuardedTransport(EVERYWHERE, look_up, READ_BYTES),
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
            timeout=None,  # noqa: S113 (each request has a deadline, which its connection keeps)
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> Failed | None:
        """None if the server took the body (a status of 2xx), else why not, with its Retry-After. Thread-safe."""
        deadline = Deadline(self._seconds)
        try:
            return self._post(body, headers, deadline)
        except FetchError as error:
            return error.failed
        except (httpx.HTTPError, httpx.InvalidURL, *WIRE_ERRORS) as error:
            return without_answer(error, self._target.host).failed

    def _post(self, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Failed | None:
        request = self._client.build_request(
            "POST", self._target.url, content=body, headers=headers, extensions={"deadline": deadline}
        )
        response = self._client.send(request, stream=True, follow_redirects=False)
        try:
            if HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
                return None
            fields = Fields(response.headers.raw)
            return Failed(
                FailureKind.HTTP,
                f"{answered(self._target.host, response.status_code)}.",
                retry_after(fields, datetime.now(UTC)),
            )
        finally:
            response.close()

    def close(self) -> None:
        """Gives everything back; the Poster is of no use after that."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
