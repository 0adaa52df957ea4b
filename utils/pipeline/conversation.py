"""A rank's program from outside, step by step: whoever asks plays all that the rank meets.

    talk = Conversation(stage_program(run_stage, setting))
    talk.step()             # [(("recv", "previous", "F", 0), (), 0)]: it waits for an activation
    talk.step((x,))         # [(("module",), (), 0), (("send", "next", "F", 0), (y,), 0)]
    talk.step()             # …
    ...                     # up to [..., (("end",), (loss, gradient), 0)]

A step ends with a message: sent, or waited for, or that the program ends. The module multiplies
with factors, one after another, forward and backward alike; so what is sent depends on the order of
all that the rank did before.
"""

import ctypes
import queue
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from utils.pipeline.link import label_of, neighbour, require_data
from utils.pipeline.saved import Graphs
from utils.pipeline.schedules import Action

What = tuple[Any, ...]  # a verb, and what belongs to it
Event = tuple[What, tuple[Tensor, ...], int]


class Other:
    """What a program meets: `ask` brings the reply to a message, `note` tells what it does."""

    def ask(self, what: What, values: Sequence[Tensor] = ()) -> Sequence[Tensor]:
        raise NotImplementedError

    def note(self, what: What, values: Sequence[Tensor] = (), count: int = 0) -> None:
        raise NotImplementedError


Program = Callable[[Other], Event]


class Conversation(Other):
    """A program that runs in a thread, and stands still at each message."""

    def __init__(self, program: Program) -> None:
        self._replies: queue.SimpleQueue[Sequence[Tensor] | None] = queue.SimpleQueue()
        self._steps: queue.SimpleQueue[list[Event] | BaseException] = queue.SimpleQueue()
        self._noted: list[Event] = []
        self._thread = threading.Thread(target=self._live, args=(program,), daemon=True)
        self._thread.start()

    def step(self, reply: Sequence[Tensor] = ()) -> list[Event]:
        """Let it go on with the reply to its message; what it does up to the next one, or to its
        end. Raises what the program raises."""
        self._replies.put(reply)
        try:
            step = self._steps.get()
        except BaseException:  # a time limit, in this thread
            self.end()
            raise
        if isinstance(step, BaseException):
            raise step
        return step

    def end(self) -> None:
        """End it, wherever it is, also in a loop without end."""
        self._replies.put(None)
        self._thread.join(0.5)
        for _ in range(4):
            if self._thread.is_alive():
                identifier = ctypes.c_ulong(self._thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(identifier, ctypes.py_object(_Ended))
                self._thread.join(0.5)

    def ask(self, what: What, values: Sequence[Tensor] = ()) -> Sequence[Tensor]:
        self.note(what, values)
        noted, self._noted = self._noted, []
        self._steps.put(noted)
        return self._wait()

    def note(self, what: What, values: Sequence[Tensor] = (), count: int = 0) -> None:
        self._noted.append((what, data_of(values), count))

    def _live(self, program: Program) -> None:
        try:
            self._wait()
            self._steps.put(self._last(program))
        except _Ended:
            return
        except BaseException as error:
            self._steps.put(error)

    def _last(self, program: Program) -> list[Event]:
        event = program(self)
        return [*self._noted, event]

    def _wait(self) -> Sequence[Tensor]:
        reply = self._replies.get()
        if reply is None:
            raise _Ended
        return reply


class _Ended(SystemExit):
    """Ends the thread of a program that nobody will answer, without a word."""


def data_of(values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Copies of tensors, without their graphs."""
    return tuple(value.detach().clone() for value in values)


def stage_program(run_stage: Callable[..., Any], setting: Mapping[str, Any]) -> Program:
    """What a rank runs: `run_stage`, of lab 15, with a module of one weight matrix.

    setting: rank, ranks; actions; weight, and before: the gradient that it has beforehand; several:
    whether the module passes on two tensors; factors: of each run of the module or of its backward;
    losses, and slopes, their gradients, by micro-batch; inputs: of the first rank; times: how often
    it runs; held: how many micro-batches may be kept as each forward begins (where more are, or the
    graph of one that has gone back is whole, other factors follow), or nothing. It ends with each
    loss that it returned (NaN for None), and with the gradient.
    """

    def program(other: Other) -> Event:
        rank, ranks = setting["rank"], setting["ranks"]
        memory = _Memory()
        module = _Stage(setting, other, memory)
        inputs = data_of(setting["inputs"])

        def send(to: str, action: Action, values: tuple[Tensor, ...]) -> None:
            neighbour(rank, ranks, to)
            label = label_of(action)
            require_data(values)
            other.ask(("send", to, *label), values)

        def recv(source: str, action: Action) -> tuple[Tensor, ...]:
            neighbour(rank, ranks, source)
            values = other.ask(("recv", source, *label_of(action)))
            return tuple(memory.new(value, action[0]) for value in values)

        def loss(m: int, *outputs: Tensor) -> Tensor:
            return _Loss.apply(setting, other, m, *outputs)

        ends: list[Tensor] = []
        for _ in range(setting["times"]):
            if ends:
                other.note(("again",))
            actions = [(kind, m) for kind, m in setting["actions"]]
            first, last = rank == 0, rank == ranks - 1
            found = run_stage(
                actions,
                module,
                send,
                recv,
                inputs=inputs if first else None,
                loss=loss if last else None,
            )
            ends.append(_number(found))
        grad = module.weight.grad
        spoilt = any(one.requires_grad or one.grad is not None for one in inputs)
        return ("end",), (*ends, torch.zeros(0) if grad is None else grad), int(spoilt)

    return program


def _number(found: object) -> Tensor:
    """What run_stage returned: NaN for None; for a tensor three numbers, two with a graph."""
    if isinstance(found, Tensor):
        return torch.zeros(2 if found.requires_grad else 3, dtype=torch.float64)
    if found is None:
        return torch.tensor(float("nan"), dtype=torch.float64)
    try:
        return torch.as_tensor(found, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        return torch.zeros(0, dtype=torch.float64)


class _Memory:
    """What of the tensors that it made is still in memory; also if only a view of one is."""

    def __init__(self) -> None:
        self._places: dict[str, list[weakref.ref[Any]]] = {"F": [], "B": [], "output": []}

    def new(self, value: Tensor, kind: str) -> Tensor:
        array = np.array(value.detach().numpy())  # the tensor's memory, as long as one uses it
        self._places[kind].append(weakref.ref(array))
        return torch.from_numpy(array)

    def alive(self, parts: int) -> int:
        """How many micro-batches' inputs or outputs, but for the present one's, are kept."""
        kept = {
            kind: sum(place() is not None for place in places[: len(places) // parts * parts])
            for kind, places in self._places.items()
        }
        here = len(self._places["F"]) > 0
        return max(kept["F"] // parts - here, kept["output"] // parts)


class _Stage(nn.Module):
    def __init__(self, setting: Mapping[str, Any], other: Other, memory: _Memory) -> None:
        super().__init__()
        self.weight = nn.Parameter(setting["weight"].clone())
        self.weight.grad = setting["before"].clone()
        self.several, self.factors = setting["several"], setting["factors"]
        self.other, self.memory, self.runs = other, memory, 0
        self.held, self.graphs = list(setting.get("held", ())), Graphs()

    def forward(self, x: Tensor, around: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        y = torch.tanh(x @ self.weight) if self.training else x @ self.weight
        y = self.graphs.mark(y)
        if not self.several:
            return _Counted.apply(self, y)[0]
        return _Counted.apply(self, y, y * y if around is None else around + 0.5 * y)

    def factor(self, kept: int = 0) -> Tensor:
        """Of the present run, forward or backward. kept: micro-batches that are, at a forward."""
        self.runs += 1
        if kept and self.held and (kept > self.held.pop(0) or self.graphs.whole(gone=True)):
            self.runs += 1
        return self.factors[self.runs % len(self.factors)]


class _Counted(torch.autograd.Function):
    """Multiplies with the module's next factor, forward and backward."""

    @staticmethod
    def forward(ctx: Any, stage: _Stage, *values: Tensor) -> Any:
        alive = stage.memory.alive(len(values))
        ctx.stage, factor = stage, stage.factor(1 + alive)
        stage.other.note(("module",), (), alive)
        return tuple(stage.memory.new(value * factor, "output") for value in values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        factor = ctx.stage.factor()
        ctx.stage.other.note(("backward",))
        return None, *(gradient * factor for gradient in gradients)


class _Loss(torch.autograd.Function):
    """A loss whose value and gradients are given."""

    @staticmethod
    def forward(
        ctx: Any, setting: Mapping[str, Any], other: Other, m: int, *outputs: Tensor
    ) -> Tensor:
        ctx.slopes = setting["slopes"][m][: len(outputs)]
        ctx.note = partial(other.note, ("loss backward", m))
        other.note(("loss", m), outputs)
        return setting["losses"][m].clone()

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        ctx.note()
        return None, None, None, *(gradient[0] * slope for slope in ctx.slopes)


def exchange_program(there_and_back: Callable[..., Any], setting: Mapping[str, Any]) -> Program:
    """What a rank of two runs: `there_and_back`, of lab 15, with a module of one weight matrix.

    setting: rank; weight, and before: the gradient that it has beforehand; x: rank 0's inputs;
    target: what rank 1 compares its output with. It runs twice, on the same numbers, and ends as
    `stage_program` does; with it is told how many messages have not ended, twice, and one more if
    rank 0's x was changed.
    """

    def program(other: Other) -> Event:
        module = _Half(*setting["weight"].T.shape, bias=False, dtype=torch.float64)
        module.weight.data.copy_(setting["weight"])
        module.weight.grad = setting["before"].clone()
        target, first, ends = setting["target"], setting["rank"] == 0, []
        loss = None if first else lambda y: ((y - target) ** 2).mean()
        dist, changed = _TwoRanks(setting["rank"], other), False
        for again in (False, True):
            if again:
                other.note(("again",))
            x = setting["x"].clone()
            ends.append(_number(there_and_back(dist, module, x, loss)))
            changed |= first and (x.requires_grad or not torch.equal(x, setting["x"]))
        grad = module.weight.grad
        grad = torch.zeros(0) if grad is None else grad.detach().clone()
        return ("end",), (*ends, grad), 2 * dist._pending + changed

    return program


class _Half(nn.Linear):
    """A layer whose backward needs the values of its output, and of which no two runs are alike."""

    runs = 0

    def forward(self, input: Tensor) -> Tensor:
        self.runs += 1
        return torch.tanh(self.runs * super().forward(input))


class _TwoRanks:
    """Stands for `torch.distributed` on one of two ranks, whose other is asked."""

    def __init__(self, rank: int, other: Other) -> None:
        self._rank, self._ask, self._pending = rank, other.ask, 0

    def get_rank(self) -> int:
        return self._rank

    def get_world_size(self) -> int:
        return 2

    def isend(self, tensor: Tensor, dst: int, tag: int = 0) -> "_Pending":
        self._check(tensor, dst)
        self._ask(("send", dst), (tensor,))
        sent = tensor.detach().clone()
        return _Pending(self, lambda: self._end_of_send(tensor, sent))

    def irecv(self, tensor: Tensor, src: int, tag: int = 0) -> "_Pending":
        self._check(tensor, src)
        tensor.detach().fill_(float("nan"))  # nobody knows what is in it until it has come
        return _Pending(self, lambda: self._fill(tensor, src))

    def send(self, tensor: Tensor, dst: int, tag: int = 0) -> None:
        self.isend(tensor, dst).wait()

    def recv(self, tensor: Tensor, src: int, tag: int = 0) -> int:
        self.irecv(tensor, src).wait()
        return src

    def _end_of_send(self, tensor: Tensor, sent: Tensor) -> None:
        if not torch.equal(tensor, sent):
            raise ValueError("A tensor that is being sent was changed before wait().")

    def _fill(self, tensor: Tensor, src: int) -> None:
        (value,) = self._ask(("recv", src))
        if tensor.shape != value.shape:
            shapes = f"{tuple(value.shape)} into one of shape {tuple(tensor.shape)}"
            raise ValueError(f"Rank {self._rank} receives a tensor of shape {shapes}.")
        tensor.detach().copy_(value)

    def _check(self, tensor: object, peer: int) -> None:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"A rank sends and receives tensors, not {type(tensor).__name__}.")
        if peer != 1 - self._rank:
            raise ValueError(
                f"Rank {self._rank} has one other rank, {1 - self._rank}: not {peer!r}."
            )


class _Pending:
    def __init__(self, ranks: _TwoRanks, finish: Callable[[], None]) -> None:
        self._ranks, self._finish, self._done = ranks, finish, False
        ranks._pending += 1

    def wait(self) -> None:
        if not self._done:
            self._done = True
            self._ranks._pending -= 1
            self._finish()

    def is_completed(self) -> bool:
        return self._done
