"""Pictures of computation graphs, drawn from whatever objects computed them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from utils import plots

MOST_NODES = 60  # what can still be read

FONT = 9.5  # points; the measures below are inches
LETTER, LINE, MARGIN = 0.082, 0.185, 0.12
ROW_GAP, BOX_GAP = 0.38, 0.25


class Node(Protocol):
    """What an object must have to be drawn.

    op: what computed it, "" for a leaf; name: what to call it, or ""; data: its value, an array or
    a number, or None where none is known; grad: the gradient of the root in it, or a word in
    its place, or None; parents: the nodes that went into it.
    """

    @property
    def op(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def data(self) -> Any: ...
    @property
    def grad(self) -> Any: ...
    @property
    def parents(self) -> Sequence["Node"]: ...


def draw(root: Node, *, order: Sequence[Node] = ()) -> Figure:
    """Draw everything that `root` was computed from: leaves above, root below.

    A leaf has a round frame, an operation a square one. A box says its name and operation, its
    value and its gradient: up to four numbers as they are; of more, the value's shape and the
    gradient's length (and its shape, should it differ). An input used twice has two arrows.

    order: nodes; each box gets its place in it, from 1. Raises ValueError for a graph of more than
    60 nodes and for one with a cycle.
    """
    nodes = _collect(root)
    places = {id(node): str(place) for place, node in enumerate(order, 1)}
    graph = _graph(nodes)
    texts = {key: _lines(node) for key, node in nodes.items()}
    rows = _rows(graph, id(root))
    widths = {key: _width(texts.get(key, [])) for row in rows for key in row}
    x = _across(rows, graph, widths)
    tallest = max(len(lines) for lines in texts.values())
    height = tallest * LINE + MARGIN
    y = {key: -level * (height + ROW_GAP) for level, row in enumerate(rows) for key in row}

    left = min(x[key] - widths[key] / 2 for key in x) - 0.3
    right = max(x[key] + widths[key] / 2 for key in x) + 0.1
    bottom = min(y.values()) - height / 2 - 0.1
    top = height / 2 + 0.1
    fig = plt.figure(figsize=(right - left, top - bottom), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(left, right), ylim=(bottom, top))
    ax.axis("off")
    for key, node in nodes.items():
        tall = len(texts[key]) * LINE + MARGIN
        _box(ax, (x[key], y[key]), (widths[key], tall), texts[key], leaf=not node.parents)
        if id(node) in places:
            corner = x[key] - widths[key] / 2 - 0.06, y[key]
            style = {"color": plots.VERMILLION, "weight": "bold", "fontsize": FONT + 1.5}
            ax.text(*corner, places[id(node)], ha="right", va="center", **style)
    _arrows(ax, graph, nodes, x, y, {key: len(t) * LINE + MARGIN for key, t in texts.items()})
    return fig


def _collect(root: Node) -> dict[int, Node]:
    """Every node that leads to the root, by its identity."""
    found: dict[int, Node] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += reversed(node.parents)
    if len(found) > MOST_NODES:
        raise ValueError(
            f"A graph of {len(found)} nodes cannot be read: draw one of at most {MOST_NODES}, "
            "such as one layer or one step."
        )
    return found


def _graph(nodes: dict[int, Node]) -> nx.DiGraph:
    """Edges from parent to child, `times` how often the child uses it."""
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for key, node in nodes.items():
        for parent in node.parents:
            times = graph.get_edge_data(id(parent), key, {"times": 0})["times"]
            graph.add_edge(id(parent), key, times=times + 1)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError("The graph has a cycle: a node is among those that it is computed from.")
    return graph


def _rows(graph: nx.DiGraph, root: int) -> list[list[Any]]:
    """Nodes by rows from top to bottom, every arrow from one row to the next.

    A longer arrow is replaced in `graph` by a chain of invisible nodes, one in each row it crosses.
    """
    upwards = list(nx.topological_generations(graph.reverse(copy=False)))
    level = {key: len(upwards) - 1 - n for n, keys in enumerate(upwards) for key in keys}
    rows: list[list[Any]] = [[] for _ in upwards]
    for key in nx.dfs_postorder_nodes(graph.reverse(copy=False), root):
        rows[level[key]].append(key)
    for parent, child, times in list(graph.edges(data="times")):
        between = range(level[parent] + 1, level[child])
        if between:
            graph.remove_edge(parent, child)
            chain = [parent, *((parent, child, n) for n in between), child]
            for n, key in zip(between, chain[1:-1], strict=True):
                rows[n].append(key)
            nx.add_path(graph, chain, times=times)
    for _ in range(4):  # fewer crossings: each node near the middle of its neighbours
        for one, other in (*pairwise(rows), *pairwise(rows[::-1])):
            place = {key: n / len(one) for n, key in enumerate(one)}
            near = {
                key: [place[k] for k in nx.all_neighbors(graph, key) if k in place] for key in other
            }
            other.sort(key=lambda key: np.mean(near[key]) if near[key] else 0.5)
    return rows


def _across(rows: list[list[Any]], graph: nx.DiGraph, widths: dict[Any, float]) -> dict[Any, float]:
    """The x of each node: as near to the middle of its neighbours as its row leaves room."""
    x: dict[Any, float] = {}
    offsets = []
    for row in rows:
        steps = [(widths[a] + widths[b]) / 2 + BOX_GAP for a, b in pairwise(row)]
        offsets.append(np.concatenate([[0.0], np.cumsum(steps)]))
        x |= dict(zip(row, (offsets[-1] - offsets[-1].mean()).tolist(), strict=True))
    for _ in range(30):
        for row, offset in zip(rows, offsets, strict=True):
            wanted = [np.mean([x[k] for k in nx.all_neighbors(graph, key)] or [0]) for key in row]
            placed = isotonic_regression(np.asarray(wanted) - offset) + offset
            x |= dict(zip(row, placed.tolist(), strict=True))
    return x


def _lines(node: Node) -> list[str]:
    data, grad = node.data, node.grad
    both = f"{node.name} = {node.op}" if node.name and node.op else ""
    lines = [both or node.name or node.op or "value"]
    if data is not None:
        lines.append(_numbers(data) or _shape(data))
    if isinstance(grad, str):
        lines.append(f"grad {grad}")
    elif grad is not None:
        shape = "" if _shape(grad) == _shape(data) else f"{_shape(grad)}, "
        lines.append(f"grad {_numbers(grad) or f'{shape}length {np.linalg.norm(grad):.3g}'}")
    return lines


def _numbers(value: Any) -> str:
    """Up to four numbers as they are, else nothing."""
    array: NDArray[Any] = np.asarray(value)
    if array.size > 4:
        return ""
    formats: Any = {"float_kind": lambda number: f"{number:.3g}"}
    text = np.array2string(array, separator=", ", formatter=formats)
    return " ".join(text.split()).replace("-", "−")


def _shape(value: Any) -> str:
    return "×".join(str(n) for n in np.shape(value))


def _width(lines: list[str]) -> float:
    """Inches; an invisible node on a long arrow has no lines."""
    return max(0.75, LETTER * max(map(len, lines)) + 2 * MARGIN) if lines else 0.15


def _box(
    ax: Axes, centre: tuple[float, float], size: tuple[float, float], lines: list[str], leaf: bool
) -> None:
    (x, y), (width, height) = centre, size
    rounding = 0.16 if leaf else 0.0
    frame = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle=f"round,pad=0,rounding_size={rounding}" if leaf else "square,pad=0",
        facecolor="#e3eff6" if leaf else "white",
        edgecolor=plots.BLUE if leaf else plots.INK,
        linewidth=1.6 if leaf else 1.2,
        zorder=3,
    )
    ax.add_patch(frame)
    for n, line in enumerate(lines):
        place = y + ((len(lines) - 1) / 2 - n) * LINE
        colour = plots.VERMILLION if n and line.startswith("grad") else plots.INK
        weight = "normal" if n else "bold"
        style = {"ha": "center", "va": "center", "fontsize": FONT, "zorder": 4}
        ax.text(x, place, line, color=colour, weight=weight, **style)


def _arrows(
    ax: Axes,
    graph: nx.DiGraph,
    nodes: dict[int, Node],
    x: dict[Any, float],
    y: dict[Any, float],
    heights: dict[Any, float],
) -> None:
    """Arrows that end side by side on their box's upper edge, in the order of their origins."""
    ends: dict[tuple[Any, Any], float] = {}
    for key in nodes:
        origins = sorted(graph.predecessors(key), key=lambda origin: x[origin])
        for n, origin in enumerate(origins):
            ends[origin, key] = x[key] + 0.22 * (n - (len(origins) - 1) / 2)
    for start, end, times in graph.edges(data="times"):
        first = x[start], y[start] - heights.get(start, 0) / 2
        last = ends.get((start, end), x[end]), y[end] + heights.get(end, 0) / 2
        for bend in np.linspace(-0.25, 0.25, times) if times > 1 else (0.0,):
            style = {
                "arrowstyle": "-|>" if end in nodes else "-",
                "connectionstyle": f"arc3,rad={bend}",
                "color": plots.INK,
                "linewidth": 1.1,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            ax.annotate("", last, first, arrowprops=style, zorder=2)
