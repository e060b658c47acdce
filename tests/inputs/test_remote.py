"""Fetching: only public addresses, every hop checked, bounded bytes and time. The server here is on loopback."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from anyvlm.errors import InputError, NetworkError
from anyvlm.inputs.image import read_image
from anyvlm.inputs.remote import Address, fetch, is_public

Answer = Callable[[BaseHTTPRequestHandler], None]
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def only_this_machine(address: Address) -> bool:
    return address == LOOPBACK


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """(http://127.0.0.1:port, paths asked for so far)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def body(data: bytes, *, announced: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(target: str, status: int = 302) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


def test_fetch() -> None:
    with serving(body(b"x" * 100_000)) as (url, asked):
        assert fetch(f"{url}/cat.png?size=1", limit=100_000, allow=only_this_machine) == b"x" * 100_000
        assert asked == ["/cat.png?size=1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        (body(b"ok") if handler.path == "/b" else redirect("/b", status))(handler)

    with serving(answer) as (url, asked):
        assert fetch(f"{url}/a", limit=9, allow=only_this_machine) == b"ok"
        assert asked == ["/a", "/b"]


@pytest.mark.parametrize("target", ["http://127.0.0.2/", "http://10.0.0.1/", "file:///etc/passwd", "http://u@127.0.0.1/", ""])
def test_redirects_are_checked_again(target: str) -> None:
    with serving(redirect(target)) as (url, asked), pytest.raises(InputError, match="refused|redirects"):
        fetch(url, limit=9, allow=only_this_machine)
    assert len(asked) == (4 if target == "" else 1)


def test_endless_redirects() -> None:
    with serving(redirect("/again")) as (url, asked), pytest.raises(InputError, match="more than 3 times"):
        fetch(url, limit=9, allow=only_this_machine)
    assert len(asked) == 4


def test_too_many_bytes() -> None:
    with serving(body(b"x" * 2000)) as (url, _), pytest.raises(InputError, match="more than the allowed 0.001 MB"):
        fetch(url, limit=1000, allow=only_this_machine)


def test_bytes_without_end() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    with serving(answer) as (url, _), pytest.raises(InputError, match="allowed"):
        fetch(url, limit=1_000_000, allow=only_this_machine)


@pytest.mark.parametrize("where", ["header", "body"])
def test_one_byte_at_a_time_ends_at_the_deadline(where: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if where == "body":
            handler.send_response(200)
            handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    started = time.monotonic()
    with serving(answer) as (url, _), pytest.raises(NetworkError, match="within 0.4 seconds"):
        fetch(url, limit=10_000, seconds=0.4, allow=only_this_machine)
    assert time.monotonic() - started < 2


def test_failures() -> None:
    with serving(lambda handler: handler.send_error(404)) as (url, _), pytest.raises(NetworkError, match="answered 404"):
        fetch(url, limit=9, allow=only_this_machine)
    with pytest.raises(NetworkError, match="could not be fetched"):
        fetch(url, limit=9, allow=only_this_machine)  # nobody listens there any more
    with serving(body(b"half", announced=8)) as (url, _), pytest.raises(NetworkError, match="cut off|could not be fetched"):
        fetch(url, limit=9, allow=only_this_machine)


SPELLINGS = [
    "http://127.0.0.1",
    "http://localhost",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0177.0.0.1",
    "http://0",
    "http://0.0.0.0",
    "http://[::1]",
    "http://[::]",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "http://[64:ff9b::7f00:1]",
    "http://[2002:7f00:1::]",
    "http://169.254.169.254/latest/meta-data",
    "http://10.1.2.3",
    "http://172.16.0.1",
    "http://192.168.1.1",
    "http://100.64.0.1",
    "http://[fc00::1]",
    "http://[fe80::1]",
    "http://224.0.0.1",
    "http://255.255.255.255",
    "http://192.0.2.1",
    "http://example.org\\@127.0.0.1",
    "http://user@example.org",
    "http://example.org:0",
    "http://\u2460\u2461\u2466.0.0.1",
    "http://exa\u3002mple",
    "ftp://example.org",
    "gopher://127.0.0.1",
    "http://",
    "http://[",
    "http:///path",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_addresses_that_are_never_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def trap(*_: object, **__: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr("socket.create_connection", trap)
    with pytest.raises((InputError, NetworkError)):
        fetch(url, limit=9)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_reading_a_picture_checks_the_address() -> None:
    with serving(body(b"")) as (url, asked):
        with pytest.raises(InputError, match="not on the public internet"):
            read_image(url, remote=True)
        assert asked == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(InputError, match="not on the public internet"):
        fetch("http://two-faced.example", limit=9)
