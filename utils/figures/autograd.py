"""Figures of lab 03: gradients that arrive one by one, ways down a valley, two engines' losses."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils import graphs, plots

Array = NDArray[np.float64]
STEEP = np.array([1.0, 25.0])  # the valley's slopes, along and across


@dataclass(eq=False)
class _Box:
    """What `graphs.draw` draws for a tensor or a node of a trace."""

    name: str
    op: str
    data: Any
    grad: Any
    parents: tuple["_Box", ...]


def step_back(order: Sequence[Any], backward: Callable[[list[Any]], None], *, alt: str) -> None:
    """Run `backward` over `order` and show, with a slider, which gradients had arrived when.

    order: tensors as `graphs.Node` has them, each with `pull`, the last the loss. In a notebook;
    elsewhere one line with the alternative text. Without scripts the last picture is shown.
    """
    frames = arrivals(order, backward)
    if not plots.in_notebook():
        print(f"[figure] {alt}")
        return
    from IPython.display import display

    display(
        {"text/html": stepper(frames, order, alt=alt), "text/plain": f"[figure] {alt}"}, raw=True
    )


def arrivals(
    order: Sequence[Any], backward: Callable[[list[Any]], None]
) -> list[tuple[str, list[Any]]]:
    """What is about to happen at each pull, and the gradients there; at the end, what came out."""
    frames: list[tuple[str, list[Any]]] = []

    def note(says: str) -> None:
        grads = [None if t.grad is None else np.array(t.grad) for t in order]
        frames.append((says, grads))

    def watched(tensor: Any, pull: Callable[[Array], Any]) -> Callable[[Array], Any]:
        def noted(dY: Array) -> Any:
            note(f"Next: pull of {tensor.name or tensor.op}.")
            return pull(dY)

        return noted

    pulls = [tensor.pull for tensor in order]
    try:
        for tensor in order:
            if tensor.pull is not None:
                tensor.pull = watched(tensor, tensor.pull)
        backward(list(order))
    finally:
        for tensor, pull in zip(order, pulls, strict=True):
            tensor.pull = pull
    note("Every gradient is complete.")
    return frames


def stepper(frames: Sequence[tuple[str, list[Any]]], order: Sequence[Any], *, alt: str) -> str:
    """The HTML that `step_back` shows: a picture for each state, of which the slider shows one."""
    name, pictures = f"arrivals-{uuid.uuid4().hex}", []
    for number, (says, grads) in enumerate(frames):
        fig = graphs.draw(_copied(order, grads), order=())
        image = plots.bundle(fig, alt=f"{alt} {says}")["text/html"]
        plt.close(fig)
        shown = "" if number == len(frames) - 1 else ' style="display:none"'
        pictures.append(f'<div class="frame"{shown}>{image}</div>')
    script = (
        f"const b=document.getElementById('{name}');"
        "b.querySelectorAll('.frame').forEach((f,i)=>f.style.display=i==this.value?'':'none');"
        "b.querySelector('output').textContent=JSON.parse(this.dataset.says)[+this.value]"
    )
    says = escape(json.dumps([text for text, _ in frames]))
    return (
        f'<div id="{name}">{"".join(pictures)}<label>step <input type="range" min="0"'
        f' max="{len(frames) - 1}" value="{len(frames) - 1}" style="width:40%" data-says="{says}"'
        f' oninput="{script}" data-lm-suppress-shortcuts="true"></label>'
        f'<br><output aria-live="polite">{escape(frames[-1][0])}</output></div>'
    )


def _copied(order: Sequence[Any], grads: Sequence[Any]) -> _Box:
    """The last of `order`, with all that it was computed from, and these gradients."""
    copies: dict[int, _Box] = {}
    for tensor, grad in zip(order, grads, strict=True):
        copies[id(tensor)] = _Box(
            name=tensor.name,
            op=tensor.op,
            data=tensor.data,
            grad="…" if grad is None else grad,
            parents=tuple(copies[id(parent)] for parent in tensor.parents),
        )
    return copies[id(order[-1])]


def trace(graph: Any) -> Figure:
    """A graph traced by torch.fx, drawn as one of tensors; there are no values in it."""
    boxes: dict[Any, _Box] = {}
    last = _Box(name="", op="nothing", data=None, grad=None, parents=())
    for node in graph.nodes:
        parents = tuple(boxes[parent] for parent in node.all_input_nodes)
        last = _Box(name="", op=node.name, data=None, grad=None, parents=parents)
        boxes[node] = last
    return graphs.draw(last)


def height(points: Array) -> Array:
    """f(w) = ½ (w₀² + 25 w₁²) of points (…, 2): the valley."""
    return 0.5 * (points**2 * STEEP).sum(axis=-1)


def valley(walks: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Ways down the valley, the learner's as lines and PyTorch's as rings; beside each its height.

    walks: by the method's name, the points (steps + 1, 2) of both.
    """
    fig, axes = plt.subplots(
        len(walks), 2, figsize=(10, 2.6 * len(walks)), squeeze=False, width_ratios=(2, 1)
    )
    along, across = np.meshgrid(np.linspace(-10, 4, 80), np.linspace(-3, 3, 80))
    heights = height(np.stack([along, across], axis=-1))
    for (ax, losses), (name, (mine, theirs)) in zip(axes, walks.items(), strict=True):
        levels = np.geomspace(0.5, 150, 7)
        ax.contour(along, across, heights, levels, colors=plots.GREY, linewidths=0.6)
        ax.plot(*mine.T, "-", color=plots.BLUE, label="yours")
        ax.plot(*theirs.T, "o", color=plots.VERMILLION, mfc="none", lw=0, ms=5, label="PyTorch")
        ax.set(title=name, ylabel="w₁", aspect="equal")
        ax.grid(False)
        losses.plot(height(mine), "-", color=plots.BLUE)
        losses.plot(height(theirs), "o", color=plots.VERMILLION, mfc="none", lw=0, ms=3)
        last = height(mine[-1])
        losses.set(
            yscale="log", ylim=(1e-4, 1e3), title=f"f(w) after {len(mine) - 1} steps: {last:.2g}"
        )
        losses.set_ylabel("f(w)")
    axes[0, 0].legend(loc="upper right")
    axes[-1, 0].set_xlabel("w₀")
    axes[-1, 1].set_xlabel("step")
    return fig


def same_losses(runs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Losses of both engines, means of 10 batches: PyTorch's broad, the learner's thin.

    runs: by the method's name, the loss of each step, the learner's and PyTorch's.
    """
    fig, axes = plt.subplots(1, len(runs), figsize=(9, 3.2), sharey=True, squeeze=False)
    for ax, (method, (mine, theirs)) in zip(axes[0], runs.items(), strict=True):
        smooth = [np.convolve(one, np.ones(10) / 10, mode="valid") for one in (theirs, mine)]
        ax.plot(smooth[0], "-", color=plots.SKY, linewidth=6, label="PyTorch")
        ax.plot(smooth[1], "-", color=plots.INK, linewidth=1.2, label="yours")
        ax.set(title=method, xlabel="step")
    axes[0, 0].set_ylabel("loss, mean of 10 batches")
    axes[0, -1].legend()
    return fig
