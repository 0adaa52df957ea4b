"""The figures of lab 08: pruning, codebooks, words, a file's pieces, traffic, latency."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from utils import plots
from utils.compressed import HEADER_BITS, LAYER_BITS, LENGTH_BITS, Layer

Array = NDArray[np.floating]
Integers = NDArray[np.integer]
_LOOKS = (
    (plots.BLUE, ""),
    (plots.ORANGE, "////"),
    (plots.GREEN, "...."),
    (plots.PURPLE, "xxxx"),
)


def by_share(shares: Sequence[float], accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracies over the share of weights that is pruned."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.set_ylim(0, 1.03)
    plots.curves(ax, accuracies, "share of weights pruned", "test accuracy", x=list(shares))
    return fig


def kept_pixels(counts: Integers) -> Figure:
    """How many weights are kept for each pixel (H, W)."""
    fig, ax = plt.subplots(figsize=(4.2, 3.4))
    image = ax.imshow(counts, cmap="cividis", vmin=0)
    ax.set(xlabel="column", ylabel="row")
    ax.grid(False)
    fig.colorbar(image, label="weights kept, of 300")
    return fig


def codebook(weights: Array, begin: Array, end: Array) -> Figure:
    """The kept weights (n,) as a histogram, with the values of a codebook before and after."""
    fig, axes = plt.subplots(2, 1, figsize=(7.6, 4.2), sharex=True, sharey=True)
    for ax, values, name in zip(
        axes, (begin, end), ("at the beginning", "after k-means"), strict=True
    ):
        ax.hist(weights, bins=90, color=plots.SKY)
        for value in values:
            ax.axvline(value, color=plots.INK, linewidth=1.1, linestyle="-")
        ax.set(title=name, ylabel="weights")
    axes[-1].set_xlabel("value of a weight; lines: the codebook")
    return fig


def words(counts: Integers, lengths: Sequence[int]) -> Figure:
    """How often each code comes, and how long its word is."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 4.0), sharex=True)
    codes = np.arange(len(counts))
    top.bar(codes, counts, color=plots.BLUE)
    top.set(ylabel="how often")
    bars = bottom.bar(codes, lengths, color=plots.ORANGE, hatch="////", edgecolor="white")
    bottom.bar_label(bars, [str(n) if n else "" for n in lengths], fontsize=9)
    bottom.set(xlabel="code", ylabel="bits of its word", ylim=(0, 1.2 * max(max(lengths), 1)))
    bottom.set_xticks(codes)
    return fig


def pieces(
    layers: Sequence[Layer],
    gap_bits: Iterable[int],
    entries: Callable[[Integers, int], tuple[Sequence[int], Sequence[int]]],
    huffman: Callable[[Sequence[int]], Sequence[str]],
) -> Figure:
    """The bytes of the compressed file by what they are for, for several sizes of a gap."""
    several = list(gap_bits)
    names = "codes", "gaps", "biases", "codebooks, tables"
    parts = np.array([_pieces(layers, g, entries, huffman) for g in several]).T / 8
    fig, ax = plt.subplots(figsize=(7.6, 3.8))
    below = np.zeros(len(several))
    for name, part, (colour, hatch) in zip(names, parts, _LOOKS, strict=True):
        ax.bar(several, part, 0.7, below, label=name, color=colour, hatch=hatch, edgecolor="white")
        below = below + part
    for g, total in zip(several, below, strict=True):
        ax.annotate(f"{total:,.0f}", (g, total), (0, 3), textcoords="offset points", ha="center")
    ax.set(xlabel="bits of a gap", ylabel="bytes", xticks=several, ylim=(0, 1.1 * below.max()))
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return fig


def _pieces(layers, gap_bits, entries, huffman) -> list[float]:  # type: ignore[no-untyped-def]
    found = np.zeros(4)
    found[3] = HEADER_BITS
    for codes, book, bias in layers:
        gaps, stored = entries(codes, gap_bits)
        for at, (symbols, kinds) in enumerate(((stored, len(book)), (gaps, 2**gap_bits))):
            counts = np.bincount(np.asarray(symbols, np.int64), minlength=kinds).tolist()
            lengths = map(len, huffman(counts))
            found[at] += sum(count * n for count, n in zip(counts, lengths, strict=True))
            found[3] += LENGTH_BITS * kinds
        found[2] += 32 * len(bias)
        found[3] += sum(LAYER_BITS) + 32 * (len(book) - 1)
    return found.tolist()


def staircase(steps: Mapping[str, tuple[float, float]]) -> Figure:
    """(Bytes, accuracy) of each step, the first one being what the others are compared with."""
    fig, ax = plt.subplots(figsize=(8.4, 0.62 * len(steps) + 0.7))
    sizes = [size for size, _ in steps.values()]
    bars = ax.barh(list(steps), sizes, color=plots.BLUE)
    named = [f"{n:,.0f} B   {sizes[0] / n:.1f}×   {a:.2%}" for n, a in steps.values()]
    ax.bar_label(bars, named, padding=4)
    ax.set(xscale="log", xlabel="bytes", xlim=(min(sizes) / 4, max(sizes) * 20))
    ax.invert_yaxis()
    return fig


def traffic(moved: Mapping[str, Mapping[str, int]]) -> Figure:
    """Numbers that the operations of a layer read and write, by how much of it is fused."""
    fig, ax = plt.subplots(figsize=(8.4, 0.62 * len(moved) + 1.0))
    looks = {
        name: _LOOKS[k]
        for k, name in enumerate(dict.fromkeys(n for m in moved.values() for n in m))
    }
    for row, parts in enumerate(moved.values()):
        left = 0
        for name, count in parts.items():
            colour, hatch = looks[name]
            ax.barh(row, count, 0.6, left, color=colour, hatch=hatch, edgecolor="white")
            left += count
        ax.annotate(f"{left:,}", (left, row), (4, 0), textcoords="offset points", va="center")
    handles = [Patch(fc=c, hatch=h, ec="white", label=name) for name, (c, h) in looks.items()]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    most = max(sum(parts.values()) for parts in moved.values())
    ax.set(xlabel="numbers read and written", yticks=range(len(moved)), xlim=(0, 1.2 * most))
    ax.set_yticklabels(list(moved))
    ax.invert_yaxis()
    return fig


def rounding_errors(errors: Mapping[str, Array]) -> Figure:
    """How far each weight was moved, in steps of one common grid."""
    fig, axes = plt.subplots(1, len(errors), figsize=(8, 2.8), sharey=True)
    for ax, (name, values) in zip(axes, errors.items(), strict=True):
        ax.hist(values.ravel(), bins=np.linspace(0, 0.55, 45), color=plots.BLUE)
        ax.axvline(0.5, color=plots.VERMILLION, linestyle="--")
        ax.set(title=name, xlabel="error / step")
    axes[0].set_ylabel("weights")
    return fig


def times(milliseconds: Mapping[str, float], unit: str) -> Figure:
    """Bars of times, each with how many times that of the one named `unit` it is."""
    fig, ax = plt.subplots(figsize=(7.0, 0.55 * len(milliseconds) + 0.6))
    bars = ax.barh(list(milliseconds), list(milliseconds.values()), color=plots.BLUE)
    named = [f"{t:.2f} ms   {t / milliseconds[unit]:.1f}×" for t in milliseconds.values()]
    ax.bar_label(bars, named, padding=4)
    ax.set(xlabel="milliseconds", xlim=(0, 1.35 * max(milliseconds.values())))
    ax.invert_yaxis()
    return fig


def latency(n: Array, t: Array, fixed: float, each: float, limit: float, batch: int) -> Figure:
    """Latencies t (M,) measured at batches n (M,), a line, a limit and the chosen batch."""
    fig, ax = plt.subplots(figsize=(7.0, 3.6))
    ends = np.array([0, max(n) * 1.05])
    ax.plot(n, t, "o", color=plots.BLUE, label="measured", zorder=4)
    ax.plot(ends, fixed + each * ends, color=plots.INK, linestyle="-", label="your line")
    ax.axhline(limit, color=plots.VERMILLION, linestyle="--", label="limit")
    ax.plot(
        batch,
        fixed + each * batch,
        "D",
        color=plots.GREEN,
        markersize=9,
        label=f"batch {batch}",
        zorder=5,
    )
    ax.set(xlabel="batch / images", ylabel="latency / ms", xlim=(0, ends[1]), ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return fig
