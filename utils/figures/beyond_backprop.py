"""Figures of lab 16: how near a step is to the gradient, and five methods on one time axis."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils import plots
from utils.pipeline import pictures
from utils.pipeline.schedules import Timeline

__all__ = ["angles", "on_one_clock", "similarities", "training"]


def angles(by_layer: Sequence[Sequence[float]], every: int) -> Figure:
    """The angle to the gradient over updates, for every other hidden layer.

    by_layer: for each hidden layer the angles in degrees, one at every `every` updates.
    """
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    ax.axhline(90, color=plots.INK, linewidth=1, linestyle="-")
    updates = [every * i for i in range(len(by_layer[0]))]
    shown = {f"layer {i}": list(by_layer[i]) for i in range(0, len(by_layer), 2)}
    plots.curves(ax, shown, "updates", "angle to the gradient (degrees)", x=updates)
    ax.set(ylim=(0, 120), yticks=range(0, 121, 30))
    return fig


def training(curves: Mapping[str, Sequence[float]], updates: int) -> Figure:
    """Accuracies over updates; each curve is measured at equal distances, from 0 to `updates`."""
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    at = np.linspace(0, updates, len(next(iter(curves.values()))))
    plots.curves(ax, {k: list(v) for k, v in curves.items()}, "updates", "accuracy", x=at)
    ax.set_ylim(0, 1)
    return fig


def similarities(matrices: Sequence[NDArray[np.floating]], titles: Sequence[str]) -> Figure:
    """Matrices of similarities between −1 and 1, side by side."""
    fig, axes = plt.subplots(1, len(matrices), figsize=(9.5, 2.7))
    shown = []
    for ax, matrix, title in zip(axes, matrices, titles, strict=True):
        shown.append(ax.imshow(matrix, cmap=plots.SIGNED, vmin=-1, vmax=1))
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    axes[0].set_ylabel("images, by digit")
    fig.colorbar(shown[0], ax=list(axes), label="similarity", shrink=0.85)
    return fig


def on_one_clock(
    timelines: Mapping[str, Timeline],
    curves: Mapping[str, Sequence[float]],
    ends: Mapping[str, float],
    frozen: float,
) -> Figure:
    """Above, what the ranks do in the first batches; below, accuracy over the same unit of time.

    curves: accuracies of each method, measured at equal distances; ends: when each ended, in
    forwards; frozen: the accuracy of the control, a level line.
    """
    heights = [1.25] * len(timelines) + [5.2]
    fig, axes = plt.subplots(len(heights), 1, figsize=(9, sum(heights)), height_ratios=heights)
    longest = max(timeline.end for timeline in timelines.values())
    for ax, (name, timeline) in zip(axes[:-1], timelines.items(), strict=True):
        pictures.draw(ax, timeline, title=name, legend=False, until=longest * 1.003)
        if name != list(timelines)[-1]:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    _over_time(axes[-1], curves, ends, frozen)
    return fig


def _over_time(
    ax: Axes, curves: Mapping[str, Sequence[float]], ends: Mapping[str, float], frozen: float
) -> None:
    for number, (name, values) in enumerate(curves.items()):
        look = {
            "color": plots.CURVE_COLOURS[number],
            "marker": plots.CURVE_MARKERS[number],
            "linestyle": plots.CURVE_DASHES[number],
        }
        at = np.linspace(0, ends[name], len(values))
        ax.plot(at, values, label=f"{name}: {values[-1]:.3f}", markevery=[-1], markersize=9, **look)
    ax.axhline(
        frozen, color=plots.GREY, linewidth=1.2, linestyle="-", label=f"frozen: {frozen:.3f}"
    )
    ax.set(xlabel="time (one forward takes 1)", ylabel="accuracy", ylim=(0, 1))
    ax.legend(loc="lower right")
