"""Ranks that are threads of this process, between which somebody else carries the messages.

    talk = Carried(job, 4)      # job(dist) runs as four ranks, each until it has to wait
    talk.report                 # of each rank: [("send", to, tensor, number), ("wait", number)]
    talk.resume([(rank, number, "", tensor)])       # these are done; again until all wait

Here nothing is sent, added up or timed: whoever resumes it is the network, and decides what
arrives. Only one rank runs at a time, the lowest first, so every run is the same. A report has for
each rank a list of

    ("send", to, tensor, number)    ("receive", from, shape, dtype, number)
    ("reduce", tensor, number)      ("wait", number)
    ("tell", value)                 ("ended", value)        ("failed",)

A number is the rank's own, of a request to which ("wait", number) and `resume` refer.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

import torch

from utils.ranks import _words
from utils.ranks._rank import failure, where
from utils.ranks._words import Outcome, Where
from utils.ranks.simulated import SimulatedDistributed, _check_tensor, _end, _Stopped

Done = tuple[int, int, str, torch.Tensor | None]  # rank, number, what is wrong with it, numbers


class Carried:
    """`size` ranks that run fn(dist)."""

    def __init__(self, fn: Callable[[Any], Any], size: int) -> None:
        self.size = size
        self.report: list[list[tuple[Any, ...]]] = [[] for _ in range(size)]
        self._fn = fn
        self._outcomes = {rank: Outcome() for rank in range(size)}
        self._requests: list[list[_Request]] = [[] for _ in range(size)]
        self._awaited: list[_Request | None] = [None] * size
        self._go = [threading.Semaphore(0) for _ in range(size)]
        self._back = threading.Semaphore(0)
        self._not_done: NotImplementedError | None = None
        self._over = False
        self._threads = [
            threading.Thread(target=self._live, args=(rank,), daemon=True) for rank in range(size)
        ]
        for thread in self._threads:
            thread.start()
        self.resume([])

    def resume(self, done: list[Done]) -> list[list[tuple[Any, ...]]]:
        """Let the ranks go on whose requests are done, until all wait or have ended."""
        self.report = [[] for _ in range(self.size)]
        for rank, number, error, values in done:
            self._requests[rank][number].complete(error, values)
        try:
            for rank in range(self.size):
                awaited = self._awaited[rank]
                if not self._outcomes[rank].verb and (awaited is None or awaited.done):
                    self._go[rank].release()
                    self._back.acquire()
                    if self._not_done is not None:
                        raise self._not_done
        except BaseException:
            self.end()
            raise
        return self.report

    def words(self) -> str:
        """What went wrong, or who waits for whom, in the words of `RankError`."""
        failed = any(one.failure is not None for one in self._outcomes.values())
        return str(_words.failed(self._outcomes) if failed else _words.stuck(self._outcomes))

    def end(self) -> None:
        """End all ranks; without it those that wait would wait for ever."""
        self._over = True
        for go in self._go:
            go.release()
        for thread in self._threads:
            _end(thread)

    def _live(self, rank: int) -> None:
        """A rank's life, in its own thread."""
        try:
            self._await_turn(rank)
            value = self._fn(CarriedDistributed(self, rank))
            self._outcomes[rank].returned = True
            self.report[rank].append(("ended", value))
        except _Stopped:
            return
        except BaseException as error:
            self._outcomes[rank].failure = failure(error)
            self.report[rank].append(("failed",))
            if isinstance(error, NotImplementedError):
                self._not_done = error
        self._back.release()

    def _await_turn(self, rank: int) -> None:
        self._go[rank].acquire()
        if self._over:
            raise _Stopped

    def post(self, request: "_Request", kind: str, *about: Any) -> "_Request":
        rank = request.rank
        self._requests[rank].append(request)
        self.report[rank].append((kind, *about, len(self._requests[rank]) - 1))
        return request

    def wait(self, request: "_Request") -> None:
        """Stop the rank until the request is done."""
        rank = request.rank
        self.report[rank].append(("wait", self._requests[rank].index(request)))
        if request.done:
            return
        here = where(sys._getframe(2), None)
        self._outcomes[rank].where = Where(here.frames, request.operation, request.peer)
        self._awaited[rank] = request
        self._back.release()
        self._await_turn(rank)
        self._awaited[rank] = None


class _Request:
    """A send, receive or reduction under way, as `torch.distributed.Work`."""

    def __init__(
        self,
        talk: Carried,
        rank: int,
        operation: str,
        tensor: torch.Tensor,
        peer: int | None = None,
    ) -> None:
        self.rank, self.operation, self.tensor, self.peer = rank, operation, tensor, peer
        self.done, self.error = False, ""
        self._talk, self._sent = talk, tensor.detach().clone()

    def complete(self, error: str, values: torch.Tensor | None) -> None:
        self.done, self.error = True, error
        if values is not None:
            self.tensor.detach().copy_(values)
        elif self.operation.endswith("send") and not error and self._changed():
            self.error = (
                f"Rank {self.rank} changed a tensor while it was being sent to rank {self.peer}:"
                " first wait for the end of isend."
            )

    def is_completed(self) -> bool:
        return self.done

    def wait(self) -> None:
        """Wait until it is done; only then may the tensor be read, or written to."""
        self._talk.wait(self)
        if self.error:
            raise ValueError(self.error)

    def _changed(self) -> bool:
        return not torch.equal(self.tensor.detach().nan_to_num(), self._sent.nan_to_num())


class CarriedDistributed(SimulatedDistributed):
    """What one of these ranks sees in the place of the module `torch.distributed`."""

    def __init__(self, talk: Any, rank: int) -> None:
        super().__init__(talk, rank)
        self._talk: Carried = talk

    def tell(self, value: Any) -> None:
        """Put a value into the report."""
        self._talk.report[self._rank].append(("tell", value))

    def all_reduce(self, tensor: torch.Tensor, op: Any = None, async_op: bool = False) -> Any:
        """Replace `tensor` on every rank by the sum over all ranks."""
        _check_tensor(tensor, "all_reduce")
        if op not in (None, torch.distributed.ReduceOp.SUM):
            raise ValueError("all_reduce sums here: leave `op` out.")
        request = _Request(self._talk, self._rank, "all_reduce", tensor)
        self._talk.post(request, "reduce", tensor.detach().clone())
        return request if async_op else request.wait()

    def _post_send(self, tensor: torch.Tensor, dst: int, operation: str) -> Any:
        self._check(tensor, dst, operation)
        request = _Request(self._talk, self._rank, operation, tensor, dst)
        return self._talk.post(request, "send", dst, tensor.detach().clone())

    def _post_receive(self, tensor: torch.Tensor, src: int, operation: str) -> Any:
        self._check(tensor, src, operation)
        request = _Request(self._talk, self._rank, operation, tensor, src)
        dtype = str(tensor.dtype).removeprefix("torch.")
        return self._talk.post(request, "receive", src, list(tensor.shape), dtype)
