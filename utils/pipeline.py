"""Pipelines on ranks: messages between neighbours, stages that only wait, and torch's engine.

Rank r holds stage r of a network, as in `utils.schedules`. What is here runs inside `ranks.run`.
"""

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

# Private, torch 2.11 to 2.14: the only way to run a schedule of one's own on torch's engine.
from torch.distributed.pipelining.schedules import (
    _Action,
    _ComputationType,
    _PipelineScheduleRuntime,
)

from utils.schedules import Action, Schedule, ScheduleError, problems
from utils.trace import Recorder

_KINDS = ("F", "B")
_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)
_HEADER = 64  # whole numbers that describe a message: its action, and each tensor's dtype and shape
_NOISE_AFTER = 1.0  # seconds by which the ranks without fault let the one with it speak first


class PipelineError(ValueError):
    """A batch or a network that the pipeline cannot take, on the rank whose fault it is."""


# Messages between neighbours


class Link:
    """Sends and receives tensors between a rank and its neighbours, "previous" and "next".

        link.send("next", ("F", 2), (y.detach(),))
        (x,) = link.recv("previous", ("F", 2))

    A message is labelled with the action that made it, and `recv` waits for the message with that
    label. Sending does not wait: `finish` does, at the end. What is received is a new tensor, and
    no part of any graph.
    """

    def __init__(self, dist: Any = torch.distributed, device: torch.device | None = None) -> None:
        """dist: `torch.distributed`, or what stands for it on simulated ranks."""
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self._dist, self._device = dist, device or torch.device("cpu")
        backend = dist.get_backend() if hasattr(dist, "get_backend") else ""
        self._wire = torch.device("cpu") if backend != "nccl" else self._device
        # NCCL keeps the order between two ranks, whichever the direction: a group for each.
        self._groups = (
            {kind: {"group": dist.new_group()} for kind in _KINDS} if backend == "nccl" else {}
        )
        self._sent: dict[tuple[str, Action], list[Any]] = {}
        self._arrived: dict[tuple[str, Action], tuple[Tensor, ...]] = {}

    def send(self, to: str, action: Action, values: tuple[Tensor, ...]) -> None:
        """Begin to send a tuple of tensors to the "previous" or "next" rank.

        Raises TypeError for anything but tensors, ValueError for tensors that belong to a graph.
        """
        other, action = self._neighbour(to), _label(action)
        _require_data(values)
        data = [value.contiguous().to(self._wire) for value in values]
        header = _describe(action, data).to(self._wire)
        options = self._groups.get(action[0], {})
        self._sent[to, action] = [
            self._dist.isend(one, other, **options) for one in (header, *data)
        ]

    def recv(self, source: str, action: Action) -> tuple[Tensor, ...]:
        """Wait for the message that is labelled `action`, from the "previous" or "next" rank."""
        other, action = self._neighbour(source), _label(action)
        while (source, action) not in self._arrived:
            label, values = self._next_message(other, source)
            self._arrived[source, label] = values
        kind, m = action
        if kind == "B":  # the gradient is here, so the activation has long been there
            self._settle(self._sent.pop((source, ("F", m)), []))
        return self._arrived.pop((source, action))

    def finish(self) -> None:
        """Wait until everything that was sent has been received."""
        for requests in self._sent.values():
            self._settle(requests)
        self._sent.clear()

    def waiting(self) -> str:
        """What has arrived and was never asked for, in words; empty if nothing."""
        labels = [f"{kind}{m} from the {source} rank" for source, (kind, m) in self._arrived]
        return ", ".join(labels)

    def _next_message(self, other: int, source: str) -> tuple[Action, tuple[Tensor, ...]]:
        options = self._groups.get("F" if source == "previous" else "B", {})
        header = torch.empty(_HEADER, dtype=torch.int64, device=self._wire)
        self._dist.recv(header, other, **options)
        action, forms = _described(header)
        values = [torch.empty(shape, dtype=dtype, device=self._wire) for dtype, shape in forms]
        for value in values:
            self._dist.recv(value, other, **options)
        return action, tuple(value.to(self._device) for value in values)

    def _neighbour(self, which: str) -> int:
        if which not in ("previous", "next"):
            raise ValueError(f'A neighbour is "previous" or "next", not {which!r}.')
        other = self.rank + (1 if which == "next" else -1)
        if not 0 <= other < self.ranks:
            place = "last" if which == "next" else "first"
            raise ValueError(f"Rank {self.rank} is the {place}: it has no {which} rank.")
        return other

    @staticmethod
    def _settle(requests: list[Any]) -> None:
        for request in requests:
            request.wait()


def _label(action: object) -> Action:
    if (
        not isinstance(action, tuple)
        or len(action) != 2
        or action[0] not in _KINDS
        or not isinstance(action[1], int)
    ):
        raise ValueError(f'A message is labelled with an action such as ("F", 0), not {action!r}.')
    return action


def _require_data(values: object) -> None:
    if not isinstance(values, tuple):
        kind = type(values).__name__
        raise TypeError(f"send takes a tuple of tensors, not a {kind}: write (y,) for one tensor.")
    for number, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(f"send takes tensors; value {number} is {value!r}.")
        if value.requires_grad:
            raise ValueError(
                f"send takes data; value {number} is attached to this rank's graph, which cannot"
                " travel: send its detach()."
            )


def _describe(action: Action, values: Sequence[Tensor]) -> Tensor:
    numbers = [_KINDS.index(action[0]), action[1], len(values)]
    for value in values:
        numbers += [_DTYPES.index(value.dtype), value.ndim, *value.shape]
    if len(numbers) > _HEADER:
        raise ValueError("The message has too many tensors or dimensions: send fewer at a time.")
    return torch.tensor(numbers + [0] * (_HEADER - len(numbers)), dtype=torch.int64)


def _described(header: Tensor) -> tuple[Action, list[tuple[torch.dtype, tuple[int, ...]]]]:
    kind, microbatch, count, *rest = header.tolist()
    forms = []
    for _ in range(count):
        dtype, ndim, *rest = rest
        forms.append((_DTYPES[dtype], tuple(rest[:ndim])))
        rest = rest[ndim:]
    return (_KINDS[kind], microbatch), forms


# Stages that only wait


class Delay(nn.Module):
    """A stage that takes time and no processor: it sleeps, then hands on what it was given.

    With such stages ranks overlap truly even where they share cores, and a bubble can be measured.
    forward, backward: seconds, at least 0.04 for a bubble within a few hundredths; recorder: notes
    forwards, counted from 0, and their backwards.
    """

    def __init__(self, forward: float, backward: float, recorder: Recorder | None = None) -> None:
        super().__init__()
        self.seconds = {"F": forward, "B": backward}
        self.recorder, self.count = recorder, 0
        self.weight = nn.Parameter(torch.ones(()))  # so that there is a backward on every rank

    def forward(self, x: Tensor) -> Tensor:
        y = _Delayed.apply(x * self.weight, self, self.count)
        self.count += 1
        return y

    def sleep(self, kind: str, number: int) -> None:
        recorder = self.recorder or Recorder(0)
        with recorder.span(kind, number):
            time.sleep(self.seconds[kind])


class _Delayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, delay: Delay, number: int) -> Tensor:
        ctx.delay, ctx.number = delay, number
        delay.sleep("F", number)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None, None]:
        ctx.delay.sleep("B", ctx.number)
        return dy[0], None, None


# Batches that fit


def check_batch(
    X: Tensor | None, y: Tensor | None, *, microbatches: int, size: int, shape: Sequence[int] = ()
) -> None:
    """Let all ranks agree that this batch can be run; all call it, before the first message.

    X: (microbatches · size, *shape), needed on the first rank; y: needed on the last; size: of a
    micro-batch, in examples; shape: of one example, () to leave it unchecked. Raises PipelineError
    on the lowest rank that has something wrong; the others raise one that names it, a second later.
    """
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    mine = _problem(rank, ranks, X, y, microbatches, size, tuple(shape))
    everyone: list[Any] = [None] * ranks
    torch.distributed.all_gather_object(everyone, (mine, microbatches))
    wrong = [
        _disagreement(r, count, everyone[0][1]) if count != everyone[0][1] else problem
        for r, (problem, count) in enumerate(everyone)
    ]
    first = next((r for r, problem in enumerate(wrong) if problem), None)
    if first == rank:
        raise PipelineError(wrong[rank])
    if first is not None:
        time.sleep(_NOISE_AFTER)
        raise PipelineError(f"Rank {first} cannot run this batch: {wrong[first]}")


def _disagreement(rank: int, count: int, first: int) -> str:
    return (
        f"Rank {rank} has {count} micro-batches where rank 0 has {first}: all ranks need the same"
        " schedule."
    )


def _problem(
    rank: int,
    ranks: int,
    X: Tensor | None,
    y: Tensor | None,
    microbatches: int,
    size: int,
    shape: tuple[int, ...],
) -> str:
    """What is wrong on this rank, in a sentence; empty if nothing is."""
    if rank == 0:
        if X is None:
            return "The first rank has no input: give it X."
        wrong = _miscounted("The batch", len(X), microbatches, size)
        if wrong or not shape or tuple(X.shape[1:]) == shape:
            return wrong
        return f"An example has shape {tuple(X.shape[1:])}, and the first stage takes {shape}."
    if rank == ranks - 1:
        if y is None:
            return "The last rank has no target: it computes the loss, so give it y."
        return _miscounted("The target", len(y), microbatches, size)
    return ""


def _miscounted(what: str, count: int, microbatches: int, size: int) -> str:
    if count == microbatches * size:
        return ""
    wanted = f"{microbatches} micro-batches of {size} make {microbatches * size}"
    if count < microbatches * size:
        return (
            f"{what} has {count} examples, and {wanted}: is it the short last batch of an epoch?"
            " Leave it out (drop_last=True)."
        )
    if count % microbatches:
        return (
            f"{what} has {count} examples, which {microbatches} micro-batches cannot share evenly."
        )
    return f"{what} has {count} examples, and {wanted}."


# torch.distributed.pipelining


Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets, a mean over examples


class Engine:
    """`torch.distributed.pipelining` with one stage a rank: this course's one way to it.

    Every stage gets static shapes. Without them torch before 2.15 finds shapes out by a hidden
    forward on uninitialised memory, which spoils the running means of batch normalisation.
    """

    def __init__(
        self,
        schedule: str | Schedule,
        stages: Sequence[nn.Module],
        example: Tensor,
        loss: Loss,
        *,
        microbatches: int = 0,
        device: torch.device | None = None,
    ) -> None:
        """On each rank alike.

        schedule: "gpipe" or "1f1b", which need `microbatches`, or a schedule of your own; stages:
        the modules of all ranks, of which this rank trains its own and takes from the others the
        shapes; example: one micro-batch of inputs (its numbers do not matter); loss(output,
        target): a mean over examples.

        Raises ScheduleError for a schedule that cannot run, PipelineError for stages that do not
        fit together.
        """
        self.rank, self.ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        if len(stages) != self.ranks:
            raise PipelineError(f"There are {len(stages)} stages for {self.ranks} ranks.")
        self.microbatches = microbatches
        if not isinstance(schedule, str):
            if wrong := problems(schedule):
                raise ScheduleError("\n".join(wrong))
            self.microbatches = 1 + max(m for _, m in schedule[0])
        self.size, self.shape = len(example), tuple(example.shape[1:])
        self.device = device or torch.device("cpu")
        inputs, outputs = _shapes(stages, example)[self.rank]
        self.module = stages[self.rank].to(self.device)
        stage = PipelineStage(
            self.module, self.rank, self.ranks, self.device, input_args=inputs, output_args=outputs
        )
        if isinstance(schedule, str):
            kinds = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}
            if schedule not in kinds:
                raise ScheduleError(f'A schedule is "gpipe", "1f1b" or your own, not {schedule!r}.')
            self._run: Any = kinds[schedule](stage, self.microbatches, loss_fn=loss)
        else:
            self._run = _PipelineScheduleRuntime([stage], self.microbatches, loss_fn=loss)
            self._run._prepare_schedule_with_comms(
                {
                    rank: [_Action(rank, _ComputationType(kind), m) for kind, m in actions]
                    for rank, actions in enumerate(schedule)
                }
            )

    def step(self, X: Tensor | None = None, y: Tensor | None = None) -> float | None:
        """Run one batch and leave the gradients of its mean loss; the loss, on the last rank.

        X: needed on the first rank; y: on the last. Raises PipelineError, see `check_batch`.
        """
        check_batch(X, y, microbatches=self.microbatches, size=self.size, shape=self.shape)
        losses: list[Tensor] = []
        first, last = self.rank == 0, self.rank == self.ranks - 1
        args = (X.to(self.device),) if first and X is not None else ()
        target = y.to(self.device) if last and y is not None else None
        self._run.step(*args, target=target, losses=losses if last else None)
        return torch.stack(losses).mean().item() if last else None


_Shapes = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def _shapes(stages: Sequence[nn.Module], example: Tensor) -> list[_Shapes]:
    """Inputs and outputs of each stage for one micro-batch, as tensors without numbers."""
    found: list[_Shapes] = []
    inputs = (torch.empty_like(example, device="meta"),)
    for number, stage in enumerate(stages):
        try:
            output = copy.deepcopy(stage).to("meta")(*inputs)
        except RuntimeError as error:
            shapes = ", ".join(str(tuple(one.shape)) for one in inputs)
            giver = f"stage {number - 1} gives" if number else "the example has"
            raise PipelineError(
                f"Stage {number} cannot take what {giver}, {shapes}: {error}"
            ) from None
        outputs = output if isinstance(output, tuple) else (output,)
        found.append((inputs, outputs))
        inputs = tuple(one.detach().requires_grad_(one.requires_grad) for one in outputs)
    return found


Send = Callable[[str, Action, tuple[Tensor, ...]], None]
Receive = Callable[[str, Action], tuple[Tensor, ...]]
