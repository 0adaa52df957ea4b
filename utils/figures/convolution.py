"""Pictures of lab 05: filters and maps, places, windows as columns, receptive fields."""

from collections.abc import Mapping, Sequence
from html import escape

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from utils import plots

Array = NDArray[np.floating]


def filters_and_maps(digit: Array, filters: Array, maps: Array) -> Figure:
    """A digit (H, W); above, filters (K, R, S), below, the map (K, P, Q) of each.

    Every picture has a scale of its own, with 0 in the middle of it.
    """
    fig, axes = plt.subplots(2, len(filters) + 1, figsize=(9, 2.6))
    for ax in axes.flat:
        ax.axis("off")
    axes[0, 0].imshow(digit, cmap="gray_r")
    axes[0, 0].set_title("digit", loc="center", fontsize=10)
    for k, both in enumerate(zip(filters, maps, strict=True), 1):
        for ax, name, picture in zip(axes[:, k], ("filter", "map"), both, strict=True):
            limit = float(abs(picture).max())
            ax.imshow(picture, cmap=plots.SIGNED, vmin=-limit, vmax=limit)
            ax.set_title(f"{name} {k - 1}", loc="center", fontsize=10)
    return fig


def places(cases: Sequence[tuple[int, int, int, int]]) -> Figure:
    """For each (n, k, stride, padding): a row of n pixels, padding hatched, and each place of a
    filter of k as a bar below it."""
    fig, axes = plt.subplots(1, len(cases), figsize=(10, 2.6))
    for ax, case in zip(axes, cases, strict=True):
        _places(ax, *case)
    return fig


def _places(ax: Axes, n: int, k: int, stride: int, padding: int) -> None:
    for i in range(-padding, n + padding):
        hatch = "" if 0 <= i < n else "////"
        ax.add_patch(Rectangle((i, 0), 0.92, 0.8, fc="white", ec=plots.INK, hatch=hatch))
    starts = range(-padding, n + padding - k + 1, stride)
    for number, start in enumerate(starts):
        y = -0.5 - 0.5 * number
        ax.plot([start + 0.1, start + k - 0.2], [y, y], color=plots.BLUE, ls="-", lw=5)
        ax.text(start + k, y, str(number), va="center", fontsize=10)
    title = f"n {n}, k {k}, stride {stride}, padding {padding}"
    ax.set_title(title, fontsize=10)
    ax.set(xlim=(-1.3, 9.3), ylim=(-4.2, 1))
    ax.axis("off")


def windows_to_columns(image: Array, columns: Array, kernel: tuple[int, int]) -> list[Figure]:
    """One picture for each place: its window in the image (H, W), and the columns
    (R·S, P·Q) up to the one that holds it. Stride 1, no padding."""
    return [
        _step(image, columns, kernel, place, shown=columns[:, : place + 1])
        for place in range(columns.shape[1])
    ]


def columns_to_image(
    shape: tuple[int, int], columns: Array, kernel: tuple[int, int]
) -> list[Figure]:
    """One picture for each place: the columns (R·S, P·Q), and the image of this shape to which
    they have been added up to that place. Stride 1, no padding."""
    (R, S), image, figures = kernel, np.zeros(shape), list[Figure]()
    across = shape[1] - S + 1
    for place in range(columns.shape[1]):
        p, q = divmod(place, across)
        image[p : p + R, q : q + S] += columns[:, place].reshape(R, S)
        figures.append(_step(image, columns, kernel, place, shown=columns))
    return figures


def _step(
    image: Array, columns: Array, kernel: tuple[int, int], place: int, *, shown: Array
) -> Figure:
    (H, W), (R, S) = image.shape, kernel
    p, q = divmod(place, W - S + 1)
    fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), width_ratios=(W, columns.shape[1]))
    _table(axes[0], image, (H, W))
    _table(axes[1], shown, columns.shape)
    look = {"fc": "none", "ec": plots.VERMILLION, "lw": 3}
    axes[0].add_patch(Rectangle((q - 0.5, p - 0.5), S, R, **look))
    axes[1].add_patch(Rectangle((place - 0.5, -0.5), 1, R * S, **look))
    axes[0].set(title=f"image: {H, W}, place ({p}, {q})", xlabel="column", ylabel="row")
    axes[1].set(title=f"columns: {columns.shape}", xlabel="place p·Q + q", ylabel="weight r·S + s")
    return fig


def _table(ax: Axes, values: Array, shape: tuple[int, int]) -> None:
    """Numbers in their cells, darker where larger; cells that have none yet stay white."""
    whole = np.full(shape, np.nan)
    whole[: values.shape[0], : values.shape[1]] = values
    top = float(np.nanmax(abs(whole))) or 1.0
    ax.imshow(whole, cmap="Blues", vmin=0, vmax=2 * top)
    for (i, j), value in np.ndenumerate(whole):
        if np.isfinite(value):
            ax.text(j, i, f"{value:g}", ha="center", va="center")
    ax.set(xticks=range(shape[1]), yticks=range(shape[0]))
    ax.grid(False)


def show_steps(figures: Sequence[Figure], *, label: str, alt: str) -> None:
    """Show pictures as one, with a slider from the first to the last; the figures are closed.

    In a notebook; elsewhere one line with the alternative text. Where no scripts run, as in a
    notebook that is not trusted, the last picture stays. label: what the slider counts.
    """
    if plots.in_notebook():
        from IPython.display import display

        html = _stepper(figures, label=label, alt=alt)
        display({"text/html": html, "text/plain": f"[figure] {alt}"}, raw=True)
    else:
        print(f"[figure] {alt}")
    for figure in figures:
        plt.close(figure)


def _stepper(figures: Sequence[Figure], *, label: str, alt: str) -> str:
    last = len(figures) - 1
    pictures = [
        plots.bundle(figure, alt=f"{alt} Step {number} of {last}.", sharpness=1)["text/html"]
        for number, figure in enumerate(figures)
    ]
    frames = "".join(
        f'<div class="frame"{" hidden" * (number != last)}>{picture}</div>'
        for number, picture in enumerate(pictures)
    )
    script = (
        "this.closest('.steps').querySelectorAll('.frame').forEach((f,i)=>{f.hidden=i!=this.value})"
    )
    return (
        f'<div class="steps">{frames}<label>{escape(label)} '
        f'<input type="range" min="0" max="{last}" value="{last}" style="width:50%"'
        # or JupyterLab takes the arrow keys for itself
        f' oninput="{script}" data-lm-suppress-shortcuts="true"></label></div>'
    )


def times(taken: Mapping[str, float]) -> Figure:
    """A bar for each name's seconds, on a logarithmic axis."""
    fig, ax = plt.subplots(figsize=(7, 2.2))
    bars = ax.barh(list(taken), [1000 * s for s in taken.values()], color=plots.BLUE)
    ax.bar_label(bars, fmt="%.3g ms", padding=4)
    ax.set(xscale="log", xlabel="milliseconds (logarithmic)", xlim=(0.01, None))
    ax.invert_yaxis()
    ax.margins(x=0.25)
    return fig


def pooling(x: Array, y: Array, dx: Array) -> Figure:
    """An image (H, W), what pooling with blocks of 2×2 makes of it, and the gradient in it."""
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
    names = (f"x: {x.shape}", f"y: {y.shape}", "dx, for dy = 1")
    for ax, picture, title in zip(axes, (x, y, dx), names, strict=True):
        ax.imshow(picture, cmap="gray_r")
        step = 2 if picture.shape == x.shape else 1
        lines = np.arange(0, len(picture), step) - 0.5
        ax.set(title=title, xticks=lines, yticks=lines, xticklabels=[], yticklabels=[])
        ax.grid(color=plots.SKY)
    return fig


def receptive_fields(seen: Mapping[str, Array], yours: Mapping[str, object]) -> Figure:
    """What one unit of each layer sees of the image, measured: (H, W), above 0 where it does.

    yours: the side that the learner worked out for a layer, drawn as a dashed square.
    """
    fig, axes = plt.subplots(1, len(seen), figsize=(9, 2.7), sharey=True)
    for ax, (name, picture) in zip(axes, seen.items(), strict=True):
        ax.imshow(picture, cmap="gray_r")
        side = yours.get(name)
        if isinstance(side, int | float):
            middle = np.flatnonzero(picture.any(axis=0)).mean()
            square = {"fc": "none", "ec": plots.VERMILLION, "ls": "--", "lw": 2}
            corner = middle - side / 2
            ax.add_patch(Rectangle((corner, corner), side, side, **square))
        ax.set(title=name, xlabel="column", xticks=range(0, 28, 9), yticks=range(0, 28, 9))
        ax.grid(False)
    axes[0].set_ylabel("row")
    return fig


def filters_by_step(album: Mapping[str, Array]) -> Figure:
    """Filters (K, R, S) as they were at each step, a row a step, on one common scale."""
    pictures = np.concatenate(list(album.values()))
    many = len(next(iter(album.values())))
    titles = [step if k == 0 else "" for step in album for k in range(many)]
    return plots.image_grid(pictures, titles, columns=many, unit="weight")


def digits_and_maps(digits: Array, maps: Array) -> Figure:
    """Digits (N, H, W), each followed in its row by its maps (N, K, H, W)."""
    largest = maps.max() or 1.0  # all maps have one scale; the digits are as dark as the darkest
    pictures = np.concatenate([largest * digits[:, None], maps], axis=1)
    titles = (["digit"] + [f"map {k}" for k in range(maps.shape[1])]) * len(digits)
    rows = pictures.reshape(-1, *pictures.shape[2:])
    return plots.image_grid(rows, titles, columns=pictures.shape[1])


def accuracy_by_shift(by_shift: Mapping[str, Sequence[float]]) -> Figure:
    """A curve for each network: its accuracy on images moved by 0, 1, 2, … pixels."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    shifts = range(len(next(iter(by_shift.values()))))
    plots.curves(ax, by_shift, "moved to the right (pixels)", "test accuracy", x=shifts)
    ax.set_ylim(0, 1.02)
    return fig
