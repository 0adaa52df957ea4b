"""Pictures of lab 01: activations, cards as points, the line as it learns, XOR, ten neurons."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import zip_longest
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from utils import plots

Array = NDArray[Any]
# One step of the rule: (w, b, x, new w, new b).
Move = tuple[Array, float, Array, Array, float]

SIDES = {1: "marked left (+1)", -1: "marked right (−1)"}
_CARDS = {"xlabel": "dark cells on the left (tens)", "ylabel": "on the right (tens)"}


def activations(neuron: Callable[[Array, Array, float, str], float]) -> Figure:
    """The output of a neuron of one input, weight 1 and no bias, with either activation."""
    z = np.linspace(-3, 3, 241)
    fig, ax = plt.subplots(figsize=(5.4, 2.8))
    outputs = {
        name: np.array([neuron(np.array([one]), np.ones(1), 0.0, name) for one in z])
        for name in ("step", "relu")
    }
    plots.curves(ax, outputs, "w·x + b", "output y of your neuron", x=z)
    return fig


def deck(cards: Array, X: Array, y: Array, shown: tuple[int, int]) -> Figure:
    """Two cards of a deck (N, 20, 20), and all of them as points X (N, 2), those two ringed."""
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), width_ratios=[1, 1, 1.5])
    plane = axes[2]
    plots.scatter_classes(plane, X, y, names=SIDES)
    for ax, i, name in zip(axes[:2], shown, "AB", strict=True):
        ax.imshow(cards[i], cmap="gray_r")
        ax.axvline(9.5, color=plots.SKY, linewidth=2)
        ax.axis("off")
        title = f"{name}: {SIDES[int(y[i])]}\nx = ({X[i, 0]:g}, {X[i, 1]:g})"
        ax.set_title(title, fontsize=11)
        _ring(plane, X[i])
        plane.annotate(name, X[i], (7, 5), textcoords="offset points", weight="bold")
    plane.set(**_CARDS, aspect="equal", title=f"the deck: {len(X)} cards")
    return fig


def cards_and_line(
    X: Array, y: Array, w: Array, b: float, predict: Callable[[Array, Array, float], Array]
) -> Figure:
    """The cards X (N, 2), a line, and the class that `predict` gives to each point."""
    wrong = int((predict(X, w, b) != y).sum())
    fig, ax = plt.subplots(figsize=(7, 4.2))
    plots.decision_regions(ax, lambda points: predict(points, w, b), (0, 16), (0, 16))
    plots.scatter_classes(ax, X, y, names=SIDES)
    plots.decision_line(ax, w, b)
    ax.set(**_CARDS, title=f"{wrong} of {len(y)} cards on the wrong side")
    return fig


def by_hand(X: Array, y: Array, w: Array, b: float, *, alt: str) -> None:
    """Show the cards X (N, 2), and sliders for w and b that move a line among them.

    In a notebook; elsewhere one line with the alternative text. Where no scripts run, the line
    stays where it starts, at w and b.
    """
    if not plots.in_notebook():
        print(f"[figure] {alt}")
        return
    from IPython.display import display

    html = sliders(X, y, w, b, alt=alt)
    display({"text/html": html, "text/plain": f"[figure] {alt}"}, raw=True)


def sliders(X: Array, y: Array, w: Array, b: float, *, alt: str) -> str:
    """The HTML that `by_hand` shows: a picture with the first line dashed, and over its axes, in
    their units, the line that moves, the side that w points to, a ring around each missed card."""
    dpi = plots.SHARPNESS * plots.PAGE_DPI  # as it is saved, so that places are the same
    fig, ax = plt.subplots(figsize=(5.6, 4.6), dpi=dpi)
    plots.scatter_classes(ax, X, y, names=SIDES)
    ticks = range(0, 17, 4)
    ax.set(**_CARDS, xlim=(0, 16), ylim=(0, 16), aspect="equal", xticks=ticks, yticks=ticks)
    _dashed(ax, w, b)
    image, place = plots.bundle(fig, alt=alt)["text/html"], _place(ax)
    plt.close(fig)
    cards = [(*point, int(label)) for point, label in zip(X.round(2).tolist(), y, strict=True)]
    wrong = [bool((point @ w + b >= 0) != (label == 1)) for point, label in zip(X, y, strict=True)]
    rings = "".join(
        f'<circle cx="{left}" cy="{right}" r="0.45" fill="none" stroke-width="0.09"'
        f' stroke="{plots.INK}" style="{"" if missed else "display:none"}"/>'
        for (left, right, _), missed in zip(cards, wrong, strict=True)
    )
    inputs = "".join(
        f'<label style="display:block">{name} <input type="range" min="{-end}" max="{end}"'
        # the attribute keeps JupyterLab from taking the arrow keys for itself
        f' step="{step}" value="{value:g}" style="width:50%" data-lm-suppress-shortcuts="true">'
        "</label>"
        for name, value, end, step in (
            ("w₁", w[0], 3, 0.1),
            ("w₂", w[1], 3, 0.1),
            ("b", b, 15, 0.5),
        )
    )
    return (
        f'<div class="by-hand" data-cards="{escape(json.dumps(cards))}" oninput="{_MOVE}">'
        '<div style="position:relative;display:inline-block;line-height:0">'
        f'{image}<svg aria-hidden="true" viewBox="0 0 16 16" style="position:absolute;{place}">'
        f'<g transform="translate(0 16) scale(1 -1)"><polygon fill="{plots.SKY}" opacity="0.25"/>'
        f'<path stroke="{plots.INK}" stroke-width="0.12"/>{rings}</g></svg></div>{inputs}'
        f'<output aria-live="polite">w = [{w[0]:g}, {w[1]:g}], b = {b:g}:'
        f" {sum(wrong)} of {len(cards)} cards are on the wrong side.</output></div>"
    )


# What a slider does: n is the length of w; from the foot, the line goes 99 in both directions.
_MOVE = (
    "const [u,v,c]=[...this.querySelectorAll('input')].map(i=>+i.value),n=Math.hypot(u,v)||1,"
    "f=[-c*u/n/n,-c*v/n/n],at=(s,t)=>[f[0]-s*v/n+t*u/n,f[1]+s*u/n+t*v/n],"
    "put=(t,k,to)=>this.querySelector(t).setAttribute(k,u||v?to:'');"
    "put('path','d',`M${at(-99,0)}L${at(99,0)}`);"
    "put('polygon','points',[at(-99,0),at(99,0),at(99,99),at(-99,99)].join(' '));"
    "let wrong=0,cards=JSON.parse(this.dataset.cards);"
    "this.querySelectorAll('circle').forEach((r,i)=>{const [p,q,y]=cards[i],"
    "no=(u*p+v*q+c>=0)!=(y==1);wrong+=no;r.style.display=no?'':'none'});"
    "this.querySelector('output').textContent="
    "`w = [${u}, ${v}], b = ${c}: ${wrong} of ${cards.length} cards are on the wrong side.`"
)


def _place(ax: Axes) -> str:
    """Where the axes are in the picture that `plots.bundle` makes, as CSS."""
    fig = ax.get_figure(root=True)
    assert fig is not None
    whole = fig.get_tightbbox().padded(plots.MARGIN)
    inner = ax.get_window_extent().transformed(fig.dpi_scale_trans.inverted())
    shares = {
        "left": (inner.x0 - whole.x0) / whole.width,
        "top": (whole.y1 - inner.y1) / whole.height,
        "width": inner.width / whole.width,
        "height": inner.height / whole.height,
    }
    return ";".join(f"{side}:{share:.2%}" for side, share in shares.items())


def far_and_close(points: Array, w: Array, b: float) -> Figure:
    """A line, and two points (2, 2) of class +1 on its − side, equally far from the origin."""
    fig, ax = plt.subplots(figsize=(6.4, 3.8))
    ax.set(xlim=(-1, 9), ylim=(-1, 6.2), title="two points of class +1 on the − side")
    plots.scatter_classes(ax, points, np.array([1, 1]), names={1: "missed (+1)"})
    radius = float(np.linalg.norm(points[0]))
    ax.add_patch(Circle((0, 0), radius, fill=False, linestyle=":", color=plots.GREY))
    for point, name in zip(points, ("far", "close"), strict=True):
        ax.annotate(name, point, xytext=(8, 6), textcoords="offset points")
    plots.decision_line(ax, w, b)
    return fig


def mistakes_of_the_rule(moves: Sequence[Move], X: Array, y: Array) -> Figure:
    """The first twelve moves: the line before (dashed) and after, and the point, ringed."""
    fig, axes = plt.subplots(3, 4, figsize=(9.6, 7.6), sharex=True, sharey=True)
    for k, (ax, move) in enumerate(zip_longest(axes.flat, moves[:12]), start=1):
        if move is None:
            ax.axis("off")
            continue
        w_old, b_old, x, w_new, b_new = move
        plots.scatter_classes(ax, X, y)
        ax.set(xlim=(-5, 16), ylim=(-5, 16), title=f"mistake {k}")
        if np.any(w_old):
            _dashed(ax, w_old, b_old)
        plots.decision_line(ax, w_new, b_new)
        _ring(ax, x)
        ax.get_legend().remove()
        plt.setp(ax.texts, clip_on=True)  # an arrow may lead out of the picture
        ax.label_outer()
    return fig


def _dashed(ax: Axes, w: Array, b: float) -> None:
    foot = -b * w / (w @ w)  # the point of the line that is next to the origin
    ax.axline((foot[0], foot[1]), (foot[0] - w[1], foot[1] + w[0]), ls="--", c=plots.GREY)


def _ring(ax: Axes, point: Array) -> None:
    style = {"facecolors": "none", "edgecolors": plots.INK, "linewidths": 1.6, "zorder": 6}
    ax.scatter(*point, s=170, **style)


def two_steps(points: Array, w: Array, moved: Sequence[Array]) -> Figure:
    """The weights w (2,) as an arrow, the step for each of two points at its tip, the new w."""
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), sharex=True, sharey=True)
    for ax, name, point, new in zip(axes, ("far", "close"), points, moved, strict=True):
        for label, start, tip, colour, aside in (
            ("old w", np.zeros(2), w, plots.GREY, (-1.6, -0.6)),
            ("step", w, new, plots.VERMILLION, (-1.2, 0.3)),
            ("new w", np.zeros(2), new, plots.INK, (0.2, 0.1)),
        ):
            arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", tip, start, arrowprops=arrow)
            ax.text(*(start + tip) / 2 + aside, label, color=colour)
        ax.plot(*point, "o", color=plots.BLUE)
        ax.annotate("x", point, (6, 4), textcoords="offset points")
        ax.set(xlim=(-5, 6), ylim=(-1, 6), aspect="equal", xlabel="first number of w and of x")
        ax.set_title(f"{name}: the step is {np.linalg.norm(new - w):.1f} long")
    axes[0].set_ylabel("second number")
    return fig


def mistakes_per_epoch(runs: Mapping[str, Sequence[int]], image: Array) -> Figure:
    """Bars of the mistakes of each epoch, for each run by its title, and weights (H, W)."""
    fig, axes = plt.subplots(1, len(runs) + 1, figsize=(9.6, 3.2))
    for ax, (title, counts) in zip(axes[:-1], runs.items(), strict=True):
        ax.bar(range(1, len(counts) + 1), counts, color=plots.BLUE)
        ax.set(xlabel="epoch", ylabel="mistakes", title=title)
        ax.xaxis.get_major_locator().set_params(integer=True)
    largest = float(abs(image).max())
    axes[-1].imshow(image, cmap=plots.SIGNED, vmin=-largest, vmax=largest)
    axes[-1].set_title("w: light for 0, dark for 1")
    axes[-1].axis("off")
    return fig


def between_two_lines(lengths: Sequence[float], R: float, bound: float) -> Figure:
    """The length of (w, b) after each mistake, between the two lines of Novikoff's proof."""
    k = np.geomspace(1, 2 * bound)
    fig, ax = plt.subplots()
    ax.set(xscale="log", yscale="log")
    ends = {"at most √k R": np.sqrt(k) * R, "at least kγ": k * R / np.sqrt(bound)}
    plots.curves(ax, ends, "mistakes k", "length of (w, b)", x=k)
    ax.plot(range(1, len(lengths) + 1), lengths, "o", color=plots.INK)
    ax.annotate("your (w, b)", (1, lengths[0]), (8, -4), textcoords="offset points")
    ax.axvline(bound, color=plots.GREY, linewidth=1)
    ax.annotate("(R/γ)²", (bound, 3), (-6, 0), textcoords="offset points", ha="right")
    return fig


def mistakes_by_margin(gaps: Sequence[float], counts: Mapping[str, Iterable[float]]) -> Figure:
    """Curves of mistakes against the margin, by name, on logarithmic scales."""
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    ax.set(xscale="log", yscale="log")
    curves = {name: np.array([*values]) for name, values in counts.items()}
    plots.curves(ax, curves, "margin γ", "mistakes", x=np.array(gaps))
    ax.set_xticks(gaps, [f"{gap:g}" for gap in gaps])
    ax.minorticks_off()
    return fig


def no_line(corners: Array, labels: Array, right: Array) -> Figure:
    """The corners of XOR with their diagonals, and how many of them random lines get right."""
    fig, (plane, bars) = plt.subplots(1, 2, figsize=(9, 3.4))
    for diagonal in ([3, 0], [1, 2]):
        plane.plot(*corners[diagonal].T, color=plots.GREY, linestyle="--")
    plane.plot(0.5, 0.5, "x", color=plots.INK, markersize=12)
    plots.scatter_classes(plane, corners, labels)
    title = "on which side is the centre?"
    plane.set(aspect="equal", xlim=(-0.3, 1.3), ylim=(-0.3, 1.3), title=title)
    bars.bar(range(5), np.bincount(right, minlength=5), color=plots.BLUE)
    bars.set(xlabel="corners on the right side", ylabel="lines", title="no line gets all 4")
    return fig


def network(says: Callable[[Array], float], corners: Array, labels: Array) -> Figure:
    """What a network says to each point of the plane, and where its inputs fall."""
    fig, ax = plt.subplots(figsize=(6.2, 3.8))
    everywhere = lambda X: np.array([says(x) for x in X])  # noqa: E731
    plots.decision_regions(ax, everywhere, (-0.5, 1.5), (-0.5, 1.5))
    plots.scatter_classes(ax, corners, labels)
    for x, y in corners - 0.2:
        box = Rectangle((x, y), 0.4, 0.4, fill=False, ls=":", color=plots.INK, zorder=4)
        ax.add_patch(box)
    ax.set(aspect="equal", title="your network; dotted, where the inputs fall")
    return fig


def zigzag(
    stops: Sequence[int],
    accuracy: Sequence[float],
    averaged: tuple[Sequence[int], Sequence[float]] | None = None,
) -> Figure:
    """Accuracy on new images after so many training images; averaged: (images, accuracy)."""
    fig, ax = plt.subplots(figsize=(7.4, 3.4))
    ax.plot(stops, accuracy, label="weights after the last image")
    if averaged:
        style = {"color": plots.VERMILLION, "markersize": 8, "label": "your average"}
        ax.plot(*averaged, "s", **style)
        ax.legend(loc="lower right")
    ax.set(xlabel="training images seen", ylabel="accuracy on new images", ylim=(0.3, 1))
    return fig


def confusion(counts: Array) -> Figure:
    """How often (10, 10) each digit, a row, was read as another, a column."""
    fig, ax = plt.subplots(figsize=(5.2, 4.6))
    ax.imshow(counts, cmap="Blues")
    for (written, read), count in np.ndenumerate(counts):
        if count:
            colour = "w" if count > counts.max() / 2 else plots.INK
            ax.text(read, written, f"{count}", ha="center", va="center", color=colour)
    ax.set(xlabel="read as", ylabel="written", xticks=range(10), yticks=range(10))
    ax.grid(False)
    return fig
