"""The judge as the network: it carries what ranks send, and may alter it on the way.

The ranks run in the student's process, as threads of one memory (`utils.ranks.carried`), and each
send, receive and wait is a request to the judge. So what is counted, measured and timed is what the
judge itself carried; and what arrives is the judge's to say. It adds secret amounts to numbers on
their way: a right result contains them, and numbers that passed through the memory do not.

The clock: computing takes no time; a message occupies its sender's way out and its receiver's way
in for latency + bytes / bandwidth seconds, once both are there (the α–β model).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from grading.answer.fault import Fault
from grading.answer.student import Student
from grading.checks import expect
from utils.ranks.carried import Carried

MOST = 4000  # requests and turns of one run: more are no all-reduce any more
LATENCY, BANDWIDTH = 1.0, 4.0  # s, bytes a second

DEADLOCK = (
    "A send ends when its receive does. For every send there must be a receive on the other"
    " rank, in the same order, and not all ranks may wait at the same time."
)
_FORMS: dict[str, tuple[type, ...]] = {
    "send": (int, torch.Tensor, int),
    "receive": (int, list, str, int),
    "reduce": (torch.Tensor, int),
    "wait": (int,),
    "tell": (object,),
    "ended": (object,),
    "failed": (),
}


@dataclass
class Request:
    """One that a rank has made: what it sends or reduces, or the form of what it receives."""

    rank: int
    number: int
    posted: float
    peer: int = -1
    values: Any = None
    shape: tuple[Any, ...] = ()
    dtype: str = ""
    done_at: float | None = None
    waited: bool = False


class Network:
    """Carries the messages of p ranks; a subclass says what arrives and notes what it needs.

    messages: (source, target, how many numbers), in order of sending; reductions: how many numbers
    each took; told: what each rank told; ended: what each returned; seconds: on the clock;
    unwaited, unreceived: how many sends.
    """

    def __init__(self, p: int, name: str, given: str) -> None:
        self.p, self.name, self.given = p, name, given
        self.messages: list[tuple[int, int, int]] = []
        self.reductions: list[int] = []
        self.told: list[list[Any]] = [[] for _ in range(p)]
        self.ended: dict[int, Any] = {}
        self.clock = [0.0] * p
        self._requests: list[list[Request]] = [[] for _ in range(p)]
        self._out, self._in = [0.0] * p, [0.0] * p  # when a rank's ways are free again
        self._sends: dict[tuple[int, int], list[Request]] = defaultdict(list)
        self._receives: dict[tuple[int, int], list[Request]] = defaultdict(list)
        self._sent_at: dict[int, int] = {}  # by request: its place in the order of sending
        self._reduces: list[list[Request]] = []
        self._waits: dict[int, Request] = {}
        self._done: list[tuple[int, int, str, Any]] = []

    # What a subclass may say

    def posted(self, request: Request) -> None:
        """A rank has begun to send."""

    def arrives(self, sent: Request, target: int) -> torch.Tensor:
        """What the receiver of a message finds in it."""
        return sent.values

    def reduced(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """What every rank finds after an all_reduce."""
        return torch.stack(parts).sum(dim=0)

    def hears(self, rank: int, value: Any) -> None:
        """A rank has told something."""
        self.told[rank].append(value)

    def deadlock(self, detail: str) -> Fault:
        message = f"`{self.name}` never ends: ranks wait for messages that nobody sends."
        return Fault("exception", message, DEADLOCK, detail=detail, given=self.given)

    # The conversation

    def run(self, begun: Any) -> None:
        """Carry until all ranks have ended. begun: (the ranks, as a handle; their first report)."""
        talk, report = expect.items(begun, 2, given=self.given)
        expect.that(
            type(talk) in (Student, Carried), "There are no ranks in the reply.", kind="type"
        )
        over = False
        try:
            for _ in range(MOST):
                self._take(report)
                if len(self.ended) == self.p:
                    over = True
                    return
                if self._failed:
                    message = f"`{self.name}` failed on one rank."
                    raise Fault("exception", message, detail=_text(talk), given=self.given)
                self._carry()
                if not self._done:
                    raise self.deadlock(_text(talk))
                done, self._done = self._done, []
                report = self._resume(talk, done)
            raise self._endless()
        finally:
            if not over:
                talk.end()

    @property
    def seconds(self) -> float:
        return max(self.clock)

    @property
    def unwaited(self) -> int:
        return sum(one.peer >= 0 and one.values is not None and not one.waited for one in self)

    @property
    def unreceived(self) -> int:
        return sum(map(len, self._sends.values()))

    def __iter__(self) -> Iterator[Request]:
        return (one for requests in self._requests for one in requests)

    def _resume(self, talk: Student | Carried, done: list[Any]) -> Any:
        try:
            return talk.resume(done)
        except Fault as fault:
            fault.message = fault.message.replace("`resume`", f"`{self.name}`")
            fault.given = fault.given or self.given
            raise

    def _endless(self) -> Fault:
        return Fault("exception", f"`{self.name}` does not end: messages go on.", given=self.given)

    def _take(self, report: Any) -> None:
        """What the ranks did since the last turn."""
        self._failed = False
        for rank, acts in enumerate(expect.items(report, self.p, given=self.given)):
            for act in expect.items(acts, _length(acts), given=self.given):
                self._act(rank, *_read(act))
        if sum(map(len, self._requests)) > MOST:
            raise self._endless()

    def _act(self, rank: int, kind: str, about: tuple[Any, ...]) -> None:
        mine = self._requests[rank]
        if kind in ("send", "receive", "reduce"):
            request = Request(rank, len(mine), self.clock[rank])
            if kind != "reduce":
                request.peer = self._checked(about[0], self.p)
                _that(request.peer != rank)
            self._checked(about[-1] - len(mine), 1)
            mine.append(request)
            getattr(self, f"_{kind}")(request, *about)
        elif kind == "wait":
            request = mine[self._checked(about[0], len(mine))]
            request.waited = True
            if request.done_at is None:
                self._waits[rank] = request
            else:
                self.clock[rank] = max(self.clock[rank], request.done_at)
        elif kind == "tell":
            self.hears(rank, about[0])
        elif kind == "ended":
            self.ended[rank] = about[0]
        else:
            self._failed = True

    def _send(self, request: Request, target: int, values: torch.Tensor, _: int) -> None:
        request.values = values
        self.messages.append((request.rank, target, values.numel()))
        self.posted(request)
        self._sends[request.rank, target].append(request)
        self._sent_at[id(request)] = len(self.messages)

    def _receive(self, request: Request, source: int, shape: list[Any], dtype: str, _: int) -> None:
        request.shape, request.dtype = tuple(shape), dtype
        self._receives[source, request.rank].append(request)

    def _carry(self) -> None:
        """Carry the messages that can begin first, in order of sending; others may be in their way.

        Whoever goes on afterwards does so later than they begin: so all is in order of time.
        """
        ready = [
            (begin, self._sent_at[id(sends[0])], pair)
            for pair, sends in self._sends.items()
            if (begin := self._begin(pair)) is not None
        ]
        first = min((begin for begin, *_ in ready), default=0.0)
        for begin, _, (source, target) in sorted(ready):
            if begin == first == self._begin((source, target)):
                sent = self._sends[source, target].pop(0)
                received = self._receives[source, target].pop(0)
                end = begin + LATENCY + sent.values.nbytes / BANDWIDTH
                self._out[source] = self._in[target] = end
                form = tuple(sent.values.shape), str(sent.values.dtype).removeprefix("torch.")
                self._complete(sent, end)
                if form == (received.shape, received.dtype):
                    self._complete(received, end, values=self.arrives(sent, target))
                else:
                    misfit = (
                        f"Rank {target} receives into {received.shape} {received.dtype} what rank"
                        f" {source} sends as {form[0]} {form[1]}."
                    )
                    self._complete(received, end, misfit)

    def _begin(self, pair: tuple[int, int]) -> float | None:
        """When the next message between two ranks can begin; None until both are there."""
        if not self._sends[pair] or not self._receives[pair]:
            return None
        sent, received = self._sends[pair][0], self._receives[pair][0]
        return max(sent.posted, received.posted, self._out[pair[0]], self._in[pair[1]])

    def _reduce(self, request: Request, values: torch.Tensor, _: int) -> None:
        request.values = values
        mine = sum(any(one.rank == request.rank for one in parts) for parts in self._reduces)
        if mine == len(self._reduces):
            self._reduces.append([])
            self.reductions.append(values.numel())
        parts = self._reduces[mine]
        parts.append(request)
        if len(parts) < self.p:
            return
        parts.sort(key=lambda one: one.rank)
        end = max(one.posted for one in parts)
        forms = {(tuple(one.values.shape), one.values.dtype) for one in parts}
        if len(forms) > 1:
            listed = ", ".join(f"rank {one.rank} gives {tuple(one.values.shape)}" for one in parts)
            raise self.deadlock(f"Of one all_reduce {listed}.")
        total = self.reduced([one.values for one in parts])
        for one in parts:
            self._complete(one, end, values=total)

    def _complete(self, request: Request, at: float, error: str = "", values: Any = None) -> None:
        request.done_at = at
        self._done.append((request.rank, request.number, error, values))
        if self._waits.get(request.rank) is request:
            del self._waits[request.rank]
            self.clock[request.rank] = max(self.clock[request.rank], at)

    def _checked(self, number: int, below: int) -> int:
        _that(0 <= number < below)
        return number


class Sums(Network):
    """Carries the messages of an all-reduce, x[r] on rank r, and knows what each is made of.

    Each number on its way gets a secret amount. A number that a rank sends or returns should be a
    sum of its own x and of what arrived there, each at most once: which, is found by trying all.
    So it is known of how many ranks' x it is the sum, whatever the algorithm.

    made_up: (rank, its message) whose numbers are no such sums; results: for each rank and call how
    often each rank's x is in each number, (n, p), or None where that is no such sum; means: whether
    one of them is the mean instead; doubled: whether a message is twice such a sum.
    """

    def __init__(self, x: list[torch.Tensor], rng: np.random.Generator, *naming: str) -> None:
        super().__init__(len(x), *naming)
        self.x, self.rng, self.n = x, rng, len(x[0])
        self.results: list[list[np.ndarray | None]] = [[] for _ in x]
        self.made_up: list[tuple[int, torch.Tensor]] = []
        self.means = self.doubled = False
        self._sent: list[list[int]] = [[] for _ in x]  # of how many x each message is
        self._from: list[list[int]] = [[] for _ in x]  # where in x each lies, or -1
        self._parts: dict[int, Any] = {}  # by message: (where in x it lies, of how many x)
        self._known = [self._own(rank) for rank in range(self.p)]

    def posted(self, request: Request) -> None:
        found = self._made_of(request.rank, request.values)
        if found is None:
            self.made_up.append((request.rank, request.values))
            self.doubled |= self._made_of(request.rank, request.values / 2) is not None
        self._parts[id(request)] = found
        self._from[request.rank].append(found[0] if found and found[1].any() else -1)
        self._sent[request.rank].append(
            0 if found is None else int(found[1].sum(axis=1).max(initial=0))
        )

    def arrives(self, sent: Request, target: int) -> torch.Tensor:
        found = self._parts[id(sent)]
        if found is None:
            return sent.values
        secret = torch.tensor(self.rng.normal(size=sent.values.shape))
        arriving = sent.values + secret.to(sent.values.dtype)
        first, counts = found
        for k, (value, count) in enumerate(zip(_numbers(arriving), counts, strict=True), first):
            values, of = self._known[target][k]
            if len(values) < MOST:  # more: what is made of it stays unknown
                self._known[target][k] = (
                    np.append(values, values + value),
                    np.concatenate([of, of + count]),
                )
        return arriving

    def hears(self, rank: int, value: Any) -> None:
        super().hears(rank, value)
        whole = type(value) is torch.Tensor and value.numel() == self.n
        found = self._made_of(rank, value) if whole else None
        self.results[rank].append(None if found is None else found[1])
        if whole and found is None and value.is_floating_point():
            mean = self._made_of(rank, self.p * value)
            self.means = self.means or (mean is not None and bool((mean[1] == 1).all()))
        self._known[rank] = self._own(rank)

    def grows(self) -> bool:
        """Whether message s of every rank, up to p − 1 of them, is a sum of s different x."""
        first = list(range(1, self.p))
        return all(sent[: self.p - 1] == first for sent in self._sent)

    def empty(self) -> bool:
        """Whether a message has nothing of any x in it: zeros, sent for show."""
        return any(of == 0 for sent in self._sent for of in sent)

    def strays(self) -> str:
        """Which half of a ring, "first" or "second", sends another chunk than it should first."""
        begins = np.cumsum([0, *map(len, np.array_split(np.zeros(self.n), self.p))])
        steps = [
            (step, where >= 0 and where != begins[(rank - step) % self.p], where < 0)
            for rank, wheres in enumerate(self._from)
            for step, where in enumerate(wheres[: 2 * (self.p - 1)])  # of the first call
        ]
        step, other, _ = min((one for one in steps if any(one[1:])), default=(0, False, False))
        return ("first" if step < self.p - 1 else "second") if other else ""

    def stays(self) -> bool:
        """Whether each of the first p − 1 messages of every rank is of one x alone."""
        return all(sent[: self.p - 1] == [1] * (self.p - 1) for sent in self._sent)

    def _own(self, rank: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each number of x all sums that the rank can know: 0 and its own."""
        of = np.zeros((2, self.p), int)
        of[1, rank] = 1
        return [(np.array([0.0, value]), of) for value in _numbers(self.x[rank])]

    def _made_of(self, rank: int, values: torch.Tensor) -> tuple[int, np.ndarray] | None:
        """Where in x numbers lie that a rank knows, and how often each x is in them."""
        if not values.is_floating_point():
            return None
        numbers = _numbers(values)
        for first in range(self.n - len(numbers) + 1):
            counts = []
            for k, number in enumerate(numbers, first):
                known, of = self._known[rank][k]
                same = np.flatnonzero(np.abs(known - number) < 1e-9)
                if not len(same):
                    break
                counts.append(of[same[0]])
            else:
                return first, np.array(counts).reshape(-1, self.p)
        return None


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().flatten().numpy()


def _text(talk: Student | Carried) -> str:
    text = talk.words()
    return text if type(text) is str else ""


def _length(acts: Any) -> int:
    _that(type(acts) in (list, tuple))
    return len(acts)


def _read(act: Any) -> tuple[str, tuple[Any, ...]]:
    """One act of a rank, of a form that it can have."""
    _that(type(act) is tuple and act and type(act[0]) is str and act[0] in _FORMS)
    kind, *about = act
    form = _FORMS[kind]
    _that(len(about) == len(form))
    _that(all(one is object or type(it) is one for it, one in zip(about, form, strict=True)))
    return kind, tuple(about)


def _that(condition: Any) -> None:
    expect.that(condition, "The ranks' report has no form that it can have.", kind="type")
