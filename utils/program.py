"""A program for several ranks: its job, its file, its end by a kill, and the record of its runs.

job = Job(images, labels, data=2, pipeline=2, microbatches=4, steps=100, every=10)
write("train.py", train)                               # with all functions that it uses
ranks.run(run_until, 4, train, job, folder, 2, 17)             # rank 2 is killed at moment 17
"""

import builtins
import inspect
import json
import os
import platform
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from utils import ranks

_FILE_EVENTS = ("open", "os.", "shutil.")  # of `sys.addaudithook`: what a program does with files


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be trained, and how: the same on every rank.

    images: (n, k) float; labels: (n,) int64, 0 to classes − 1; data, pipeline: how many replicas,
    and of how many stages each; microbatches: of each replica; batch: images of a step, all
    replicas together; every: steps between two checkpoints; seed: of the weights and of the data.
    Raises ValueError where the batch cannot be shared out evenly.
    """

    images: Tensor
    labels: Tensor
    data: int = 1
    pipeline: int = 1
    microbatches: int = 1
    steps: int = 20
    every: int = 5
    batch: int = 32
    width: int = 32
    depth: int = 8
    classes: int = 10
    rate: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch % (self.data * self.microbatches):
            raise ValueError(
                f"A batch of {self.batch} is not shared out evenly: {self.data} replicas with"
                f" {self.microbatches} micro-batches each."
            )

    def stage(self, number: int) -> nn.Sequential:
        """The layers of one stage, of the same weights on whichever rank. Of what cannot be shared
        evenly the first stages take one more."""
        each, more = divmod(self.depth, self.pipeline)
        start = number * each + min(number, more)
        layers = self._layers()[start : start + each + (number < more)]
        return nn.Sequential(*layers).to(ranks.device(), self.images.dtype)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.rate, momentum=0.9)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The next whole batch: images (batch, k) with a little noise, and labels (batch,). The
        generator moves on."""
        rows = torch.randint(len(self.images), (self.batch,), generator=generator)
        noise = torch.randn(self.batch, self.images.shape[1], generator=generator)
        images = self.images[rows] + 0.1 * noise.to(self.images.dtype)
        return images.to(ranks.device()), self.labels[rows].to(ranks.device())

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean over a micro-batch."""
        return cross_entropy(scores, labels)

    def room(self, count: int) -> Tensor:
        """An empty tensor, to receive what one stage hands on for `count` images."""
        return torch.empty(count, self.width, dtype=self.images.dtype, device=ranks.device())

    def _layers(self) -> list[nn.Module]:
        units = [self.images.shape[1], *[self.width] * (self.depth - 1), self.classes]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            linear = [nn.Linear(units[i], units[i + 1]) for i in range(self.depth)]
            for layer in linear[:-1]:
                nn.init.xavier_normal_(layer.weight, gain=5 / 3)
        return [*(nn.Sequential(layer, nn.Tanh()) for layer in linear[:-1]), linear[-1]]


# The file


_HEADER = '''"""Trains on a mesh of ranks; a notebook wrote it from its functions.

torchrun --nproc-per-node RANKS -m utils.ranks {file} main job.pt folder
"""

from __future__ import annotations

{imports}


{functions}


def main(job: str, folder: str):
    """One rank: the job in the file `job`, checkpoints and the record of runs in `folder`."""
    return program.run({train}, torch.load(job, weights_only=False), folder)
'''


def write(path: str | Path, train: Callable[..., Any]) -> Path:
    """Write a function of a notebook, and all that it uses, into a program for torchrun.

    Functions of the notebook come with their source, modules and what is from them as imports,
    plain values as they are. Raises ValueError for a name that cannot come along.
    """
    sources: dict[str, str] = {}
    imports = {"import torch", "from utils import program"}
    _collect(train, sources, imports)
    text = _HEADER.format(
        file=Path(path).name,
        imports="\n".join(sorted(imports)),
        functions="\n\n\n".join(reversed(sources.values())),
        train=train.__name__,
    )
    compile(text, str(path), "exec")
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def _collect(function: Any, sources: dict[str, str], imports: set[str]) -> None:
    try:
        sources[function.__name__] = textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError):
        name = getattr(function, "__name__", repr(function))
        raise ValueError(f"The source of {name} is not known: run its cell again.") from None
    names = function.__globals__
    for name in sorted(_used(function.__code__) & names.keys()):
        value = names[name]
        if name in vars(builtins):  # IPython puts an `open` of its own among the notebook's names
            continue
        if inspect.ismodule(value):
            imports.add(f"import {value.__name__} as {name}")
        elif inspect.isfunction(value) and value.__globals__ is names:
            if name not in sources:
                _collect(value, sources, imports)
        elif isinstance(value, int | float | str | tuple):
            sources[name] = f"{name} = {value!r}"
        elif getattr(sys.modules.get(value.__module__), value.__name__, None) is value:
            imports.add(f"from {value.__module__} import {value.__name__} as {name}")
        else:
            raise ValueError(f"{function.__name__} uses `{name}`, which no program can take along.")


def _used(code: Any) -> set[str]:
    """The global names in a function and in those inside of it."""
    inner = [one for one in code.co_consts if inspect.iscode(one)]
    return set(code.co_names).union(*map(_used, inner))


# A run, and its record

Train = Callable[[Any, Job, str], tuple[list[float | None], list[Tensor]]]


def run(train: Train, job: Job, folder: str | Path) -> float | None:
    """Train on this rank, and add one line about it to `folder`/runs.jsonl (the last rank does).

    Returns the last loss; None on ranks that know none.
    """
    dist = torch.distributed
    begun, start = datetime.now(UTC), time.perf_counter()
    Path(folder).mkdir(parents=True, exist_ok=True)
    losses, _ = train(dist, job, str(folder))
    seconds = time.perf_counter() - start
    if dist.get_rank() == dist.get_world_size() - 1:
        line = json.dumps(entry(job, losses, seconds, begun))
        with Path(folder, "runs.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return losses[-1] if losses else None


def entry(job: Job, losses: list[float | None], seconds: float, begun: datetime) -> dict[str, Any]:
    """What is noted of a run: which, where, when, its layout and what it gave."""
    return {
        "run": f"{begun:%Y%m%d-%H%M%S}-{job.data}x{job.pipeline}-{os.getpid()}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {ranks.device().type}",
        "date": f"{begun:%Y-%m-%d}",
        "data": job.data,
        "pipeline": job.pipeline,
        "steps": job.steps,
        "seconds": seconds,
        "losses": losses,
    }


# Kills


def run_until(train: Train, job: Job, folder: str, victim: int, moment: int) -> Any:
    """Train on this rank, which is killed at a moment if it is the victim.

    moment: which thing that the program does with a file of `folder`, counted from 1; 0: none.
    Returns what train returned, and how many such moments there were.
    """
    count = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event.startswith(_FILE_EVENTS) and any(folder in str(one) for one in args):
            count += 1
            if count == moment and torch.distributed.get_rank() == victim:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return train(torch.distributed, job, folder), count


def snapshots(folder: str, act: Callable[[], object]) -> list[dict[str, bytes]]:
    """What is in a folder before `act()`, at each thing that it does there, and after it.

    Between two snapshots nothing is written but what a file object holds back: a kill then leaves
    the folder as one of them.
    """
    found = [files(folder)]

    def look() -> None:
        now = files(folder)
        if now != found[-1]:
            found.append(now)

    def step(frame: Any, event: str, arg: Any) -> None:
        name = getattr(arg, "__name__", "")
        if event in ("c_call", "c_return") and re.search(
            r"open|write|close|flush|replace|rename|sync|exit|remove|unlink|mkdir|truncate|dump",
            name,
        ):
            sys.setprofile(None)
            look()
            sys.setprofile(step)

    sys.setprofile(step)
    try:
        act()
    finally:
        sys.setprofile(None)
    look()
    return found


def files(folder: str | Path) -> dict[str, bytes]:
    """All files of a folder, by their names in it."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        try:
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
        except FileNotFoundError:  # another rank has renamed it
            continue
    return found


def put(folder: str | Path, found: dict[str, bytes]) -> None:
    """Make a folder hold these files, and no others before."""
    for name, content in found.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Throttled:
    """`torch.distributed` over slow links: what is sent takes latency + bytes / bandwidth seconds,
    an all_reduce as long as a ring over its group would (`dist.new_group` makes the group)."""

    def __init__(self, latency: float, bandwidth: float) -> None:
        self._latency, self._bandwidth = latency, bandwidth

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.distributed, name)

    def send(self, tensor: Tensor, dst: int) -> None:
        time.sleep(self._latency + tensor.nbytes / self._bandwidth)
        torch.distributed.send(tensor, dst)

    def all_reduce(self, tensor: Tensor, *, group: Any = None) -> None:
        ranks = torch.distributed.get_world_size(group)
        chunk = self._latency + tensor.nbytes / ranks / self._bandwidth
        torch.distributed.barrier(group=group)
        time.sleep(2 * (ranks - 1) * chunk)
        torch.distributed.all_reduce(tensor, group=group)


@dataclass(frozen=True, eq=False)
class Doomed(Job):
    """A job whose rank `victim` is killed at a number of draws (counted from 1, in this start)."""

    victim: int = 0
    draws: int = 1
    drawn: list[int] = field(default_factory=list)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        self.drawn.append(1)
        if len(self.drawn) == self.draws and torch.distributed.get_rank() == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(generator)
