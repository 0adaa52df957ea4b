"""Stages that only wait: with them ranks overlap truly even where they share cores."""

import time
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from utils.pipeline.schedules import Schedule, placement
from utils.pipeline.trace import Recorder


class Delay(nn.Module):
    """A stage that takes time and no processor: it sleeps, then hands on what it was given.

    With such stages ranks overlap truly even where they share cores, and a bubble can be measured.
    forward, backward: seconds, at least 0.04 for a bubble within a few hundredths; recorder: notes
    forwards, counted from 0, and their backwards; parts: sleeps half of `backward` for the gradient
    of the input, "I", and half for that of the weight, "W", whenever each is asked for; stage: its
    number, where the rank has several.
    """

    def __init__(
        self,
        forward: float,
        backward: float,
        recorder: Recorder | None = None,
        *,
        parts: bool = False,
        stage: int | None = None,
    ) -> None:
        super().__init__()
        self.seconds = {"F": forward, "B": backward, "I": backward / 2, "W": backward / 2}
        self.recorder, self.parts, self.stage = recorder, parts, stage
        self.count = 0
        self.weight = nn.Parameter(torch.ones(()))  # so that there is a backward on every rank

    def forward(self, x: Tensor) -> Tensor:
        number, weight = self.count, self.weight
        self.count += 1
        if self.parts:
            if not x.requires_grad:  # the first stage's: its backward takes as long as the others'
                x = x.detach().requires_grad_()
            x = _Delayed.apply(x, self, number, "", "I")
            weight = _Delayed.apply(weight, self, number, "", "W")
        return _Delayed.apply(x * weight, self, number, "F", "" if self.parts else "B")

    def sleep(self, kind: str, number: int) -> None:
        """Sleep as long as an action of this kind takes; "": not at all."""
        if kind:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()  # what it was given may still be on its way
            recorder = self.recorder or Recorder(0)
            with recorder.span(kind, number, self.stage):
                time.sleep(self.seconds[kind])


def delays(schedule: Schedule, forward: float, backward: float, recorder: Recorder) -> list[Delay]:
    """A `Delay` for each stage of a schedule, in parts where the schedule's backwards are."""
    kinds = {kind for actions in schedule for kind, _ in actions}
    parts, numbered = any(kind[-1] == "I" for kind in kinds), any(kind[:-1] for kind in kinds)
    return [
        Delay(forward, backward, recorder, parts=parts, stage=stage if numbered else None)
        for stage in range(sum(map(len, placement(schedule))))
    ]


class _Delayed(torch.autograd.Function):
    """Its input, after a sleep; and the gradient, after another."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delay: Delay, number: int, now: str, back: str) -> Tensor:
        ctx.delay, ctx.number, ctx.back = delay, number, back
        delay.sleep(now, number)
        return x.clone()  # no view: torch detaches what a stage gives in place

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> Any:
        ctx.delay.sleep(ctx.back, ctx.number)
        return dy[0], None, None, None, None
