"""Figures of lab 15: what ran on real ranks, beside what theory says."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils import plots

__all__ = ["smooth", "speeds", "stash_shares", "two_runs"]


def two_runs(ax: Axes, runs: Mapping[str, Sequence[float]]) -> None:
    """Draw two runs that should be alike: the first as circles, the second as a line under them."""
    (name, circles), (other, line) = runs.items()
    steps = range(1, len(line) + 1)
    ax.plot(steps, line, color=plots.BLUE, linestyle="-", label=other)
    style = {"color": plots.VERMILLION, "markerfacecolor": "none", "markersize": 7}
    ax.plot(steps, circles, "o", label=name, **style)
    ax.set(xlabel="updates", ylabel="loss (nats)")
    ax.legend()


def stash_shares(stashes: Mapping[str, Sequence[int]]) -> Figure:
    """Each rank's stash as a share of GPipe's, for 4 and 8 micro-batches, with lab 14's law.

    stashes: the bytes of each rank by "gpipe, m = 4", "1f1b, m = 4" and so on.
    """
    fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
    whole = stashes["gpipe, m = 4"]
    count = len(whole)
    for ax, m in zip(axes, (4, 8), strict=True):
        for place, (name, hatch) in enumerate((("gpipe", ""), ("1f1b", "///"))):
            shares = [a / b for a, b in zip(stashes[f"{name}, m = {m}"], whole, strict=True)]
            at = [rank + 0.4 * place - 0.2 for rank in range(count)]
            colour = (plots.SKY, plots.ORANGE)[place]
            ax.bar(at, shares, 0.36, color=colour, edgecolor=plots.INK, hatch=hatch, label=name)
        law = [(count - rank) / m for rank in range(count)]
        at = [rank + 0.2 for rank in range(count)]
        ax.plot(at, law, "D", color=plots.INK, label="(p − r)/m", linestyle="")
        ax.set(title=f"{m} micro-batches", xlabel="rank", xticks=range(count))
    axes[0].set_ylabel("stash, as a share of GPipe's")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


Measured = tuple[Sequence[int], Mapping[int, Sequence[float]]]


def speeds(measured: Mapping[str, Measured], theory: Callable[[int, int], float]) -> Figure:
    """Speed-ups over micro-batches, a panel for each set of measurements.

    measured: by title, the numbers of micro-batches, and for each number of ranks the speed-ups;
    theory(ranks, microbatches): the learner's formula, drawn as lines.
    """
    every = [1, 2, 4, 8, 16, 32]
    fig, axes = plt.subplots(1, len(measured), figsize=(9.5, 3.4), sharey=True, squeeze=False)
    for ax, (title, (at, found)) in zip(axes[0], measured.items(), strict=True):
        for number, (stages, values) in enumerate(found.items()):
            colour, marker = plots.CURVE_COLOURS[number], plots.CURVE_MARKERS[number]
            line = [theory(stages, m) for m in every]
            ax.plot(every, line, color=colour, linewidth=1, linestyle="-")
            ax.plot(at, values, marker, color=colour, markersize=8, label=f"{stages} ranks")
        ax.set_xscale("log", base=2)
        ax.set_xticks(every, [str(m) for m in every])
        ax.set(title=title, xlabel="micro-batches")
        ax.legend(loc="upper left")
    axes[0, 0].set_ylabel("speed-up (times one rank)")
    return fig


def smooth(losses: Sequence[float], width: int = 20, most: float = 4.0) -> list[float]:
    """Means of `width` losses in a row, at most `most` (for runs that diverge)."""
    means = np.convolve(np.asarray(losses, dtype=float), np.ones(width) / width, mode="valid")
    return np.minimum(np.nan_to_num(means, nan=most), most).tolist()
