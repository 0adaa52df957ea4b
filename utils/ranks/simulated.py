"""Ranks that are threads of this process: deterministic, recorded, on a clock of their own.

    def swap(dist):
        ...                     # dist.get_rank(), dist.send(tensor, 1), dist.recv(tensor, 0), …

    outcome = simulate(swap, 2)
    outcome.results             # what each rank returned
    outcome.messages            # every message: from, to, its numbers, when it was under way

`fn` gets a stand-in for the module `torch.distributed` as its first argument, and works as well
with the module itself. Only one rank runs at a time, and always in the same order, so every run is
the same. A send waits for its receive, as it does with gloo and NCCL. Ranks that wait for each
other are found at once and `RankError` says who waits where, as `utils.ranks.run` does.

The clock: computing takes no time; a message of n bytes occupies the sender's way out and the
receiver's way in for latency + n / bandwidth seconds, once both ends are ready (the α–β model;
Thakur, Rabenseifner, Gropp 2005, 10.1177/1094342005051521).
"""

import ctypes
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed

from utils.ranks import _words
from utils.ranks._rank import failure, where
from utils.ranks._words import Outcome, Where

_Ready = Callable[[], bool]


@dataclass
class Message:
    """One message. number: the order of sending; begin, end: seconds on the clock, equal to −1
    where it was never received; values: what was sent, a copy."""

    number: int
    source: int
    target: int
    values: torch.Tensor
    begin: float = -1.0
    end: float = -1.0

    @property
    def nbytes(self) -> int:
        return self.values.numel() * self.values.element_size()

    @property
    def received(self) -> bool:
        return self.end >= 0


@dataclass
class Simulation:
    """What became of simulated ranks.

    results: by rank; messages: in order of sending; reductions: for each all_reduce, how many
    numbers it took; seconds: on the simulated clock, until the last rank ended.
    """

    results: list[Any] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    reductions: list[int] = field(default_factory=list)
    seconds: float = 0.0


def simulate(
    fn: Callable[..., Any],
    world_size: int,
    *args: Any,
    latency: float = 0.0,
    bandwidth: float = float("inf"),
) -> Simulation:
    """Run fn(dist, *args) on `world_size` simulated ranks.

    latency: seconds a message takes however short; bandwidth: bytes a second of each rank's way out
    and way in. Raises RankError if a rank raises or all wait, NotImplementedError if the first
    rank that fails raises that.
    """
    world = _World(world_size, latency, bandwidth)
    threads = [
        threading.Thread(target=world.live, args=(rank, fn, args), daemon=True)
        for rank in range(world_size)
    ]
    for thread in threads:
        thread.start()
    try:
        world.watch()
    finally:
        world.stop()
        for thread in threads:
            _end(thread)
    found = world.found
    found.results = [world.results[rank] for rank in range(world_size)]
    found.seconds = max(world.clock)
    return found


def _end(thread: threading.Thread) -> None:
    """Wait for its end; one that computes for ever, after a time limit, is made to end."""
    thread.join(0.5)
    for _ in range(4):
        if not thread.is_alive():
            return
        identifier = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identifier, ctypes.py_object(_Stopped))
        thread.join(0.5)


class _Stopped(SystemExit):
    """Ends the thread of a rank that nobody will answer, without a word."""


class _World:
    """All ranks: whose turn it is, who waits for what, and the messages between them."""

    def __init__(self, size: int, latency: float, bandwidth: float) -> None:
        self.size, self.latency, self.bandwidth = size, latency, bandwidth
        self.found, self.results = Simulation(), {}
        self.clock = [0.0] * size
        self.way_out, self.way_in = [0.0] * size, [0.0] * size  # when they are free again
        self.sends: dict[tuple[int, int], list[Request]] = defaultdict(list)
        self.receives: dict[tuple[int, int], list[Request]] = defaultdict(list)
        self.reductions: list[list[Request]] = []
        self._turn = threading.Condition()
        self._running = 0
        self._waits: dict[int, tuple[_Ready, str, int | None]] = {}
        self._outcomes = {rank: Outcome() for rank in range(size)}
        self._over = self._stopped = False

    # Turns

    def live(self, rank: int, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """A rank's life, in its own thread."""
        try:
            self._await_turn(rank)
            self.results[rank] = fn(SimulatedDistributed(self, rank), *args)
            self._outcomes[rank].returned = True
        except _Stopped:
            return
        except BaseException as error:
            self._outcomes[rank].failure = failure(error)
        self._pass_on(rank)

    def block(self, rank: int, operation: str, peer: int | None, ready: _Ready) -> None:
        """Let others run until `ready`."""
        if not ready():
            self._waits[rank] = ready, operation, peer
            here = where(sys._getframe(1), None)
            self._outcomes[rank].where = Where(here.frames, operation, peer)
            self._pass_on(rank)
            self._await_turn(rank)
            del self._waits[rank]

    def watch(self) -> None:
        """Wait for the end, and raise what went wrong."""
        with self._turn:
            while not self._over:
                self._turn.wait()
        outcomes = self._outcomes
        if any(one.failure is not None for one in outcomes.values()):
            raise _words.failed(outcomes)
        if not all(one.returned for one in outcomes.values()):
            raise _words.stuck(outcomes)

    def stop(self) -> None:
        with self._turn:
            self._over = self._stopped = True
            self._turn.notify_all()

    def _await_turn(self, rank: int) -> None:
        with self._turn:
            while self._running != rank and not self._stopped:
                self._turn.wait()
            if self._stopped:
                raise _Stopped

    def _pass_on(self, rank: int) -> None:
        """Give the turn to the next rank that can go on; without one, it is over."""
        if self._stopped:
            raise _Stopped
        with self._turn:
            for step in range(1, self.size + 1):
                other = (rank + step) % self.size
                ready = self._waits[other][0] if other in self._waits else lambda: True
                if not self._outcomes[other].verb and ready():
                    self._running = other
                    break
            else:  # also after a failure only now, so that it can be said where the others are
                self._running, self._over = -1, True
            self._turn.notify_all()

    # Messages

    def match(self, source: int, target: int) -> None:
        """Let the first message under way meet the first receive that wants one."""
        sends, receives = self.sends[source, target], self.receives[source, target]
        while sends and receives:
            sent, received = sends.pop(0), receives.pop(0)
            message = sent.message
            assert message is not None
            begin = max(sent.posted, received.posted, self.way_out[source], self.way_in[target])
            end = begin + self.latency + message.nbytes / self.bandwidth
            self.way_out[source] = self.way_in[target] = message.end = end
            message.begin = begin
            changed, misfit = _changed(sent.tensor, message), _misfit(received.tensor, message)
            sent.complete(end, changed)
            received.complete(end, changed or misfit)
            if received.error is None:
                received.tensor.detach().copy_(message.values)

    def reduce(self, request: "Request") -> None:
        """Take one rank's part in an all_reduce; the last one's completes it."""
        mine = sum(any(part.rank == request.rank for part in one) for one in self.reductions)
        if mine == len(self.reductions):
            self.reductions.append([])
            self.found.reductions.append(request.tensor.numel())
        parts = self.reductions[mine]
        parts.append(request)
        if len(parts) < self.size:
            return
        error = _unequal(parts)
        if error is None:
            total = torch.stack([part.tensor.detach() for part in parts]).sum(dim=0)
            for part in parts:
                part.tensor.detach().copy_(total)
        end = max(part.posted for part in parts)
        for part in parts:
            part.complete(end, error)


class Request:
    """A send, receive or reduction under way, as `torch.distributed.Work`."""

    def __init__(
        self,
        world: _World,
        rank: int,
        operation: str,
        tensor: torch.Tensor,
        peer: int | None = None,
        message: Message | None = None,
    ) -> None:
        self.rank, self.tensor, self.message = rank, tensor, message
        self.posted = world.clock[rank]
        self.error: ValueError | None = None
        self._world, self._operation, self._peer = world, operation, peer
        self._done_at: float | None = None

    def complete(self, at: float, error: ValueError | None) -> None:
        self._done_at, self.error = at, error

    def is_completed(self) -> bool:
        return self._done_at is not None

    def wait(self) -> None:
        """Wait until it is done; only then may the tensor be read, or written to."""
        self._world.block(self.rank, self._operation, self._peer, self.is_completed)
        if self.error is not None:
            raise self.error
        assert self._done_at is not None
        self._world.clock[self.rank] = max(self._world.clock[self.rank], self._done_at)


class SimulatedDistributed:
    """What one simulated rank sees in the place of the module `torch.distributed`."""

    ReduceOp = torch.distributed.ReduceOp

    def __init__(self, world: _World, rank: int) -> None:
        self._world, self._rank = world, rank

    def get_rank(self) -> int:
        return self._rank

    def get_world_size(self) -> int:
        return self._world.size

    def send(self, tensor: torch.Tensor, dst: int, tag: int = 0) -> None:
        """Send `tensor` to rank `dst`; returns when that rank has received it."""
        self._post_send(tensor, dst, "send").wait()

    def isend(self, tensor: torch.Tensor, dst: int, tag: int = 0) -> Request:
        """Begin to send, and return at once; `wait()` on what it returns ends it."""
        return self._post_send(tensor, dst, "isend")

    def recv(self, tensor: torch.Tensor, src: int, tag: int = 0) -> int:
        """Receive what rank `src` sends, into `tensor`."""
        self._post_receive(tensor, src, "recv").wait()
        return src

    def irecv(self, tensor: torch.Tensor, src: int, tag: int = 0) -> Request:
        """Begin to receive, and return at once; `wait()` on what it returns ends it."""
        return self._post_receive(tensor, src, "irecv")

    def all_reduce(
        self, tensor: torch.Tensor, op: Any = None, async_op: bool = False
    ) -> Request | None:
        """Replace `tensor` on every rank by the sum over all ranks."""
        _check_tensor(tensor, "all_reduce")
        if op not in (None, torch.distributed.ReduceOp.SUM):
            raise ValueError("all_reduce sums here: leave `op` out.")
        request = Request(self._world, self._rank, "all_reduce", tensor)
        self._world.reduce(request)
        if async_op:
            return request
        request.wait()
        return None

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.all_reduce(torch.zeros(0))

    def _post_send(self, tensor: torch.Tensor, dst: int, operation: str) -> Request:
        self._check(tensor, dst, operation)
        world, mine = self._world, self._rank
        message = Message(len(world.found.messages), mine, dst, tensor.detach().clone())
        world.found.messages.append(message)
        request = Request(world, mine, operation, tensor, dst, message)
        world.sends[mine, dst].append(request)
        world.match(mine, dst)
        return request

    def _post_receive(self, tensor: torch.Tensor, src: int, operation: str) -> Request:
        self._check(tensor, src, operation)
        request = Request(self._world, self._rank, operation, tensor, src)
        self._world.receives[src, self._rank].append(request)
        self._world.match(src, self._rank)
        return request

    def _check(self, tensor: torch.Tensor, peer: int, operation: str) -> None:
        _check_tensor(tensor, operation)
        if type(peer) is not int or not 0 <= peer < self._world.size:
            raise ValueError(
                f"{operation}: there is no rank {peer!r}; there are {self._world.size}."
            )
        if peer == self._rank:
            raise ValueError(f"{operation}: rank {peer} and itself need no message.")


def _check_tensor(tensor: object, operation: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{operation} takes a tensor, not {type(tensor).__name__}.")
    if not tensor.is_contiguous():
        raise ValueError(f"{operation} takes a contiguous tensor: call .contiguous() on it.")


def _changed(tensor: torch.Tensor, message: Message) -> ValueError | None:
    if torch.equal(tensor.detach().nan_to_num(), message.values.nan_to_num()):
        return None
    return ValueError(
        f"Rank {message.source} changed a tensor while it was being sent to rank {message.target}:"
        " first wait for the end of isend."
    )


def _misfit(tensor: torch.Tensor, message: Message) -> ValueError | None:
    if (tensor.shape, tensor.dtype) == (message.values.shape, message.values.dtype):
        return None
    return ValueError(
        f"Rank {message.target} receives into {_shape(tensor)} what rank {message.source} sends as"
        f" {_shape(message.values)}."
    )


def _unequal(parts: list[Request]) -> ValueError | None:
    first = parts[0].tensor
    for part in parts[1:]:
        if (part.tensor.shape, part.tensor.dtype) != (first.shape, first.dtype):
            return ValueError(
                f"all_reduce: rank {parts[0].rank} gives {_shape(first)}, rank {part.rank}"
                f" {_shape(part.tensor)}."
            )
    return None


def _shape(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
