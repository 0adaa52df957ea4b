"""`torch.distributed.pipelining` through one adapter, and batches that fit it.

It runs whole backwards and backwards in two parts, and several stages a rank.
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

from utils.pipeline.schedules import Schedule, ScheduleError, placement, problems, stage_of

_NOISE_AFTER = 1.0  # seconds by which the ranks without fault let the one with it speak first


class PipelineError(ValueError):
    """A batch or a network that the pipeline cannot take, on the rank whose fault it is."""


def check_batch(
    X: Tensor | None,
    y: Tensor | None,
    *,
    microbatches: int,
    size: int,
    shape: Sequence[int] = (),
    ends: tuple[int, int] | None = None,
) -> None:
    """Let all ranks agree that this batch can be run; all call it, before the first message.

    X: (microbatches · size, *shape), needed on the first rank; y: needed on the last; size: of a
    micro-batch, in examples; shape: of one example, () to leave it unchecked; ends: the ranks of
    the first and of the last stage, where these are not the first and the last rank.

    Raises PipelineError on the lowest rank that has something wrong; the others raise one that
    names it, a second later.
    """
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    first_stage, last_stage = ends or (0, ranks - 1)
    mine = ""
    if rank == first_stage:
        mine = _input_problem(X, microbatches, size, tuple(shape))
    if rank == last_stage and not mine:
        mine = _target_problem(y, microbatches, size)
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


# What is wrong on this rank, in a sentence; empty if nothing is.


def _input_problem(X: Tensor | None, microbatches: int, size: int, shape: tuple[int, ...]) -> str:
    if X is None:
        return "The first rank has no input: give it X."
    wrong = _miscounted("The batch", len(X), microbatches, size)
    if wrong or not shape or tuple(X.shape[1:]) == shape:
        return wrong
    return f"An example has shape {tuple(X.shape[1:])}, and the first stage takes {shape}."


def _target_problem(y: Tensor | None, microbatches: int, size: int) -> str:
    if y is None:
        return "The last rank has no target: it computes the loss, so give it y."
    return _miscounted("The target", len(y), microbatches, size)


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
    """`torch.distributed.pipelining`: this course's one way to it.

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

        schedule: "gpipe" or "1f1b", which need `microbatches`, or a schedule of your own, which may
        give a rank several stages; stages: the modules of all ranks, of which this rank trains its
        own, `module`, and takes from the others the shapes; example: one micro-batch of inputs (its
        numbers do not matter); loss(output, target): a mean over examples.

        Raises ScheduleError for a schedule that cannot run, PipelineError for stages that do not
        fit together.
        """
        self.rank, self.ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.microbatches = microbatches
        held = [[rank] for rank in range(self.ranks)]
        if not isinstance(schedule, str):
            if wrong := problems(schedule):
                raise ScheduleError("\n".join(wrong))
            self.microbatches = 1 + max(m for _, m in schedule[0])
            held = placement(schedule)
        if len(held) != self.ranks or len(stages) != sum(map(len, held)):
            raise PipelineError(
                f"There are {len(stages)} stages for {self.ranks} ranks, and the schedule has"
                f" {sum(map(len, held))} on {len(held)}."
            )
        self.size, self.shape = len(example), tuple(example.shape[1:])
        self.device = device or torch.device("cpu")
        self.ends = _holder(0, held), _holder(len(stages) - 1, held)
        shapes = _shapes(stages, example)
        self.module = nn.ModuleList(stages[stage].to(self.device) for stage in held[self.rank])
        own = [
            PipelineStage(
                module,
                stage,
                len(stages),
                self.device,
                input_args=shapes[stage][0],
                output_args=shapes[stage][1],
            )
            for stage, module in zip(held[self.rank], self.module, strict=True)
        ]
        self._run: Any = self._runner(schedule, own, loss)

    def _runner(
        self,
        schedule: str | Schedule,
        own: list[PipelineStage],
        loss: Loss,
    ) -> Any:
        """Torch's object that runs the schedule."""
        if isinstance(schedule, str):
            kinds = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}
            if schedule not in kinds:
                raise ScheduleError(f'A schedule is "gpipe", "1f1b" or your own, not {schedule!r}.')
            return kinds[schedule](own[0], self.microbatches, loss_fn=loss)
        runner = _PipelineScheduleRuntime(own, self.microbatches, loss_fn=loss)
        runner._prepare_schedule_with_comms(
            {
                rank: [
                    _Action(stage_of(rank, kind), _ComputationType(kind[-1]), m)
                    for kind, m in actions
                ]
                for rank, actions in enumerate(schedule)
            }
        )
        return runner

    def step(self, X: Tensor | None = None, y: Tensor | None = None) -> float | None:
        """Run one batch and leave the gradients of its mean loss; the loss, on the last rank.

        X: needed on the rank of the first stage; y: of the last. Raises PipelineError, see
        `check_batch`.
        """
        size, shape = self.size, self.shape
        check_batch(X, y, microbatches=self.microbatches, size=size, shape=shape, ends=self.ends)
        losses: list[Tensor] = []
        first, last = (self.rank == end for end in self.ends)
        args = (X.to(self.device),) if first and X is not None else ()
        target = y.to(self.device) if last and y is not None else None
        self._run.step(*args, target=target, losses=losses if last else None)
        return torch.stack(losses).mean().item() if last else None


def _holder(stage: int, held: Sequence[Sequence[int]]) -> int:
    """The rank that holds a stage."""
    return next(rank for rank, mine in enumerate(held) if stage in mine)


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
