"""Figures of lab 19: pictures with boxes, anchors, losses, precision over recall, costs, counts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils import plots
from utils.data.detection import Pictures

# By class: a colour, and a dash pattern that tells it without the colour.
_COLOURS = (plots.ORANGE, plots.SKY, plots.PURPLE, plots.GREEN)
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
_EDGE: list[AbstractPathEffect] = [withStroke(linewidth=2.6, foreground=plots.BLACK)]

Found = Sequence[tuple[Tensor, Tensor, Tensor]]


def boxed(
    pictures: Pictures, shown: Iterable[int], found: Found | None = None, least: float = 0.0
) -> Figure:
    """Pictures with the boxes of their objects, or with those that were found, each with its class.

    shown: which pictures; found: for each picture boxes (n, 4), scores (n,) and labels (n,), drawn
    where the score is at least `least`.
    """
    places = list(shown)
    height, width = pictures.x.shape[1:3]
    columns = 4 if height == width else 2
    rows = -(-len(places) // columns)
    side = 9 / columns
    fig, axes = plt.subplots(
        rows, columns, figsize=(9, (side * height / width + 0.15) * rows), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for ax, n in zip(axes.flat, places, strict=False):
        ax.imshow(pictures.x[n], extent=(0, width, height, 0))
        marked = pictures.boxes[n], pictures.labels[n]
        if found is None:
            rows_of = [(b, k, "") for b, k in zip(*marked, strict=True)]
        else:
            each = zip(*(one.numpy() for one in found[n]), strict=True)
            rows_of = [
                (box, label, f" {score:.2f}") for box, score, label in each if score >= least
            ]
        crowded = len(rows_of) > 14
        for box, label, score in rows_of:
            name = pictures.class_names[int(label) - 1]
            _box(ax, box, int(label), "" if crowded else name[0].upper() + score)
    return fig


def _box(ax: Axes, box: ArrayLike, label: int, text: str = "", width: float = 1.4) -> None:
    """A box in the style of its class, with a text at its upper left corner."""
    left, top, right, bottom = np.asarray(box, float)
    look = {"edgecolor": _COLOURS[label - 1], "linestyle": _DASHES[label - 1], "linewidth": width}
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, zorder=3, **look)
    frame.set_path_effects(_EDGE if width > 1 else [])
    ax.add_patch(frame)
    if text:
        style = {"color": "white", "fontsize": 8, "va": "top", "path_effects": _EDGE, "zorder": 4}
        ax.text(left + 0.5, top + 0.5, text, **style)


def grid(pictures: Pictures, shown: int, anchors: Tensor, in_cell: int, stride: int) -> Figure:
    """A picture under the grid of cells, and the anchors of one cell."""
    height, width = pictures.x.shape[1:3]
    fig, ax = plt.subplots(figsize=(4.2, 4.2 * height / width))
    ax.imshow(pictures.x[shown], extent=(0, width, height, 0), alpha=0.75)
    for at in range(0, width + 1, stride):
        ax.axvline(at, color="white", linewidth=0.7)
    for at in range(0, height + 1, stride):
        ax.axhline(at, color="white", linewidth=0.7)
    cell = (height // stride // 2) * (width // stride) + width // stride // 2
    for n in range(in_cell):
        _box(ax, anchors[cell * in_cell + n].numpy(), 1 + n, width=2)
    ax.plot((cell % (width // stride) + 0.5) * stride, (height // stride // 2 + 0.5) * stride, "wo")
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)", xlim=(0, width), ylim=(height, 0))
    ax.grid(False)
    return fig


def matched(pictures: Pictures, shown: int, anchors: Tensor, match: Tensor) -> Figure:
    """A picture with its objects in thick frames, and around them the anchors that are theirs."""
    height, width = pictures.x.shape[1:3]
    fig, ax = plt.subplots(figsize=(4.6, 4.6 * height / width))
    ax.imshow(pictures.x[shown], extent=(0, width, height, 0), alpha=0.6)
    labels = pictures.labels[shown]
    for place, owner in enumerate(match.tolist()):
        if owner >= 0:
            _box(ax, anchors[place].numpy(), int(labels[owner]), width=1)
    for box, label in zip(pictures.boxes[shown], labels, strict=True):
        _box(ax, box, int(label), pictures.class_names[int(label) - 1], width=2.6)
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)", xlim=(0, width), ylim=(height, 0))
    ax.grid(False)
    return fig


def losses(history: Sequence[tuple[float, float]]) -> Figure:
    """The two losses of a detector over the epochs."""
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    ax.set_yscale("log")
    series = {"classes": [one for one, _ in history], "boxes": [one for _, one in history]}
    plots.curves(ax, series, "epoch", "loss per object")
    return fig


def precision_recall(
    curves: Mapping[str, tuple[Tensor, int]], areas: Mapping[str, float]
) -> Figure:
    """Precision over recall, a picture for each class: as it is, and as the best from there on.

    curves: by class, which detections are right (D,) and how many objects there are.
    """
    fig, axes = plt.subplots(1, len(curves), figsize=(9, 3.1), sharey=True, squeeze=False)
    for ax, (name, (right, objects)) in zip(axes[0], curves.items(), strict=True):
        true = right.double().cumsum(0).numpy()
        precision = true / np.arange(1, len(true) + 1)
        recall = true / objects
        best = np.maximum.accumulate(precision[::-1])[::-1]
        ends = np.concatenate([[0], recall]), np.concatenate([best[:1], best])
        ax.step(*ends, color=plots.SKY, linewidth=3.2, linestyle="-")
        ax.plot(recall, precision, color=plots.INK, linewidth=0.9, linestyle="-")
        ax.set(xlabel="recall", xlim=(0, 1.02), ylim=(0, 1.05))
        ax.set_title(f"{name}: AP {areas[name]:.2f}", fontsize=11)
    axes[0, 0].set_ylabel("precision")
    return fig


def passing(scores: Tensor, objects: Tensor) -> Figure:
    """How many windows have which score, of objects and of ground."""
    fig, ax = plt.subplots(figsize=(6.2, 3.0))
    edges = np.linspace(0, 1, 41)
    for mask, name, colour, style in (
        (~objects, "ground", plots.GREY, {"histtype": "stepfilled", "alpha": 0.6}),
        (objects, "objects", plots.BLUE, {"histtype": "step", "lw": 2.2, "linestyle": "-"}),
    ):
        ax.hist(scores[mask].numpy(), bins=edges.tolist(), label=name, color=colour, **style)
    ax.set_yscale("log")
    ax.set(xlabel="score of the first stage", ylabel="windows")
    ax.legend(loc="upper center")
    return fig


def costs(cost: Mapping[str, int]) -> Figure:
    """Multiplications for one picture, a bar for each way to find objects in it."""
    names = [name for name in ("all windows", "cascade", "detector") if name in cost]
    fig, ax = plt.subplots(figsize=(6.6, 2.2))
    values = [cost[name] / 1e6 for name in names]
    ax.barh(names, values, color=plots.SKY, edgecolor=plots.INK)
    for row, value in enumerate(values):
        ax.text(value, row, f"  {value:.1f}", va="center")
    ax.invert_yaxis()
    ax.margins(x=0.14)
    ax.set_xlabel("multiplications for a picture (millions)")
    ax.grid(False, axis="y")
    return fig


def counting(
    marks: Sequence[float], errors: Mapping[str, Sequence[float]], best: float, control: float
) -> Figure:
    """The error of counts over the threshold; the one that was chosen, and a control."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.axhline(control, color=plots.GREY, linestyle=(0, (2, 2)), zorder=1)
    ax.text(marks[-1], control, "control: the mean", va="bottom", ha="right", fontsize=9)
    ax.axvline(best, color=plots.INK, linewidth=1, linestyle="-")
    marked: NDArray[np.floating] = np.asarray(marks)
    plots.curves(ax, errors, "threshold on the score", "counts off by (objects)", x=marked)
    ax.set_ylim(bottom=0)
    ax.text(best, 0.02, " chosen", va="bottom", fontsize=9)
    return fig
