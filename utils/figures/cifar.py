"""Figures of lab 06: shapes, confusions, accuracies, where parameters sit."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from utils import plots


def blocks(shapes: Mapping[str, tuple[int, int, int]]) -> Figure:
    """A block for each shape (C, H, W), by the name of what puts it out: H tall, C wide."""
    fig, ax = plt.subplots(figsize=(9, 2.8))
    left = 0.0
    for name, (channels, height, width) in shapes.items():
        across = max(channels / 4, 1)
        slot = max(across, 17) + 3
        corner = left + (slot - across) / 2, -height / 2
        ax.add_patch(Rectangle(corner, across, height, color=plots.SKY))
        label = f"{name}\n{channels}×{height}×{width}"
        ax.text(left + slot / 2, -18, label, ha="center", va="top", fontsize=9)
        left += slot
    ax.set(xlim=(0, left), ylim=(-28, 18))
    ax.axis("off")
    return fig


def confusion(truth: Tensor, answers: Tensor, names: Sequence[str]) -> Figure:
    """How often each class, in rows, got each answer, in columns, in % of the class.

    truth, answers: (N,) int64, from 0; names: of the classes.
    """
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (truth.cpu().numpy(), answers.cpu().numpy()), 1)
    share = 100 * counts / counts.sum(axis=1, keepdims=True)
    fig, ax = plt.subplots(figsize=(7.2, 5.6))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        ink = "white" if value > 55 else plots.INK
        text = f"{value:.0f}" if value >= 1 else ""
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="answer", ylabel="true class", title="Answers, % of each class")
    ax.grid(False)
    return fig


def by_mode(accuracy: Mapping[str, Sequence[float]], names: Sequence[str]) -> Figure:
    """Two bars a class: the accuracy (0 to 1) on its images in either mode, by the mode's name."""
    fig, ax = plt.subplots(figsize=(8, 3))
    places = np.arange(len(names))
    looks = ((plots.BLUE, ""), (plots.VERMILLION, "////"))
    for shift, (mode, values), (colour, hatch) in zip(
        (-0.2, 0.2), accuracy.items(), looks, strict=True
    ):
        style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white"}
        ax.bar(places + shift, values, width=0.4, label=f"{mode} mode", **style)
    ax.set_xticks(places, names, rotation=40, ha="right")
    ax.set(ylabel="accuracy", ylim=(0, 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return fig


def accuracies(runs: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """A row for each kind of run; in it a square for each run's accuracy on training images, a
    circle for that on test images."""
    fig, ax = plt.subplots(figsize=(6.4, 2.6))
    looks = (("training images", "s", plots.VERMILLION), ("test images", "o", plots.BLUE))
    for height, pairs in enumerate(runs.values()):
        for values, (_, marker, colour) in zip(np.array(pairs).T, looks, strict=True):
            style: dict[str, Any] = {
                "marker": marker,
                "color": colour,
                "zorder": 3,
                "clip_on": False,
            }
            ax.scatter(values, [height] * len(pairs), **style)
    for name, marker, colour in looks:
        ax.scatter([], [], marker=marker, color=colour, label=name)
    ax.set_yticks(range(len(runs)), list(runs))
    ax.set(xlabel="accuracy", ylim=(-0.5, len(runs) - 0.5), xlim=(0, 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return fig


def parameters(networks: Mapping[str, nn.Module]) -> Figure:
    """A bar for each part of each network: its parameters, in millions; hatched for nn.Linear."""
    fig, axes = plt.subplots(1, len(networks), figsize=(5 * len(networks), 3.6), squeeze=False)
    for ax, (title, network) in zip(axes[0], networks.items(), strict=True):
        parts = {name: part for name, part in network.named_modules() if name.count(".") == 1}
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
        counts = {name: count for name, count in counts.items() if count}
        linear = [isinstance(parts[name], nn.Linear) for name in counts]
        colours = [plots.VERMILLION if one else plots.SKY for one in linear]
        bars = ax.barh(list(counts), [count / 1e6 for count in counts.values()], color=colours)
        for bar, one in zip(bars, linear, strict=True):
            bar.set_hatch("////" if one else "")
            bar.set_edgecolor("white")
        ax.invert_yaxis()
        total = sum(p.numel() for p in network.parameters()) / 1e6
        ax.set(title=f"{title}: {total:.2f} million", xlabel="million parameters")
    return fig
