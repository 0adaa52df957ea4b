"""Pictures of a `Timeline`, simulated or real: who does what when, and what is held meanwhile.

Forward is pale with a dark number, backward dark with a white one; hatched is idle time.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from utils import plots
from utils.pipeline.schedules import COMPUTE, KINDS, Timeline

# How an action looks: its fill, the colour of its number, and a hatching for print in grey.
_LOOKS = {
    "F": ("#cfe8f7", plots.INK, ""),
    "B": (plots.VERMILLION, "white", ""),
    "I": (plots.ORANGE, plots.INK, ""),
    "W": (plots.GREEN, "white", ""),
}

_IDLE = {"facecolor": "white", "edgecolor": "#c4c4c4", "hatch": "////", "linewidth": 0}


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
            span.rank,
            width,
            left=span.start - start,
            height=0.8,
            zorder=2,
            facecolor=fill,
            edgecolor=plots.INK,
            linewidth=0.7,
            hatch=hatch,
        )
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
        handles=patches,
        ncols=len(patches),
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        fontsize=10,
        handlelength=1.4,
        columnspacing=1.2,
    )


def compare(timelines: Mapping[str, Timeline]) -> Figure:
    """Timelines above each other on one time axis, each with its name, bubble and time.

    Times are in the timelines' own unit, which must be the same for all.
    """
    units = {timeline.unit for timeline in timelines.values()}
    if len(units) > 1:
        raise ValueError(f"The timelines have different units: {', '.join(sorted(units))}.")
    heights = [0.42 * timeline.ranks + 0.55 for timeline in timelines.values()]
    fig, axes = plt.subplots(
        len(timelines),
        1,
        sharex=True,
        squeeze=False,
        figsize=(9, sum(heights) + 0.7),
        height_ratios=heights,
    )
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
