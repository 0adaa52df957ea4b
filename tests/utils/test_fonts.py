"""Digits drawn from fonts: of the stated form, the same for a seed, and as large as before."""

import numpy as np
import torch

from utils.data import fonts

GLYPHS = fonts.glyphs()
HAND = fonts.Camera(turn=10, slant=0.3, stretch=0.3, wobble=2.5, blur=1.5, shadow=0.3, noise=0.1)


def test_every_font_draws_ten_different_digits_as_high_as_the_image() -> None:
    assert GLYPHS.x.shape == (20, 10, fonts.SIDE, fonts.SIDE)
    assert GLYPHS.x.dtype == np.float32
    assert GLYPHS.x.min() == 0
    assert GLYPHS.x.max() == 1
    assert (GLYPHS.x.max(axis=3)[..., [0, -1]] > 0.2).all()
    for digits in GLYPHS.x:
        apart = np.abs(digits[:, None] - digits[None]).mean(axis=(2, 3))
        assert (apart + np.eye(10) > 0.01).all()


def test_fonts_are_chosen_by_how_their_names_begin() -> None:
    assert len(GLYPHS.of("DejaVu", "STIX").names) == 16
    assert GLYPHS.of("cm").names == ("cmr10", "cmb10", "cmss10", "cmtt10")
    assert "4 fonts" in repr(GLYPHS.of("cm"))


def test_drawn_digits_are_balanced_and_the_same_for_a_seed() -> None:
    for camera in (None, HAND):
        x, y = fonts.drawn(43, GLYPHS, camera, side=8, seed=1)
        again, other = (fonts.drawn(43, GLYPHS, camera, side=8, seed=seed)[0] for seed in (1, 2))
        assert x.shape == (43, 1, 8, 8)
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        assert 0 <= x.min() < x.max() <= 1
        assert np.ptp(np.bincount(y.numpy(), minlength=10)) <= 1
        assert torch.equal(x, again)
        assert not torch.equal(x, other)


def test_what_is_turned_and_slanted_stays_within_the_image() -> None:
    shape = fonts.Camera(turn=20, slant=0.5, stretch=0.4)
    straight, _ = fonts.drawn(200, GLYPHS, fonts.Camera(), side=32)
    bent, _ = fonts.drawn(200, GLYPHS, shape, side=32)
    edges = torch.cat((bent[..., 0], bent[..., -1]), dim=2)
    assert (edges > 0.5).float().mean() < 0.05
    assert 0.5 < bent.mean() / straight.mean() < 1.2


def test_a_camera_can_be_told_to_do_some_things_alone() -> None:
    assert HAND.only("blur") == fonts.Camera(blur=1.5)
