"""Ranks and pipelines: every way that tensors can travel here, and lab 15's engines on top."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from grading.course.cells import names
from grading.course.gpu.labs import Note
from grading.course.gpu.steps import Way, ways
from utils import ranks
from utils.device import usable_cores
from utils.pipeline import published, schedules, trace
from utils.pipeline.delay import Delay, delays
from utils.pipeline.engine import Engine
from utils.pipeline.link import Link
from utils.pipeline.schedules import Action, Span

_LONG = 300  # seconds for a call: the step's own limit comes first
RunStage = Callable[..., Any]  # lab 15's
Schedule = list[list[Action]]


def exchange(way_name: str, gpus: int, nccl: tuple[int, ...], note: Note) -> None:
    """Send and reduce tensors on ranks that are laid out in this way."""
    way = next(one for one in ways(gpus, nccl) if one.name == way_name)
    layout = _layout(way)
    megabytes = 256 if layout.backend == "nccl" else 16
    found = ranks.run(_sent, way.ranks, megabytes, 5, timeout=_LONG, layout=layout)
    wrong = [rank for rank, one in enumerate(found) if not one["right"]]
    if wrong:
        raise ArithmeticError(f"what arrived on ranks {wrong} is not what was sent")
    note(
        {
            "ranks": way.ranks,
            "layout": str(layout),
            "megabytes": megabytes,
            "send": megabytes * 1e6 / max(one["send"] for one in found[:2]),
            # What a ring moves over each link: 2 (p - 1)/p of the tensor.
            "reduce": 2 * (way.ranks - 1) / way.ranks * megabytes * 1e6 / found[0]["reduce"],
        }
    )


def _layout(way: Way) -> ranks.Plan:
    return ranks.lay_out(way.ranks, way.gpus, way.nccl, usable_cores())


def _sent(megabytes: int, repeats: int) -> dict[str, Any]:
    """On a rank: seconds to send a tensor from rank 0 to rank 1, and to add up all ranks'."""
    rank, here = dist.get_rank(), ranks.device()
    mine = torch.full((megabytes * 250_000,), float(rank + 1), device=here)
    received = torch.zeros_like(mine)
    total = mine if dist.get_backend() == "nccl" else mine.cpu()

    def send() -> None:
        if rank == 0:
            ranks.send(mine, 1)
        elif rank == 1:
            ranks.recv(received, 0)

    sending = _seconds(send, repeats)
    right = rank != 1 or bool((received == 1).all())
    one = total.clone()
    dist.all_reduce(one)
    right = right and bool((one == sum(range(1, dist.get_world_size() + 1))).all())
    reducing = _seconds(lambda: dist.all_reduce(total), repeats)
    return {"send": sending, "reduce": reducing, "right": right}


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Of one call, the first left out; all ranks begin together."""
    work()
    wait_for_gpu()
    dist.barrier()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    wait_for_gpu()
    return (time.perf_counter() - start) / repeats


def wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


# Engines


def gpipe(stages: int, microbatches: int) -> Schedule:
    order = range(microbatches)
    return [[("F", m) for m in order] + [("B", m) for m in order] for _ in range(stages)]


SCHEDULES = {"GPipe": gpipe, "1F1B": published.one_f_one_b}


def run_stage(root: Path) -> RunStage:
    """Lab 15's own engine, from its solution."""
    return names(root / "solutions" / "15_pipeline.py", "run_stage")["run_stage"]


def own_spans(run_stage: RunStage, schedule: Schedule, delay: float) -> list[Span]:
    """On a rank: one batch with lab 15's run_stage and a stage that sleeps; what it did when."""
    here, count = ranks.device(), len(schedule[0]) // 2
    link = Link(device=here)
    recorder = trace.Recorder(link.rank)
    stage = Delay(delay, 2 * delay, recorder).to(here)
    dist.barrier()
    run_stage(
        schedule[link.rank],
        stage,
        link.send,
        link.recv,
        inputs=[torch.zeros(1, 4, device=here)] * count if link.rank == 0 else None,
        loss=(lambda m, y: y.mean()) if link.rank == link.ranks - 1 else None,
    )
    link.finish()
    return recorder.spans


def torchs_spans(schedule: str | Schedule, count: int, delay: float) -> list[Span]:
    """On a rank: one batch with torch's engine: its own schedule, or one that is given."""
    rank, size, here = dist.get_rank(), dist.get_world_size(), ranks.device()
    recorder = trace.Recorder(rank)
    known = published.one_f_one_b(size, count) if isinstance(schedule, str) else schedule
    stages, batch = delays(known, delay, 2 * delay, recorder), torch.zeros(count, 4)
    engine = Engine(schedule, stages, batch[:1], _mean, microbatches=count, device=here)
    dist.barrier()
    engine.step(batch, batch)
    return recorder.spans


def _mean(output: Tensor, target: Tensor) -> Tensor:
    return output.mean()


def sleeping(root: Path, gpus: int, note: Note, delay: float = 0.04) -> None:
    """Bubbles of stages that sleep, against theory: on the CPU's ranks, and on the GPUs'."""
    own, rows = run_stage(root), list[dict[str, Any]]()
    size, count = 4, 8
    for where in ["cpu"] + [""] * bool(gpus):
        layout = ranks.plan(size, device=where)
        for name, build in SCHEDULES.items():
            schedule = build(size, count)
            tries: dict[str, tuple[Any, ...]] = {
                "run_stage": (own_spans, size, own, schedule, delay)
            }
            if not layout.staged:  # torch's engine cannot send a GPU's tensors over gloo
                tries["torch"] = (torchs_spans, size, name.lower(), count, delay)
            for engine, call in tries.items():
                spans = ranks.run(*call, timeout=_LONG, layout=layout)
                row: dict[str, Any] = {"where": str(layout), "schedule": name, "engine": engine}
                row |= {"ranks": size, "microbatches": count}
                row["bubble"] = trace.merge(spans).bubble()
                row["theory"] = schedules.simulate(schedule).bubble()
                rows.append(row)
                note({"rows": rows})


def seconds_of_layers(
    run_stage: RunStage, schedule: Schedule, layers: int, width: int, rows: int
) -> float:
    """On a rank: seconds of one batch of real layers with lab 15's engine, the second of two."""
    here, count = ranks.device(), len(schedule[0]) // 2
    link = Link(device=here)
    linear = [(nn.Linear(width, width, device=here), nn.ReLU()) for _ in range(layers)]
    stage = nn.Sequential(*(module for pair in linear for module in pair))
    inputs = [torch.randn(rows, width, device=here) for _ in range(count)]
    seconds = 0.0
    for _ in range(2):
        wait_for_gpu()
        dist.barrier()
        start = time.perf_counter()
        run_stage(
            schedule[link.rank],
            stage,
            link.send,
            link.recv,
            inputs=inputs if link.rank == 0 else None,
            loss=(lambda m, y: y.square().mean()) if link.rank == link.ranks - 1 else None,
        )
        link.finish()
        wait_for_gpu()
        dist.barrier()
        seconds = time.perf_counter() - start
    return seconds


def speed_up(
    run_stage: RunStage, schedule: Schedule, sizes: Sequence[int], repeats: int = 1
) -> float:
    """How many times as fast ranks are as one that has all their layers.

    sizes: layers on each rank, width, rows of a micro-batch. The shortest of `repeats` runs counts.
    """
    ranks_, count = len(schedule), len(schedule[0]) // 2
    layers, width, rows = sizes
    alone = published.one_f_one_b(1, count)
    took = [
        min(
            ranks.run(seconds_of_layers, len(plan), run_stage, plan, *given, timeout=_LONG)[0]
            for _ in range(repeats)
        )
        for plan, given in (
            (alone, (ranks_ * layers, width, rows)),
            (schedule, (layers, width, rows)),
        )
    ]
    return took[0] / took[1]


def layers(root: Path, gpus: int, note: Note) -> None:
    """Speed-ups of layers that are large enough for the device, against theory."""
    own, rows = run_stage(root), list[dict[str, Any]]()
    sizes = (4, 4096, 2048) if gpus else (2, 256, 64)
    for size in [count for count in (2, 4, 8) if count <= gpus] or [2]:
        for count in (4, 16) if gpus else (4,):
            for name, build in SCHEDULES.items():
                row: dict[str, Any] = {"where": str(ranks.plan(size)), "schedule": name}
                row |= {"ranks": size, "microbatches": count, "sizes": list(sizes)}
                row["speed-up"] = speed_up(own, build(size, count), sizes)
                row["theory"] = size * count / (count + size - 1)
                rows.append(row)
                note({"rows": rows})
