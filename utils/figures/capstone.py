"""Figures of lab 17: the mesh, a run that was killed, what a layout costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils import plots

__all__ = ["costs", "killed", "mesh", "predicted"]

_TERMS = (  # of predict_step, with colour and hatching
    ("compute", plots.BLUE, ""),
    ("bubble", plots.SKY, "////"),
    ("messages", plots.ORANGE, "...."),
    ("gradients", plots.VERMILLION, "xxxx"),
)


def mesh(places: Sequence[Mapping[str, Sequence[int]]]) -> Figure:
    """The ranks of a mesh, a row for each replica and a column for each stage, and their groups.

    places: for each rank the lists of its groups, under data, pipeline and tensor.
    """
    fig, ax = plt.subplots(figsize=(7, 3.2))
    at = {}
    for rank, place in enumerate(places):
        d, s, t = (list(place[name]).index(rank) for name in ("data", "pipeline", "tensor"))
        at[rank] = (s + 0.34 * t, -d - 0.28 * t)
    looks = {
        "data": {"color": plots.VERMILLION, "linestyle": (0, (5, 2)), "linewidth": 2},
        "pipeline": {"color": plots.BLUE, "linestyle": "-", "linewidth": 2},
        "tensor": {"color": plots.GREEN, "linestyle": (0, (1, 1)), "linewidth": 3},
    }
    for name, look in looks.items():
        groups = {tuple(place[name]) for place in places if len(place[name]) > 1}
        for number, group in enumerate(sorted(groups)):
            x, y = zip(*(at[rank] for rank in group), strict=True)
            ax.plot(x, y, zorder=1, label=f"{name} group" if number == 0 else None, **look)
    for rank, (x, y) in at.items():
        ax.plot(x, y, "o", markersize=25, color="white", markeredgecolor=plots.INK, zorder=2)
        ax.text(x, y, str(rank), ha="center", va="center", zorder=3)
    stages = max(len(place["pipeline"]) for place in places)
    replicas = max(len(place["data"]) for place in places)
    ax.set(xticks=range(stages), xlabel="stage", ylabel="replica")
    ax.set_yticks([-d for d in range(replicas)], [str(d) for d in range(replicas)])
    ax.margins(0.2)
    ax.grid(visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    return fig


def killed(
    alone: Sequence[float], kills: Sequence[int], mine: Sequence[float] | None = None
) -> Figure:
    """The loss of each step in one process; crosses where a rank was killed; `mine` as circles."""
    fig, ax = plt.subplots(figsize=(7.4, 3.4))
    steps = range(1, len(alone) + 1)
    ax.plot(steps, alone, color=plots.BLUE, linestyle="-", label="one process, undisturbed")
    if mine is not None:
        ax.plot(
            steps,
            mine,
            "o",
            color=plots.VERMILLION,
            markerfacecolor="none",
            label="your program, killed and resumed",
        )
    for number, step in enumerate(kills):
        ax.axvline(step, color=plots.GREY, linestyle=":", linewidth=1)
        ax.plot(
            step,
            0.04,
            "X",
            markersize=9,
            color=plots.INK,
            transform=ax.get_xaxis_transform(),
            linestyle="",
            label="a rank is killed" if number == 0 else None,
        )
    ax.set(xlabel="steps", ylabel="loss (nats)", ylim=(0, None))
    ax.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="white")
    return fig


def predicted(rows: Mapping[str, tuple[float, float]]) -> Figure:
    """Milliseconds of a step by layout: predicted and measured, side by side."""
    fig, ax = plt.subplots(figsize=(7, 2.8))
    for number, both in enumerate(rows.values()):
        for place, seconds in enumerate(both):
            look = (plots.SKY, "") if place == 0 else (plots.ORANGE, "///")
            label = ("predicted", "measured")[place] if number == 0 else None
            bar = ax.barh(
                number + 0.38 * place - 0.19,
                1e3 * seconds,
                0.34,
                color=look[0],
                hatch=look[1],
                edgecolor=plots.INK,
                label=label,
            )
            ax.bar_label(bar, fmt="%.0f ms", padding=4)
    most = max(max(both) for both in rows.values())
    ax.set(xlabel="milliseconds of a step", ylabel="data x pipeline", xlim=(0, 1.2e3 * most))
    ax.set_yticks(range(len(rows)), list(rows))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def costs(machines: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """For each machine a panel: each layout's seconds, piled up from their parts.

    machines: by name, and by the layout's name, what `predict_step` gave, with "fits": whether the
    memory is enough, and "best".
    """
    fig, axes = plt.subplots(1, len(machines), figsize=(10.5, 3.1), sharey=True, squeeze=False)
    for ax, (machine, layouts) in zip(axes[0], machines.items(), strict=True):
        _pile(ax, layouts)
        ax.set(title=machine, xlabel="seconds of a step")
        ax.grid(axis="y", visible=False)
    axes[0][0].set_ylabel("data x pipeline")
    axes[0][0].invert_yaxis()
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    return fig


def _pile(ax: Axes, layouts: Mapping[str, Mapping[str, Any]]) -> None:
    most = max(cost["seconds"] for cost in layouts.values())
    for row, cost in enumerate(layouts.values()):
        start = 0.0
        for name, colour, hatch in _TERMS:
            label = name if row == 0 else None
            look = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": label}
            ax.barh(row, cost[name], 0.7, left=start, **look)
            start += cost[name]
        words = "best" if cost["best"] else "" if cost["fits"] else "does not fit"
        ax.text(start + 0.02 * most, row, words, va="center")
    ax.set_yticks(range(len(layouts)), list(layouts))
    ax.set_xlim(0, 1.45 * most)
    ax.xaxis.set_major_locator(MaxNLocator(4))
