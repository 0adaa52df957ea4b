"""Figures of lab 07: a network's page, maps beside pictures, favourites, similar images."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils import plots

CHANNELS = 12  # of a layer, shown as pictures


def model_page(
    picture: ArrayLike, best: Sequence[tuple[str, float]], layers: Mapping[str, Tensor]
) -> Figure:
    """A network at work on one picture: what it says, and for each layer what it puts out.

    picture: (H, W, 3), 0 to 1; best: the likeliest classes with their probabilities; layers: by
    name what each puts out, (K, h, w) or (D,). A row: some channels, a histogram of all numbers.
    """
    fig = plt.figure(figsize=(9, 2.1 + 1.15 * len(layers)))
    grid = fig.add_gridspec(
        len(layers) + 1, 2, width_ratios=(3, 1), height_ratios=[1.7, *[1] * len(layers)]
    )
    head = grid[0, :].subgridspec(1, 3, width_ratios=(1, 0.3, 2))
    _picture(fig.add_subplot(head[0, 0]), picture)
    _bars(fig.add_subplot(head[0, 2]), best)
    for row, (name, values) in enumerate(layers.items(), 1):
        numbers = values.detach().cpu().float().numpy()
        shape = "×".join(map(str, numbers.shape))
        left, right = fig.add_subplot(grid[row, 0]), fig.add_subplot(grid[row, 1])
        left.imshow(
            _strip(numbers), cmap="viridis", aspect="auto" if numbers.ndim == 1 else "equal"
        )
        left.axis("off")
        left.set_title(f"{name}: {shape}", fontsize=10, pad=3)
        right.hist(numbers.ravel(), bins=30, color=plots.SKY)
        right.set_yscale("log")
        right.tick_params(axis="y", which="both", left=False, labelleft=False)
        right.grid(False)
        right.tick_params(labelsize=8)
        about = f"mean {numbers.mean():.2f}, spread {numbers.std():.2f}".replace("-", "−")
        right.set_title(about, fontsize=9, pad=3)
    return fig


def maps(
    pictures: ArrayLike,
    rows: Mapping[str, NDArray[Any]],
    titles: Sequence[str],
    boxes: NDArray[np.int64] | None = None,
) -> Figure:
    """Pictures (N, H, W, 3), and below each its maps (N, h, w), each on its own scale.

    boxes: (N, 4), top, left, bottom, right of what is in the pictures, to be drawn on all of them.
    """
    shown = np.asarray(pictures)
    fig, axes = plt.subplots(
        len(rows) + 1, len(shown), figsize=(1.45 * len(shown), 1.6 * len(rows) + 1.8), squeeze=False
    )
    for column, (picture, title) in enumerate(zip(shown, titles, strict=True)):
        _picture(axes[0, column], picture, title)
        for ax, (name, values) in zip(axes[1:, column], rows.items(), strict=True):
            ax.imshow(values[column], cmap="magma", extent=(0, shown.shape[2], shown.shape[1], 0))
            _bare(ax)
            if column == 0:
                ax.set_ylabel(name)
        if boxes is not None:
            for ax in axes[:, column]:
                _box(ax, boxes[column], shift=ax is axes[0, column])
    return fig


def scene_grid(pictures: ArrayLike, boxes: NDArray[np.int64], titles: Sequence[str]) -> Figure:
    """Scenes (N, H, W, 3), six to a row, each with its object's box."""
    shown = np.asarray(pictures)
    rows = -(-len(shown) // 6)
    fig, axes = plt.subplots(rows, 6, figsize=(8.7, 1.75 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, box, title in zip(axes.flat, shown, boxes, titles, strict=False):
        _picture(ax, picture, title)
        _box(ax, box, shift=True)
    return fig


def favourites(
    best: Sequence[NDArray[Any]], made: NDArray[Any], units: Sequence[int], ratios: Sequence[float]
) -> Figure:
    """A row for each unit: the images it answers to most, and the picture made to please it.

    best: for each unit (M, H, W, 3), 0 to 1; made: (units, H, W, 3); ratios: the made picture's
    answer over the best image's.
    """
    count = len(best[0])
    widths = [*[1.0] * count, 0.35, 1.0]
    fig, axes = plt.subplots(
        len(units), count + 2, figsize=(7.2, 1.35 * len(units)), width_ratios=widths, squeeze=False
    )
    for row, (unit, images, picture, ratio) in enumerate(
        zip(units, best, made, ratios, strict=True)
    ):
        for ax, image in zip(axes[row], images, strict=False):
            _picture(ax, image)
        axes[row, 0].set_ylabel(f"unit {unit}", fontsize=10)
        axes[row, count].axis("off")
        axes[row, count].text(
            0.5,
            0.5,
            f"×{ratio:.1f}",
            ha="center",
            va="center",
            fontsize=11,
            transform=axes[row, count].transAxes,
        )
        _picture(axes[row, count + 1], picture, "made" if row == 0 else "")
    axes[0, 0].set_title("best images", fontsize=10, pad=3)
    return fig


def neighbours(
    gallery: NDArray[Any],
    labels: Sequence[int],
    names: Sequence[str],
    queries: Sequence[int],
    found: Mapping[str, Tensor],
) -> Figure:
    """A row for each query: the image, and the images found for it, by each kind of search.

    gallery: (G, H, W, 3), 0 to 1; labels: (G,); queries: places in the gallery; found: by kind, for
    each place the places found, (Q, k). A dashed frame marks an image of another class.
    """
    kinds = {kind: places.cpu().numpy() for kind, places in found.items()}
    k = next(iter(kinds.values())).shape[1]
    widths = [1.0] + len(kinds) * [0.25, *[1.0] * k]
    fig, axes = plt.subplots(
        len(queries),
        len(widths),
        figsize=(9.6, 1.02 * len(queries) + 0.3),
        width_ratios=widths,
        squeeze=False,
    )
    for ax in axes.flat:
        ax.axis("off")
    for row, query in enumerate(queries):
        _picture(axes[row, 0], gallery[query], names[labels[query]])
        for at, places in enumerate(kinds.values()):
            for n, place in enumerate(places[query].tolist()):
                ax = axes[row, 2 + at * (k + 1) + n]
                _picture(ax, gallery[place])
                _frame(ax, labels[place] == labels[query])
    for at, kind in enumerate(kinds):
        axes[0, 2 + at * (k + 1)].set_title(kind, fontsize=10, pad=3)
    return fig


def by_seed(runs: Mapping[str, Sequence[float]]) -> Figure:
    """A row for each way of training; in it a dot for each seed's accuracy, a bar at their mean."""
    fig, ax = plt.subplots(figsize=(6.4, 0.7 * len(runs) + 0.9))
    for height, (got, marker, colour) in enumerate(
        zip(runs.values(), plots.CURVE_MARKERS, plots.CURVE_COLOURS, strict=False)
    ):
        style: dict[str, Any] = {"marker": marker, "color": colour, "s": 45, "zorder": 3}
        ax.scatter(got, [height] * len(got), **style)
        ax.plot([np.mean(got)] * 2, [height - 0.25, height + 0.25], color=plots.INK, linestyle="-")
    ax.set_yticks(range(len(runs)), list(runs))
    ax.invert_yaxis()
    ax.margins(y=0.2)
    ax.set_xlabel("accuracy at the main task")
    return fig


def cascade(
    picture: ArrayLike,
    drawn: Mapping[str, Mapping[str, Tensor]],
    likeness: Mapping[str, Sequence[float]],
    pick: int,
) -> Figure:
    """A row for each kind of map, a column for each stage of randomising; above them the picture.

    drawn: by kind and stage the maps (N, H, W); likeness: by kind a number for each stage, written
    below; pick: which of the N is drawn.
    """
    stages = list(next(iter(drawn.values())))
    size = 1.45 * (len(stages) + 1), 1.75 * len(drawn)
    fig, axes = plt.subplots(len(drawn), len(stages) + 1, figsize=size, squeeze=False)
    for ax in axes[:, 0]:
        ax.axis("off")
    _picture(axes[0, 0], picture, "the picture")
    for row, (kind, by_stage) in enumerate(drawn.items()):
        for column, (stage, values) in enumerate(by_stage.items(), 1):
            ax = axes[row, column]
            ax.imshow(values[pick].detach().cpu().numpy(), cmap="magma")
            _bare(ax)
            number = f"{likeness[kind][column - 1]:.2f}".replace("-", "−")
            ax.set_xlabel(number, fontsize=9, labelpad=2)
            if row == 0:
                ax.set_title(stage, fontsize=9, pad=3)
            if column == 1:
                ax.set_ylabel(kind)
    return fig


def _strip(values: NDArray[Any]) -> NDArray[Any]:
    """Some channels of (K, h, w) side by side with a gap, or (D,) as one row."""
    if values.ndim != 3:
        return values.reshape(1, -1)
    some = values[:CHANNELS]
    most = some.max(axis=(1, 2), keepdims=True)
    some = some / np.where(most > 0, most, 1)
    gap = np.full((some.shape[1], max(1, some.shape[2] // 8)), np.nan)
    return np.concatenate([part for one in some for part in (one, gap)][:-1], axis=1)


def _bars(ax: Axes, best: Sequence[tuple[str, float]]) -> None:
    names, shares = [name for name, _ in best], [100 * share for _, share in best]
    ax.barh(names, shares, color=plots.BLUE)
    for height, share in enumerate(shares):
        ax.text(share + 1, height, f"{share:.1f} %", va="center", fontsize=9)
    ax.invert_yaxis()
    ax.set(xlim=(0, 115), xticks=[])
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)


def _picture(ax: Axes, picture: ArrayLike, title: str = "") -> None:
    ax.imshow(np.asarray(picture))
    ax.axis("on")
    _bare(ax)
    if title:
        ax.set_title(title, fontsize=9, loc="center", pad=3)


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _box(ax: Axes, box: NDArray[np.int64], shift: bool) -> None:
    """The box (top, left, bottom, right); shift: the axes have pixel middles at whole numbers."""
    top, left, bottom, right = (float(edge) - 0.5 * shift for edge in box)
    for colour, width in (("black", 2.6), ("white", 1.2)):
        frame = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=width)
        ax.add_patch(frame)


def _frame(ax: Axes, same: bool) -> None:
    """A frame that says whether the class is the query's: solid, or dashed for another one."""
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_edgecolor(plots.GREEN if same else plots.VERMILLION)
        spine.set_linestyle("-" if same else (0, (2, 2)))
        spine.set_linewidth(1.8)
