"""Which addresses may be connected to: the globally routable ones, and those the operator allows."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from aggregator.fetch.limits import FetchError
from aggregator.types import FailureKind

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out for global unicast; every other IPv6 address is special or unassigned (RFC 4291)."""

NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/96"))
"""Prefixes whose last 32 bits are an IPv4 address behind a translator (RFC 6052, RFC 8215)."""

IPV4_COMPATIBLE = IPv6Network("::/96")

REFUSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments; older tables of `ipaddress` have parts only; a cloud's metadata
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "168.63.129.16/32",  # routable on paper, but inside Azure the machine's own control service
        "3fff::/20",  # documentation (RFC 9637), younger than some tables of `ipaddress`
    )
)


def is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether a connection may go to the address: `allowed` holds it, or it is globally routable.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) counts as the IPv4 address it leads to.
    """
    inner = _inner(address)
    if any(address in network or inner in network for network in allowed):
        return True
    if any(inner in network for network in REFUSED):
        return False
    if isinstance(inner, IPv6Address) and inner not in GLOBAL_UNICAST:
        return False
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    is_loopback_or_none = int(address) <= 1
    if any(address in network for network in NAT64) or (
        address in IPV4_COMPATIBLE and not is_loopback_or_none
    ):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def look_up(host: str, seconds: float) -> tuple[Address, ...]:
    """The addresses of a host, in the system's order of preference, each once; at least one.

    Numeric hosts in any notation the system knows (decimal, octal, hexadecimal) are read without asking a
    name server. Raises FetchError(DNS), also when the answer takes longer than `seconds`.
    """
    try:
        return _addresses(host, socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        pass
    # getaddrinfo knows no time limit: a thread that is left behind ends with the resolver's own (30 s or so).
    answers: queue.SimpleQueue[tuple[Address, ...] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_addresses(host, 0))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="name lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty as late:
        raise unknown(host, late) from None
    if isinstance(answer, tuple):
        return answer
    raise unknown(host, answer)


def _addresses(host: str, flags: int) -> tuple[Address, ...]:
    # As bytes: getaddrinfo would encode text once more by IDNA 2003 and choke on long labels.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM, flags=flags)
    return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


def unknown(host: str, error: Exception) -> FetchError:
    """The error of a host whose look-up ended in this one; queue.Empty: it took too long."""
    is_unanswered = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    if is_unanswered or isinstance(error, queue.Empty):
        return FetchError(FailureKind.DNS, f"No name server answered for {host} in time.")
    return FetchError(FailureKind.DNS, f"The name {host} is not known.")
