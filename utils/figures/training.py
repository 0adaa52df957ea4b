"""Pictures of lab 04: classes, splits, loss curves to be read, stopping, schedules, seeds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils import plots

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def classes(images: Floats, labels: Integers, columns: int = 14) -> Figure:
    """One row of images for each class, and how many of them there are.

    images: (N, H, W); labels: (N,), from 0 to 9.
    """
    counts = np.bincount(labels, minlength=10)
    rows = np.stack([images[labels == digit][:columns] for digit in range(10)])
    rows = np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1)))  # a little apart
    _, _, height, width = rows.shape
    fig, ax = plt.subplots(figsize=(6.4, 4.7))
    sheet = rows.transpose(0, 2, 1, 3).reshape(10 * height, columns * width)
    ax.imshow(sheet, cmap="gray_r")
    ax.set_yticks(height * (np.arange(10) + 0.5), [f"{d}: {n:,}" for d, n in enumerate(counts)])
    ax.set(ylabel="digit: number of images", xticks=[])
    ax.grid(False)
    return fig


def split(labels: Integers, train: Integers, held_out: Integers) -> Figure:
    """How many images of each digit train, and how many are held out.

    labels: (N,); train, held_out: indices into them.
    """
    places = np.arange(10)
    fig, ax = plt.subplots(figsize=(6.4, 2.8))
    trained, kept = (np.bincount(labels[at], minlength=10) for at in (train, held_out))
    ax.bar(places - 0.2, trained, width=0.4, label="training", color=plots.BLUE)
    look: dict[str, Any] = {"color": "white", "ec": plots.VERMILLION, "hatch": "////"}
    ax.bar(places + 0.2, kept, width=0.4, label="validation", **look)
    ax.set(xlabel="digit", ylabel="images", xticks=places)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def runs(losses: Mapping[str, Mapping[str, Floats]], guessing: float) -> Figure:
    """Training and validation loss of runs, a plot each, by their letters.

    losses: letter → {"training": (epochs,), "validation": (epochs,)}, in nats; guessing: the loss
    of a guess, the dashed line.
    """
    fig, axes = plt.subplots(3, 2, figsize=(9, 7.2), sharex=True)
    for ax, (letter, series) in zip(axes.flat, losses.items(), strict=True):
        plots.curves(ax, series, "epoch", "loss (nats)")
        ax.axhline(guessing, color=plots.GREY, linewidth=1, linestyle="--")
        ax.set(title=letter, ylim=(0, 2.5), xticks=(1, 5, 10, 15, 20))
    return fig


def stopped(whole: Sequence[float], losses: Sequence[float]) -> Figure:
    """Validation losses of a run that went on, and of one that was stopped, by epoch."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.plot(range(1, len(whole) + 1), whole, color=plots.GREY, linestyle="-", linewidth=1.5)
    ax.plot(range(1, len(losses) + 1), losses, color=plots.BLUE, marker="o", markersize=4)
    low = int(np.argmin(losses)) + 1, min(losses)
    ax.plot(*low, "*", color=plots.VERMILLION, markersize=16, zorder=5)
    ax.annotate("kept", low, (0, -18), textcoords="offset points", ha="center")
    ax.axvline(len(losses), color=plots.GREY, linewidth=1, linestyle=":")
    ax.text(len(losses) + 0.5, 0.93, "stopped", transform=ax.get_xaxis_transform())
    ax.margins(y=0.15)
    ax.set(xlabel="epoch", ylabel="validation loss (nats)")
    return fig


def schedules(
    factors: Mapping[str, Callable[[int, int], float]], peak: float, losses: Mapping[str, Floats]
) -> Figure:
    """Left, learning rates of 300 steps; right, the validation losses of a run with each.

    factors: (step, steps) → the factor on the peak rate, by name; losses: by the same names.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.2))
    rates = {name: [peak * f(s, 300) for s in range(300)] for name, f in factors.items()}
    plots.curves(left, rates, "step of 300", "learning rate", x=np.arange(300))
    plots.curves(right, losses, "epoch", "validation loss (nats)")
    return fig


def seeds(results: Mapping[str, Floats]) -> Figure:
    """The accuracies of equal runs, a row for each setting, with mean and standard error."""
    fig, ax = plt.subplots(figsize=(6.4, 2.4))
    for row, values in enumerate(results.values()):
        error = values.std(ddof=1) / np.sqrt(len(values))
        ax.plot(values, [row] * len(values), "o", mfc="none", mec=plots.BLUE, markersize=9)
        mean = float(values.mean())
        ax.errorbar(mean, row + 0.25, xerr=error, marker="D", color=plots.VERMILLION, capsize=4)
    ax.set_yticks(range(len(results)), list(results))
    ax.set(xlabel="validation accuracy", ylim=(-0.5, len(results) - 0.4))
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.1%}")
    return fig
