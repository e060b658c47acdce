"""One picture from the web, for callers who allow it: public addresses only, bounded bytes, bounded time.

The address is resolved once, checked, and connected to as checked (no second look-up that could answer differently);
every redirect is checked again. What the checker parses is the very object that is fetched.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from anyvlm.errors import InputError, NetworkError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

REDIRECTS = 3
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is on the open internet; an IPv4 address inside an IPv6 one is judged itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            return False
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def fetch(url: str, *, limit: int, seconds: float = 10.0, allow: Callable[[Address], bool] = is_public) -> bytes:
    """The body behind an http(s) URL, at most `limit` bytes, within `seconds` over all redirects (at most 3).

    `allow` decides which addresses may be connected to. Raises InputError where the URL is refused, NetworkError where
    fetching fails.
    """
    sockets: list[socket.socket] = []
    expired = threading.Event()

    def give_up() -> None:  # a timeout per read would let one byte a second go on for ever
        expired.set()
        for each in sockets:
            _shut(each)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        for _ in range(REDIRECTS + 1):
            parts = _checked(url)
            line = _connect(parts, _resolve(parts, allow), seconds)
            sockets.append(line)
            if expired.is_set():  # after the append: give_up either sees this socket, or is seen here
                break
            body, location = _get(parts, line, limit)
            if expired.is_set():
                break
            if location is None:
                return body
            url = urljoin(url, location)
        else:
            raise InputError(f"The image address redirects more than {REDIRECTS} times.")
    except (OSError, http.client.HTTPException, ValueError):
        if not expired.is_set():
            raise NetworkError(f"The image at '{parts.hostname}' could not be fetched; check the address.") from None
    finally:
        timer.cancel()
        for each in sockets:
            each.close()
    raise NetworkError(f"The image at '{parts.hostname}' did not arrive within {seconds:g} seconds.")


def _checked(url: str) -> SplitResult:
    """The URL in parts; refuses everything on which two parsers could disagree."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("The image address is not a valid URL.") from None
    odd = any(not 0x20 < ord(c) < 0x7F or c == "\\" for c in url)
    if odd or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or port == 0:
        raise InputError(
            "The image address is refused: it must be plain http(s)://host/path without user or odd characters."
        )
    return parts


def _resolve(parts: SplitResult, allow: Callable[[Address], bool]) -> str:
    """One numeric address of the host; refused unless every address of the host is allowed."""
    assert parts.hostname is not None
    found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in found]
    if not addresses or not all(allow(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise InputError(f"The image address '{parts.hostname}' is refused: it is not on the public internet.")
    return addresses[0]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _connect(parts: SplitResult, address: str, seconds: float) -> socket.socket:
    line = socket.create_connection((address, _port(parts)), timeout=seconds)
    if parts.scheme != "https":
        return line
    context = ssl.create_default_context()
    return context.wrap_socket(line, server_hostname=parts.hostname, do_handshake_on_connect=False)


def _get(parts: SplitResult, line: socket.socket, limit: int) -> tuple[bytes, str | None]:
    """(body, None), or (b"", location) of a redirect, over a connected line."""
    assert parts.hostname is not None
    if isinstance(line, ssl.SSLSocket):
        line.do_handshake()
    secure = parts.scheme == "https"
    client = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(parts.hostname, _port(parts))
    client.sock = line  # already connected to the address that was checked
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    client.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "anyvlm"})
    response = client.getresponse()
    if response.status in (301, 302, 303, 307, 308):
        return b"", response.headers.get("Location", "")
    if response.status != 200:
        raise NetworkError(
            f"The image at '{parts.hostname}' could not be fetched: the server answered {response.status}."
        )
    body = bytearray()
    while chunk := response.read1(65536):
        body += chunk
        if len(body) > limit:
            raise InputError(f"The image at '{parts.hostname}' has more than the allowed {limit / 1e6:g} MB.")
    if response.length:  # the server announced more than it sent
        raise NetworkError(f"The image at '{parts.hostname}' was cut off; try again.")
    return bytes(body), None


def _shut(line: socket.socket) -> None:
    with suppress(OSError):  # not connected any more
        line.shutdown(socket.SHUT_RDWR)
