"""Starting sandboxes: the thread they belong to, bubblewrap, and the zygote that they fork from."""

import asyncio
import atexit
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Collection, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from grading.sandbox import view
from grading.sandbox.inside.limits import Limits
from grading.sandbox.view import SandboxUnavailable

T = TypeVar("T")
FOLDER = Path("/tmp")  # a socket's path has room for about 100 bytes: TMPDIR may be too long
# What a session's fork has imported already, besides what the one who wants it names.
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "IPython.extensions.storemagic",
    "sqlite3",
    "matplotlib_inline.backend_inline",
    "matplotlib.pyplot",
    "numpy",
    "torch",
    "torch.distributed",
    "utils",
    "grading.check",
)


@dataclass(frozen=True)
class Allowance:
    """What a sandbox is given: limits, the folder of data it may read, whether it has the GPU.

    Raises SandboxUnavailable if there is no such folder.
    """

    limits: Limits = field(default_factory=Limits)
    data: Path | None = None
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.data is not None and not self.data.is_dir():
            raise SandboxUnavailable(f"There is no folder {self.data} to show as LAB_DATA.")


class Supervisor(threading.Thread):
    """The thread, with an event loop, on which every sandbox of this program is started and kept.

    bubblewrap ends a sandbox when the *thread* that started it ends: this one lives as long as
    the program does.
    """

    def __init__(self) -> None:
        super().__init__(name="sandboxes", daemon=True)
        self.loop = asyncio.new_event_loop()
        self.process = os.getpid()
        self._zygotes: dict[tuple[Any, ...], asyncio.Task[Zygote]] = {}
        self._lent: socket.socket | None = None  # where another process's zygote is to be had
        sweep()
        self.start()
        atexit.register(self._end)

    def run(self) -> None:
        self.loop.run_forever()

    def _end(self) -> None:
        """At the program's exit: with the thread, whatever still runs in a sandbox ends."""
        if self.process == os.getpid():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.join()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on this thread, from any other."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def fork(
        self, allowance: Allowance, channel: socket.socket, imports: Collection[str]
    ) -> None:
        """Fork a session that listens on `channel`. Raises SandboxUnavailable."""
        zygote = await self._zygote(allowance)
        try:
            zygote.fork(channel, imports)
        except BrokenPipeError:
            del self._zygotes[_key(allowance)]  # the next one starts another
            raise SandboxUnavailable("the zygote has ended") from None

    async def _zygote(self, allowance: Allowance, imports: Collection[str] = ()) -> "Zygote":
        key, lent, self._lent = _key(allowance), self._lent, None
        if key not in self._zygotes:
            # Each session has its own limits.
            usual = Allowance(data=allowance.data, gpu=allowance.gpu)
            start = Zygote.start(usual, imports) if lent is None else Zygote.borrow(lent, usual)
            self._zygotes[key] = self.loop.create_task(start)
        return await asyncio.shield(self._zygotes[key])

    async def lend(
        self, allowance: Allowance, to: socket.socket, count: int, imports: Collection[str]
    ) -> None:
        """Let `count` other processes fork sessions from this one's zygote."""
        with to:
            try:
                zygote = await self._zygote(allowance, imports)
            except SandboxUnavailable:
                return  # each finds the end of `to`, tries itself, and says why there is none
            for _ in range(count):
                zygote.lend(to)

    def borrow(self, lent: socket.socket) -> None:
        """Take the first zygote that is wanted from there."""
        self._lent = lent


def _key(allowance: Allowance) -> tuple[Any, ...]:
    return allowance.data, allowance.gpu, PRELOADED


_supervisor: Supervisor | None = None
_starting = threading.Lock()


def supervisor() -> Supervisor:
    """This process's supervisor; a fork of the process needs and gets its own."""
    global _supervisor
    with _starting:
        if _supervisor is None or _supervisor.process != os.getpid():
            _supervisor = Supervisor()
        return _supervisor


class Zygote:
    """A process in a sandbox that has imported what labs import, and forks sessions."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    @classmethod
    async def start(cls, allowance: Allowance, imports: Collection[str] = ()) -> "Zygote":
        """Start one and let it fork a session for trial. Raises SandboxUnavailable."""
        control, inside = pair()
        modules = [*PRELOADED, *imports]
        with inside:
            process, zygote = launch("zygote", modules, inside, allowance), cls(control)
        said = await _hear(control, b"ready")
        if said is None:
            trial, inside = pair()
            with trial, inside:
                zygote.fork(inside)
                inside.close()
                settings = {"limits": asdict(allowance.limits), "gpu": False}
                settings["processors"] = sorted(os.sched_getaffinity(0))
                trial.send(json.dumps(settings).encode())
                said = await _hear(trial, b"hello")
        if said is not None:
            process.kill()
            _, stderr = process.communicate()
            raise SandboxUnavailable(f"no zygote: {said or view.said(stderr)}")
        return zygote

    @classmethod
    async def borrow(cls, lent: socket.socket, allowance: Allowance) -> "Zygote":
        """Another process's, once it is there; one of our own, if that process has none."""
        receive = partial(socket.recv_fds, lent, 16, 1)
        _, controls, _, _ = await asyncio.get_running_loop().run_in_executor(None, receive)
        lent.close()
        if not controls:
            return await cls.start(allowance)
        return cls(socket.socket(fileno=controls[0]))

    def fork(self, channel: socket.socket, imports: Collection[str] = ()) -> None:
        """Fork a session that listens on `channel`, with these imported, now and from now on.

        Raises BrokenPipeError if there is no zygote.
        """
        wanted = " ".join(("fork", *imports)).encode()
        socket.send_fds(self._control, [wanted], [channel.fileno()])

    def lend(self, to: socket.socket) -> None:
        """Give another process what it needs to `borrow` it."""
        socket.send_fds(to, [b"zygote"], [self._control.fileno()])


async def _hear(channel: socket.socket, wanted: bytes) -> str | None:
    """None if the next message is the one wanted, else what it says: nothing if there is none."""
    heard = await asyncio.get_running_loop().sock_recv(channel, 4096)
    return None if heard == wanted else heard.decode(errors="replace").removeprefix("failed ")


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a channel: the outside's, which never blocks, and the inside's."""
    ours, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, inside


def launch(
    mode: str, modules: Sequence[str], channel: socket.socket, allowance: Allowance
) -> "subprocess.Popen[bytes]":
    """Start `init` under bubblewrap; on the supervisor's thread only."""
    command, descriptors = view.command(
        mode, modules, data=allowance.data, gpu=allowance.gpu, disk=allowance.limits.disk
    )
    try:
        return subprocess.Popen(
            command,
            stdin=channel.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def prefix() -> str:
    """How the names of this process's folders in FOLDER begin."""
    return f"p2p-{os.getpid()}-"


def sweep() -> None:
    """Remove the folders of programs that were killed. They hold only sockets."""
    for folder in FOLDER.glob("p2p-*-*"):
        owner = folder.name.split("-")[1]
        with suppress(FileNotFoundError):  # another program sweeps too
            ours = folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
            if ours and owner.isdigit() and not Path("/proc", owner).exists():
                shutil.rmtree(folder)
