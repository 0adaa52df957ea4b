"""The hub's proxy: what is passed on whole and at once, and what is not passed on at all."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from grading.workshop.proxy import OwnProxy, Refused, request_of
from tests.workshop.classroom import free_port

MEGABYTES = b"0123456789abcdef" * 2**18


class Echo(RequestHandler):
    def post(self) -> None:
        self.set_cookie("one", "1")
        self.set_cookie("two", "2")
        self.finish(self.request.body)


class Said(RequestHandler):
    def get(self) -> None:
        self.finish({"ip": self.request.remote_ip, "scheme": self.request.protocol})


class Stream(RequestHandler):
    gate: asyncio.Event

    async def get(self) -> None:
        for word in ("first", "second"):
            self.write(f"data: {word}\n\n")
            await self.flush()
            await self.gate.wait()


class Socket(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


def proxied(work: Callable[[str], Awaitable[None]]) -> None:
    """Work with an address behind which the proxy has one seat, `/user/a/`, and a hub for all
    else, which answers nothing."""

    async def whole() -> None:
        async with serving() as address:
            await work(address)

    asyncio.run(whole())


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    Stream.gate = asyncio.Event()
    rules = [("echo", Echo), ("said", Said), ("stream", Stream), ("socket", Socket)]
    application = Application([(f"/user/a/{path}", kind) for path, kind in rules])
    seat = HTTPServer(application, xheaders=True, max_body_size=2**26)
    sockets = bind_sockets(0, "127.0.0.1")
    seat.add_sockets(sockets)
    address = f"http://127.0.0.1:{free_port()}"
    proxy = OwnProxy(public_url=address, scheme="https")
    await proxy.start()
    await proxy.add_route("/", f"http://127.0.0.1:{free_port()}", {})
    await proxy.add_route("/user/a/", f"http://127.0.0.1:{sockets[0].getsockname()[1]}", {})
    try:
        yield address
    finally:
        proxy.stop()
        seat.stop()


def test_a_large_body_and_several_cookies_come_through() -> None:
    async def work(address: str) -> None:
        client = AsyncHTTPClient(force_instance=True)
        answer = await client.fetch(f"{address}/user/a/echo", method="POST", body=MEGABYTES)
        assert answer.body == MEGABYTES
        assert len(answer.headers.get_list("Set-Cookie")) == 2

    proxied(work)


def test_a_stream_is_passed_on_as_it_comes() -> None:
    async def work(address: str) -> None:
        came = asyncio.Event()
        parts: list[bytes] = []

        def part(chunk: bytes) -> None:
            parts.append(chunk)
            came.set()

        client = AsyncHTTPClient(force_instance=True)
        answer = client.fetch(f"{address}/user/a/stream", streaming_callback=part)
        await asyncio.wait_for(came.wait(), 60)
        assert parts == [b"data: first\n\n"]
        Stream.gate.set()
        await answer
        assert b"".join(parts) == b"data: first\n\ndata: second\n\n"

    proxied(work)


def test_a_web_socket_talks_both_ways() -> None:
    async def work(address: str) -> None:
        url = f"{address}/user/a/socket".replace("http", "ws")
        there = await websocket_connect(url, max_message_size=2**26)
        for message in ("text", MEGABYTES):
            await there.write_message(message, binary=isinstance(message, bytes))
            assert await there.read_message() == message
        there.close()

    proxied(work)


def test_who_asks_is_what_the_proxy_says() -> None:
    async def work(address: str) -> None:
        feigned = {"X-Forwarded-For": "10.1.1.1", "X-Real-Ip": "10.1.1.1", "X-Scheme": "ftp"}
        client = AsyncHTTPClient(force_instance=True)
        answer = await client.fetch(f"{address}/user/a/said", headers=feigned)
        assert answer.body == b'{"ip": "127.0.0.1", "scheme": "https"}'

    proxied(work)


def test_a_seat_that_is_gone_is_said_to_be() -> None:
    async def work(address: str) -> None:
        client = AsyncHTTPClient(force_instance=True)
        for path in ("/", "/user/b/lab", "/user/ab", "/services/board/"):
            with pytest.raises(HTTPClientError) as refused:
                await client.fetch(address + path)
            assert refused.value.code == 502
            assert refused.value.response is not None
            assert b"reload this page" in refused.value.response.body

    proxied(work)


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: a",
        b"GET /user/a/ HTTP/2.0\r\nHost: a",
        b"GET /user/a/ HTTP/1.1\r\nHost: a\r\n folded: b",
        b"GET /user/a/ HTTP/1.1\r\nHost : a",
        b"GET /user/a/\x80 HTTP/1.1\r\nHost: a",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(Refused, match="no request that a browser makes"):
        request_of(head + b"\r\n\r\n", "127.0.0.1", "http")


def test_a_connection_carries_one_request() -> None:
    """What comes behind it goes to the same seat, where it ends with the connection."""
    request = request_of(
        b"GET /user/a/x?y=1 HTTP/1.1\r\nConnection: keep-alive\r\nHost: a\r\n\r\n", "::1", "http"
    )
    assert request.path == "/user/a/x"
    assert b"Connection: close" in request.head
    assert b"keep-alive" not in request.head
    upgraded = request_of(
        b"GET /a HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "::1",
        "",
    )
    assert b"Connection: Upgrade" in upgraded.head


def test_who_says_nothing_keeps_nothing_open() -> None:
    async def work(address: str) -> None:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(silent.recv, 100) == b""

    proxied(work)
