"""Where a fetch goes: addresses of feeds and of redirects, with the credentials kept apart."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import httpx

from aggregator.credentials import redacted
from aggregator.fetch.headers import quotable
from aggregator.fetch.limits import FetchError
from aggregator.types import FailureKind

SCHEME_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """What one request asks for. `url` has no credentials and no fragment; `authorization` is "" or a header."""

    url: httpx.URL
    authorization: str

    @property
    def host(self) -> str:
        """The host's name or address as it is looked up: in ASCII."""
        return self.url.raw_host.decode("ascii")

    def redirected(self, location: str) -> Target:
        """The target that a Location header names (RFC 9110 10.2.2); credentials stay on their own origin.

        Raises FetchError(HTTP) if it is nothing that can be fetched.
        """
        try:
            target = read_target(str(self.url.join(location)))
        except (httpx.InvalidURL, ValueError):
            raise unreadable_redirect(self.host) from None
        except FetchError:
            place = _short(location) or "an address without a host"
            raise FetchError(
                FailureKind.HTTP, f"{self.host} redirects to {place}, which can't be fetched."
            ) from None
        if not target.authorization and _is_same_service(self.url, target.url):
            return Target(target.url, self.authorization)
        return target


def unreadable_redirect(host: str) -> FetchError:
    """The error of a host whose Location header is no address."""
    return FetchError(FailureKind.HTTP, f"{host} redirects to an unreadable address.")


def read_target(url: str) -> Target:
    """The target that a URL names. Raises FetchError(BAD_URL) with the reason if there is none."""
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError):
        raise FetchError(FailureKind.BAD_URL, "The address is no URL.") from None
    if parsed.scheme not in SCHEME_PORTS:
        raise FetchError(FailureKind.BAD_URL, "The address must begin with http:// or https://.")
    if not parsed.raw_host or (parsed.port or 0) > MAX_PORT:
        raise FetchError(FailureKind.BAD_URL, "The address names no host, or an impossible port.")
    authorization = ""
    if parsed.userinfo:
        # RFC 7617 section 2: UTF-8 is what servers that say nothing most likely expect.
        login = f"{parsed.username}:{parsed.password}".encode()
        authorization = f"Basic {b64encode(login).decode()}"
    if "@" in url or "#" in url:
        parsed = parsed.copy_with(userinfo=b"", fragment=None)
    return Target(parsed, authorization)


def _is_same_service(old: httpx.URL, new: httpx.URL) -> bool:
    """Whether credentials may go along: the same origin, or the same host's step up to TLS."""
    if old.raw_host != new.raw_host:
        return False
    before, after = ((url.scheme, url.port or SCHEME_PORTS[url.scheme]) for url in (old, new))
    return before == after or (before, after) == (("http", 80), ("https", 443))


def _short(location: str) -> str:
    # What is no address may have credentials anywhere before an "@".
    return quotable(redacted(location).rpartition("@")[2], 100)
