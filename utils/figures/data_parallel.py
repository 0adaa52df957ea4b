"""The figures of lab 12: who sends when, what a chunk holds, what it costs, where training ends."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils import plots
from utils.ranks.simulated import Simulation

# For a chunk that holds the x of 1, 2, … of p ranks: pale to dark.
_FEW, _ALL = np.array([0.91, 0.95, 0.98]), np.array([0.0, 0.447, 0.698])


def recorded(seconds: Mapping[str, float]) -> Figure:
    """Seconds of one sum over ranks, as a bar for each way."""
    fig, ax = plt.subplots(figsize=(6.4, 2.2))
    bars = ax.barh(list(seconds), list(seconds.values()), color=plots.BLUE, height=0.6)
    ax.bar_label(bars, fmt="%.2f s", padding=4)
    ax.set(xlabel="seconds for one sum over 8 ranks", xlim=(0, 1.17 * max(seconds.values())))
    ax.invert_yaxis()
    return fig


def messages(outcome: Simulation, title: str, *, until: float = 14.7) -> Figure:
    """When each rank's way out (upper half) and its way in (lower half) are occupied.

    until: where the time axis ends, in ms.
    """
    fig, ax = plt.subplots(figsize=(8, 3.4))
    looks: dict[str, dict[str, Any]] = {
        "sends": {"color": plots.BLUE, "hatch": ""},
        "receives": {"color": plots.ORANGE, "hatch": "///"},
    }
    for message in outcome.messages:
        begin, length = 1e3 * message.begin, 1e3 * (message.end - message.begin)
        for place, look in zip(
            (message.source - 0.2, message.target + 0.2), looks.values(), strict=True
        ):
            ax.barh(place, length, left=begin, edgecolor="white", height=0.36, **look)
    for label, look in looks.items():
        ax.barh(0, 0, edgecolor="white", label=label, **look)
    there = range(len(outcome.results))
    ax.set(xlabel="time / ms", ylabel="rank", yticks=there, xlim=(0, until))
    ax.set_title(f"{title}: {1e3 * outcome.seconds:.1f} ms")
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def holdings(p: int) -> Figure:
    """What the ranks of a ring hold after each step: of each chunk, the sum of how many ranks'."""
    held = np.ones((p, p), dtype=int)  # rank, chunk
    steps = [("at first", held.copy())]
    for step in range(2 * (p - 1)):
        before = held.copy()
        for rank in range(p):
            chunk, left = (rank - step - 1) % p, (rank - 1) % p
            held[rank, chunk] = before[left, chunk] + (before[rank, chunk] if step < p - 1 else 0)
        verb = "add" if step < p - 1 else "replace"
        steps.append((f"step {step}: {verb}", held.copy()))
    fig, axes = plt.subplots(1, len(steps), figsize=(2.1 * len(steps), 2.5), sharey=True)
    for ax, (title, now) in zip(axes, steps, strict=True):
        _grid(ax, now, [[str(count) for count in row] for row in now], p)
        ax.set(title=title, xlabel="chunk", xticks=range(p))
    axes[0].set(ylabel="rank", yticks=range(p))
    return fig


def sends(outcome: Simulation, p: int) -> Figure:
    """What each rank of a ring sent, step by step: which chunk, and the sum of how many ranks'.

    outcome: of x = 1, 100, 10000 … on every rank, one number a chunk, so that a number tells both.
    """
    by_rank = [[m.values for m in outcome.messages if m.source == rank] for rank in range(p)]
    steps = max((len(sent) for sent in by_rank), default=0)
    counts, texts = np.zeros((p, max(steps, 1)), dtype=int), [[""] * max(steps, 1) for _ in by_rank]
    for rank, sent in enumerate(by_rank):
        for step, values in enumerate(sent):
            value = float(values.flatten()[0]) if values.numel() == 1 else 0.0
            chunk = int(np.log10(max(value, 1.0)) // 2)
            counts[rank, step] = round(value / 100**chunk)
            texts[rank][step] = f"chunk {chunk}\n{counts[rank, step]} of {p}" if value else "?"
    fig, ax = plt.subplots(figsize=(1.5 * max(steps, 1) + 1, 0.8 * p + 0.8))
    _grid(ax, counts, texts, p)
    ax.set(xlabel="step", ylabel="rank", xticks=range(steps), yticks=range(p))
    return fig


def bills(
    by_ranks: Mapping[str, Sequence[float]],
    ranks: Sequence[int],
    by_size: Mapping[str, Sequence[float]],
    sizes: Sequence[float],
) -> Figure:
    """Seconds of each algorithm, by the number of ranks (left) and by the tensor's size (right)."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
    for ax in (left, right):
        ax.set(xscale="log", yscale="log")
    plots.curves(left, by_ranks, "ranks", "seconds", x=ranks)
    left.set(title="100 MB each", xticks=ranks[1::2], xticklabels=ranks[1::2])
    plots.curves(right, by_size, "bytes each", "seconds", x=sizes)
    right.set(title="64 ranks")
    return fig


def measured(seconds: Mapping[str, float], model: Mapping[str, float]) -> Figure:
    """Measured seconds of each algorithm, and beside them those of the model, where there are."""
    fig, ax = plt.subplots(figsize=(6.8, 2.8))
    place = np.arange(len(seconds))
    ax.barh(place - 0.2, list(seconds.values()), 0.36, color=plots.BLUE, label="measured")
    if model:
        theory = [model[name] for name in seconds]
        ax.barh(place + 0.2, theory, 0.36, color=plots.ORANGE, hatch="///", label="α–β model")
        ax.legend(loc="lower right")
    ax.set(yticks=place, yticklabels=list(seconds), xlabel="seconds", ylabel="")
    ax.invert_yaxis()
    return fig


def buckets(megabytes: Sequence[float], bills: Sequence[tuple[int, float]], floor: float) -> Figure:
    """ms for one step's gradients by the size of a bucket; at each point how many all-reduces.

    bills: (all-reduces, ms) for each size; floor: ms of the bytes alone.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.set_xscale("log")
    ax.axhline(floor, color=plots.VERMILLION, linestyle="--")
    ax.text(100, floor - 3, "bytes alone", ha="right", va="top", color=plots.VERMILLION)
    ax.plot(megabytes, [bill for _, bill in bills], marker="o", color=plots.BLUE)
    for size, (taken, bill) in zip(megabytes, bills, strict=True):
        ax.annotate(str(taken), (size, bill), (0, 8), textcoords="offset points", ha="center")
    top = 1.2 * max([floor, *(bill for _, bill in bills)])
    ax.set(xlabel="bucket size / MB", ylabel="ms for one step's gradients", ylim=(0, top))
    return fig


def accuracies(runs: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Accuracy by epoch, mean of the seeds (left), and at the end of each seed (right).

    runs: for each plan, of each seed, the accuracy after each epoch.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.6), width_ratios=(3, 2))
    means = {name: np.mean(all_seeds, axis=0) for name, all_seeds in runs.items()}
    plots.curves(left, means, "epoch", "accuracy, mean of seeds")
    for place, all_seeds in enumerate(runs.values()):
        last = [accuracy[-1] for accuracy in all_seeds]
        marker = plots.CURVE_MARKERS[place]
        right.plot(last, [place] * len(last), marker, color=plots.CURVE_COLOURS[place], alpha=0.6)
    right.set(yticks=range(len(runs)), xlabel="accuracy at the end, each seed")
    right.set_yticklabels(list(runs))
    right.set(ylim=(len(runs) - 0.5, -0.5), xlim=(0, 1.04))
    return fig


def _grid(ax: Axes, counts: np.ndarray, texts: Sequence[Sequence[str]], p: int) -> None:
    """A table of how many ranks' numbers are in something, the darker the more."""
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            count = int(counts[row, column])
            share = (count - 1) / max(p - 1, 1)
            fill = np.clip(_FEW + share * (_ALL - _FEW), 0, 1) if count else np.ones(3)
            place = column - 0.5, row - 0.5
            ax.add_patch(Rectangle(place, 1, 1, facecolor=fill.tolist(), edgecolor=plots.INK))
            ink = "white" if share > 0.6 else plots.INK
            ax.text(column, row, text, ha="center", va="center", color=ink)
    ax.set(xlim=(-0.5, counts.shape[1] - 0.5), ylim=(counts.shape[0] - 0.5, -0.5))
    ax.grid(visible=False)
