"""Addresses: absolute, and canonical, so that one page has one address."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from aggregator.normalise.characters import harmless

LONGEST_URL = 4000
"""Characters of a link, and of a base: each relative link of a feed grows by its base."""

LONGEST_CANONICAL = 1500
"""Bytes of an address that can be looked up: an index of PostgreSQL takes 2,700 for a key, part of it another's."""

TRACKING = re.compile(
    r"^(?:utm_.*|at_(?:medium|campaign|custom\d*|link.*|format|ptr_name|bbc_team)|fbclid|gclid|dclid"
    r"|gbraid|wbraid|msclkid|twclid|yclid|igshid|mc_[ce]id|_hs(?:enc|mi)|xtor|xts|cmp|cmpid"
    r"|ns_(?:mchannel|source|campaign|linkname|fee)|ftag|ncid|ocid|cid_src|wt[._]?z?mc.*|srsltid|_ga"
    r"|_gl|ref_src|ref_url|smid|smtyp|taid|guce_.*|__twitter.*|spm|sr_share|partner|ito|traffic_source"
    r"|source=rss.*|feature=rss.*|mod=rss.*|emc=rss|ref=rss.*|__source|src=rss.*|from=rss|rss=\d?|icid"
    r"|mkt_tok|trk.*|vero_id|oly_.*_id|pk_.*|mtm_.*|piwik_.*|sc_(?:cid|channel)|s_cid|linkid|intcid"
    r"|maca)$",
    re.IGNORECASE,
)
"""Query parameters that tell where a reader came from. Names that also carry identities (id, p, story, ref) stay;
some count only with the value that feeds give them (source=rss)."""

SEPARATOR = re.compile(r"&(?:amp;)*")
"""What stands between two parameters, also where a feed escaped it once too often."""

ROUTE = re.compile(r"^(?:!|/|[^=&]*[/?])")
"""A fragment that is an identity: a route of a page that is built in the browser (#!/story/1, #/story/1)."""

DEFAULT_PORTS = {"http": 80, "https": 443}

WRAPPED = re.compile(r"[\r\n\u2028\u2029]+[ \t]*|(?<![ \t])[ \t]*[\r\n\u2028\u2029]+|\t+")
"""Where a program wrapped a line in the middle of an address."""

ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)


def absolute_url(link: str, base: str) -> str:
    """The link made absolute against `base`, "" unless it is then http or https with a host.

    White space is treated as browsers treat it (URL standard, section 4.4): none at the ends and at line breaks.
    """
    text = link[:LONGEST_URL].strip()
    if not text.isprintable():  # line breaks and tabs are not
        text = harmless(WRAPPED.sub("", text)).strip()
    text = text.replace(" ", "%20")
    if not text:
        return ""
    try:
        url = urljoin(base if len(base) <= LONGEST_URL else "", text)
        parts = urlsplit(url)
        usable = parts.scheme.lower() in DEFAULT_PORTS and bool(parts.hostname)
    except ValueError:
        return ""
    return url if usable else ""


def canonical_url(url: str, *, keep_fragment: bool = False) -> str:
    """The one address of a page: https, host in lower case and ASCII, no default port, no tracking.

    "" for "" and for what is longer than LONGEST_CANONICAL: a cut address would be another page's.
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
    query = "&".join(part for part in SEPARATOR.split(parts.query) if part and not _is_tracking(part))
    fragment = parts.fragment if keep_fragment or ROUTE.match(parts.fragment) else ""
    place = _ascii_host(host)
    if port is not None and port != DEFAULT_PORTS[parts.scheme.lower()]:
        place = f"{place}:{port}"
    # http and https name one page; a server on a port of its own need not speak both.
    scheme = "https" if ":" not in place.rsplit("]", 1)[-1] else parts.scheme.lower()
    canonical = SplitResult(scheme, place, _escaped(parts.path) or "/", _escaped(query), fragment).geturl()
    return canonical if len(canonical.encode(errors="replace")) <= LONGEST_CANONICAL else ""


def _escaped(part: str) -> str:
    """The part with one spelling (RFC 3986, 6.2.2.1): other than ASCII escaped, escapes in upper case."""
    if not part.isascii():
        part = quote(part, safe="".join(map(chr, range(33, 127))), errors="replace")
    return ESCAPE.sub(lambda found: found[0].upper(), part) if "%" in part else part


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
