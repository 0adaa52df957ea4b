"""Drawn scenes: what is in them is where they say."""

import numpy as np

from utils.data import scenes


def test_scenes_are_balanced_reproducible_and_of_the_stated_form() -> None:
    made, again, other = scenes.drawn(40), scenes.drawn(40), scenes.drawn(40, seed=1)
    assert made.x.shape == (40, scenes.SIDE, scenes.SIDE, 3)
    assert made.x.dtype == np.uint8
    assert (made.y.dtype, made.boxes.dtype) == (np.int64, np.int64)
    counts = np.bincount(made.y, minlength=len(scenes.KINDS))
    assert counts.max() - counts.min() <= 1
    assert (made.x == again.x).all()
    assert (made.boxes == again.boxes).all()
    assert (made.x != other.x).any()
    assert "40 drawn scenes" in repr(made)


def test_every_object_is_whole_and_in_its_box() -> None:
    made = scenes.drawn(300)
    assert made.boxes.min() >= 0
    assert made.boxes.max() <= scenes.SIDE
    sizes = made.boxes[:, 2:] - made.boxes[:, :2]
    assert sizes.min() >= 2 * scenes.LEAST
    assert sizes.max() <= 2 * scenes.MOST + 2


def test_the_object_has_another_colour_than_what_is_around_it() -> None:
    made = scenes.drawn(300)
    discs = made.y == scenes.KINDS.index("disc")
    middles = made.boxes.reshape(-1, 2, 2).mean(axis=1).astype(int)[discs]
    pictures = made.x[discs].astype(float)
    middle = pictures[np.arange(len(pictures)), middles[:, 0], middles[:, 1]]
    around = np.median(pictures.reshape(len(pictures), -1, 3), axis=1)
    assert np.median(np.linalg.norm(middle - around, axis=1)) > 90


def test_neither_the_centre_nor_the_brightest_spot_gives_the_place_away() -> None:
    made = scenes.drawn(600)
    centre = np.full((600, 2), scenes.SIDE // 2)
    brightest = made.x.sum(axis=3).reshape(600, -1).argmax(axis=1)
    spots = np.stack(np.divmod(brightest, scenes.SIDE), axis=1)
    assert scenes.inside(centre, made.boxes).mean() < 0.5
    assert scenes.inside(spots, made.boxes).mean() < 0.5


def test_a_close_up_holds_the_object() -> None:
    made = scenes.drawn(200)
    close = scenes.close_ups(made)
    assert close.shape == (200, scenes.CLOSE, scenes.CLOSE, 3)
    assert (close == scenes.close_ups(made)).all()
    for x, window, (top, left, bottom, right) in zip(made.x, close, made.boxes, strict=True):
        part = x[top:bottom, left:right]
        seen = np.lib.stride_tricks.sliding_window_view(window, part.shape)
        assert (seen == part).all(axis=(-1, -2, -3)).any()


def test_what_is_lighter_is_so_in_the_picture() -> None:
    made = scenes.drawn(400)
    discs = np.flatnonzero(made.y == scenes.KINDS.index("disc"))
    middles = made.boxes.reshape(-1, 2, 2).mean(axis=1).astype(int)[discs]
    light = made.x.astype(float).sum(axis=3)
    found = light[discs, middles[:, 0], middles[:, 1]] > np.median(light[discs], axis=(1, 2))
    assert (found == made.lighter[discs]).mean() > 0.9
    assert set(made.family[discs]) == {scenes.FAMILIES.index("round")}


def test_a_point_is_inside_up_to_the_edge_that_is_not_included() -> None:
    boxes = np.array([[2, 3, 5, 7]] * 4)
    points = [[2, 3], [4, 6], [5, 6], [4, 7]]
    assert scenes.inside(points, boxes).tolist() == [True, True, False, False]
