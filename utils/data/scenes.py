"""Small drawn scenes: one object of a known kind at a known place, among things that distract.

On them a map that claims to show where a network found its evidence can be graded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIDE = 32
KINDS = ("disc", "ring", "plus", "saltire", "lying stripes", "standing stripes")
FAMILIES = ("round", "crossed", "striped")  # of two kinds each, in their order
CLOSE = 16  # side of a close-up
LEAST, MOST = 4.5, 6.5  # half the size of an object, in pixels

Floats = NDArray[np.floating]  # float32, which takes half the time


@dataclass(frozen=True, eq=False, repr=False)
class Scenes:
    """Scenes, what is in them and where.

    x: (N, 32, 32, 3) uint8, height, width and red-green-blue; y: (N,) int64, an index into KINDS;
    boxes: (N, 4) int64, the object's top, left, bottom, right in pixels, the last two not included;
    lighter: (N,) int64, 1 where the object is lighter than the ground, else 0.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    boxes: NDArray[np.int64]
    lighter: NDArray[np.int64]

    @property
    def family(self) -> NDArray[np.int64]:
        """(N,) an index into FAMILIES."""
        return self.y // 2

    def __repr__(self) -> str:
        return f"{len(self.x):,} drawn scenes of {SIDE}×{SIDE} pixels, {len(KINDS)} kinds of object"


def drawn(count: int, seed: int = 0) -> Scenes:
    """Scenes drawn by code; the same ones for the same seed. Every kind comes as often as any
    other, or once more.

    Place, size and colours vary and say nothing about the kind. Lines and soft lights, some
    brighter than the object, lie behind it.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count) % len(KINDS)).astype(np.int64)
    half = _uniform(rng, LEAST, MOST, (count, 1, 1))
    row, column = (half + _uniform(rng, 0, 1, half.shape) * (SIDE - 2 * half) for _ in range(2))
    down, across = _grid()
    v, u = (down - row) / half, (across - column) / half
    colour, ground = _colours(rng, count)
    x = ground + _uniform(rng, -0.12, 0.12, (count, 1, 1, 3)) * (across[..., None] / SIDE)
    for _ in range(3):
        x = x + _line(rng, count)[..., None] * (_uniform(rng, 0, 1, (count, 1, 1, 3)) - x)
    for _ in range(2):
        x = x + _light(rng, count)[..., None]
    covered = np.empty((count, SIDE, SIDE), np.float32)
    for kind, name in enumerate(KINDS):
        here = y == kind
        covered[here] = (0.5 + _depth(name, u[here], v[here]) * half[here]).clip(0, 1)
    x = x + covered[..., None] * (colour - x)
    x = x + np.float32(0.05) * rng.standard_normal(x.shape, dtype=np.float32)
    ends = [row - half, column - half, row + half, column + half]
    boxes = np.stack([one.ravel() for one in ends], axis=1)
    boxes = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    lighter = (colour.sum(axis=-1) > ground.sum(axis=-1)).ravel().astype(np.int64)
    return Scenes((255 * x.clip(0, 1)).astype(np.uint8), y, boxes.astype(np.int64), lighter)


def close_ups(whole: Scenes, seed: int = 0) -> NDArray[np.uint8]:
    """A window of each scene that holds all of its object, somewhere in it: (N, 16, 16, 3)."""
    lowest = np.maximum(whole.boxes[:, 2:] - CLOSE, 0)
    highest = np.minimum(whole.boxes[:, :2], SIDE - CLOSE)
    corners = np.random.default_rng(seed).integers(lowest, highest + 1)
    windows = [x[i : i + CLOSE, j : j + CLOSE] for x, (i, j) in zip(whole.x, corners, strict=True)]
    return np.stack(windows)


def inside(points: ArrayLike, boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each point, (N, 2) as row and column in pixels, lies in its box of (N, 4)."""
    at = np.asarray(points)
    return np.asarray(((at >= boxes[:, :2]) & (at < boxes[:, 2:])).all(axis=1))


def _uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Floats:
    return np.float32(low) + np.float32(high - low) * rng.random(shape, dtype=np.float32)


def _grid() -> tuple[Floats, Floats]:
    """The middles of the pixels: rows (1, side, 1) and columns (1, 1, side)."""
    middles = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    return middles[None, :, None], middles[None, None, :]


def _depth(name: str, u: Floats, v: Floats) -> Floats:
    """How deep inside the object each place is, in halves of its size; negative outside.

    u: to the right, v: down, both from −1 to 1 over the object.
    """
    circle = 1 - np.hypot(u, v)
    if name == "disc":
        return circle
    if name == "ring":
        return 0.22 - abs(np.hypot(u, v) - 0.78)
    if name == "lying stripes":
        return np.minimum(circle, np.cos(2.5 * np.pi * v) / (2.5 * np.pi))
    if name == "standing stripes":
        return _depth("lying stripes", v, u)
    if name == "saltire":
        return _depth("plus", (u + v) / 2**0.5, (u - v) / 2**0.5)
    x, y = abs(u), abs(v)
    return np.minimum(1 - np.maximum(x, y), 0.25 - np.minimum(x, y))


def _colours(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """The colours of object and ground, (N, 1, 1, 3), at least 0.7 apart."""
    colour, ground = _uniform(rng, 0, 0.9, (2, count, 1, 1, 3))
    while (near := np.linalg.norm(colour - ground, axis=-1)[:, 0, 0] < 0.7).any():
        colour[near] = _uniform(rng, 0, 0.9, (int(near.sum()), 1, 1, 3))
    return colour, ground


def _line(rng: np.random.Generator, count: int) -> Floats:
    """How much of each pixel a thin straight line covers, 0 to 1."""
    down, across = _grid()
    row, column = _uniform(rng, 0, SIDE, (2, count, 1, 1))
    angle = _uniform(rng, 0, np.pi, (count, 1, 1))
    away = abs(np.cos(angle) * (down - row) + np.sin(angle) * (across - column))
    return np.float32(0.8) * (1.1 - away).clip(0, 1)


def _light(rng: np.random.Generator, count: int) -> Floats:
    """A soft light somewhere: what it adds to each pixel."""
    down, across = _grid()
    row, column = _uniform(rng, 0, SIDE, (2, count, 1, 1))
    wide = _uniform(rng, 1.5, 3, (count, 1, 1))
    far = ((down - row) ** 2 + (across - column) ** 2) / (2 * wide**2)
    return _uniform(rng, 0.2, 0.6, (count, 1, 1)) * np.exp(-far)
