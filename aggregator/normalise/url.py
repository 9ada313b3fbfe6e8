"""Addresses: absolute, and canonical, so that one page has one address."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit

LONGEST_URL = 4000
TRACKING = re.compile(
    r"^(?:utm_.*|at_(?:medium|campaign|custom\d*|link.*|format|ptr_name|bbc_team)|fbclid|gclid|dclid|gbraid|wbraid"
    r"|msclkid|twclid|yclid|igshid|mc_[ce]id|_hs(?:enc|mi)|xtor|xts|cmp|cmpid|ns_(?:mchannel|source|campaign"
    r"|linkname|fee)|ftag|ncid|ocid|cid_src|wt\.?mc.*|wt_zmc|ref_src|ref_url|smid|smtyp|taid|guce_.*|__twitter.*"
    r"|spm|sr_share|partner|ito|traffic_source|source=rss|feature=rss|__source|src=rss.*|from=rss|rss=\d?|icid"
    r"|mkt_tok|trk.*|vero_id|oly_.*_id|pk_.*|mtm_.*|piwik_.*|sc_(?:cid|channel)|s_cid|linkid|intcid|maca)$",
    re.IGNORECASE,
)
"""Query parameters that tell where a reader came from. Names that also carry identities (id, p, story, ref) stay;
some count only with the value that feeds give them (source=rss)."""

ROUTE = re.compile(r"^(?:!|/|[^=&]*[/?])")
"""A fragment that is an identity: a route of a page that is built in the browser (#!/story/1, #/story/1)."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def absolute_url(link: str, base: str) -> str:
    """The link made absolute against `base`, "" unless it is then http or https with a host."""
    text = re.sub(r"[\x00-\x20\x7f]+", "", link[:LONGEST_URL]) if link else ""
    if not text:
        return ""
    try:
        url = urljoin(base, text)
        parts = urlsplit(url)
        usable = parts.scheme.lower() in DEFAULT_PORTS and bool(parts.hostname)
    except ValueError:
        return ""
    return url if usable else ""


def canonical_url(url: str, *, keep_fragment: bool = False) -> str:
    """The one address of a page, "" for "": https, host in lower case and ASCII, no default port, no tracking.

    Parameters that stay keep their order. The fragment goes unless it is a route or `keep_fragment` is set.
    Idempotent; does not fetch anything, so pages that redirect keep their addresses.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    if parts.scheme.lower() not in DEFAULT_PORTS or not host:
        return url
    query = "&".join(part for part in parts.query.split("&") if part and not _is_tracking(part))
    fragment = parts.fragment if keep_fragment or ROUTE.match(parts.fragment) else ""
    place = _ascii_host(host)
    if port is not None and port != DEFAULT_PORTS[parts.scheme.lower()]:
        place = f"{place}:{port}"
    # http and https name one page; a server on a port of its own need not speak both.
    scheme = "https" if ":" not in place.rsplit("]", 1)[-1] else parts.scheme.lower()
    return SplitResult(scheme, place, parts.path or "/", query, fragment).geturl()


def _is_tracking(part: str) -> bool:
    return TRACKING.match(part.split("=", 1)[0]) is not None or TRACKING.match(part) is not None


def _ascii_host(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host.lower()


def host_of(url: str) -> str:
    """The host of an address without "www.", "" if it has none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
