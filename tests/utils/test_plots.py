"""The figures: what they show, that they can be read without colour, and how they reach a page."""

import base64
import itertools
import struct
from collections.abc import Iterator
from html.parser import HTMLParser

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from numpy.typing import NDArray

from tests.notebooks import outputs_of
from utils import plots

ALT = 'Two "clouds" & the line <between> them'


@pytest.fixture
def ax() -> Iterator[Axes]:
    fig, axes = plt.subplots()
    yield axes
    plt.close(fig)


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def is_labelled(ax: Axes) -> bool:
    return bool(ax.get_xlabel() and ax.get_ylabel())


# Showing


def test_a_notebook_shows_a_figure_once_sharp_and_with_alternative_text() -> None:
    [[shown, printed]] = outputs_of(
        "import matplotlib.pyplot as plt\n"
        "from utils import plots\n"
        "fig, ax = plt.subplots(figsize=(4, 3))\n"
        f"plots.show(fig, alt={ALT!r})\n"
        "print('open figures:', plt.get_fignums())"
    )
    assert printed.text == "open figures: []\n"
    assert shown.data["text/plain"] == f"[figure] {ALT}"
    attributes: dict[str, str | None] = {}

    class Images(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert (tag, attributes) == ("img", {})
            attributes.update(attrs)

    Images().feed(shown.data["text/html"])
    assert attributes["alt"] == ALT
    header, _, payload = (attributes["src"] or "").partition(",")
    assert header == "data:image/png;base64"
    pixels, _ = struct.unpack(">II", base64.b64decode(payload)[16:24])
    assert pixels // 2 == int(attributes["width"] or 0)
    assert 350 < pixels // 2 < 400  # about 4 inches at 96 pixels an inch


def test_a_script_without_a_display_prints_the_alternative_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fig = plt.figure()
    plots.show(fig, alt=ALT)
    assert capsys.readouterr().out == f"[figure] {ALT}\n"
    assert not plt.fignum_exists(fig.number)


def test_a_script_with_a_display_opens_a_window(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[list[int]] = []
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    fig = plt.figure()
    plots.show(fig, alt=ALT)
    assert shown == [[fig.number]]
    assert not plt.fignum_exists(fig.number)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_figure_without_alternative_text_is_refused(alt: str) -> None:
    fig = plt.figure()
    with pytest.raises(ValueError, match="needs alternative text"):
        plots.show(fig, alt=alt)
    assert plt.fignum_exists(fig.number)
    plt.close(fig)


# Colours


def test_no_two_labels_look_alike_and_neither_marker_nor_colour_alone_tells_them() -> None:
    for labels in ([-1, 1], [0, 1], list(range(10))):
        looks = [plots._look(label) for label in labels]
        assert len({marker for _, marker, _ in looks}) == len(labels)
        assert len({hatch for _, _, hatch in looks}) == len(labels)
        if len(labels) <= 7:
            assert len({colour for colour, _, _ in looks}) == len(labels)


def test_signed_values_read_in_grey() -> None:
    red, green, blue = plots.SIGNED(np.linspace(0, 1, 101))[:, :3].T
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(lightness) > 0).all()
    saturation = rgb_to_hsv(to_rgb(plots.SIGNED(0.5)))[1]
    assert saturation < 0.05


# Points, lines and regions

CLOUDS = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])


def test_points_are_named_and_their_axes_labelled(ax: Axes) -> None:
    plots.scatter_classes(ax, CLOUDS, [-1, 1, -1, 1])
    assert is_labelled(ax)
    assert legend_of(ax) == ["class −1", "class +1"]
    negative, positive = (np.asarray(group.get_offsets()) for group in ax.collections)
    np.testing.assert_array_equal(negative, CLOUDS[[0, 2]])
    np.testing.assert_array_equal(positive, CLOUDS[[1, 3]])


def test_names_and_axes_that_the_lab_gives_are_kept(ax: Axes) -> None:
    ax.set(xlabel="width (mm)", ylabel="height (mm)")
    plots.scatter_classes(ax, CLOUDS, [0, 1, 0, 1], names={0: "zero"})
    assert legend_of(ax) == ["zero", "class 1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width (mm)", "height (mm)")


def test_a_label_looks_the_same_whichever_labels_are_beside_it(ax: Axes) -> None:
    plots.scatter_classes(ax, CLOUDS, [0, 1, 2, 3])
    plots.scatter_classes(ax, CLOUDS, [3, 3, 3, 3])
    among_others, alone = ax.collections[3], ax.collections[4]
    np.testing.assert_array_equal(among_others.get_facecolor(), alone.get_facecolor())
    np.testing.assert_array_equal(
        among_others.get_paths()[0].vertices, alone.get_paths()[0].vertices
    )


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((4, 3)), np.zeros(4), r"X of shape \(N, 2\).*\(4, 3\)"),
        (CLOUDS, [0, 1], r"y of shape \(N,\).*\(2,\)"),
        (CLOUDS, [0.5, 1, 1, 1], "whole number from −1 up, not 0.5"),
        (CLOUDS, [-2, 1, 1, 1], "whole number from −1 up, not -2"),
    ],
)
def test_points_of_the_wrong_kind_are_refused(
    ax: Axes, X: NDArray[np.float64], y: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plots.scatter_classes(ax, X, y)


@pytest.mark.parametrize("seed", range(5))
def test_the_line_is_where_the_neuron_changes_its_mind(ax: Axes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=2)
    b = -float(w @ rng.uniform(1, 3, size=2))  # the line goes through a point in the figure
    ax.set(xlim=(0, 4), ylim=(0, 4))
    plots.decision_line(ax, w, b)
    ends = np.asarray(ax.lines[0].get_xydata())
    np.testing.assert_allclose(ends @ w + b, 0, atol=1e-9)
    np.testing.assert_allclose(np.abs(ends - 2).max(axis=1), 2)  # from edge to edge
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 4), (0, 4))
    [letter] = [text for text in ax.texts if text.get_text() == "w"]
    assert np.array(letter.get_position()) @ w + b > 0
    assert is_labelled(ax)


@pytest.mark.parametrize(("w", "b", "x"), [([1.0, 0.0], -2.0, 2.0), ([-1.0, 0.0], 3.0, 3.0)])
def test_a_line_may_stand_upright(ax: Axes, w: list[float], b: float, x: float) -> None:
    ax.set(xlim=(0, 4), ylim=(0, 4))
    plots.decision_line(ax, w, b)
    ends = np.asarray(ax.lines[0].get_xydata())
    np.testing.assert_allclose(ends[:, 0], x)
    np.testing.assert_allclose(np.sort(ends[:, 1]), [0, 4])


@pytest.mark.parametrize(
    ("w", "b", "why"), [([0.0, 0.0], 1.0, "w = 0"), ([1.0, 1.0], -99.0, "outside the figure")]
)
def test_the_legend_says_that_there_is_no_line(
    ax: Axes, w: list[float], b: float, why: str
) -> None:
    ax.set(xlim=(0, 4), ylim=(0, 4))
    plots.decision_line(ax, w, b, label="after")
    assert legend_of(ax) == [f"after ({why})"]
    assert len(np.asarray(ax.lines[0].get_xydata())) == 0


@pytest.mark.parametrize("w", [[1.0, 2.0, 3.0], [np.nan, 1.0]])
def test_weights_of_the_wrong_kind_are_refused(ax: Axes, w: list[float]) -> None:
    with pytest.raises(ValueError, match="two finite weights and a bias"):
        plots.decision_line(ax, w, 0.0)


def test_regions_show_what_is_predicted(ax: Axes) -> None:
    asked: list[tuple[int, ...]] = []

    def predict(points: NDArray[np.float64]) -> NDArray[np.int64]:
        asked.append(points.shape)
        return np.where(points[:, 0] > 1, 1, -1)

    plots.decision_regions(ax, predict, (0, 4), (-2, 2))
    assert asked == [(32_400, 2)]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 4), (-2, 2))
    assert is_labelled(ax)
    assert legend_of(ax) == ["predicted −1", "predicted +1"]
    fills = [part for part in ax.collections if isinstance(part, QuadContourSet) and part.filled]
    boxes = [fill.get_paths()[0].get_extents() for fill in fills]
    assert [(round(box.x0), round(box.x1)) for box in boxes] == [(0, 1), (1, 4)]


def test_a_region_has_the_colour_and_hatching_of_its_label_even_alone(ax: Axes) -> None:
    plots.decision_regions(ax, lambda points: np.ones(len(points)), (0, 1), (0, 1))
    legend = ax.get_legend()
    assert legend is not None
    [patch] = legend.get_patches()
    assert to_rgb(patch.get_facecolor()) == pytest.approx(plots._tint(plots.BLUE, 0.15))
    assert not patch.get_hatch()


def test_a_predict_of_the_wrong_shape_is_refused(ax: Axes) -> None:
    with pytest.raises(ValueError, match=r"one label for each point.*returned shape \(32400, 1\)"):
        plots.decision_regions(ax, lambda points: points[:, :1], (0, 1), (0, 1))


# Images and curves


def images_in(fig: Figure) -> list[AxesImage]:
    return [image for ax in fig.axes for image in ax.images]


def test_images_stand_in_rows_under_their_titles_on_one_scale() -> None:
    pictures = np.arange(7 * 3 * 2).reshape(7, 3, 2)
    fig = plots.image_grid(pictures, titles=np.arange(7), columns=4)
    assert len(fig.axes) == 8
    shown = images_in(fig)
    assert len(shown) == 7
    for number, image in enumerate(shown):
        np.testing.assert_array_equal(np.asarray(image.get_array()), pictures[number])
        assert image.get_clim() == (0, pictures.max())
        assert fig.axes[number].get_title() == str(number)
    assert {ax.axison for ax in fig.axes} == {False}
    plt.close(fig)


def test_signed_images_have_zero_in_the_middle_and_a_named_scale() -> None:
    fig = plots.image_grid([[[-1.0, 0.0], [2.0, 3.0]]], unit="weight")
    [image] = images_in(fig)[:1]
    assert image.get_clim() == (-3, 3)
    assert image.get_cmap() is plots.SIGNED
    assert "weight" in [ax.get_ylabel() for ax in fig.axes]
    plt.close(fig)


def test_all_zero_images_can_be_drawn() -> None:
    fig = plots.image_grid(np.zeros((1, 2, 2)))
    assert images_in(fig)[0].get_clim() == (0, 1)
    plt.close(fig)


def test_coloured_images_are_drawn_as_they_are() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    fig = plots.image_grid(pictures, ["a", "b", "c"])
    assert len(fig.axes) == 3
    for ax, picture in zip(fig.axes, pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), picture)


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        (np.zeros((3, 4)), None, r"shape \(N, H, W\), not \(3, 4\)"),
        (np.zeros((0, 4, 4)), None, r"shape \(N, H, W\), not \(0, 4, 4\)"),
        (np.zeros((3, 4, 4)), "ab", "3 images, but 2 titles"),
    ],
)
def test_images_that_cannot_be_drawn_are_refused(
    images: NDArray[np.float64], titles: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plots.image_grid(images, titles)


def named_ends(ax: Axes) -> dict[str, tuple[float, float]]:
    """The point at which each name's line arrives."""
    return {text.get_text(): tuple(text.xy) for text in ax.texts}  # pyright: ignore


def test_each_curve_is_named_at_its_end_and_has_its_own_dashes_and_marker(ax: Axes) -> None:
    series = {"sigmoid": [3, 2, 1.5], "tanh": [3, 1, 0.5], "ReLU": [3, 0.5]}
    plots.curves(ax, series, "epoch", "loss (nats)")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats)")
    assert named_ends(ax) == {"sigmoid": (3, 1.5), "tanh": (3, 0.5), "ReLU": (2, 0.5)}
    assert len({str(line.get_marker()) for line in ax.lines}) == 3
    assert len({str(line._unscaled_dash_pattern) for line in ax.lines}) == 3  # pyright: ignore
    assert all(tick == round(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_of_curves_that_end_together_do_not_overlap(ax: Axes, scale: str) -> None:
    ax.set_yscale(scale)
    ends = [0.1, 0.1, 0.1, 0.11, 0.9, 0.91]
    plots.curves(ax, {f"curve {end} {k}": [1, end] for k, end in enumerate(ends)}, "x", "y")
    ax.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue]
    boxes = [Text.get_window_extent(name) for name in ax.texts]  # without the leaders
    assert len(boxes) == len(ends)
    boxes.sort(key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def test_names_with_room_stand_level_with_the_ends_of_their_curves(ax: Axes) -> None:
    ends = {"high": 9.0, "low": 1.0}
    plots.curves(ax, {name: [5.0, end] for name, end in ends.items()}, "x", "y")
    ax.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue]
    for name in ax.texts:
        box = Text.get_window_extent(name)
        _, end = ax.transData.transform((2, ends[name.get_text()]))
        assert (box.y0 + box.y1) / 2 == pytest.approx(end, abs=3)  # pixels


def test_a_curve_that_diverges_is_named_where_it_was_last_finite(ax: Axes) -> None:
    plots.curves(ax, {"too fast": [1, 5, np.inf, np.nan], "lost": [np.nan]}, "epoch", "loss")
    ends = named_ends(ax)
    assert ends["too fast"] == (2, 5)
    assert list(ends) == ["too fast", "lost (no finite value)"]


def test_curves_stand_where_x_says(ax: Axes) -> None:
    plots.curves(ax, {"bubble": [0.4, 0.2]}, "micro-batches", "idle", x=[4, 16])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [4, 16])
