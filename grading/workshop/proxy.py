"""The one address of a hub: what asks is passed on to the hub, the board or a seat, by its path.

It stands in the hub's own process, so that nothing of it outlives the hub. A connection carries one
request; behind its head the bytes go both ways as they are, so web sockets, streams and uploads
need nothing of their own. (configurable-http-proxy in Python collects each answer whole, ten at a
time, which holds up a class that signs in together; the one for Node.js is not on PyPI.)
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.proxy import Proxy
from traitlets import Unicode

_LONGEST_HEAD = 64 * 1024  # bytes
_PATIENCE = 20.0  # seconds for a request's head, and to be connected
_CHUNK = 64 * 1024
_REQUEST = re.compile(rb"[A-Z]+ (/[!-~]*) HTTP/1\.[01]")
# What only the proxy says: of a connection, and of who asks.
_OWN = re.compile(rb"connection|keep-alive|proxy-.*|x-forwarded-.*|x-real-ip|x-scheme", re.I)
_SENTENCES = {
    400: "This is no request that a browser makes.",
    408: "The request did not come in time.",
    431: "The request is too long.",
    502: "Your seat does not answer: reload this page in a few seconds.",
}


class Refused(Exception):
    """status: an HTTP status, one of _SENTENCES."""

    def __init__(self, status: int) -> None:
        super().__init__(_SENTENCES[status])
        self.status = status


@dataclass(frozen=True)
class Request:
    """The head of a request: its path as it was asked for, and what is passed on."""

    path: str
    head: bytes


class OwnProxy(Proxy):
    """JupyterHub's routes, and the server that follows them."""

    scheme = Unicode(
        "http", config=True, help="https where a proxy with a certificate is before it"
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._routes: dict[str, dict[str, Any]] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # may be awaited
        public = urlsplit(self.public_url)
        host = "" if public.hostname in (None, "*") else public.hostname
        self._server = await asyncio.start_server(
            self._connected, host or "0.0.0.0", public.port, limit=_LONGEST_HEAD
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self._routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self._routes.pop(routespec, None)

    async def get_all_routes(self) -> Any:
        return dict(self._routes)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pass_on(reader, writer)
        except Refused as refused:
            writer.write(_answer(refused))
        except OSError:
            pass  # one of the two has gone
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return  # a browser opens connections that it then does not need
        except asyncio.LimitOverrunError:
            raise Refused(431) from None
        except TimeoutError:
            raise Refused(408) from None
        request = request_of(head, writer.get_extra_info("peername")[0], self.scheme)
        target = urlsplit(self._target(request.path))
        try:
            async with asyncio.timeout(_PATIENCE):
                answers, asks = await asyncio.open_connection(target.hostname, target.port)
        except OSError:  # and TimeoutError
            raise Refused(502) from None
        try:
            asks.write(request.head)
            await _first_of(_pump(reader, asks), _pump(answers, writer))
        finally:
            asks.close()

    def _target(self, path: str) -> str:
        """Where the longest route leads that the path begins with; `/` is the hub's."""
        fitting = [route for route in self._routes if f"{path}/".startswith(route)]
        if not fitting:
            raise Refused(502)
        return self._routes[max(fitting, key=len)]["target"]


def request_of(head: bytes, peer: str, scheme: str) -> Request:
    """What is passed on of a request's head, and for which path. Raises Refused.

    peer: the address that asks; scheme: http or https, as the browser sees it.
    """
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _REQUEST.fullmatch(first)
    if not found:
        raise Refused(400)
    kept, upgrade = [], False
    for line in lines:
        name, colon, _ = line.partition(b":")
        if not colon or not re.fullmatch(rb"[\w!#$%&'*+.^`|~-]+", name):
            raise Refused(400)  # a line that goes on, say, is read in two ways
        upgrade = upgrade or name.lower() == b"upgrade"
        if not _OWN.fullmatch(name):
            kept.append(line)
    kept += [
        b"Connection: " + (b"Upgrade" if upgrade else b"close"),
        f"X-Forwarded-For: {peer}".encode(),
        f"X-Forwarded-Proto: {scheme}".encode(),
    ]
    path = found[1].partition(b"?")[0].decode("ascii")
    return Request(path, b"\r\n".join([first, *kept, b"", b""]))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        sink.write(chunk)
        await sink.drain()


async def _first_of(*pumps: Any) -> None:
    """Until one side has ended: then the other has nobody to talk to. Raises its OSError."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _answer(refused: Refused) -> bytes:
    text = f"{refused}\n".encode()
    head = (
        f"HTTP/1.1 {refused.status} No\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + text
