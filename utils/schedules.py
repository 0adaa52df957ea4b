"""Pipeline schedules: one model of them, a validator, a simulator, and their pictures.

A schedule has one list of actions for each rank, in the rank's own order; rank r holds stage r of
the network. An action is a pair (kind, micro-batch):

    ("F", 2)              forward of micro-batch 2
    ("B", 2)              backward of micro-batch 2
    ("I", 2), ("W", 2)    a backward in two parts: the gradient of the stage's input, for which the
                          rank before waits, and that of its weights, for which nobody waits
                          (Qi and others 2024, Zero Bubble Pipeline Parallelism, arXiv:2401.10241)

The letters are those of `torch.distributed.pipelining`. Whatever ran, simulated or real, is a
`Timeline` of spans, so theory and measurement are drawn as the same picture.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from utils import plots

Action = tuple[str, int]
Schedule = Sequence[Sequence[Action]]

KINDS = {
    "F": "forward",
    "B": "backward",
    "I": "backward, input",
    "W": "backward, weights",
}
COMPUTE = tuple(KINDS)

# How an action looks: its fill, the colour of its number, and a hatching for print in grey.
_LOOKS = {
    "F": ("#cfe8f7", plots.INK, ""),
    "B": (plots.VERMILLION, "white", ""),
    "I": (plots.ORANGE, plots.INK, ""),
    "W": (plots.GREEN, "white", ""),
}
_IDLE = {"facecolor": "white", "edgecolor": "#c4c4c4", "hatch": "////", "linewidth": 0}


class ScheduleError(ValueError):
    """A schedule that cannot run; the message has one line for each thing that is wrong."""


@dataclass(frozen=True)
class Span:
    """What one rank did from `start` to `end`: an action, or another named piece of work."""

    rank: int
    kind: str  # "F", "B", "I", "W", or any other name, such as "receive"
    microbatch: int | None
    start: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """What all ranks did. unit: of the times, such as "ms" ("": one forward takes 1)."""

    spans: tuple[Span, ...]
    ranks: int
    unit: str = ""

    @property
    def work(self) -> list[Span]:
        """The spans that are forward or backward, by start."""
        return sorted((s for s in self.spans if s.kind in COMPUTE), key=lambda s: (s.start, s.rank))

    @property
    def start(self) -> float:
        return min((span.start for span in self.work), default=0.0)

    @property
    def end(self) -> float:
        return max((span.end for span in self.work), default=0.0)

    def bubble(self) -> float:
        """The share of all ranks' time, from the first start to the last end, that is idle."""
        whole = self.ranks * (self.end - self.start)
        return 1 - sum(span.end - span.start for span in self.work) / whole if whole else 0.0

    def stash(self, rank: int) -> list[tuple[float, int]]:
        """(time, micro-batches held from that time on): from a forward to its backward's end."""
        held: set[int | None] = set()
        steps = [(self.start, 0)]
        for span in self.work:
            if span.rank == rank:
                if span.kind == "F":
                    held.add(span.microbatch)
                    steps.append((span.start, len(held)))
                elif span.kind in ("B", "W"):
                    held.discard(span.microbatch)
                    steps.append((span.end, len(held)))
        return list(dict(steps).items())  # of what happens at one time, the last

    def peak_stash(self) -> list[int]:
        """The most micro-batches that each rank holds at a time."""
        return [max(count for _, count in self.stash(rank)) for rank in range(self.ranks)]


def parse(text: str) -> list[list[Action]]:
    """The schedule that a text describes: a line for each rank.

    >>> parse("F0 F1 B0 B1\\nF0 B0 F1 B1")[1]
    [('F', 0), ('B', 0), ('F', 1), ('B', 1)]
    """
    return [[_action(word) for word in line.split()] for line in text.strip().splitlines()]


def _action(word: str) -> Action:
    if not re.fullmatch(r"[FBIW]\d+", word):
        raise ScheduleError(f"{word!r} is no action: write F0, B0, I0 or W0.")
    return word[0], int(word[1:])


def text(schedule: Schedule) -> str:
    """The schedule as text, a line for each rank, as `parse` reads it."""
    return "\n".join(" ".join(f"{kind}{m}" for kind, m in actions) for actions in schedule)


# What is wrong with a schedule


def problems(schedule: Schedule, microbatches: int | None = None) -> list[str]:
    """What keeps a schedule from training a batch, a sentence each; empty if it is valid.

    Steps count from 0: step 3 of rank 1 is schedule[1][3]. microbatches: how many there are;
    default: as many as the schedule names.
    """
    malformed = list(_malformed(schedule))
    if malformed or not len(schedule):
        return malformed or ["The schedule has no ranks."]
    named = {m for actions in schedule for _, m in actions}
    wanted = set(range(microbatches if microbatches is not None else max(named, default=-1) + 1))
    found = list(
        itertools.chain.from_iterable(
            _rank_problems(rank, actions, wanted) for rank, actions in enumerate(schedule)
        )
    )
    return found or _deadlock(schedule)


def _malformed(schedule: Schedule) -> Iterator[str]:
    for rank, actions in enumerate(schedule):
        if not isinstance(actions, Sequence) or isinstance(actions, str):
            yield f"rank {rank}: its actions should be a list, not {type(actions).__name__}."
            continue
        for step, action in enumerate(actions):
            if not _is_action(action):
                yield (
                    f"rank {rank}, step {step}: {action!r} is no action; an action is a tuple of"
                    ' a kind and a micro-batch, such as ("F", 0).'
                )


def _is_action(action: object) -> bool:
    return bool(
        isinstance(action, tuple)
        and len(action) == 2
        and action[0] in COMPUTE
        and isinstance(action[1], int | np.integer)
    )


_OTHER_WAY = {"B": "I", "I": "B"}  # a backward is whole, or in two parts


def _rank_problems(rank: int, actions: Sequence[Action], wanted: set[int]) -> Iterator[str]:
    seen: dict[Action, int] = {}
    listed = f"0 to {len(wanted) - 1}" if wanted else "0, 1 and so on"
    for step, (kind, m) in enumerate(actions):
        at, what = f"rank {rank}, step {step}", f"{KINDS[kind]} of micro-batch {m}"
        if m not in wanted:
            yield f"{at}: there is no micro-batch {m}; they are {listed}."
        elif (kind, m) in seen:
            yield f"{at}: {what} for a second time; the first was step {seen[kind, m]}."
        elif kind != "F" and ("F", m) not in seen:
            yield f"{at}: {what} before its forward."
        elif kind == "W" and ("I", m) not in seen:
            yield f"{at}: {what} before that of its input."
        elif (_OTHER_WAY.get(kind), m) in seen:
            yield f"{at}: {what}, whose backward is done already."
        seen.setdefault((kind, m), step)
    for m in sorted(wanted):
        if ("F", m) not in seen:
            yield f"rank {rank}: the forward of micro-batch {m} is missing."
        elif ("B", m) not in seen and not {("I", m), ("W", m)} <= seen.keys():
            yield f"rank {rank}: the backward of micro-batch {m} is missing."


def _deadlock(schedule: Schedule) -> list[str]:
    """Why no rank can go on, if it comes to that."""
    _, stuck = _run(schedule, [1.0] * len(schedule), [2.0] * len(schedule), 0.0)
    if not stuck:
        return []
    waits = []
    for rank, step in sorted(stuck.items()):
        kind, m = schedule[rank][step]
        other, needed = _source(schedule, rank, kind, m)
        waits.append(
            f"rank {rank} waits at step {step} ({kind}{m}) for {needed}{m} of rank {other}"
        )
    return ["deadlock, no rank can go on: " + "; ".join(waits) + "."]


def _source(schedule: Schedule, rank: int, kind: str, m: int) -> tuple[int, str]:
    """The rank and the kind of the action whose result an action waits for."""
    if kind == "F":
        return rank - 1, "F"
    return rank + 1, "I" if ("I", m) in schedule[rank + 1] else "B"


# Running a schedule on paper


def simulate(
    schedule: Schedule,
    forward: float | Sequence[float] = 1.0,
    backward: float | Sequence[float] = 2.0,
    *,
    transfer: float = 0.0,
    unit: str = "",
) -> Timeline:
    """Run a schedule in thought: each action starts as soon as its rank and its input are ready.

    forward, backward: the time of one action, one number for all ranks or one for each; the parts
    "I" and "W" of a backward take half of it each. transfer: the time of a message; it keeps no
    rank busy. Raises ScheduleError if the schedule is not valid.
    """
    wrong = problems(schedule)
    if wrong:
        raise ScheduleError("\n".join(wrong))
    each = [
        [float(time)] * len(schedule) if isinstance(time, int | float) else list(time)
        for time in (forward, backward)
    ]
    spans, _ = _run(schedule, each[0], each[1], transfer)
    return Timeline(tuple(spans), len(schedule), unit)


def _run(
    schedule: Schedule, forward: Sequence[float], backward: Sequence[float], transfer: float
) -> tuple[list[Span], dict[int, int]]:
    """The spans of what can run, and the step at which each rank that cannot go on stands."""
    done: dict[tuple[int, str, int], float] = {}  # when each action's result is there
    free, step, spans = [0.0] * len(schedule), [0] * len(schedule), []
    moved = True
    while moved:
        moved = False
        for rank, actions in enumerate(schedule):
            while step[rank] < len(actions):
                kind, m = actions[step[rank]]
                ready = _ready(schedule, done, rank, kind, m, transfer)
                if ready is None:
                    break
                time = {"F": forward[rank], "B": backward[rank]}.get(kind, backward[rank] / 2)
                start = max(free[rank], ready)
                free[rank] = done[rank, kind, m] = start + time
                spans.append(Span(rank, kind, m, start, start + time))
                step[rank] += 1
                moved = True
    stuck = {rank: at for rank, at in enumerate(step) if at < len(schedule[rank])}
    return spans, stuck


def _ready(
    schedule: Schedule,
    done: Mapping[tuple[int, str, int], float],
    rank: int,
    kind: str,
    m: int,
    transfer: float,
) -> float | None:
    """When an action's input is there; None: not yet."""
    first, last = rank == 0, rank == len(schedule) - 1
    if kind == "W" or (kind == "F" and first) or (kind in "BI" and last):
        return 0.0
    other, needed = _source(schedule, rank, kind, m)
    there = done.get((other, needed, m))
    return None if there is None else there + transfer


# Pictures


def draw(
    ax: Axes,
    timeline: Timeline,
    *,
    title: str = "",
    legend: bool = True,
    until: float | None = None,
) -> None:
    """Draw who does what when: a row for each rank, rank 0 on top, time to the right.

    A block is one action: forward pale with a dark number, backward dark with a white one. The
    number is its micro-batch, where there is room. Hatched is idle time, the bubble. until: where
    the time axis ends; default: where the timeline does.
    """
    start, end = timeline.start, timeline.end
    until = until or end - start
    for rank in range(timeline.ranks):
        ax.barh(rank, end - start, left=0, height=0.8, zorder=1, **_IDLE)
    inches = ax.figure.get_window_extent().width / ax.figure.dpi * 0.85 / max(until, 1e-12)
    for span in timeline.work:
        fill, ink, hatch = _LOOKS[span.kind]
        width = span.end - span.start
        ax.barh(
            span.rank, width, left=span.start - start, height=0.8, zorder=2,
            facecolor=fill, edgecolor=plots.INK, linewidth=0.7, hatch=hatch,
        )  # fmt: skip
        size = min(10.0, 72 * width * inches / (0.75 * len(str(span.microbatch)) + 0.2))
        if size >= 6.5:  # smaller is not readable
            place = span.start - start + width / 2, span.rank
            style = {"ha": "center", "va": "center", "color": ink, "fontsize": size, "zorder": 3}
            ax.text(*place, str(span.microbatch), **style)
    ax.set_yticks(range(timeline.ranks), [f"rank {rank}" for rank in range(timeline.ranks)])
    ax.set(xlim=(0, until), ylim=(timeline.ranks - 0.5, -0.5), title=title)
    ax.set_xlabel(f"time ({timeline.unit})" if timeline.unit else "time (one forward takes 1)")
    ax.grid(False)
    if legend:
        _legend(ax, timeline)


def _legend(ax: Axes, timeline: Timeline) -> None:
    kinds = [kind for kind in COMPUTE if any(span.kind == kind for span in timeline.work)]
    patches = [
        Patch(facecolor=_LOOKS[kind][0], edgecolor=plots.INK, label=KINDS[kind]) for kind in kinds
    ]
    patches.append(Patch(**_IDLE, label="idle"))
    ax.legend(
        handles=patches, ncols=len(patches), loc="lower right", bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2, fontsize=10, handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip


def compare(timelines: Mapping[str, Timeline]) -> Figure:
    """Timelines above each other on one time axis, each with its name, bubble and time.

    Times are in the timelines' own unit, which must be the same for all.
    """
    units = {timeline.unit for timeline in timelines.values()}
    if len(units) > 1:
        raise ValueError(f"The timelines have different units: {', '.join(sorted(units))}.")
    heights = [0.42 * timeline.ranks + 0.55 for timeline in timelines.values()]
    fig, axes = plt.subplots(
        len(timelines), 1, sharex=True, squeeze=False,
        figsize=(9, sum(heights) + 0.7), height_ratios=heights,
    )  # fmt: skip
    longest = max(timeline.end - timeline.start for timeline in timelines.values())
    for ax, (name, timeline) in zip(axes[:, 0], timelines.items(), strict=True):
        label = f"{name}: bubble {timeline.bubble():.1%}"
        draw(ax, timeline, title=label, legend=ax is axes[0, 0], until=longest * 1.003)
        ax.label_outer()
    return fig


def draw_stash(ax: Axes, timeline: Timeline, *, title: str = "") -> None:
    """Draw how many micro-batches each rank holds, over time."""
    end = timeline.end - timeline.start
    for rank in range(timeline.ranks):
        steps = [(time - timeline.start, count) for time, count in timeline.stash(rank)]
        times, counts = zip(*[*steps, (end, steps[-1][1])], strict=True)
        ax.step(times, counts, where="post", label=f"rank {rank}")
    ax.set(xlim=(0, end), title=title, ylabel="micro-batches held")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.set_xlabel(f"time ({timeline.unit})" if timeline.unit else "time (one forward takes 1)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)


def step_through(timeline: Timeline, *, alt: str) -> None:
    """Show a timeline with a slider for the time; below it, what each rank does and holds then.

    In a notebook; elsewhere one line with the alternative text. Where no scripts run, as in a
    notebook that is not trusted, the whole timeline stays visible. alt: as for `plots.show`.
    """
    if not alt.strip():
        raise ValueError("A figure needs alternative text: say in `alt` what there is to see.")
    if plots.in_notebook():
        from IPython.display import display

        display(
            {"text/html": stepper(timeline, alt=alt), "text/plain": f"[figure] {alt}"}, raw=True
        )
    else:
        print(f"[figure] {alt}")


def stepper(timeline: Timeline, *, alt: str) -> str:
    """The HTML that `step_through` shows: the picture, with a veil over what is still to come."""
    times = sorted({time for span in timeline.work for time in (span.start, span.end)})
    fig, ax = plt.subplots(figsize=(9, 0.42 * timeline.ranks + 1.1))
    draw(ax, timeline)
    image = plots.bundle(fig, alt=alt)["text/html"]
    steps = [
        {"veil": f"{100 - place:.2f}%", "says": _state(timeline, time)}
        for time, place in zip(times, _places(ax, [t - timeline.start for t in times]), strict=True)
    ]
    steps[-1]["veil"] = "0"
    plt.close(fig)
    script = (
        "const b=this.closest('.stepper'),s=JSON.parse(this.dataset.steps)[+this.value];"
        "b.querySelector('.veil').style.width=s.veil;"
        "b.querySelector('output').textContent=s.says"
    )
    veil = "position:absolute;top:0;bottom:0;right:0;width:0;background:white;opacity:0.85"
    return (
        f'<div class="stepper"><div style="position:relative;display:inline-block">{image}'
        f'<div class="veil" style="{veil}"></div></div>'
        f'<br><label>time <input type="range" min="0" max="{len(times) - 1}"'
        f' value="{len(times) - 1}" style="width:70%" data-steps="{escape(json.dumps(steps))}"'
        # or JupyterLab takes the arrow keys for itself
        f' oninput="{script}" data-lm-suppress-shortcuts="true"></label>'
        f'<br><output aria-live="polite">{escape(steps[-1]["says"])}</output></div>'
    )


def _places(ax: Axes, times: Sequence[float]) -> list[float]:
    """Where these times are in the figure's picture, in per cent from its left edge."""
    fig = ax.get_figure(root=True)
    assert fig is not None
    whole = fig.get_tightbbox()  # what `plots.bundle` keeps of the figure, in inches, and a margin
    left, width = whole.x0 - plots.MARGIN, whole.width + 2 * plots.MARGIN
    inches = ax.transData.transform([(time, 0.0) for time in times])[:, 0] / fig.dpi
    return (100 * (inches - left) / width).tolist()


def _state(timeline: Timeline, time: float) -> str:
    """What every rank does and holds just after a time."""
    parts = []
    for rank in range(timeline.ranks):
        now = [s for s in timeline.work if s.rank == rank and s.start <= time < s.end]
        does = f"{now[0].kind}{now[0].microbatch}" if now else "idle"
        held = [count for at, count in timeline.stash(rank) if at <= time][-1]
        parts.append(f"rank {rank}: {does}, holds {held}")
    shown = f"{time - timeline.start:.4g}{f' {timeline.unit}' if timeline.unit else ''}"
    return f"At {shown}:  " + ";  ".join(parts)
