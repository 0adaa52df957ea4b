"""The larger figures of lab 14; each takes the learner's own numbers or timelines."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from utils import plots
from utils.pipeline import pictures
from utils.pipeline.schedules import Timeline


def partition(costs: Sequence[float], sizes: Sequence[int], title: str) -> Figure:
    """The cost of each stage as a bar, its layers as boxes in it.

    costs: of each layer, in billions of multiplications; sizes: the layers of each stage.
    """
    fig, ax = plt.subplots(figsize=(7, 0.45 * len(sizes) + 0.8))
    ends = [sum(sizes[: stage + 1]) for stage in range(len(sizes))]
    for stage, (start, end) in enumerate(pairwise([0, *ends])):
        below = 0.0
        for cost in costs[start:end]:
            ax.barh(stage, cost, left=below, color="#cfe8f7", edgecolor=plots.INK)
            below += cost
        ax.text(below, stage, f"  {below:.2f}", va="center")
    ax.set_yticks(range(len(sizes)), [f"stage {s}: {n} layers" for s, n in enumerate(sizes)])
    ax.set(xlabel="multiplications (billions)", title=title, ylim=(len(sizes) - 0.5, -0.5))
    ax.margins(x=0.12)
    return fig


def bubbles(
    counts: Sequence[int],
    laws: Mapping[str, Sequence[float]],
    simulated: Mapping[str, Sequence[float]],
) -> Figure:
    """The bubble over the number of micro-batches: laws as lines, simulations as circles.

    laws, simulated: by a name, the bubble for each of counts.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.set_xscale("log", base=2)
    ax.set_xticks(counts, [str(m) for m in counts])
    ax.set_ylim(0, 1)
    plots.curves(
        ax, laws, "micro-batches (each step doubles)", "bubble (share of all time)", x=counts
    )
    for seen in simulated.values():
        ax.plot(counts, seen, "o", color="none", markeredgecolor=plots.INK, markersize=10)
    return fig


def stashes(timelines: Mapping[str, Timeline]) -> Figure:
    """How many micro-batches each rank holds over time, a panel for each timeline."""
    fig, axes = plt.subplots(1, len(timelines), figsize=(10, 3), sharey=True, squeeze=False)
    for ax, (name, timeline) in zip(axes[0], timelines.items(), strict=True):
        pictures.draw_stash(ax, timeline, title=name)
    for ax in axes[0, :-1]:
        ax.get_legend().remove()
    for ax in axes[0, 1:]:
        ax.set_ylabel("")
    return fig


def held(counts: Sequence[int], peaks: Mapping[str, Sequence[float]]) -> Figure:
    """The most micro-batches held over their number; both axes are linear, as the laws are.

    peaks: by a name, the most that is held for each of counts.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    plots.curves(ax, peaks, "micro-batches", "micro-batches held", x=counts)
    ax.set_ylim(bottom=0)
    return fig
