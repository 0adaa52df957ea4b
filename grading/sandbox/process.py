"""One running sandbox, seen from outside: its start, its sockets, its limits, its end."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from grading.sandbox import launch, view
from grading.sandbox.files import bring_back, pack
from grading.sandbox.inside.init import PORTS, SOCKETS, WORK
from grading.sandbox.inside.limits import LimitReached, reached, with_starved
from grading.sandbox.launch import Allowance
from grading.sandbox.view import SandboxUnavailable
from grading.sandbox.watch import Usage

START_SECONDS = 300.0  # the zygote imports torch, on a machine that may be busy
WATCH_SECONDS = 0.05  # between two looks at what the sandbox uses
GRACE_SECONDS = 3.0  # from interrupting a cell that is over its time to ending the sandbox
_MESSAGE_COST = 256  # what a message on the channel counts as output, so that none can flood it
_CREDENTIALS, _SCM_CREDENTIALS = struct.Struct("3i"), 2  # struct ucred: pid, uid, gid


class Process:
    """One sandbox with one kernel, whose clients connect to `ip` and PORTS (transport ipc).

    ip: the beginning of the sockets' paths, which must be short, in a private folder.
    files: a folder whose plain files go into the working folder, or None for an empty one.
    keep: a folder for the plain files that are new there in the end, or None.
    fast: fork it from the zygote where there can be one; `isolation` says what it became.
    imports: what the zygote is to have imported besides.

    Clients reach the kernel through sockets that this process keeps and relays: so output is
    counted, and nothing that the student's code does to its own sockets leads a client elsewhere.
    """

    def __init__(
        self,
        allowance: Allowance,
        ip: str,
        *,
        key: bytes,
        environment: dict[str, str],
        files: Path | None,
        keep: Path | None,
        fast: bool,
        imports: Collection[str],
    ) -> None:
        self.ip = ip
        self.isolation = ""
        self.stopped_by: LimitReached | None = None
        self.exit_code: int | None = None  # None while it runs
        self._setting, self._limits, self._fast = allowance, allowance.limits, fast
        self._imports = imports
        self._settings = {
            "limits": asdict(allowance.limits),
            "gpu": allowance.gpu,
            # Those of this process, also where the zygote is another's.
            "processors": sorted(os.sched_getaffinity(0)),
            "key": key.decode(),
            "env": environment,
        }
        self._archive = None if files is None else pack(files, self._limits.disk)
        self._keep_in = keep
        self._supervisor = launch.supervisor()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._usage: Usage | None = None
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._first = self._root = self._work = -1  # its process 1, its root and working folders
        self._sockets: list[int] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: asyncio.Task[None] | None = None  # its end has begun
        self._said_exit = -signal.SIGKILL
        self._output = 0
        self.idle_seconds = 0.0  # that cells took in which nothing of it computed
        self.starved_seconds = 0.0  # that cells took in which it would have, but had no processor
        self._cell_since: float | None = None
        self._cell_starved = 0.0  # how long it had been starved when the cell began
        self._interrupted = False

    # From any thread

    def start(self) -> Future[None]:
        """Start it; done when its kernel's sockets are there.

        Raises SandboxUnavailable if there can be none, RuntimeError if the kernel does not start.
        """
        return self._supervisor.call(self._start())

    def interrupt(self) -> None:
        """Interrupt the kernel, and only the kernel, as Ctrl-C would."""
        self._supervisor.loop.call_soon_threadsafe(self._interrupt, b"interrupt")

    def kill(self) -> None:
        """End it, with everything that it started. Returns at once; `wait` waits."""
        self._supervisor.loop.call_soon_threadsafe(self._kill)

    def wait(self) -> Future[int]:
        """Done when nothing of it is left; the kernel's exit code, -9 if it was killed."""
        return self._supervisor.call(self._wait())

    # The rest is on the supervisor's thread. Start:

    async def _wait(self) -> int:
        await self._ended.wait()
        assert self.exit_code is not None
        return self.exit_code

    async def _start(self) -> None:
        try:
            await asyncio.wait_for(self._handshake(), START_SECONDS)
        except BaseException as error:
            self._kill()
            if isinstance(error, TimeoutError):
                message = f"The sandboxed kernel did not start in {START_SECONDS:g} seconds."
                raise RuntimeError(message) from None
            raise

    async def _handshake(self) -> None:
        self._channel, inside = launch.pair()
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with inside:
            await self._spawn(inside)
        archive = [self._archive.fileno()] if self._archive else []
        socket.send_fds(self._channel, [json.dumps(self._settings).encode()], archive)
        asyncio.get_running_loop().add_reader(self._channel, self._listen)
        await self._expect(b"hello")
        self._say(b"go")
        await self._expect(b"ready")
        for port in PORTS.values():
            await self._open_socket(port)
        self._keep(self._watch())

    async def _spawn(self, inside: socket.socket) -> None:
        if self._fast:
            try:
                await self._supervisor.fork(self._setting, inside, self._imports)
            except SandboxUnavailable as error:
                self.isolation = f"bubblewrap, each kernel started afresh ({error})"
            else:
                self.isolation = "bubblewrap, kernels forked from a zygote"
                return
        else:
            self.isolation = "bubblewrap, each kernel started afresh"
        self._process = launch.launch("session", (), inside, self._setting)

    async def _expect(self, message: bytes) -> None:
        heard = await self._heard.get()
        if heard == message:
            return
        if self._first < 0 and not heard and self._process is not None:
            _, stderr = self._process.communicate(timeout=10)
            raise SandboxUnavailable(view.diagnosis(stderr))
        said = heard.decode(errors="replace").removeprefix("failed ") or "it ended without a word"
        raise RuntimeError(f"The sandboxed kernel did not start: {said}")

    def _listen(self) -> None:
        """Take one message from inside."""
        assert self._channel is not None
        room = socket.CMSG_SPACE(_CREDENTIALS.size)  # no room for descriptors: they are discarded
        try:
            message, extra, _, _ = self._channel.recvmsg(4096, room)
        except ConnectionResetError:
            message, extra = b"", []
        if message == b"hello" and self._first < 0:
            self._adopt(extra)
        self._take(message)
        self._spend(_MESSAGE_COST)
        if not message:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._kill()

    def _take(self, message: bytes) -> None:
        """Note what a message says, which may be the student's invention."""
        if code := re.fullmatch(rb"exit (-?\d{1,3})", message):
            self._said_exit = int(code[1])
        elif message in (b"busy", b"idle"):
            self._cell_since = time.monotonic() if message == b"busy" else None
            self._cell_starved = self.starved_seconds
        else:
            self._heard.put_nowait(message)

    def _adopt(self, extra: list[tuple[int, int, bytes]]) -> None:
        """Take hold of the sandbox's process 1, by the number that the system vouches for."""
        pid = next(_CREDENTIALS.unpack(each)[0] for _, of, each in extra if of == _SCM_CREDENTIALS)
        self._first = os.pidfd_open(pid)
        self._root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
        self._work = os.open(WORK.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._root)
        self._usage = Usage(self._root)
        # Once it has ended, so has everything in the sandbox: it is process 1 of a PID namespace.
        asyncio.get_running_loop().add_reader(self._first, self._end)

    # Sockets

    async def _open_socket(self, port: int) -> None:
        """Relay a socket of the kernel, which has run no student code yet, under our own path."""
        path = f"{SOCKETS}-{port}".lstrip("/")
        inner = os.open(path, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._root)
        self._sockets.append(inner)
        assert stat.S_ISSOCK(os.fstat(inner).st_mode)
        relay = partial(self._relay, f"/proc/self/fd/{inner}")
        self._servers.append(await asyncio.start_unix_server(relay, f"{self.ip}-{port}"))

    async def _relay(
        self, inner: str, client_says: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        try:
            kernel_says, to_kernel = await asyncio.open_unix_connection(inner)
        except OSError:
            to_client.close()
            return
        self._keep(self._pump(client_says, to_kernel, counted=False))
        self._keep(self._pump(kernel_says, to_client, counted=True))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        try:
            while data := await source.read(1 << 18):
                if counted:
                    self._spend(len(data))
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # one end has gone: let go of the other
        finally:
            sink.close()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """A sandbox that is not watched, or not relayed, must not go on."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._kill()
            context = {"message": "A sandbox was ended: its watch failed.", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    # Limits

    def _spend(self, output: int) -> None:
        self._output += output
        if self._output > self._limits.output:
            self._stop("output")

    async def _watch(self) -> None:
        limits, started, warned = self._limits, time.monotonic(), False
        before, computed = started, 0.0
        assert self._usage is not None
        while True:
            used = self._usage.read(limits.memory)
            now = time.monotonic()
            if self._cell_since is not None:
                spent = now - max(before, self._cell_since)
                if used.waiting:
                    self.idle_seconds += spent
                else:  # the system counts in hundredths: what is too little now is too much later
                    self.starved_seconds += spent - (used.cpu_seconds - computed)
            before, computed = now, used.cpu_seconds
            if self.idle_seconds > limits.idle_seconds:
                self._stop("idle_seconds")
            for limit in ("memory", "processes", "cpu_seconds", "disk"):
                if getattr(used, limit) > getattr(limits, limit):
                    self._stop(limit)
            if self._interrupted and used.processes >= limits.processes:
                self._stop("processes")  # a fork bomb, which would slow every cell that follows
            if now - started > limits.wall_seconds:
                self._stop("wall_seconds")
            cell = 0.0 if self._cell_since is None else self._over_time(now - self._cell_since)
            if cell > GRACE_SECONDS:
                self._stop("cell_seconds")
            elif cell > 0 and not warned:
                self._interrupt(b"cell limit")
            warned = cell > 0
            await asyncio.sleep(WATCH_SECONDS)

    def _over_time(self, seconds: float) -> float:
        """By how much a cell that has run for so long is over its limit: what counts is the time
        in which it had a processor, or wanted none, so that neighbours cost it nothing."""
        starved = self.starved_seconds - self._cell_starved
        return seconds - with_starved(self._limits.cell_seconds, starved)

    def _interrupt(self, message: bytes) -> None:
        self._interrupted = True
        self._say(message)

    def _stop(self, limit: str) -> None:
        self.stopped_by = self.stopped_by or reached(self._limits, limit)
        self._kill()

    # End

    def _say(self, message: bytes) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except (BrokenPipeError, BlockingIOError):
            self._kill()  # it has gone, or does not listen any more

    def _kill(self) -> None:
        if self._last is not None:
            return
        if self._first >= 0:
            with suppress(ProcessLookupError):  # it ends already
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
        else:  # it never said hello
            if self._process is not None:
                self._process.kill()
            self._end()

    def _end(self) -> None:
        """Let go of everything, now that nothing of the sandbox is left."""
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        for server in self._servers:
            server.close()
        if self._channel is not None:
            self._hear_last_words()
            loop.remove_reader(self._channel)
            self._channel.close()
            self._channel = None
        if self._first >= 0:
            loop.remove_reader(self._first)
        if self._usage is not None:
            self._usage.close()
        if self._archive is not None:
            self._archive.close()
        if self._process is not None:
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()
        self._last = loop.create_task(self._finish())

    async def _finish(self) -> None:
        """Bring back the files: nothing can change them any more. Then it is over."""
        try:
            if self._keep_in is not None and self._work >= 0:
                disk = self._limits.disk
                await asyncio.to_thread(bring_back, self._work, self._keep_in, disk)
        finally:
            for descriptor in (self._first, self._root, self._work, *self._sockets):
                if descriptor >= 0:
                    os.close(descriptor)
            self.exit_code = self._said_exit
            self._ended.set()

    def _hear_last_words(self) -> None:
        """The kernel's exit code, or why it failed to start, may still wait on the channel."""
        assert self._channel is not None
        with suppress(BlockingIOError, ConnectionResetError):
            while message := self._channel.recv(4096):
                self._take(message)
        self._heard.put_nowait(b"")
