"""Figures of lab 20: drawn, seen and made pictures in rows, and what was measured of them."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from utils import plots

Pictures = Mapping[str, Tensor]  # by name (N, 1, H, W): ink, 0 to 1


def rows(pictures: Pictures, *, columns: int = 10, signed: bool = False) -> Figure:
    """Named rows of pictures, ink on paper. signed: dark is negative, light is positive."""
    fig, axes = plt.subplots(
        len(pictures), columns, figsize=(0.72 * columns + 1.6, 0.78 * len(pictures)), squeeze=False
    )
    for row, (name, images) in zip(axes, pictures.items(), strict=True):
        _row(row, images, signed=signed)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return fig


def _row(axes: Sequence[Axes], images: Tensor, *, signed: bool = False) -> None:
    shown = images.detach().cpu().numpy()[: len(axes), 0]
    limit = max(float(np.abs(shown).max()), 1e-9) if signed else 1.0
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    for ax, picture in zip(axes, shown, strict=False):
        look = plots.SIGNED if signed else "gray_r"
        ax.imshow(picture, cmap=look, vmin=-limit if signed else 0, vmax=limit)


def accuracies(by_name: Mapping[str, Sequence[float]], xlabel: str) -> Figure:
    """A bar for each way to train: the mean over seeds, and a dot for each seed."""
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(by_name) + 0.9))
    for place, (name, runs) in enumerate(by_name.items()):
        mean = float(np.mean(runs))
        ax.barh(place, mean, height=0.62, color=plots.SKY, zorder=2)
        ax.plot(runs, [place] * len(runs), "o", color=plots.INK, markersize=4, zorder=3)
        ax.text(1.02, place, f"{mean:.1%}", va="center", transform=ax.get_yaxis_transform())
        del name
    ax.set_yticks(range(len(by_name)), list(by_name))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel=xlabel)
    ax.grid(axis="y", visible=False)
    return fig


def class_counts(counts: Mapping[str, ArrayLike], modes: Mapping[str, float]) -> Figure:
    """For each kind of pictures how many the classifier counts of each digit."""
    fig, axes = plt.subplots(
        1, len(counts), figsize=(3.0 * len(counts), 2.3), sharey=True, squeeze=False
    )
    for ax, (name, values) in zip(axes[0], counts.items(), strict=True):
        numbers = np.asarray(values)
        ax.bar(range(len(numbers)), numbers, color=plots.SKY, zorder=2)
        ax.set_xticks(range(len(numbers)))
        ax.set(xlabel="digit", title=f"{name}\n{modes[name]:.1f} classes")
        ax.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("pictures")
    return fig


def over_steps(
    steps: Sequence[int], series: Mapping[str, Sequence[tuple[float, float]]], floor: float
) -> Figure:
    """Fréchet distance and number of classes over the steps of training, for each training.

    series: by name, at each step (distance, classes); floor: the distance of held-out pictures.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 2.9))
    left.set_yscale("log")
    left.axhline(floor, color=plots.GREY, ls="--", lw=1.2)
    left.text(steps[0], floor, "handwriting held out", va="bottom", fontsize=9, color=plots.GREY)
    plots.curves(
        left,
        {name: [one for one, _ in values] for name, values in series.items()},
        "step",
        "Fréchet distance",
        x=steps,
    )
    plots.curves(
        right,
        {name: [one for _, one in values] for name, values in series.items()},
        "step",
        "classes (e to the entropy)",
        x=steps,
    )
    right.set_ylim(0, 10.5)
    return fig


def nearest(pairs: Mapping[str, tuple[Tensor, Tensor]], columns: int = 10) -> Figure:
    """For each kind of pictures two rows: some, and below each its nearest training image."""
    count = 2 * len(pairs)
    fig, axes = plt.subplots(count, columns, figsize=(0.72 * columns + 2.2, 0.78 * count))
    for at, (name, (pictures, found)) in enumerate(pairs.items()):
        for row, images, label in ((0, pictures, name), (1, found, "nearest")):
            _row(axes[2 * at + row], images)
            axes[2 * at + row][0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)
    return fig


def distances(by_name: Mapping[str, Tensor]) -> Figure:
    """What share of the pictures has a training image within a distance, by the distance."""
    fig, ax = plt.subplots(figsize=(6.4, 2.8))
    for number, (name, values) in enumerate(by_name.items()):
        ordered = np.sort(values.cpu().numpy())
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        look = ("-", "--", ":", "-.")[number % 4]
        ax.plot(ordered, share, ls=look, label=name)
    ax.set(xlabel="distance to the nearest training image", ylabel="share of pictures")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return fig


def pyramid(x: Tensor, parts: Sequence[Tensor], back: Tensor) -> Figure:
    """One image (1, H, W), its details, largest first, the small image, and all joined again."""
    shown = [("image", x, False)]
    shown += [(f"detail {n}", one, True) for n, one in enumerate(parts[:-1])]
    shown += [("small image", parts[-1], False), ("joined", back, False)]
    fig, axes = plt.subplots(1, len(shown), figsize=(1.5 * len(shown), 1.9))
    for ax, (name, picture, signed) in zip(axes, shown, strict=True):
        _row([ax], picture[None], signed=signed)
        ax.set_title(f"{name}\n{picture.shape[-2]}×{picture.shape[-1]}", fontsize=10, loc="center")
    return fig
