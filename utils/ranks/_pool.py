"""The notebook's side: starts ranks, has them run a function, and finds out what went wrong."""

import atexit
import contextlib
import json
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cloudpickle

from utils.ranks import _group, _rank, _words
from utils.ranks._words import Outcome, Where

T = TypeVar("T")
_FORKS = sys.platform == "linux"
_ASK_EVERY = 1.0  # seconds between two questions where a rank is
_STUCK_AFTER = 4  # such questions that find no rank moved
_GRACE = 2.0  # seconds for the others to come to where they wait, after one has failed
_LOOK_EVERY = 0.15  # seconds, in that time
_STARTING = 180.0  # seconds to import torch and find each other, on a busy machine


def run(
    fn: Callable[..., T],
    world_size: int,
    *args: Any,
    timeout: float = 60.0,
    device: str = "",
    layout: _group.Plan | None = None,
) -> list[T]:
    """Run fn(*args) on `world_size` ranks at once; returns what each returned, by rank.

    fn and args travel by cloudpickle: functions and classes of the notebook come along, as do the
    notebook's values that they use, as copies. A rank learns which one it is from
    `torch.distributed.get_rank()`. All random generators begin alike on every rank and in every
    call. What the ranks print appears at once. Tensors that come back are best on the CPU.

    timeout: seconds for the call, without the time to start processes; device: "cpu" leaves GPUs
    unused; layout: of the ranks, instead of `plan`'s.

    Raises RankError if a rank raised, died or did not end in time, or if all wait for messages that
    nobody sends; NotImplementedError if that is what the first one raised; TypeError for a function
    or arguments that cannot be sent.
    """
    layout = layout or _group.plan(world_size, device=device)
    payload = _pickled(fn, args)
    with _lock:
        pool = _pool_of(layout)
        try:
            return pool.call(payload, timeout)
        except BaseException:
            stop()  # some rank may wait for ever, and the others hold half of a conversation
            raise


def warm_up() -> None:
    """Begin what takes seconds at the first call, and return at once."""
    with _lock:
        if _FORKS:
            _Template.get()


def stop() -> None:
    """End the ranks; the next call starts them again."""
    global _pool
    with _lock:
        if _pool is not None:
            _pool.end()
            _pool = None


class _Process(Protocol):
    """A rank's process."""

    channel: _rank.Channel
    words: Path  # a file with what the process wrote past Python's own output

    def end(self) -> int:
        """Kill it, unless it is dead; its exit code, negative for a signal."""
        ...


class _Pool:
    """Ranks that run one call after another."""

    def __init__(self, layout: _group.Plan) -> None:
        self.layout = layout
        self._folder = tempfile.TemporaryDirectory(prefix="ranks-", ignore_cleanup_errors=True)
        self._said: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._calls = 0
        self._ranks: list[_Process] = []
        for rank in range(len(layout.devices)):
            words = Path(self._folder.name, f"{rank}.txt")
            self._ranks.append(_Forked(words) if _FORKS else _Alone(words))
            threading.Thread(target=self._listen, args=(rank,), daemon=True).start()

    def _listen(self, rank: int) -> None:
        """Put what a rank says into the queue; None at its end."""
        channel = self._ranks[rank].channel
        while True:
            try:
                self._said.put((rank, channel.receive()))
            except (EOFError, OSError, pickle.UnpicklingError):
                self._said.put((rank, None))
                return

    def ready(self) -> bool:
        """Whether all are alive; forgets what they said after the end of a call."""
        said = [self._said.get() for _ in range(self._said.qsize())]
        return all(message is not None for _, message in said)

    def call(self, payload: bytes, timeout: float) -> list[Any]:
        size = len(self._ranks)
        if self.layout.backend != "nccl" or self._calls == 0:
            # A fresh group for each call: no message of an earlier one is left in it. NCCL, where
            # that takes seconds, keeps its own.
            self._calls += 1
        file = str(Path(self._folder.name, f"group{self._calls}"))
        for rank, process in enumerate(self._ranks):
            call = _rank.Call(self.layout, rank, file, sys.path, os.getcwd(), payload)
            self._tell(process, ("call", call))
        watch = _Watch(self, size, timeout)
        return [pickle.loads(result) for result in watch.results()]

    def ask(self, rank: int) -> None:
        self._tell(self._ranks[rank], ("where",))

    def hear(self, seconds: float) -> tuple[int, Any] | None:
        """What the next rank says, if one does within `seconds`."""
        try:
            return self._said.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return None

    def bury(self, rank: int) -> tuple[int, str]:
        """The exit code and the last words of a rank that has ended."""
        process = self._ranks[rank]
        return process.end(), process.words.read_text(errors="replace")

    def end(self) -> None:
        for process in self._ranks:
            process.end()
        self._folder.cleanup()

    def _tell(self, process: _Process, message: tuple[Any, ...]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.channel.send(message)  # that it is dead, its silence tells


class _Watch:
    """Follows one call to its end."""

    def __init__(self, pool: _Pool, size: int, timeout: float) -> None:
        self._pool, self._timeout = pool, timeout
        self._outcomes = {rank: Outcome() for rank in range(size)}
        self._results: dict[int, bytes] = {}
        self._still = 0  # how many answers in a row found nobody moved

    def results(self) -> list[bytes]:
        """What the ranks returned, by rank, pickled. Raises RankError or NotImplementedError."""
        deadline = time.monotonic() + self._timeout
        ask_at = time.monotonic() + _ASK_EVERY
        while self._running():
            now = time.monotonic()
            if now >= deadline:
                self._locate()
                raise _words.late(self._outcomes, self._timeout)
            if now >= ask_at:
                self._still = self._still + 1 if self._nobody_moved() else 0
                if self._still >= _STUCK_AFTER:
                    raise _words.stuck(self._outcomes)
                ask_at = now + _ASK_EVERY
            self._hear(min(deadline, ask_at) - now)
            if any(one.failure or one.exit_code is not None for one in self._outcomes.values()):
                self._settle()
                raise _words.failed(self._outcomes)
        return [self._results[rank] for rank in sorted(self._results)]

    def _running(self) -> list[int]:
        return [
            rank
            for rank, one in self._outcomes.items()
            if not one.returned and one.failure is None and one.exit_code is None
        ]

    def _hear(self, seconds: float) -> None:
        said = self._pool.hear(seconds)
        if said is None:
            return
        rank, message = said
        outcome = self._outcomes[rank]
        if message is None:
            outcome.exit_code, outcome.last_words = self._pool.bury(rank)
        elif message[0] == "output":
            print("\n".join(f"rank {rank}: {line}" for line in message[1].split("\n")))
        elif message[0] == "where":
            outcome.where = message[1]
        elif message[0] == "failed":
            outcome.failure = message[1]
        else:
            outcome.returned, self._results[rank] = True, message[1]

    def _settle(self) -> None:
        """After a failure: until the others have ended or wait for messages, or are too slow."""
        end = time.monotonic() + _GRACE
        while self._running() and time.monotonic() < end:
            look_at = time.monotonic() + _LOOK_EVERY
            while self._running() and (left := look_at - time.monotonic()) > 0:
                self._hear(left)
            self._locate()
            places = [self._outcomes[rank].where for rank in self._running()]
            if all(place is not None and place.waiting for place in places):
                return

    def _locate(self) -> None:
        """Ask every running rank where it is."""
        for rank in self._running():
            self._outcomes[rank].where = None
            self._pool.ask(rank)
        end = time.monotonic() + _ASK_EVERY
        while (left := end - time.monotonic()) > 0 and any(
            self._outcomes[rank].where is None for rank in self._running()
        ):
            self._hear(left)

    def _nobody_moved(self) -> bool:
        """Whether all wait for messages, and not one has computed since the last time."""
        before = {rank: self._outcomes[rank].where for rank in self._running()}
        self._locate()
        return bool(before) and all(
            _stands(old, self._outcomes[rank].where) for rank, old in before.items()
        )


def _stands(old: Where | None, new: Where | None) -> bool:
    if old is None or new is None or new.cpu is None:
        return False
    return new.waiting and new == old


# Processes


class _Template:
    """The process that has imported torch and forks ranks; there is one."""

    _one: "_Template | None" = None

    def __init__(self) -> None:
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptor = inside.fileno()
        main = f"_rank.template(__import__('socket').socket(fileno={descriptor}))"
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (open for long)
        with inside:
            self._process = subprocess.Popen(
                _python(main),
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=(descriptor,),
                env=_environment(),
                start_new_session=True,  # so that Ctrl-C reaches only the notebook
            )

    @classmethod
    def get(cls) -> "_Template":
        if cls._one is None or cls._one._process.poll() is not None:
            cls._one = cls()
        return cls._one

    def fork(self, link: socket.socket, words: Path) -> int:
        """Fork a rank; the number of its process. Raises RankError if that cannot be done."""
        with words.open("wb") as file:
            return self._ask({"do": "start"}, [link.fileno(), file.fileno()])

    def end(self, pid: int) -> int:
        """Kill a rank, unless it is dead; its exit code."""
        if self._process.poll() is not None:
            return -signal.SIGKILL  # its ranks end with it
        return self._ask({"do": "end", "pid": pid}, [])

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> int:
        self._control.settimeout(_STARTING)
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            reply = self._control.recv(64)
        except BaseException:  # interrupted: a late reply would answer the next request
            self._process.kill()
            self._process.wait()
            raise
        if not reply:
            self._process.wait()
            self._words.seek(0)
            said = self._words.read().decode(errors="replace").strip()[-600:]
            raise _words.RankError(f"The ranks cannot be started: {said}", reason="died")
        return int(reply)


class _Forked:
    """A rank forked from the template."""

    def __init__(self, words: Path) -> None:
        self.words, self._template, self._code = words, _Template.get(), None
        self._socket, inside = socket.socketpair()
        with inside:
            self._pid = self._template.fork(inside, words)
        self.channel = _rank.Channel(self._socket.makefile("rb"), self._socket.makefile("wb"))

    def end(self) -> int:
        if self._code is None:
            self._code = self._template.end(self._pid)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # it ends at this, whatever else fails
        return self._code


class _Alone:
    """A rank that is a subprocess of its own."""

    def __init__(self, words: Path) -> None:
        self.words = words
        with words.open("wb") as file:
            self._process = subprocess.Popen(
                _python("_rank.alone()"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=_environment(),
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.channel = _rank.Channel(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]

    def end(self) -> int:
        self._process.kill()
        return self._process.wait()


def _python(main: str) -> list[str]:
    code = f"import sys; sys.path[:] = {sys.path!r}; from utils.ranks import _rank; {main}"
    return [sys.executable, "-c", code]


def _environment() -> dict[str, str]:
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    # Also where a shell names another, for runs on several machines: these ranks are all here.
    local = {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    # No thread may run in the template when it forks, and OpenBLAS starts some when it is imported.
    return {**os.environ, **local, "OPENBLAS_NUM_THREADS": "1"}


# Sending


def _pickled(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    try:
        with _sent_by_value():
            return cloudpickle.dumps((fn, args))
    except Exception as error:
        name = getattr(fn, "__name__", "the function")
        raise TypeError(
            f"`{name}` and its arguments cannot be sent to the ranks: {error}. Values that it takes"
            " from the notebook are sent, too: can it do without one of them?"
        ) from None


@contextlib.contextmanager
def _sent_by_value() -> Iterator[None]:
    """Modules that no import would find, such as a lab run by a test, travel whole."""
    made = [
        module
        for name, module in list(sys.modules.items())
        if type(module) is types.ModuleType
        and module.__spec__ is None
        and name not in ("__main__", "__mp_main__")
        and getattr(module, "__name__", None) == name
    ]
    known = cloudpickle.list_registry_pickle_by_value()
    made = [module for module in made if module.__name__ not in known]
    for module in made:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in made:
            cloudpickle.unregister_pickle_by_value(module)


_lock = threading.RLock()
_pool: _Pool | None = None


def _pool_of(layout: _group.Plan) -> _Pool:
    global _pool
    if _pool is None or _pool.layout != layout or not _pool.ready():
        stop()
        _pool = _Pool(layout)
    return _pool


atexit.register(stop)
