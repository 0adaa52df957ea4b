"""Runs that save tensors for their backwards, let them go, and keep them, as a list of steps says.

    run = saved_by([("tanh", 0, 8, 4), ("backward", 0)], weight)
    run()                 # saves 8 × 4 numbers, and frees them

A step is what is done, its number, and for one that saves, the shape n × d:

    "tanh"                 saves its result, n × d
    "square"               saves one such result twice, for two operations
    "slices"               saves two slices of one n × d
    "linear"               saves its input, n × d, its weight, and a tanh's result, n × d
    "part"                 does so with all rows of the weight but the first
    "backward", "again"    goes back, and frees the graph; or keeps it, for another backward
    "drop"                 lets the graph go, without a backward
"""

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Step = Sequence[Any]


def saved_by(steps: Sequence[Step], weight: Tensor) -> Callable[[], None]:
    """A function that goes through the steps. weight: (d, d), of the linear layer; its dtype is
    that of all tensors."""

    def run() -> None:
        gc.collect(0)  # the next collection is far away: a cycle of references stays for this run
        graphs: dict[int, Tensor] = {}
        for do, name, *shape in steps:
            if do in ("backward", "again"):
                graphs[name].sum().backward(retain_graph=do == "again")
            if do in ("backward", "drop"):
                del graphs[name]
            if shape:
                x = torch.rand(*shape, dtype=weight.dtype, requires_grad=True)
                graphs[name] = _SAVING[do](x, weight)

    return run


def parameter_of(weight: Tensor) -> Tensor:
    """A parameter with these numbers that does not begin where its storage does."""
    return torch.cat([weight[:1], weight])[1:].requires_grad_()


def _square(x: Tensor, weight: Tensor) -> Tensor:
    y = x.tanh()
    return y * y


def _slices(x: Tensor, weight: Tensor) -> Tensor:
    y = x + 1
    return y[1:-1] * y[2:]


_SAVING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh": lambda x, weight: x.tanh(),
    "square": _square,
    "slices": _slices,
    "linear": lambda x, weight: torch.nn.functional.linear(x, weight).tanh(),
    "part": lambda x, weight: torch.nn.functional.linear(x, weight[1:]).tanh(),
}


class Graphs:
    """Tells of the graphs that tensors went through whether they are whole: all that was saved is
    there, and a backward could come, or come once more."""

    def __init__(self) -> None:
        self.nodes, self.gone = weakref.WeakSet[Any](), weakref.WeakSet[Any]()

    def mark(self, x: Tensor) -> Tensor:
        """The same numbers, by way of a node of x's graph that is looked at later."""
        return _Marked.apply(self, x)

    def whole(self, gone: bool = False) -> bool:
        """Whether one is; gone: of those that a backward has gone through."""
        return any(map(_whole, list(self.gone if gone else self.nodes)))


class _Marked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graphs: Graphs, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.graphs = graphs
        graphs.nodes.add(ctx)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        ctx.graphs.gone.add(ctx)
        return None, *gradient


def _whole(node: Any) -> bool:
    try:
        return len(node.saved_tensors) > 0
    except RuntimeError:  # a backward has let them go
        return False
