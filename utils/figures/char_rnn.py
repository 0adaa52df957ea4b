"""Pictures of lab 09: contexts, states, gradients through time, streams, draws, temperatures."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import plots

Array = NDArray[np.floating]


def bits_by_context(bits: Mapping[str, Sequence[float]]) -> Figure:
    """Bits per character over the characters of context, 0 and up; bits: by the text's name."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    orders = range(max(map(len, bits.values())))
    ax.set_ylim(0, 1.1 * max(map(max, bits.values())))
    plots.curves(ax, bits, "characters of context", "bits per character", x=list(orders))
    ax.set_xticks(orders)
    return fig


def states(runs: Mapping[str, Sequence[Tensor]]) -> Figure:
    """One below the other, the states of some runs, each a list of (H,) over its steps."""
    fig, axes = plt.subplots(len(runs), 1, figsize=(8, 2.1 * len(runs)), sharex=True, squeeze=False)
    images = []
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
        picture = torch.stack([*run]).detach().numpy().T
        images.append(ax.imshow(picture, cmap=plots.SIGNED, vmin=-1, vmax=1, aspect="auto"))
        ax.set(title=name, ylabel="unit")
        ax.grid(False)
    axes[-1, 0].set_xlabel("step")
    fig.colorbar(images[-1], ax=axes, label="state")
    return fig


def reach(cells: Mapping[str, nn.RNNCell | nn.LSTMCell], steps: int = 60) -> Figure:
    """How strongly the last state answers to what was stored so many steps before.

    The length of the gradient of the last h (its sum, over 16 random sequences) for the h of an
    RNN, the c of an LSTM. Thin lines of the same colour: what comes along c alone.
    """
    fig, ax = plt.subplots(figsize=(7.2, 3.6))
    ax.set_yscale("log")
    found = {name: _reach(cell, steps) for name, cell in cells.items()}
    whole = {name: both[0] for name, both in found.items()}
    plots.curves(ax, whole, "steps back", "length of gradient", x=np.arange(steps))
    for (_, alone), colour in zip(found.values(), plots.CURVE_COLOURS, strict=False):
        if alone is not None:
            ax.plot(alone, linestyle=(0, (2, 2)), linewidth=1.2, color=colour)
    return fig


def _reach(cell: nn.RNNCell | nn.LSTMCell, steps: int) -> tuple[Array, Array | None]:
    width = cell.hidden_size
    inputs = torch.randn(steps, 16, cell.input_size)
    h, c = torch.zeros(16, width), torch.zeros(16, width)
    kept: list[Tensor] = []
    gates: list[Tensor] = []
    for x in inputs:
        if isinstance(cell, nn.LSTMCell):
            a = x @ cell.weight_ih.T + h @ cell.weight_hh.T + cell.bias_ih + cell.bias_hh
            gates.append(torch.sigmoid(a[:, width : 2 * width]).detach())
            h, c = cell(x, (h, c))
        else:
            h = c = cell(x, h)
        c.retain_grad()
        kept.append(c)
    h.sum().backward()
    whole = np.array([c.grad.norm().item() for c in reversed(kept) if c.grad is not None])
    last = kept[-1].grad
    if not gates or last is None:
        return whole, None
    alone = [last]
    for f in reversed(gates[1:]):
        alone.append(alone[-1] * f)
    return whole, np.array([one.norm().item() for one in alone])


def streams(batches: Sequence[Tensor], length: int) -> Figure:
    """The batches (B, T), side by side, each number as a colour; white lines between batches."""
    drawn = torch.cat([*batches], dim=1)
    fig, ax = plt.subplots(figsize=(8, 2.8))
    image = ax.imshow(drawn, cmap="cividis", aspect="auto")
    for edge in range(length, drawn.shape[1], length):
        ax.axvline(edge - 0.5, color="white", linewidth=1)
    rows = range(len(drawn))
    ax.set(xlabel="column, batch after batch", ylabel="row of the batch", yticks=rows)
    ax.grid(False)
    fig.colorbar(image, label="place in the text")
    return fig


def shares(draws: Mapping[str, Tensor], order: Tensor) -> Figure:
    """How often each id was drawn, a panel for each name; order: the ids, by rank."""
    fig, axes = plt.subplots(1, len(draws), figsize=(2.5 * len(draws), 2.6), sharey=True)
    for ax, (name, ids) in zip(axes, draws.items(), strict=True):
        counts = torch.bincount(ids.flatten(), minlength=int(order.max()) + 1)
        share = counts[order].numpy() / ids.numel()
        ax.bar(range(1, len(order) + 1), share, color=plots.BLUE)
        ax.set(title=name, xlabel="rank")
    axes[0].set_ylabel("share of draws")
    return fig


def by_temperature(
    temperatures: Array, curves: Mapping[str, Sequence[float]], most: float
) -> Figure:
    """Curves in bits over the temperature; most: the largest value that is shown."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.set(xscale="log", ylim=(0, most))
    plots.curves(ax, curves, "temperature", "bits", x=temperatures)
    ticks = [0.1, 0.2, 0.5, 1, 2, 5]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    return fig


def times(milliseconds: Mapping[str, float], unit: str) -> Figure:
    """Bars of times, each with how many times that of the one named `unit` it is."""
    fig, ax = plt.subplots(figsize=(6.4, 0.7 * len(milliseconds)))
    bars = ax.barh(list(milliseconds), list(milliseconds.values()), color=plots.BLUE)
    named = [f"{t:.1f} ms   {t / milliseconds[unit]:.1f}×" for t in milliseconds.values()]
    ax.bar_label(bars, named, padding=4)
    longest = max(milliseconds.values())
    ax.set(xlabel="milliseconds, forward and backward", xlim=(0, 1.35 * longest))
    ax.invert_yaxis()
    return fig


def cell_and_feature(values: Array, feature: Array, unit: int, name: str) -> Figure:
    """A memory cell over a text (N,), and below it the feature (N,) that it goes with."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(9, 3.6), sharex=True)
    top.plot(values, color=plots.BLUE)
    top.set(ylabel=f"cell {unit}")
    bottom.plot(feature, color=plots.VERMILLION, linestyle="--")
    bottom.set(ylabel=name.replace(" ", "\n", 1), xlabel="character")
    return fig
