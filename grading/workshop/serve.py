"""`python -m grading workshop`: one process, until Ctrl-C."""

import asyncio
import fcntl
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from grading.answer.say import say
from grading.course.files import CourseError
from grading.course.languages.speech import language
from grading.learner.notebook import MOST_BYTES
from grading.workshop.handed import Handed
from grading.workshop.lessons import lessons, misconceptions_apart
from grading.workshop.server import Board, application
from grading.workshop.store import Store


def run(root: Path, folder: Path, db: str | None, host: str, port: int, address: str | None) -> int:
    """Serve the board that is kept in a folder; the exit code. Raises CourseError.

    db: the URL of a PostgreSQL database that keeps what is not a notebook, in the folder's place;
    host: where it listens, "" for everywhere; address: as learners reach it, where that is another.
    """
    with opened(root, folder, db) as board:
        sockets = bound(host, port)
        port = sockets[0].getsockname()[1]
        board.address = address or f"http://{host or own_address()}:{port}"
        print(_welcome(board, host or "127.0.0.1", port), flush=True)
        asyncio.run(_serve(board, sockets))
    return 0


@contextmanager
def opened(root: Path, folder: Path, db: str | None) -> Iterator[Board]:
    """The board that is kept in a folder, for one process at a time. Raises CourseError."""
    taught = lessons(root, language(root))
    store = Store(folder, db)
    with closing(store), (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CourseError(f"Another board is running on {folder}.") from None
        handed = Handed(folder, store)
        handed.restore()
        yield Board(store, handed, taught)


def bound(host: str, port: int) -> list[socket.socket]:
    """Where to listen. host: "" for everywhere. Raises CourseError."""
    try:
        return bind_sockets(port, host or None, family=socket.AF_INET)
    except OSError as error:
        raise CourseError(
            f"Nothing can listen on port {port} ({error.strerror}): name another, --port 8301."
        ) from None


def answering(
    board: Board, sockets: list[socket.socket], under: str = "", *, proxied: bool = False
) -> HTTPServer:
    """The server of a board, which answers in the running loop.

    under: the beginning of each path; proxied: whether a proxy of ours says who asks.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each connection takes a descriptor
    # Who connects and says nothing is soon let go; a proxy's word is not taken, but for ours.
    server = HTTPServer(
        application(board, under),
        max_body_size=MOST_BYTES,
        max_header_size=16_384,
        body_timeout=120,
        idle_connection_timeout=20,
        xheaders=proxied,
    )
    server.add_sockets(sockets)
    return server


async def _serve(board: Board, sockets: list[socket.socket]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = answering(board, sockets)
    learning = asyncio.create_task(learn(board))
    await stopped.wait()
    learning.cancel()
    server.stop()
    await board.close()


async def learn(board: Board) -> None:
    """Take up the misconceptions as soon as they are there: a class does not wait for them."""
    try:
        board.room.misconceptions = await misconceptions_apart()
        board.changed()
    except CourseError as error:
        print(say(str(error)), file=sys.stderr)


def _welcome(board: Board, host: str, port: int) -> str:
    page = f"http://{host}:{port}/board#{board.store.key}"
    lines = [
        say("The board is open. In a notebook a learner runs"),
        "",
        "    from grading.check import join",
        f'    join("{board.address}", "{board.code}", name="{say("Your name")}")',
        "",
        say(f"Your page, which only you should open: {page}"),
        say(f"Notebooks that are handed in: {board.handed.submissions}"),
        say(
            "Ctrl-C closes the board; the same command opens it again, with all that it has and the"
            " same code."
        ),
    ]
    return "\n".join(lines)


def own_address() -> str:
    """This machine's address in its network. Nothing is sent: the system looks up its routes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
