"""Figures of lab 02: regions of XOR, bars of scores and slopes, a computation graph, a training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from utils import plots

Array = NDArray[np.floating]


def xor_regions(
    predicts: Mapping[int, Callable[[Array], NDArray[Any]]], X: Array, y: NDArray[np.integer]
) -> Figure:
    """The regions that a network predicts after each number of steps, with the points X, y."""
    fig, axes = plt.subplots(1, len(predicts), figsize=(3 * len(predicts), 3.2), sharey=True)
    for ax, (step, predict) in zip(axes, predicts.items(), strict=True):
        plots.decision_regions(ax, predict, (-0.6, 1.6), (-0.6, 1.6))
        plots.scatter_classes(ax, X, y)
        ax.get_legend().remove()
        ax.set(title=f"step {step}: {np.mean(predict(X) == y):.0%} right", aspect="equal")
        ax.label_outer()
    return fig


def probabilities(S: Array, P: Array, titles: Sequence[str]) -> Figure:
    """Each row's probabilities P as bars, over its scores S."""
    fig, axes = plt.subplots(1, len(S), figsize=(9, 2.4), sharey=True)
    for ax, scores, shares, title in zip(axes, S, P, titles, strict=True):
        bars = ax.bar([f"{s:g}".replace("-", "−") for s in scores], shares, color=plots.BLUE)
        ax.bar_label(bars, fmt="%.2f")
        ax.set(title=title, xlabel="score", ylim=(0, 1.15))
    axes[0].set_ylabel("probability")
    return fig


def score_slopes(dS: Array, y: NDArray[np.integer], titles: Sequence[str]) -> Figure:
    """Each row of dS as bars, over the classes; y: the right ones."""
    fig, axes = plt.subplots(1, len(dS), figsize=(9, 2.6), sharey=True)
    for n, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        names = [f"{c}\n(right)" if c == y[n] else str(c) for c in range(dS.shape[1])]
        bars = ax.bar(names, dS[n], color=plots.VERMILLION)
        ax.bar_label(bars, fmt="%+.2f", padding=2)
        ax.axhline(0, color=plots.INK, linewidth=1)
        ax.set(title=title, xlabel="class", ylim=(-0.48, 0.48))
    axes[0].set_ylabel("dS")
    return fig


def neuron_graph(x: float, y: float, w: float, b: float, *, back: bool = False) -> Figure:
    """The computation graph of (σ(w·x + b) − y)². At its arrows: the local slopes; with `back`,
    arrows from right to left, and at each box the slope of L that has arrived there."""
    z = w * x + b
    a = 1 / (1 + np.exp(-z))
    slopes = {"wz": x, "bz": 1.0, "za": a * (1 - a), "aL": 2 * (a - y)}
    values = {"w": w, "b": b, "z": z, "a": a, "L": (a - y) ** 2}
    names = {"w": "w", "b": "b", "z": "z = w·x + b", "a": "a = σ(z)", "L": "L = (a − y)²"}
    places = {"w": (0, 0.9), "b": (0, -0.9), "z": (2, 0), "a": (4, 0), "L": (6, 0)}
    arrived = {"L": 1.0}
    for start, end in ("aL", "za", "wz", "bz"):
        arrived[start] = slopes[start + end] * arrived[end]
    fig, ax = plt.subplots(figsize=(9, 3))
    for name, place in places.items():
        text = f"{names[name]}\n{values[name]:.3g}".replace("-", "−")
        frame = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": plots.INK}
        ax.text(place[0], place[1], text, ha="center", va="center", bbox=frame, zorder=3)
        if back:
            below = f"{arrived[name]:.3g}".replace("-", "−")
            at = place[0], place[1] - 0.62
            ax.text(at[0], at[1], below, color=plots.BLUE, ha="center", va="center", weight="bold")
    for (start, end), slope in slopes.items():
        _arrow(ax, places[start], places[end], f"× {slope:.3g}".replace("-", "−"), back)
    ax.set(xlim=(-0.5, 6.8), ylim=(-1.8, 1.4))
    told = "orange: the local slopes" + "; blue: the slope of L that has arrived" * back
    ax.set_title(f"x = {x:g}, y = {y:g}; {told}", fontsize=10)
    ax.axis("off")
    return fig


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], label: str, back: bool
) -> None:
    (x0, y0), (x1, y1) = start, end
    shrink = {"shrinkA": 20 if x0 == 0 else 48, "shrinkB": 48}
    arrow = {"arrowstyle": "<|-" if back else "-|>", "color": plots.BLUE if back else plots.INK}
    ax.annotate("", (x1, y1), (x0, y0), arrowprops={**arrow, **shrink}, zorder=1)
    up = 0.25 if y0 >= 0 else -0.25
    middle = 0.45 * x0 + 0.55 * x1 - 0.15, 0.5 * y0 + 0.5 * y1 + up
    ax.text(*middle, label, color=plots.VERMILLION, ha="center", va="center", weight="bold")


def layer_shapes(N: int, D: int, H: int) -> Figure:
    """The arrays of a linear layer as rectangles, sides to scale; what comes back in orange."""
    fig, ax = plt.subplots(figsize=(9, 2.6))
    left = 0.0
    arrays = [("X", N, D), ("W", D, H), ("b", 1, H), ("Y", N, H)]
    for name, rows, columns in arrays:
        for first, color, shift in ((name, plots.INK, 0), (f"d{name}", plots.VERMILLION, -1)):
            top = shift * (max(N, D) + 2.2)
            box = (left, top - rows / 2), columns, rows
            ax.add_patch(Rectangle(*box, facecolor="white", edgecolor=color))
            said = f"{first} ({rows}, {columns})" if name != "b" else f"{first} ({columns},)"
            at = left + columns / 2, top + rows / 2 + 0.5
            ax.text(*at, said, ha="center", color=color, fontsize=10)
        left += max(columns, 3) + 3
    ax.set(xlim=(-1, left), ylim=(-1.7 * max(N, D) - 2.2, max(N, D) / 2 + 1.6), aspect="equal")
    ax.axis("off")
    return fig


def training_curve(losses: Sequence[float], guess: float) -> Figure:
    """Each batch's loss, and their moving mean; a line at the loss of a guess."""
    window = max(1, len(losses) // 100)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.set_yscale("log")
    batches = np.arange(len(losses))
    ax.plot(batches, losses, ".", color=plots.GREY, alpha=0.15, markersize=3, rasterized=True)
    ax.plot(batches[window - 1 :], smooth, color=plots.BLUE)
    ax.axhline(guess, color=plots.VERMILLION, linestyle="--")
    ax.text(len(losses), guess, "a guess", ha="right", va="bottom")
    ax.set(xlabel="batches seen", ylabel="loss")
    return fig
