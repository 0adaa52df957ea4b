"""Learning rates that follow a schedule and come back, and a loss that is no longer finite."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

Schedule = Callable[[int, int], float]  # (step, of how many steps) → factor


class Diverged(Exception):
    """The loss is infinite or not a number."""


def require_finite(loss: float) -> None:
    """Raises Diverged for a loss that is infinite or NaN."""
    if not math.isfinite(loss):
        raise Diverged(f"the loss is {loss}")


class Rates:
    """The learning rates of an optimizer: each is the one it came with, times a schedule's factor.

    As `torch.optim.lr_scheduler.LambdaLR` has it, but that `restored` gives them back.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule | None) -> None:
        self.groups, self.schedule = optimizer.param_groups, schedule
        self.initial = [group["lr"] for group in self.groups]

    def set(self, step: int, steps: int) -> None:
        """step: from 0 to steps − 1."""
        if self.schedule is not None:
            self._multiply(float(self.schedule(step, steps)))  # NumPy numbers are no weights

    @contextmanager
    def restored(self) -> Iterator[None]:
        """After the block the rates are as they came."""
        try:
            yield
        finally:
            self._multiply(1.0)

    def _multiply(self, factor: float) -> None:
        for group, rate in zip(self.groups, self.initial, strict=True):
            group["lr"] = rate * factor
