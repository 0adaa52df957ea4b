"""What runs in the processes of the ranks: the template that forks them, and each rank's loop.

A rank and its kernel speak in pickles over two pipes (or a socket). To the rank:

    ("call", Call)  ("where",)

and from it:

    ("output", text)  ("where", Where)  ("returned", bytes)  ("failed", Failure)
"""

import gc
import importlib
import io
import json
import os
import pickle
import queue
import random
import re
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, BinaryIO, NoReturn

from utils.ranks import _group
from utils.ranks._words import Failure, Frame, Where

# What a rank should find imported: the first optimizer imports _dynamo, and schedules may draw.
PRELOADED = (
    "cloudpickle",
    "numpy",
    "torch",
    "torch.distributed",
    "torch._dynamo",
    "matplotlib.pyplot",
)
_DEPTH = 60  # frames that are reported of a stack
_COMMUNICATION = os.path.join("torch", "distributed", "distributed_c10d.py")
_WAITING = re.compile(  # the names of its functions that wait for other ranks
    r"i?send|i?recv|batch_|all_|reduce|broadcast|gather|scatter|barrier|monitored_|init_|new_"
)


@dataclass(frozen=True)
class Call:
    """One call: what a rank is in it, and the function with its arguments, pickled."""

    layout: _group.Plan
    rank: int
    file: str  # where the ranks find each other; the same as before: the group stays
    path: list[str]  # sys.path
    folder: str  # to work in
    payload: bytes


class Channel:
    """Pickles to and from the kernel."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader, self._writer = reader, writer
        self._lock = threading.Lock()

    def send(self, message: tuple[Any, ...]) -> None:
        data = pickle.dumps(message)
        with self._lock:
            self._writer.write(data)
            self._writer.flush()

    def receive(self) -> Any:
        """The next message. Raises EOFError at the end."""
        return pickle.load(self._reader)


class _Output(io.TextIOBase):
    """Sends what is printed to the kernel, in whole lines."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self._rest, self._lock = channel, "", threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            lines, newline, self._rest = (self._rest + text).rpartition("\n")
            if newline:
                self._channel.send(("output", lines))
        return len(text)

    def finish(self) -> None:
        """Send what is left of an unfinished line."""
        if self._rest:
            self.write("\n")


def serve(channel: Channel) -> NoReturn:
    """Carry out calls until the kernel is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls: queue.Queue[Call] = queue.Queue()
    main = threading.main_thread().ident
    assert main is not None
    threading.Thread(target=_attend, args=(channel, calls, main), daemon=True).start()
    sys.stdout = sys.stderr = output = _Output(channel)
    joined = ""
    while True:
        call = calls.get()
        try:
            if call.file != joined:
                _group.join(call.layout, call.rank, call.file)
                joined = call.file
            result = _carry_out(call)
            output.finish()
            channel.send(("returned", result))
        except BaseException as error:
            output.finish()
            channel.send(("failed", failure(error)))


def _attend(channel: Channel, calls: "queue.Queue[Call]", main: int) -> None:
    """Beside the main thread: take calls, answer where it is, and end with the kernel."""
    while True:
        try:
            message = channel.receive()
        except (EOFError, OSError):
            os._exit(0)
        if message[0] == "call":
            calls.put(message[1])
        else:
            frame = sys._current_frames().get(main)
            channel.send(("where", where(frame, _cpu_seconds(main))))


def _carry_out(call: Call) -> bytes:
    import cloudpickle

    sys.path[:] = call.path
    with suppress(OSError):
        os.chdir(call.folder)
    _seed()
    function, args = pickle.loads(call.payload)
    result = function(*args)
    try:
        return cloudpickle.dumps(result)
    except Exception as error:
        kind = type(result).__name__
        message = f"The result, of type {kind}, cannot be sent to the notebook: {error}"
        raise TypeError(message) from None


def _seed() -> None:
    """Every call begins as in a fresh process, whatever ran before, and alike on every rank."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def failure(error: BaseException) -> Failure:
    frames = [_frame(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    not_done = isinstance(error, NotImplementedError)
    text = " ".join(str(error).split())
    kind, now = type(error).__name__, time.monotonic()
    return Failure(kind, text[:1000], frames[::-1][:_DEPTH], now, not_done)


def _frame(frame: FrameType, line: int | None) -> Frame:
    """line: None at a step of Python's own, such as a jump back to the head of a loop."""
    code = frame.f_code
    return Frame(code.co_filename, line or code.co_firstlineno, code.co_name)


def where(frame: FrameType | None, cpu: float | None) -> Where:
    """Where a thread is whose innermost frame this is, and whom it waits for."""
    frames, operation, peer = [], "", None
    while frame is not None and len(frames) < _DEPTH:
        name = frame.f_code.co_name
        frames.append(_frame(frame, frame.f_lineno))
        inside = frame.f_code.co_filename.endswith(_COMMUNICATION)
        if inside and _WAITING.match(name):
            operation, peer = name, _peer(frame)
        frame = frame.f_back
    return Where(frames, operation, peer, cpu)


def _peer(frame: FrameType) -> int | None:
    names = frame.f_locals
    found = next((names[name] for name in ("src", "dst") if name in names), None)
    return found if isinstance(found, int) else None


def _cpu_seconds(thread: int) -> float | None:
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS, Windows
        return None
    return time.clock_gettime(time.pthread_getcpuclockid(thread))


# How the processes begin


def preload() -> None:
    for module in PRELOADED:
        importlib.import_module(module)


def template(control: socket.socket) -> NoReturn:
    """Fork ranks on demand, until the kernel is gone; then end them.

    To it: {"do": "start"} with the rank's end of its socket and a file for its last words, or
    {"do": "end", "pid": …}; from it: the process's number, or its exit code.
    """
    preload()
    gc.collect()
    gc.freeze()  # so that the collector in a rank does not copy what was imported
    ranks: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 256, 2)
        if not message:
            for pid in ranks:
                os.kill(pid, signal.SIGKILL)
            os._exit(0)
        asked = json.loads(message)
        if asked["do"] == "start":
            pid = os.fork()
            if pid == 0:
                control.close()
                _begin(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            ranks.add(pid)
            control.send(str(pid).encode())
        else:
            os.kill(asked["pid"], signal.SIGKILL)
            _, status = os.waitpid(asked["pid"], 0)
            ranks.remove(asked["pid"])
            control.send(str(os.waitstatus_to_exitcode(status)).encode())


def _begin(link: int, words: int) -> NoReturn:
    """In a fork of the template: be a rank."""
    try:
        for standard in (1, 2):
            os.dup2(words, standard)
        serve(Channel(os.fdopen(link, "rb"), os.fdopen(os.dup(link), "wb")))
    finally:
        os._exit(1)


def alone() -> NoReturn:
    """A rank that is a subprocess of its own: its pipes are its standard input and output."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    preload()
    serve(Channel(reader, writer))
