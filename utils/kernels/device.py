"""Devices to measure time on: this machine's, and a simulated one with a clock of its own."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from utils.device import best_device
from utils.pipeline.conversation import Event, Other, Program


class Here:
    """The device that torch uses on this machine, or one of the kind that is named.

    now(): seconds, on the host's clock; synchronize(): wait until all work that the device has is
    done. A CPU has nothing to wait for: a call returns when its work is done.
    """

    def __init__(self, kind: str = "") -> None:
        self.kind = kind or best_device().type

    def now(self) -> float:
        return time.perf_counter()

    def synchronize(self) -> None:
        if self.kind == "cuda":
            torch.cuda.synchronize()
        elif self.kind == "mps":
            torch.mps.synchronize()


@dataclass(frozen=True)
class Busy:
    """What host or device did from start to end, in seconds."""

    where: str
    name: str
    start: float
    end: float


class Simulated:
    """A device that works by itself, as a GPU does: a call only puts work into its queue.

    seconds: how long the work of each call takes, in turn, and then from the beginning again;
    launch: how long a call keeps the host; queue: seconds of work that wait in it at the start.
    `spans` has what host and device did.
    """

    def __init__(
        self,
        seconds: Sequence[float],
        *,
        launch: float = 5e-6,
        queue: float = 0.0,
        start: float = 0.0,
    ) -> None:
        self.seconds, self.launch, self.clock = list(seconds), launch, start
        self.free, self.calls = start + queue, 0
        self.spans = [Busy("device", "earlier", start, self.free)] if queue else []
        self.log: list[tuple[str, float]] = []

    def now(self) -> float:
        self.log.append(("now", self.clock))
        return self.clock

    def synchronize(self) -> None:
        if self.free > self.clock:
            self.spans.append(Busy("host", "wait", self.clock, self.free))
        self.clock = max(self.clock, self.free)
        self.log.append(("synchronize", self.clock))

    def call(self, name: str = "work", seconds: float | None = None) -> None:
        """What is measured: the host hands over the work and goes on."""
        took = self.seconds[self.calls % len(self.seconds)] if seconds is None else seconds
        self.calls += 1
        self.spans.append(Busy("host", "launch", self.clock, self.clock + self.launch))
        self.clock += self.launch
        begin = max(self.clock, self.free)
        self.free = begin + took
        self.spans.append(Busy("device", name, begin, self.free))
        self.log.append(("call", self.clock))

    def host(self, name: str, seconds: float) -> None:
        """Work of the host's own."""
        self.spans.append(Busy("host", name, self.clock, self.clock + seconds))
        self.clock += seconds


def timing_program(measure: Callable[..., Any], repeats: int) -> Program:
    """`measure` on a device whose clock is asked for from outside, as
    `utils.pipeline.conversation` does.

    Calls and waits are told, each reading of the clock is a question. It ends with what `measure`
    returned (NaN if that is no number).
    """

    def program(other: Other) -> Event:
        found = measure(lambda: other.note(("call",)), _Told(other), repeats)
        try:
            number = float(found) if not isinstance(found, str) else float("nan")
        except (TypeError, ValueError, RuntimeError):
            number = float("nan")
        return ("end",), (torch.tensor(number, dtype=torch.float64),), 0

    return program


class _Told:
    def __init__(self, other: Other) -> None:
        self._other = other

    def now(self) -> float:
        (seconds,) = self._other.ask(("now",))
        return float(seconds)

    def synchronize(self) -> None:
        self._other.note(("synchronize",))


def training_steps(steps: int = 3, *, prefetched: bool = False, fused: bool = False) -> Simulated:
    """Training of a small network on a simulated device; durations are made up, as a GPU has them.

    prefetched: batches are prepared in another process; fused: the optimizer is one kernel.
    """
    device, us = Simulated([1e-6], launch=6e-6), 1e-6
    for _ in range(steps):
        device.host("prepare batch", (15 if prefetched else 1300) * us)
        device.call("copy", 60 * us)
        for name, took in (("product", 210 * us), ("relu", 14 * us), ("product", 190 * us)):
            device.call(name, took)
        device.call("softmax", 12 * us)
        for name, took in (("product", 200 * us), ("product", 180 * us), ("relu", 14 * us)):
            device.call(name, took)
        device.call("product", 220 * us)
        for _ in range(1 if fused else 24):
            device.call("optimizer", (40 if fused else 2) * us)
        device.synchronize()  # loss.item()
    return device
