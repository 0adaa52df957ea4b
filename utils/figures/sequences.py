"""Pictures of lab 10: sounds, alignments, prices and their windows, leaks, memories."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from utils import plots

Array = NDArray[np.float64]


def listen(wave: NDArray[np.float32], rate: int) -> None:
    """A player for a wave of `rate` samples a second; in a script, one line."""
    if not plots.in_notebook():
        print(f"[sound] {len(wave) / rate:.2f} s")
        return
    from IPython.display import Audio, display

    display(Audio(wave, rate=rate))


def sound(wave: NDArray[np.float32], spectrogram: Tensor, seconds: float) -> Figure:
    """A wave, and below it its spectrogram (T, bands); seconds: from frame to frame."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4), sharex=True)
    length = len(spectrogram) * seconds
    top.plot(np.linspace(0, length, len(wave)), wave, linewidth=0.6, color=plots.BLUE)
    top.set(ylabel="pressure")
    _bands(bottom, spectrogram, length)
    bottom.set(xlabel="seconds")
    return fig


def _bands(ax: Axes, spectrogram: Tensor, length: float) -> None:
    picture, bands = spectrogram.numpy().T, spectrogram.shape[1]
    extent = (0, length, -0.5, bands - 0.5)
    ax.imshow(picture, origin="lower", aspect="auto", cmap="cividis", extent=extent)
    ax.set(ylabel="band, low to high")
    ax.grid(False)


def edits(table: Sequence[Sequence[int]], said: Sequence[int], heard: Sequence[int]) -> Figure:
    """The distances of all beginnings of two strings, one more than each has labels."""
    fig, ax = plt.subplots(figsize=(4.6, 3.8))
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1.5 * np.max(table))
    for (i, j), number in np.ndenumerate(np.asarray(table)):
        ax.text(j, i, str(number), ha="center", va="center", color=plots.INK)
    ax.set_xticks(range(len(heard) + 1), ["", *map(str, heard)])
    ax.set_yticks(range(len(said) + 1), ["", *map(str, said)])
    ax.set(xlabel="heard, up to this label", ylabel="said, up to this label")
    ax.grid(False)
    return fig


def chances(by_string: Mapping[str, float]) -> Figure:
    """Bars of the probabilities of strings, the most probable first."""
    found = sorted(by_string.items(), key=lambda one: -one[1])
    fig, ax = plt.subplots(figsize=(6.4, 0.34 * len(found) + 0.8))
    names, values = [name for name, _ in found], [value for _, value in found]
    bars = ax.barh(names, values, color=plots.BLUE)
    ax.bar_label(bars, [f"{value:.3f}" for value in values], padding=4)
    ax.set(xlabel="probability", xlim=(0, 1.2 * max(values)))
    ax.invert_yaxis()
    return fig


def learning(
    steps: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    controls: Mapping[str, float],
    ylabel: str,
) -> Figure:
    """Curves over steps; dotted lines: controls that learn nothing, named where no curve ends."""
    fig, ax = plt.subplots(figsize=(6.8, 3.6))
    most = max([1.0, *controls.values(), *(max(c) for c in curves.values() if c)])
    ax.set_ylim(0, 1.08 * most)
    ax.set_xlim(0, 1.02 * max(steps))
    for name, level in controls.items():
        ax.axhline(level, color=plots.GREY, linestyle=(0, (1, 1)), linewidth=1.5)
        near = [curve[-1] for curve in curves.values() if curve and 0 <= curve[-1] - level < 0.1]
        side = {"x": 0.01 * max(steps), "ha": "left"} if near else {"x": max(steps), "ha": "right"}
        ax.text(y=level, s=name, fontsize=9, va="bottom", color=plots.INK, **side)
    plots.curves(ax, curves, "steps", ylabel, x=list(steps))
    return fig


def alignment(spectrogram: Tensor, share: Tensor, names: Sequence[str], seconds: float) -> Figure:
    """A spectrogram (T, bands), and below it each label's probability by frame (T, labels)."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.4), sharex=True)
    length = len(spectrogram) * seconds
    _bands(top, spectrogram, length)
    extent = (0, length, len(names) - 0.5, -0.5)
    image = bottom.imshow(
        share.numpy().T, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=extent
    )
    bottom.set_yticks(range(len(names)), names)
    bottom.set(xlabel="seconds", ylabel="label")
    bottom.grid(False)
    for row in range(1, len(names)):
        bottom.axhline(row - 0.5, color=plots.GREY, linewidth=0.6)
    fig.colorbar(image, ax=[top, bottom], label="probability that the frame says it")
    return fig


def market(days: NDArray[np.datetime64], close: Array, name: str) -> Figure:
    """Closing prices on a logarithmic axis."""
    fig, ax = plt.subplots(figsize=(8, 3))
    ax.plot(days.astype("datetime64[D]").astype(object), close, linewidth=1)
    ax.set(yscale="log", ylabel=f"{name}, at close", xlabel="year")
    return fig


def two_ways(rows: Array, scaled: Array) -> Figure:
    """The same windows (M, L) as prices and scale-free."""
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3))
    for ax, lines, label in zip(
        axes, (rows, scaled), ("price", "standard deviations"), strict=True
    ):
        ax.plot(lines.T, linewidth=1.4)
        ax.set(xlabel="day of the window", ylabel=label)
    axes[0].set_yscale("log")
    return fig


def leaks(features: Mapping[str, Callable[[Array], Array]], prices: Array) -> Figure:
    """For each feature, which day's number moves when which day's price does."""
    count = len(prices)
    fig, axes = plt.subplots(1, len(features), figsize=(1.95 * len(features), 2.7), sharey=True)
    for ax, (name, feature) in zip(axes, features.items(), strict=True):
        moved = np.zeros((count, count), bool)
        for day in range(count):
            for factor in (0.2, 5.0):
                changed = prices.copy()
                changed[day] *= factor
                same = np.isclose(feature(changed), feature(prices), rtol=1e-9, equal_nan=True)
                moved[:, day] |= ~same
        ax.imshow(moved, cmap="Greys", vmin=0, vmax=1.5)
        ax.plot([-0.5, count - 0.5], [-0.5, count - 0.5], color=plots.ORANGE, linewidth=1.5)
        ax.set_title(name.replace(" ", "\n", 1) if len(name) > 14 else name, fontsize=9)
        ax.set_xlabel("day of the price", fontsize=9)
        ax.grid(False)
    axes[0].set_ylabel("day of the number")
    return fig


def patterns(rows: Array, kinds: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Three windows (L,) of each kind, side by side; kinds: (M,), a place in names."""
    fig, axes = plt.subplots(len(names), 3, figsize=(8, 4.6), sharex=True, sharey=True)
    for kind, name in enumerate(names):
        for ax, row in zip(axes[kind], rows[kinds == kind][::7], strict=False):
            ax.plot(row, linewidth=1.5, color=plots.CURVE_COLOURS[kind])
        axes[kind, 0].set_ylabel(name.replace(" and ", "\nand ").replace(" top", "\ntop"))
    for ax in axes[-1]:
        ax.set_xlabel("day of the window")
    return fig


def accuracies(groups: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars of accuracies, a panel for each question."""
    fig, axes = plt.subplots(1, len(groups), figsize=(9.6, 2.4))
    for ax, (title, found) in zip(axes, groups.items(), strict=True):
        colours = [plots.BLUE] + [plots.GREY] * (len(found) - 1)
        bars = ax.barh(list(found), list(found.values()), color=colours)
        ax.bar_label(bars, [f"{value:.2f}" for value in found.values()], padding=4)
        ax.set(title=title, xlabel="accuracy, held-out years", xlim=(0, 1.15))
        ax.invert_yaxis()
    return fig


def fading(left: Mapping[str, Sequence[float]]) -> Figure:
    """How much of a stored state is left, over steps from 0 on, a curve for each decay."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.set_yscale("log")
    ax.set_ylim(1e-4, 1.5)
    steps = list(range(max(map(len, left.values()))))
    shown = {name: np.where(np.array(run) < 1e-4, np.nan, run) for name, run in left.items()}
    plots.curves(ax, shown, "steps after it was stored", "share left", x=steps)
    return fig


def attention(weights: Tensor, letters: Sequence[Sequence[str]], right: Sequence[int]) -> Figure:
    """Weights (N, T) of past states; letters: the inputs, of which the last one asks."""
    fig, ax = plt.subplots(figsize=(7.6, 0.5 * len(letters) + 0.9))
    scaled = weights / weights.amax(dim=1, keepdim=True).clamp_min(1e-9)
    image = ax.imshow(scaled, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, signs in enumerate(letters):
        asked = signs.index(signs[-1])
        for place, sign in enumerate(signs[:-1]):
            pale = float(scaled[row, place]) > 0.6
            colour = plots.INK if pale else "white"
            ax.text(place, row, sign, ha="center", va="center", color=colour)
        frame = Rectangle(
            (asked - 0.46, row - 0.44), 1.92, 0.88, fill=False, edgecolor=plots.ORANGE, linewidth=2
        )
        ax.add_patch(frame)
    names = [f"{signs[-1]} → {digit}" for signs, digit in zip(letters, right, strict=True)]
    ax.set_yticks(range(len(letters)), names)
    ax.set_xticks([])
    ax.set(xlabel="state after each input", ylabel="asked → right")
    ax.grid(False)
    fig.colorbar(image, label="weight, largest = 1")
    return fig
