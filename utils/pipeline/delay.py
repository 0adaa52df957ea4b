"""Stages that only wait: with them ranks overlap truly even where they share cores."""

import time
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from utils.pipeline.trace import Recorder


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
