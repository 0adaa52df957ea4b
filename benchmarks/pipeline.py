"""The bubble that ranks really have against theory's, for GPipe and 1F1B.

    python benchmarks/pipeline.py [--most 16] [--delay 0.04] [--repeats 3] [--compute] [--docs]

For 2 and 4 ranks and 1, 2, 4, … micro-batches: lab 15's own `run_stage` on lab 14's schedules, and
`torch.distributed.pipelining` (its ScheduleGPipe, and its Schedule1F1B from as many micro-batches
as ranks on); on the same engine interleaved 1F1B and a zero-bubble schedule. The stages sleep,
forward `delay` seconds and backward twice that, so that ranks overlap truly on any number of cores.
Of `repeats` runs the shortest counts: a busy machine only lengthens them. Where each rank has a GPU
of its own, and elsewhere with --compute, stages of real layers run too, and their speed-up over one
rank is compared with theory's. --docs writes the tables and the plot into docs/.
"""

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from grading.course.gpu import parallel
from tests.labs import reference
from utils import device, plots, ranks
from utils.pipeline import published, schedules, trace

ROOT = Path(__file__).parents[1]
RANKS = (2, 4)
WHO = ("GPipe, run_stage", "1F1B, run_stage", "GPipe, torch", "1F1B, torch")


LAB_14, LAB_15 = reference("14_pipeline_schedules"), reference("15_pipeline")


def measured(who: str, size: int, count: int, delay: float, repeats: int) -> float | None:
    """The bubble, between 0 and 1; None where torch has no such schedule."""
    name, engine = who.split(", ")
    if engine == "torch" and name == "1F1B" and count < size:
        return None
    build = LAB_14["gpipe_actions" if name == "GPipe" else "one_f_one_b_actions"]
    timelines = []
    for _ in range(repeats):
        if engine == "torch":
            spans = ranks.run(
                parallel.torchs_spans, size, name.lower(), count, delay, timeout=120, device="cpu"
            )
        else:
            args = LAB_15["run_stage"], build(size, count), delay
            spans = ranks.run(parallel.own_spans, size, *args, timeout=120, device="cpu")
        timelines.append(trace.merge(spans))
    return min(timelines, key=lambda timeline: timeline.end).bubble()


NEWER = {  # and into how many chunks they cut a rank's stage
    "interleaved, v = 2": (lambda size, count: published.interleaved(size, count, 2), 2),
    "ZB-H1": (published.zero_bubble, 1),
}


def newer(counts: list[int], delay: float, repeats: int) -> str:
    """Theory and measurement of schedules with several stages a rank, or backwards in parts."""
    names = " | ".join(f"{name}, theory | measured" for name in NEWER)
    lines = ["## Beyond 1F1B, on torch's engine", "", f"| ranks | micro-batches | {names} |"]
    lines.append("|--:" * (2 + 2 * len(NEWER)) + "|")
    for size, count in ((size, count) for size in RANKS for count in counts if count % size == 0):
        found = []
        for build, chunks in NEWER.values():
            schedule = build(size, count)
            args = parallel.torchs_spans, size, schedule, count, delay / chunks
            tries = [
                trace.merge(ranks.run(*args, timeout=120, device="cpu")) for _ in range(repeats)
            ]
            least = min(tries, key=lambda timeline: timeline.end)
            found += [schedules.simulate(schedule).bubble(), least.bubble()]
        lines.append(f"| {size} | {count} | " + " | ".join(f"{one:.3f}" for one in found) + " |")
    return "\n".join(lines)


def computed(counts: list[int], repeats: int, layers: int = 8, width: int = 2048) -> str:
    """Speed-ups of real layers, `layers` on each rank, over one rank that has them all."""
    run_stage, lines = LAB_15["run_stage"], ["| ranks | micro-batches | theory | GPipe | 1F1B |"]
    lines.append("|--:|--:|--:|--:|--:|")
    for size, count in ((size, count) for size in RANKS for count in counts):
        found = [
            parallel.speed_up(run_stage, LAB_14[build](size, count), (layers, width, 64), repeats)
            for build in ("gpipe_actions", "one_f_one_b_actions")
        ]
        theory = size * count / (count + size - 1)
        lines.append(f"| {size} | {count} | {theory:.2f} | {found[0]:.2f} | {found[1]:.2f} |")
    how = f"{layers} layers of {width} units on each rank; {ranks.plan(RANKS[-1])}"
    return "\n".join(["## Real layers: speed-up over one rank", "", how, "", *lines])


def table(rows: list[dict], heading: str) -> str:
    lines = [heading, "", "| ranks | micro-batches | theory | " + " | ".join(WHO) + " |"]
    lines.append("|--:" * (3 + len(WHO)) + "|")
    for row in rows:
        cells = [f"{row[who]:.3f}" if row[who] is not None else "–" for who in WHO]
        start = f"| {row['ranks']} | {row['count']} | {row['theory']:.3f} | "
        lines.append(start + " | ".join(cells) + " |")
    worst = max(
        abs(row[who] - row["theory"]) for row in rows for who in WHO if row[who] is not None
    )
    lines += ["", f"Largest difference from theory: {worst:.3f}."]
    return "\n".join(lines)


def plot(rows: list[dict]) -> plt.Figure:
    fig, axes = plt.subplots(1, len(RANKS), figsize=(9, 3.4), sharey=True)
    for ax, size in zip(axes, RANKS, strict=True):
        mine = [row for row in rows if row["ranks"] == size]
        counts = [row["count"] for row in mine]
        theory = [row["theory"] for row in mine]
        ax.plot(counts, theory, color=plots.INK, linestyle="-", label="(p − 1)/(m + p − 1)")
        for number, who in enumerate(WHO):
            values = [float("nan") if row[who] is None else row[who] for row in mine]
            style = {"color": plots.CURVE_COLOURS[number], "marker": plots.CURVE_MARKERS[number]}
            ax.plot(counts, values, linestyle="", markersize=6, label=who, **style)
        ax.set(title=f"{size} ranks", xlabel="micro-batches", xscale="log")
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.minorticks_off()
        ax.set_ylim(0, 1)
    axes[0].set_ylabel("bubble, share of all ranks' time")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--most", type=int, default=16)
    options.add_argument("--delay", type=float, default=0.04)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--compute", action="store_true")
    options.add_argument("--docs", action="store_true")
    asked = options.parse_args()
    counts = [count for count in (1, 2, 3, 4, 6, 8, 12, 16) if count <= asked.most]
    rows = []
    for size in RANKS:
        for count in counts:
            theory = schedules.simulate(LAB_14["gpipe_actions"](size, count)).bubble()
            row: dict = {"ranks": size, "count": count, "theory": theory}
            for who in WHO:
                row[who] = measured(who, size, count, asked.delay, asked.repeats)
            rows.append(row)
            print(".", end="", flush=True)
    print()
    heading = (
        f"{device.describe()}; {time.strftime('%Y-%m-%d')}; stages that sleep"
        f" {1000 * asked.delay:g} ms forward and {2000 * asked.delay:g} ms backward; the shortest"
        f" of {asked.repeats} runs."
    )
    found = table(rows, heading)
    if asked.compute or torch.cuda.device_count() >= RANKS[-1]:
        real = computed(counts, asked.repeats)
    else:
        real = (
            f"Stages of real layers were not measured: that takes {RANKS[-1]} GPUs, and here"
            f" are {torch.cuda.device_count()}."
        )
    beyond = newer(counts, asked.delay, asked.repeats)
    print(found, beyond, real, sep="\n\n")
    if asked.docs:
        title = (
            "# The bubble, measured\n\n`python benchmarks/pipeline.py --docs` wrote this page.\n\n"
        )
        alt = "Measured bubbles lie on or just above theory's curve."
        page = f"{title}{found}\n\n![{alt}](images/pipeline_bubble.png)\n\n{beyond}\n\n{real}\n"
        (ROOT / "docs" / "pipeline.md").write_text(page, encoding="utf-8")
        plot(rows).savefig(ROOT / "docs" / "images" / "pipeline_bubble.png", dpi=150)


if __name__ == "__main__":
    main()
