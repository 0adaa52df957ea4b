"""The course's one visual style and the few pictures its labs share. Importing it sets the style.

Colours are those of Okabe and Ito (2008, jfly.uni-koeln.de/color), which people with any common
colour blindness can tell apart; their yellow is left out, being too pale on white. A class also has
a marker, a curve a dash pattern and a region a hatching of its own: a picture reads in grey too.
"""

import base64
import html
import io
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
INK, GREY = "#262626", "#8a8a8a"

# The looks of label 1, 2, 3 …; label 0 has the last look and label −1 the last but one.
LABEL_COLOURS = (BLUE, GREEN, PURPLE, SKY, BLACK, VERMILLION, ORANGE)
LABEL_MARKERS = ("o", "^", "D", "P", "X", ">", "p", "<", "s", "v")
LABEL_HATCHES = ("", "....", "xxxx", "----", "oo", "||||", "++++", "**", "////", "\\\\\\\\")

CURVE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
CURVE_MARKERS = ("o", "s", "^", "D", "v", "P")
CURVE_DASHES = ("-", (0, (5, 2)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (9, 3)), (0, (2, 2)))

# For values around 0: lightness rises all the way, so that it reads in grey; blue, grey, orange.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#00264d", "#2f78b0", "#a6a6a2", "#efb043", "#fff8d6"]
)

PAGE_DPI = 96  # pixels of the page to an inch of figure: the usual 6.4 inches are 614 pixels wide
MARGIN = 0.08  # inches around a figure
SHARPNESS = 2  # pixels of the PNG to a pixel of the page, for dense screens

plt.rcParams.update(
    {
        "figure.figsize": (6.4, 4.0),
        "figure.dpi": PAGE_DPI,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 11,
        "text.color": INK,
        "axes.prop_cycle": cycler(color=CURVE_COLOURS, linestyle=CURVE_DASHES),
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.8,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "lines.linewidth": 2.0,
        "hatch.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 11,
        "image.interpolation": "nearest",
    }
)


def show(fig: Figure, *, alt: str) -> None:
    """Show a figure and close it.

    In a notebook: a PNG at twice the page's resolution, with `alt` as its alternative text. In a
    script: a window where there is a display, otherwise one line with the alternative text.

    alt: what there is to see, for whoever cannot see it. Raises ValueError if it is empty.
    """
    if not alt.strip():
        raise ValueError("A figure needs alternative text: say in `alt` what there is to see.")
    if in_notebook():
        from IPython.display import display

        display(bundle(fig, alt=alt), raw=True)
    elif matplotlib.get_backend().lower() in _backends_with_windows():
        plt.show()
    else:
        print(f"[figure] {alt}")
    plt.close(fig)


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


class Slot:
    """A place below a notebook's cell: what is shown in it replaces what was shown before."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self.shown = False

    def show(self, bundle: dict[str, str]) -> None:
        """bundle: what to show, by MIME type."""
        from IPython.display import display, update_display

        put = update_display if self.shown else display
        put(bundle, raw=True, display_id=self._id)
        self.shown = True


def _backends_with_windows() -> list[str]:
    return [name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)]


def bundle(fig: Figure, *, alt: str, sharpness: int = SHARPNESS) -> dict[str, str]:
    """What `IPython.display.display(…, raw=True)` shows as the figure; the figure stays open.

    HTML, since JupyterLab's own renderer of image/png (4.6) has no place for an `alt`.
    sharpness: pixels of the PNG to a pixel of the page.
    """
    file = io.BytesIO()
    fig.savefig(
        file, format="png", dpi=sharpness * PAGE_DPI, bbox_inches="tight", pad_inches=MARGIN
    )
    png = file.getvalue()
    width = int.from_bytes(png[16:20], "big") // sharpness  # the PNG's header holds its width
    image = (
        f'<img alt="{html.escape(alt)}" width="{width}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    )
    return {"text/html": image, "text/plain": f"[figure] {alt}"}


def scatter_classes(
    ax: Axes, X: ArrayLike, y: ArrayLike, *, names: Mapping[int, str] | None = None
) -> None:
    """Draw labelled points in the plane. A label has the same look in every figure.

    X: (N, 2), the points; y: (N,) whole numbers, their labels; names: what to call a label in the
    legend (default "class +1").
    """
    points, labels = np.asarray(X, dtype=float), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
        raise ValueError(
            "scatter_classes needs X of shape (N, 2) and y of shape (N,), "
            f"not {points.shape} and {labels.shape}."
        )
    size = float(np.clip(6000 / max(len(points), 1), 22, 60))  # in square points
    for label in np.unique(labels):
        colour, marker, _ = _look(label)
        name = (names or {}).get(int(label), f"class {_signed(label, labels)}")
        here = points[labels == label]
        style = {"c": colour, "marker": marker, "edgecolors": "white", "linewidths": 0.6}
        ax.scatter(here[:, 0], here[:, 1], s=size, label=name, zorder=3, **style)
    _name_axes(ax)
    _legend(ax)


def decision_line(
    ax: Axes, w: ArrayLike, b: float, *, label: str = "w·x + b = 0", **line: Any
) -> None:
    """Draw the line w·x + b = 0 across the axes as they stand, and w as an arrow from it.

    The arrow points to the side where w·x + b > 0; its length says nothing. Where there is no line
    to draw (w = 0, or a line outside the axes) the legend says so.

    w: (2,); b: a number; label: the line's name in the legend; line: matplotlib's line properties.
    """
    weights, bias = np.asarray(w, dtype=float), float(b)
    if weights.shape != (2,) or not np.isfinite([*weights, bias]).all():
        raise ValueError(f"decision_line needs two finite weights and a bias, not w={w}, b={b}.")
    ax.set_aspect("equal")  # or w would not look perpendicular to its line
    _name_axes(ax)
    style = {"color": INK, "linestyle": "-", "zorder": 4, **line}
    limits = np.array([ax.get_xlim(), ax.get_ylim()])
    ends = _visible_part(weights, bias, limits)
    if ends is None:
        why = "w = 0" if not weights.any() else "outside the figure"
        ax.plot([], [], label=f"{label} ({why})", **style)
    else:
        ax.plot(ends[:, 0], ends[:, 1], label=label, scalex=False, scaley=False, **style)
        step = 0.14 * np.ptp(limits, axis=1).min() * weights / np.linalg.norm(weights)
        start = _arrow_start(ends, 1.5 * step, limits)
        arrow = {"arrowstyle": "-|>", "color": style["color"], "lw": 1.6, "shrinkA": 0}
        ax.annotate("", tuple(start + step), tuple(start), arrowprops=arrow, zorder=5)
        x, y = start + 1.3 * step
        ax.text(x, y, "w", ha="center", va="center", weight="bold", bbox=_halo(), zorder=5)
    _legend(ax)


def _arrow_start(
    ends: NDArray[np.float64], reach: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where on the line an arrow of this reach stays in the axes; off the middle, if it can."""
    starts = [(1 - share) * ends[0] + share * ends[1] for share in (0.75, 0.25, 0.6, 0.4, 0.5)]
    low, high = limits.min(axis=1), limits.max(axis=1)
    inside = [one for one in starts if ((one + reach >= low) & (one + reach <= high)).all()]
    return (inside or starts)[0]


def decision_regions(
    ax: Axes,
    predict: Callable[[NDArray[np.float64]], ArrayLike],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
) -> None:
    """Draw which label `predict` gives to each point of a rectangle.

    predict: takes points (N, 2) float64 and returns their labels (N,), whole numbers. It is called
    once, with 32,400 points.
    """
    steps = 180
    xs, ys = np.linspace(*xlim, steps), np.linspace(*ylim, steps)
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    labels = np.asarray(predict(points))
    if labels.shape != (len(points),):
        raise ValueError(
            f"predict must return one label for each point: for {points.shape} points "
            f"it returned shape {labels.shape}."
        )
    for label in np.unique(labels):
        inside = (labels == label).astype(float).reshape(steps, steps)
        colour, _, hatch = _look(label)
        fill, lines = _tint(colour, 0.15), _tint(colour, 0.5)
        region = ax.contourf(xs, ys, inside, [0.5, 1.5], colors=[fill], hatches=[hatch])
        region.set_edgecolor(lines)  # which is the colour of the hatching
        region.set_linewidth(0)
        ax.contour(xs, ys, inside, [0.5], colors=[GREY], linewidths=1.0)
        name = f"predicted {_signed(label, labels)}"
        ax.fill([], [], fc=fill, ec=lines, hatch=hatch, lw=0, label=name)  # for the legend alone
    ax.set(xlim=xlim, ylim=ylim)
    ax.grid(False)
    _name_axes(ax)
    _legend(ax)


def image_grid(
    images: ArrayLike,
    titles: Iterable[object] | None = None,
    *,
    columns: int = 10,
    unit: str = "value",
) -> Figure:
    """Draw images side by side on one common scale.

    images: (N, H, W). Without negative values, white is 0 and black the largest value, as ink on
    paper. With negative values (weights, gradients) dark is negative, light is positive, and a bar
    gives the scale, named by `unit`. Or (N, H, W, 3): red, green, blue, as uint8 or from 0 to 1.
    titles: (N,), one above each image; columns: images to a row.
    """
    pictures = np.asarray(images)
    coloured = pictures.ndim == 4 and pictures.shape[3] == 3
    if (pictures.ndim != 3 and not coloured) or pictures.size == 0:
        raise ValueError(
            f"image_grid needs images of shape (N, H, W), not {pictures.shape}; in colour, "
            "(N, H, W, 3)."
        )
    names = [""] * len(pictures) if titles is None else [str(title) for title in titles]
    if len(names) != len(pictures):
        raise ValueError(f"image_grid has {len(pictures)} images, but {len(names)} titles.")
    signed = not coloured and bool(np.nanmin(pictures) < 0)
    limit = float(np.nanmax(np.abs(pictures))) or 1.0
    scale = Normalize(-limit if signed else 0.0, limit)
    colours = SIGNED if signed else "gray_r"
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    side = min(6.0 / columns, 1.4)  # inches
    size = side * columns + 0.8 * signed, (side + (0.0 if titles is None else 0.25)) * rows
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, name in zip(axes.flat, pictures, names, strict=False):
        ax.imshow(picture, cmap=colours, norm=scale)
        ax.set_title(name, fontsize=10, loc="center", pad=3)
    if signed:
        fig.colorbar(ScalarMappable(scale, colours), ax=axes, label=unit, shrink=0.9, pad=0.02)
    return fig


def curves(
    ax: Axes,
    series: Mapping[str, ArrayLike],
    xlabel: str,
    ylabel: str,
    *,
    x: ArrayLike | None = None,
) -> None:
    """Draw named curves, each named at its end.

    series: name → (n,) values; x: (n,) where they stand, by default 1, 2, …, n (epochs, say). Set a
    logarithmic scale before the call, so that the names find their places.
    """
    ends: dict[str, tuple[float, float]] = {}
    for number, (name, values) in enumerate(series.items()):
        ys = np.asarray(values, dtype=float)
        xs = np.arange(1, len(ys) + 1) if x is None else np.asarray(x, dtype=float)
        marked = np.unique(np.linspace(0, len(ys) - 1, 9).astype(int)).tolist() if len(ys) else []
        marker = CURVE_MARKERS[number % len(CURVE_MARKERS)]
        ax.plot(xs, ys, marker=marker, markevery=marked, markersize=5, label=name)
        drawn = np.flatnonzero(np.isfinite(ys))
        if drawn.size:
            ends[name] = float(xs[drawn[-1]]), float(ys[drawn[-1]])
        else:
            ends[f"{name} (no finite value)"] = np.nan, np.nan
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0.02)
    if x is None and ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    _name_ends(ax, ends)


def _name_ends(ax: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each name to the right of the axes, level with its curve's end or as near as fits."""
    if not ends:
        return
    ax.autoscale_view()  # otherwise done only when drawn, and the names need the scales now
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = np.nan_to_num([to_axes.transform(end)[1] for end in ends.values()])
    line = 1.5 * plt.rcParams["font.size"] / 72  # inches
    gap = line * ax.figure.dpi / ax.get_window_extent().height
    for (name, end), height in zip(ends.items(), _spread(heights, gap), strict=True):
        leader = {"arrowstyle": "-", "color": GREY, "ls": ":", "shrinkA": 1, "shrinkB": 4}
        place = {"xytext": (1.03, height), "textcoords": "axes fraction", "va": "center"}
        ax.annotate(name, end, arrowprops=leader, annotation_clip=False, **place)


def _spread(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Move heights in [0, 1] apart to at least `gap`, up and down alike, keeping their order."""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    slack = heights[order] - steps  # rises wherever two neighbours are far enough apart
    rising = (np.maximum.accumulate(slack) + np.minimum.accumulate(slack[::-1])[::-1]) / 2
    placed = np.empty_like(heights)
    placed[order] = np.clip(rising, 0, max(0, 1 - steps[-1])) + steps
    return placed


def _visible_part(
    w: NDArray[np.float64], b: float, limits: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The ends (2, 2) of the part of w·x + b = 0 within limits ((x0, x1), (y0, y1)), if any."""
    if not w.any():
        return None
    low, high = limits.min(axis=1), limits.max(axis=1)
    centre = (low + high) / 2
    foot = centre - (w @ centre + b) / (w @ w) * w
    along = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    with np.errstate(divide="ignore", invalid="ignore"):  # a line along an axis never crosses it
        crossings = np.sort([(low - foot) / along, (high - foot) / along], axis=0)
    first, last = np.nanmax(crossings[0]), np.nanmin(crossings[1])
    if not first < last:
        return None
    ends = foot + np.outer([first, last], along)
    return ends[np.argsort(ends[:, 0], kind="stable")]  # from left to right


def _look(label: Any) -> tuple[str, str, str]:
    """The colour, marker and hatching of a label."""
    if int(label) != label or label < -1:
        raise ValueError(f"A label must be a whole number from −1 up, not {label}.")
    index = int(label) - 1
    return (
        LABEL_COLOURS[index % len(LABEL_COLOURS)],
        LABEL_MARKERS[index % len(LABEL_MARKERS)],
        LABEL_HATCHES[index % len(LABEL_HATCHES)],
    )


def _signed(label: Any, among: NDArray[Any]) -> str:
    """The label as written beside its fellows: +1 where there is a −1."""
    text = f"{int(label):+d}" if among.min() < 0 and label != 0 else str(int(label))
    return text.replace("-", "−")


def _tint(colour: str, strength: float) -> tuple[float, float, float]:
    """The colour thinned with white; opaque, unlike one with alpha, so that layers do not add."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def _halo() -> dict[str, Any]:
    return {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "boxstyle": "round,pad=0.15"}


def _name_axes(ax: Axes) -> None:
    ax.set_xlabel(ax.get_xlabel() or "x₁")
    ax.set_ylabel(ax.get_ylabel() or "x₂")


def _legend(ax: Axes) -> None:
    """To the right of the axes, where it covers no data."""
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
