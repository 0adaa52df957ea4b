"""The figures of lab 11: rooflines, host and device, what a kernel touches, float16."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from utils import plots
from utils.kernels.device import Busy
from utils.kernels.machine import Memory

_SCALED = {"color": plots.ORANGE, "hatch": "///"}
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oo", "||||")


def roof(
    points: Mapping[str, tuple[float, float | None]],
    peak: float,
    bandwidth: float,
    title: str,
) -> Figure:
    """A roofline, with operations at their intensity.

    points: by name FLOPs a byte and FLOP/s, None for on the roof; peak in FLOP/s, bandwidth in
    bytes/s.
    """
    fig, ax = plt.subplots(figsize=(8.2, 4.2))
    ax.set(xscale="log", yscale="log")
    found = [intensity for intensity, _ in points.values()]
    ridge = peak / bandwidth
    x = np.geomspace(min([*found, ridge]) / 3, max([*found, ridge]) * 4, 200)
    ax.plot(x, np.minimum(peak, x * bandwidth), color=plots.INK, linestyle="-")
    ax.axvline(ridge, color=plots.GREY, linestyle=":", linewidth=1.2)
    ax.annotate(
        f"ridge: {ridge:.3g}", (ridge, 0.02), xycoords=("data", "axes fraction"), rotation=90,
        xytext=(-13, 0), textcoords="offset points", fontsize=10,
    )  # fmt: skip
    for number, (name, (intensity, speed)) in enumerate(points.items()):
        top = min(peak, intensity * bandwidth)
        at = top if speed is None else speed
        marker = plots.CURVE_MARKERS[number % 6]
        colour = plots.CURVE_COLOURS[number % 6]
        label = name if speed is None else f"{name}: {speed / top:.0%} of the roof"
        ax.plot([intensity] * 2, [at, top], color=colour, linestyle=":", linewidth=1.2)
        ax.plot(intensity, at, marker, color=colour, markersize=9, label=label, zorder=4)
    ax.set(xlabel="arithmetic intensity / (FLOP/byte)", ylabel="speed / (FLOP/s)", title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return fig


def timeline(
    spans: Sequence[Busy], title: str, *, start: float = 0.0, until: float | None = None
) -> Figure:
    """What host (above) and device did when; kinds of work by colour and hatching. In ms."""
    fig, ax = plt.subplots(figsize=(9.2, 2.5))
    last = max(span.end for span in spans) if until is None else until
    shown = [span for span in spans if span.end > start and span.start < last]
    names = list(dict.fromkeys(span.name for span in shown))
    for span in shown:
        look = names.index(span.name)
        left, right = max(span.start, start), min(span.end, last)
        wide = right - left > 0.01 * (last - start)  # or its white edge would hide it
        ax.barh(
            ("host", "device").index(span.where),
            1e3 * (right - left),
            left=1e3 * (left - start),
            height=0.62,
            color=plots.CURVE_COLOURS[look % 6],
            hatch=_HATCHES[look % 8] if wide else "",
            edgecolor="white",
            linewidth=0.3 if wide else 0.0,
        )
    handles = [
        Patch(
            facecolor=plots.CURVE_COLOURS[k % 6], hatch=_HATCHES[k % 8], edgecolor="white", label=n
        )
        for k, n in enumerate(names)
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.05))
    ax.set(yticks=(0, 1), yticklabels=("host", "device"), ylim=(1.5, -0.5), xlabel="time / ms")
    ax.set_title(title)
    ax.grid(axis="y", visible=False)
    return fig


def memory_map(memory: Memory, title: str, *, columns: int = 32) -> Figure:
    """Each number of each array a box: which program touched it (colour), and how often."""
    names = list(memory.arrays)
    rows = {name: -(-memory.arrays[name].size // columns) for name in names}
    heights = [rows[name] + 0.6 for name in names]
    fig, axes = plt.subplots(
        len(names),
        1,
        figsize=(9.2, 0.32 * sum(heights) + 0.7),
        height_ratios=heights,
        squeeze=False,
    )
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    for ax, name in zip(axes[:, 0], names, strict=True):
        size = memory.arrays[name].size
        touched = memory.counts("load", name) + memory.counts("store", name)
        by = np.full(size, -1)
        for one in memory.accesses:
            if one.name == name:
                by[one.places] = one.program[0]
        for place in range(size):
            row, column = divmod(place, columns)
            program = int(by[place])
            box = Rectangle((column, row), 0.94, 0.9, edgecolor="#d0d0d0", facecolor="white")
            box.set(**_program(program) if program >= 0 else {})
            ax.add_patch(box)
            ax.text(
                column + 0.47, row + 0.48, str(int(touched[place])), ha="center", va="center",
                fontsize=8, color=plots.INK if program < 0 or program % 2 else "white",
            )  # fmt: skip
        ax.set(xlim=(0, columns), ylim=(rows[name], -0.05), xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.grid(False)
        for side in ax.spines.values():
            side.set_visible(False)
    return fig


def _program(number: int) -> dict[str, Any]:
    return {"facecolor": (plots.BLUE, plots.ORANGE)[number % 2]}


def lines_touched(patterns: Mapping[str, NDArray[Any]], size: int, line: int) -> Figure:
    """For each pattern of addresses the lines of the memory, and which of them a warp touches."""
    fig, axes = plt.subplots(
        len(patterns), 1, figsize=(9.2, 0.95 * len(patterns) + 0.5), sharex=True
    )
    most = max(int(a.max() + size - 1) // line for a in patterns.values()) + 1
    for ax, (name, addresses) in zip(np.ravel(axes), patterns.items(), strict=True):
        touched = {int(b) // line for a in addresses for b in (a, a + size - 1)}
        for n in range(most):
            colour = plots.SKY if n in touched else "white"
            ax.add_patch(Rectangle((n * line, 0), line, 1, facecolor=colour, edgecolor=plots.GREY))
        for a in addresses:
            ax.add_patch(Rectangle((a, 0.3), size, 0.4, facecolor=plots.INK, edgecolor="white"))
        ax.set(xlim=(0, most * line), ylim=(-0.05, 1.05), yticks=[])
        ax.set_xticks(range(0, most * line + 1, 2 * line))
        ax.set_title(name, fontsize=10, pad=3)
        ax.grid(False)
        ax.spines["left"].set_visible(False)
    np.ravel(axes)[-1].set_xlabel("address / byte")
    return fig


def strides(times: Mapping[int, float], label: str) -> Figure:
    """Nanoseconds for each number that is read, over how far apart the numbers are."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.set_xscale("log", base=2)
    ax.plot(list(times), [1e9 * t for t in times.values()], marker="o", label=label)
    ax.set_xticks(list(times), [str(k) for k in times])
    ax.set(xlabel="stride / numbers of 4 bytes", ylabel="time for one number / ns", ylim=(0, None))
    return fig


def exponents(gradients: NDArray[np.floating], scale: float) -> Figure:
    """How large gradients are, with and without a scale, and what float16 has room for."""
    fig, ax = plt.subplots(figsize=(8.2, 3.4))
    sizes = np.log2(np.abs(gradients[gradients != 0]))
    bins = np.arange(-40, 19)
    for values, name, look in (
        (sizes, "gradients", {"color": plots.BLUE, "alpha": 0.75}),
        (sizes + np.log2(scale), f"times {scale:g}", {**_SCALED, "alpha": 0.6}),
    ):  # fmt: skip
        weights = np.full(len(values), 100 / len(values))
        ax.hist(
            values,
            bins.tolist(),
            weights=weights,
            label=name,
            edgecolor="white",
            linewidth=0.3,
            **look,
        )
    top = ax.get_ylim()[1]
    for at, words in ((-25, "0 in float16"), (-14, "fewer digits"), (16, "∞ in float16")):
        ax.axvline(at, color=plots.INK, linestyle="--", linewidth=1)
        if at < 0:
            ax.text(at - 0.4, 1.03 * top, words, ha="right", fontsize=9)
        else:
            ax.text(at - 0.2, 1.03 * top, words, ha="right", fontsize=9)
    ax.set(xlabel="size of the gradient, power of 2", ylabel="share / %", ylim=(0, 1.15 * top))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return fig


def scale_by_step(scales: Sequence[float], skipped: Sequence[int]) -> Figure:
    """The loss scale over the steps, and the steps that were skipped."""
    fig, ax = plt.subplots(figsize=(8.2, 3.0))
    ax.set_yscale("log", base=2)
    ax.step(
        range(len(scales)), scales, where="post", color=plots.BLUE, linestyle="-", label="scale"
    )
    there = [scales[k] for k in skipped]
    ax.plot(skipped, there, "x", color=plots.VERMILLION, markersize=9, label="skipped", zorder=4)
    ax.set(xlabel="step", ylabel="loss scale")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return fig


def traffic(numbers: Mapping[str, Mapping[str, int]]) -> Figure:
    """Numbers loaded and stored, by kernel, for each way of computing the same."""
    fig, ax = plt.subplots(figsize=(8.2, 0.75 * len(numbers) + 1.0))
    for row, (_, kernels) in enumerate(numbers.items()):
        left = 0
        for k, (kernel, count) in enumerate(kernels.items()):
            look = {"facecolor": plots.CURVE_COLOURS[k % 6], "hatch": _HATCHES[k % 8]}
            for bar in ax.barh(row, count, left=left, height=0.6, edgecolor="white"):
                bar.set(**look)
            ax.text(left + count / 2, row - 0.36, kernel, ha="center", va="bottom", fontsize=9)
            left += count
    ax.set(yticks=range(len(numbers)), yticklabels=list(numbers), ylim=(len(numbers) - 0.5, -0.7))
    ax.set_xlabel("numbers loaded and stored")
    ax.grid(axis="y", visible=False)
    return fig
