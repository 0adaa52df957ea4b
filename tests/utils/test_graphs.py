"""Pictures of computation graphs: what the boxes say, where they stand, and what is refused."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from utils import graphs


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    yield
    plt.close("all")


def node(name: str = "", op: str = "", data: Any = 1.0, grad: Any = None, *parents: Any) -> Any:
    return SimpleNamespace(name=name, op=op, data=data, grad=grad, parents=parents)


def network() -> Any:
    """relu(X W + b), summed, and once more added to its own input."""
    X, W = node("X", "", np.ones((4, 3)), np.ones((4, 3))), node("W", "", np.ones((3, 2)))
    b = node("b", "", np.array([0.5, -1.0]), np.array([-2.0, 1.25]))
    product = node("", "matmul", np.ones((4, 2)), None, X, W)
    moved = node("", "add", np.ones((4, 2)), None, product, b)
    active = node("", "relu", np.ones((4, 2)), None, moved)
    mixed = node("", "mul", np.ones((4, 2)), None, active, moved)
    return node("L", "sum", 8.0, 1.0, mixed, X)


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts if text.get_text()]


def arrows(fig: Figure) -> list[Annotation]:
    return [text for text in fig.axes[0].texts if isinstance(text, Annotation)]


def boxes(fig: Figure) -> list[Bbox]:
    return [p.get_extents() for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]


def test_a_box_says_name_operation_value_and_gradient() -> None:
    shown = texts(graphs.draw(network()))
    assert {"X", "W", "b", "matmul", "add", "relu", "L = sum"} <= set(shown)
    assert {"8", "grad 1", "[0.5, −1]", "grad [−2, 1.25]"} <= set(shown)  # few numbers, themselves
    assert {"4×3", "grad length 3.46"} <= set(shown)  # many numbers, their shape


def test_a_gradient_of_another_shape_than_its_value_shows() -> None:
    wrong = node("b", "", np.ones(5), np.ones((6, 5)))
    assert "grad 6×5, length 5.48" in texts(graphs.draw(node("", "sum", 1.0, None, wrong)))


def test_a_word_may_stand_for_a_gradient() -> None:
    assert "grad not there yet" in texts(graphs.draw(node("x", "", 1.0, "not there yet")))


def test_a_graph_without_values_is_drawn_by_its_operations() -> None:
    x = node("", "x", None)
    assert sorted(texts(graphs.draw(node("", "relu", None, None, x)))) == ["relu", "x"]


def test_every_node_stands_below_its_parents_and_no_boxes_overlap() -> None:
    fig = graphs.draw(network())
    found = boxes(fig)
    assert len(found) == 8
    for n, one in enumerate(found):
        assert not [other for other in found[n + 1 :] if one.overlaps(other)]
    for arrow in arrows(fig):
        assert arrow.xy[1] <= arrow.xyann[1]


def test_all_of_the_graph_is_inside_the_figure() -> None:
    fig = graphs.draw(network(), order=[network()])
    page = fig.bbox
    for box in boxes(fig):
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1


def test_text_fits_into_its_box() -> None:
    fig = graphs.draw(network())
    fig.canvas.draw()
    frames = boxes(fig)
    for text in fig.axes[0].texts:
        if text.get_text():
            extent = text.get_window_extent()
            assert any(f.x0 <= extent.x0 and extent.x1 <= f.x1 for f in frames), text


def test_a_node_used_twice_by_one_operation_has_two_arrows() -> None:
    x = node("x")
    assert len(arrows(graphs.draw(node("", "mul", 1.0, None, x, x)))) == 2
    assert len(arrows(graphs.draw(node("", "relu", 1.0, None, x)))) == 1


def test_places_in_an_order_are_written_beside_the_boxes() -> None:
    a = node("a")
    b = node("b", "exp", 1.0, None, a)
    assert {"1", "2"} <= set(texts(graphs.draw(b, order=[a, b])))


def test_leaves_and_operations_differ_without_colour() -> None:
    fig = graphs.draw(node("", "relu", 1.0, None, node("x")))
    styles = [type(p.get_boxstyle()) for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]
    assert len(set(styles)) == 2


def test_a_graph_too_large_to_read_is_refused() -> None:
    last = node("x")
    for _ in range(100):
        last = node("", "exp", 1.0, None, last)
    with pytest.raises(ValueError, match="101 nodes cannot be read"):
        graphs.draw(last)


def test_a_cycle_is_refused() -> None:
    a = node("a", "add")
    a.parents = (node("b", "add", 1.0, None, a),)
    with pytest.raises(ValueError, match="has a cycle"):
        graphs.draw(a)
