"""The figures of lab 13: pieces of a layer, collectives of a step, losses, memory, bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils import plots
from utils.ranks.collectives import Call

MIB, MB = 2**20, 10**6
PARTS = ("weights", "gradients", "state", "activations")  # of memory, in this order
_LOOKS: dict[str, dict[str, Any]] = {
    "weights": {"color": plots.BLUE, "hatch": ""},
    "gradients": {"color": plots.ORANGE, "hatch": "///"},
    "state": {"color": plots.GREEN, "hatch": "...."},
    "activations": {"color": plots.SKY, "hatch": "xxx"},
}
_RANKS = (plots.BLUE, plots.ORANGE, plots.GREEN, plots.PURPLE)
_HATCHES = ("", "///", "....", "xxx")
_KINDS = {"sum": "sum", "max": "maximum", "scatter": "reduce-scatter", "gather": "all-gather"}


def losses(
    by_ranks: Mapping[int, Sequence[float]], unigram: float | None = None, *, apart: int = 1
) -> Figure:
    """Loss by step, on p ranks; curves that lie on each other stay visible by their markers.

    by_ranks: p → (n,) nats; unigram: a loss to compare with; apart: steps between two losses.
    """
    fig, ax = plt.subplots(figsize=(7.4, 3.4))
    looks: list[dict[str, Any]] = [
        {"color": plots.BLUE},
        {"color": plots.VERMILLION, "marker": "o", "markersize": 12, "markerfacecolor": "none"},
        {"color": plots.BLACK, "marker": "D", "markersize": 4},
    ]
    for (p, values), look in zip(by_ranks.items(), looks, strict=False):
        every = max(1, len(values) // 15)
        look["linestyle"] = "none" if "marker" in look else "-"
        look["label"] = "one process" if p == 1 else f"{p} ranks"
        ax.plot(1 + apart * np.arange(len(values)), values, markevery=every, **look)
    if unigram is not None:
        ax.axhline(unigram, color=plots.GREY, linestyle=":")
        last = 1 + apart * max(map(len, by_ranks.values()), default=0)
        label = "by single characters' frequencies"
        ax.text(last, unigram + 0.04, label, ha="right", va="bottom", color=plots.INK)
    ax.set(xlabel="step", ylabel="loss / nats a character", ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def pieces(column: Sequence[torch.Tensor], row: Sequence[torch.Tensor]) -> Figure:
    """Whose which part of two weights is. column, row: each rank's weight, (outputs, inputs)."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    start = 0
    for rank, weight in enumerate(column):
        _piece(left, rank, 0, start, weight.shape[1], weight.shape[0])
        start += weight.shape[0]
    left.set(title="ColumnLinear", xlim=(0, column[0].shape[1]), ylim=(start, 0))
    start = 0
    for rank, weight in enumerate(row):
        _piece(right, rank, start, 0, weight.shape[1], weight.shape[0])
        start += weight.shape[1]
    right.set(title="RowLinear", xlim=(0, start), ylim=(row[0].shape[0], 0))
    for ax in (left, right):
        ax.set(xlabel="inputs", ylabel="outputs", aspect="equal")
        ax.grid(visible=False)
    return fig


def collectives(calls: Sequence[Call], p: int) -> Figure:
    """The collectives of a step in their order: what each rank sends, forward or backward."""
    fig, ax = plt.subplots(figsize=(7.6, 0.34 * len(calls) + 1.3))
    for phase, colour, hatch in (
        ("forward", plots.BLUE, ""),
        ("backward", plots.ORANGE, "///"),
    ):
        at = [place for place, call in enumerate(calls) if call.phase == phase]
        sent = [calls[place].sent(p) / 1024 for place in at]
        bars = ax.barh(at, sent, 0.7, color=colour, hatch=hatch, edgecolor="white", label=phase)
        ax.bar_label(bars, [f"{_KINDS[calls[i].kind]}, {calls[i].numbers:,} numbers" for i in at],
                     padding=4)  # fmt: skip
    ax.set(xlabel=f"KiB that each of {p} ranks sends", ylabel="in order", yticks=range(len(calls)))
    ax.set(xlim=(0, 1.6 * max((call.sent(p) / 1024 for call in calls), default=1.0)))
    ax.set_yticklabels([str(place + 1) for place in range(len(calls))])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def growth(words: Sequence[int], gathered: Sequence[float], parts: Sequence[float]) -> Figure:
    """KB that a rank sends for one example's loss, by the size of the vocabulary."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.set(xscale="log", yscale="log")
    both = {"logits gathered": gathered, "yours": parts}
    plots.curves(ax, both, "words in the vocabulary", "bytes for one example", x=words)
    return fig


def memory(by_layout: Mapping[str, Mapping[str, int]], title: str) -> Figure:
    """Bytes on one rank for each layout, stacked by what they hold."""
    fig, ax = plt.subplots(figsize=(7.8, 0.55 * len(by_layout) + 1.2))
    start = np.zeros(len(by_layout))
    for part in PARTS:
        sizes = np.array([one.get(part, 0) for one in by_layout.values()]) / MIB
        ax.barh(list(by_layout), sizes, 0.6, left=start, edgecolor="white", label=part,
                **_LOOKS[part])  # fmt: skip
        start += sizes
    for place, total in enumerate(start):
        ax.text(total, place, f" {total:,.1f} MiB", va="center", color=plots.INK)
    ax.set(xlabel="MiB on one rank", xlim=(0, 1.28 * max(start, default=1.0)), title=title)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def by_layer(sent: Mapping[str, Mapping[str, float]], chosen: Sequence[str], title: str) -> Figure:
    """MB that each rank sends for a layer, data- and model-parallel; a star: the chosen one."""
    fig, ax = plt.subplots(figsize=(8, 3.6))
    place = np.arange(len(sent))
    looks = {"data": (plots.BLUE, "", -0.2), "model": (plots.ORANGE, "///", 0.2)}
    for way, (colour, hatch, shift) in looks.items():
        heights = np.array([one[way] for one in sent.values()]) / MB
        ax.bar(
            place + shift, heights, 0.38, color=colour, hatch=hatch, edgecolor="white", label=way
        )
        for at, (height, choice) in enumerate(zip(heights, chosen, strict=True)):
            if choice == way:
                ax.text(at + shift, height, "★", ha="center", va="bottom", color=plots.INK)
    ax.set(yscale="log", ylabel="MB that each rank sends", xticks=place, title=title)
    ax.set_xticklabels(list(sent))
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title="★ chosen")
    return fig


def choices(by_batch: Mapping[int, Sequence[str]], layers: Sequence[str]) -> Figure:
    """What is chosen for each layer (across) and batch (down): D for data, M for model."""
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(by_batch) + 1.2))
    looks = {"data": (plots.SKY, "D"), "model": (plots.ORANGE, "M")}
    for row, (_, chosen) in enumerate(by_batch.items()):
        for column, choice in enumerate(chosen):
            colour, letter = looks[choice]
            place = column - 0.5, row - 0.5
            ax.add_patch(Rectangle(place, 1, 1, facecolor=colour, edgecolor="white"))
            ax.text(column, row, letter, ha="center", va="center", color=plots.BLACK)
    ax.set(xlim=(-0.5, len(layers) - 0.5), ylim=(len(by_batch) - 0.5, -0.5), ylabel="batch")
    ax.set(xticks=range(len(layers)), yticks=range(len(by_batch)))
    ax.set_xticklabels(list(layers))
    ax.set_yticklabels([f"{batch:,}" for batch in by_batch])
    ax.grid(visible=False)
    return fig


def _piece(ax: Axes, rank: int, x: int, y: int, width: int, height: int) -> None:
    look: dict[str, Any] = {"facecolor": _RANKS[rank % 4], "hatch": _HATCHES[rank % 4]}
    ax.add_patch(Rectangle((x, y), width, height, alpha=0.75, edgecolor="white", **look))
    label = f"rank {rank}\n({height}, {width})"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    ax.text(x + width / 2, y + height / 2, label, ha="center", va="center", bbox=box, fontsize=9)
