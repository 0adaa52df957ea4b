"""Pictures of a `Timeline`, simulated or real: who does what when, and what is held meanwhile.

Forward is pale with a dark number, backward dark with a white one; hatched is idle time. Where a
rank holds several stages, a letter after the number says which: a for its first, b, c, …
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import ascii_lowercase
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from utils import plots
from utils.pipeline.schedules import COMPUTE, KINDS, Span, Timeline

# How an action looks: its fill, the colour of its number, and a hatching for print in grey.
LOOKS = {
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
    number is its micro-batch, where there is room, and the letter its stage on this rank, where the
    rank holds several. Hatched is idle time, the bubble. until: where
    the time axis ends; default: where the timeline does.
    """
    start, end = timeline.start, timeline.end
    until = until or end - start
    for rank in range(timeline.ranks):
        ax.barh(rank, end - start, left=0, height=0.8, zorder=1, **_IDLE)
    inches = ax.figure.get_window_extent().width / ax.figure.dpi * 0.85 / max(until, 1e-12)
    for span in timeline.work:
        fill, ink, hatch = LOOKS[span.kind]
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
        name = _name(timeline, span)
        size = min(10.0, 72 * width * inches / (0.75 * len(name) + 0.2))
        if size >= 6.5:  # smaller is not readable
            place = span.start - start + width / 2, span.rank
            style = {"ha": "center", "va": "center", "color": ink, "fontsize": size, "zorder": 3}
            ax.text(*place, name, **style)
    ax.set_yticks(range(timeline.ranks), [f"rank {rank}" for rank in range(timeline.ranks)])
    ax.set(xlim=(0, until), ylim=(timeline.ranks - 0.5, -0.5), title=title)
    ax.set_xlabel(f"time ({timeline.unit})" if timeline.unit else "time (one forward takes 1)")
    ax.grid(False)
    if legend:
        ax.legend(
            handles=_patches([timeline]),
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            **_LEGEND,
        )


def _name(timeline: Timeline, span: Span) -> str:
    """What stands in an action's block: its micro-batch, and a letter for the stage."""
    chunk = "" if span.stage is None else ascii_lowercase[span.stage // timeline.ranks % 26]
    return f"{span.microbatch}{chunk}"


_LEGEND: Any = {"ncols": 5, "fontsize": 10, "handlelength": 1.4, "columnspacing": 1.2}


def _patches(timelines: Iterable[Timeline]) -> list[Patch]:
    """One for each kind of action that occurs, and one for idle time."""
    found = {span.kind for timeline in timelines for span in timeline.work}
    patches = [
        Patch(facecolor=LOOKS[kind][0], edgecolor=plots.INK, label=f"{kind}: {KINDS[kind]}")
        for kind in COMPUTE
        if kind in found
    ]
    return [*patches, Patch(**_IDLE, label="idle")]


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
        draw(ax, timeline, title=label, legend=False, until=longest * 1.003)
        ax.label_outer()
    fig.legend(handles=_patches(timelines.values()), loc="outside upper right", **_LEGEND)
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
    """Show a timeline with a slider for the time; beside the rows what each rank holds, below
    it in words what each does.

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
    """The HTML that `step_through` shows: the picture, with a veil for each rank over what it has
    not begun, and beside each row how many micro-batches the rank holds."""
    times = sorted({time for span in timeline.work for time in (span.start, span.end)})
    dpi = plots.SHARPNESS * plots.PAGE_DPI  # as it is saved, so that places are the same
    fig, ax = plt.subplots(figsize=(9, 0.42 * timeline.ranks + 1.1), dpi=dpi)
    draw(ax, timeline)
    ranks = range(timeline.ranks)
    for rank in ranks:  # keeps the place for the numbers that the page writes there
        ax.text(1.01, rank, "holds 00", transform=ax.get_yaxis_transform(), alpha=0)
    image = plots.bundle(fig, alt=alt)["text/html"]
    shown = [_shown(timeline, rank, time) - timeline.start for time in times for rank in ranks]
    *veils, end = _places(ax, [*shown, timeline.end - timeline.start])
    steps = [
        {
            "veils": veils[i * timeline.ranks :][: timeline.ranks],
            "holds": [f"holds {_held(timeline, rank, time)}" for rank in ranks],
            "says": _state(timeline, time),
        }
        for i, time in enumerate(times)
    ]
    rows = _rows(ax, [(rank - 0.4, rank, rank + 0.4) for rank in ranks])
    plt.close(fig)
    return _page(image, steps, end, rows)


def _page(
    image: str, steps: list[dict[str, Any]], end: float, rows: Sequence[Sequence[float]]
) -> str:
    """end: where the axes end; rows: top, middle and bottom of each rank's; in per cent."""
    script = (
        "const b=this.closest('.stepper'),s=JSON.parse(this.dataset.steps)[+this.value];"
        "b.querySelectorAll('.veil').forEach((v,r)=>{v.style.left=s.veils[r]+'%'});"
        "b.querySelectorAll('.holds').forEach((h,r)=>{h.textContent=s.holds[r]});"
        "b.querySelector('output').textContent=s.says"
    )
    veil = f"position:absolute;right:{100 - end:.2f}%;background:white;opacity:0.85"
    held = "position:absolute;line-height:1;white-space:nowrap;transform:translateY(-50%)"
    held += f";left:{end + 1:.2f}%;color:{plots.INK}"
    over = "".join(
        f'<div class="veil" style="{veil};top:{top:.2f}%;height:{bottom - top:.2f}%;'
        f'left:{steps[-1]["veils"][rank]:.2f}%"></div>'
        f'<span class="holds" aria-hidden="true" style="{held};top:{middle:.2f}%">'
        f"{steps[-1]['holds'][rank]}</span>"
        for rank, (top, middle, bottom) in enumerate(rows)
    )
    data = escape(json.dumps(steps))
    return (
        '<div class="stepper"><div style="position:relative;display:inline-block;line-height:0">'
        f"{image}{over}</div>"
        f'<br><label>time <input type="range" min="0" max="{len(steps) - 1}"'
        f' value="{len(steps) - 1}" style="width:70%" data-steps="{data}"'
        # or JupyterLab takes the arrow keys for itself
        f' oninput="{script}" data-lm-suppress-shortcuts="true"></label>'
        f'<br><output aria-live="polite">{escape(steps[-1]["says"])}</output></div>'
    )


def _shown(timeline: Timeline, rank: int, time: float) -> float:
    """Until when a rank's row is uncovered at a time: to the end of its action, or of its wait."""
    work = [span for span in timeline.work if span.rank == rank]
    now = [span.end for span in work if span.start <= time < span.end]
    later = [edge for span in timeline.work for edge in (span.start, span.end) if edge > time]
    return now[0] if now else min(later, default=timeline.end)


def _held(timeline: Timeline, rank: int, time: float) -> int:
    """How many micro-batches a rank holds just after a time."""
    return [count for at, count in timeline.stash(rank) if at <= time][-1]


def _places(ax: Axes, times: Sequence[float]) -> list[float]:
    """Where these times are in the figure's picture, in per cent from its left edge."""
    left, _, width, _ = _bounds(ax)
    inches = ax.transData.transform([(time, 0.0) for time in times])[:, 0] / _dpi(ax)
    return (100 * (inches - left) / width).round(2).tolist()


def _rows(ax: Axes, heights: Sequence[Sequence[float]]) -> list[list[float]]:
    """Where these heights of the axes are in the picture, in per cent from its top edge."""
    _, bottom, _, height = _bounds(ax)
    points = [[(0.0, y) for y in each] for each in heights]
    inches = [ax.transData.transform(each)[:, 1] / _dpi(ax) for each in points]
    return [(100 - 100 * (each - bottom) / height).round(2).tolist() for each in inches]


def _bounds(ax: Axes) -> tuple[float, float, float, float]:
    """Left, bottom, width and height, in inches, of what `plots.bundle` keeps of the figure."""
    fig = ax.get_figure(root=True)
    assert fig is not None
    whole, twice = fig.get_tightbbox(), 2 * plots.MARGIN
    left, bottom = whole.x0 - plots.MARGIN, whole.y0 - plots.MARGIN
    return left, bottom, whole.width + twice, whole.height + twice


def _dpi(ax: Axes) -> float:
    fig = ax.get_figure(root=True)
    assert fig is not None
    return fig.dpi


def _state(timeline: Timeline, time: float) -> str:
    """What every rank does and holds just after a time."""
    parts = []
    for rank in range(timeline.ranks):
        now = [s for s in timeline.work if s.rank == rank and s.start <= time < s.end]
        does = now[0].label if now else "idle"
        parts.append(f"rank {rank}: {does}, holds {_held(timeline, rank, time)}")
    shown = f"{time - timeline.start:.4g}{f' {timeline.unit}' if timeline.unit else ''}"
    return f"At {shown}:  " + ";  ".join(parts)
