"""Small colour pictures of ten classes: CIFAR-10 where it can be had, otherwise drawn by code.

`python -m utils.data.images cifar10 [--root DIR]` downloads CIFAR-10 (170 MB); so does `make data`.
Nothing else here does.
"""

import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from utils.data.download import command_line, download_folder, fetch
from utils.data.root import DataError, data_root

Floats = NDArray[np.floating]  # float32, which takes half the time

COMMAND = "`make data`"
SUBSET = Path("cifar10") / "cifar10-subset-10k-2k.npz"
DRAWN_TRAIN, DRAWN_TEST, SIDE = 5_000, 1_000, 32

# A left-right flip keeps each of these what it is; an upside-down one exchanges the triangles.
SHAPES = (
    "disc",
    "ring",
    "square",
    "triangle",
    "triangle down",
    "plus",
    "saltire",
    "lying stripes",
    "standing stripes",
    "chequers",
)


@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """Colour pictures of ten classes and their labels, split into training and test set.

    train_x, test_x: (N, 32, 32, 3) uint8, height, width and red-green-blue, 0 (dark) to 255
    train_y, test_y: (N,) int64, 0 to 9: an index into class_names
    name: "CIFAR-10", "CIFAR-10 subset" or "drawn shapes"
    """

    name: str
    class_names: tuple[str, ...]
    train_x: NDArray[np.uint8]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]

    def __repr__(self) -> str:
        _, height, width, _ = self.train_x.shape
        return (
            f"{self.name}: {len(self.train_x):,} training and {len(self.test_x):,} test images "
            f"of {height}×{width} pixels in colour, {len(self.class_names)} classes"
        )


def cifar10(root: str | Path | None = None) -> Images:
    """CIFAR-10 from the data root, or pictures drawn by code; one printed line says which and why.

    root: a folder that holds `cifar-10-batches-py`, as torchvision has it, or else the subset
    `cifar10/cifar10-subset-10k-2k.npz` (arrays x_train, y_train, x_test, y_test, class_names).
    Without it LAB_DATA names the folder, and without that it is `data` in the repository, as for
    `utils.data.digits`. Nothing is downloaded.
    Raises DataError for files that are there and broken.
    """
    folder, source = data_root(root)
    if (folder / _cifar().base_folder).exists():
        loaded, why = _read_cifar(folder), f"from {folder}, checksums agree"
    elif (folder / SUBSET).exists():
        loaded, why = _read_subset(folder / SUBSET), f"from {folder}"
    else:
        loaded = drawn()
        missing = f"{source} is {folder} and has no CIFAR-10" if source else "CIFAR-10 is not here"
        why = f"made by code, since {missing}: {COMMAND} fetches it"
    print(f"{loaded} ({why}).")
    return loaded


def download_cifar10(root: Path) -> None:
    """Put CIFAR-10 into root, as torchvision lays it out; torchvision checks it.

    The download goes into a temporary folder inside root and is moved into place once it is whole.
    A broken folder that is there already is kept as NAME.broken.
    Raises DataError if the files cannot be had or written.
    """
    place = root / _cifar().base_folder
    if place.exists() and _intact(root):
        return
    with download_folder("CIFAR-10", COMMAND, root, place) as temporary:
        fetch("CIFAR-10", "170 MB", COMMAND, lambda: _cifar()(temporary, download=True))
        if place.exists():
            place.rename(_unused(place))
        (temporary / place.name).rename(place)


def drawn(
    train: int = DRAWN_TRAIN, test: int = DRAWN_TEST, seed: int = 0, side: int = SIDE
) -> Images:
    """Pictures of ten shapes and patterns, drawn by code; the same ones for the same seed.

    Place, size, tilt, colours, brightness from side to side, a blot and noise vary from picture to
    picture and say nothing about the class; nor does which of two colours is the shape's. Much
    easier than photographs all the same: each class is one shape.
    train, test: how many; every class has as many pictures as any other, or one more.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for count in (train, test):
        labels = rng.permutation(np.arange(count) % len(SHAPES))
        parts += [_draw(labels, side, rng), labels.astype(np.int64)]
    return Images("drawn shapes", SHAPES, *parts)


def _cifar() -> type:
    from torchvision.datasets import CIFAR10

    return CIFAR10


def _intact(root: Path) -> bool:
    try:
        _cifar()(root)
    except RuntimeError:
        return False
    return True


def _unused(place: Path) -> Path:
    """A name that nothing has: NAME.broken, or NAME.broken2 and so on."""
    names = (place.with_name(f"{place.name}.broken{n or ''}") for n in (0, *range(2, 1000)))
    return next(name for name in names if not name.exists())


def _read_cifar(root: Path) -> Images:
    try:
        train, test = _cifar()(root, train=True), _cifar()(root, train=False)
    except RuntimeError as error:
        raise DataError(
            f"CIFAR-10 in {root} cannot be used, a file is missing or its checksum differs:"
            f" run {COMMAND} again, or set LAB_DATA to an empty folder for drawn pictures."
        ) from error
    labels = (np.array(part.targets, np.int64) for part in (train, test))
    train_y, test_y = labels
    return Images("CIFAR-10", tuple(train.classes), train.data, train_y, test.data, test_y)


def _read_subset(path: Path) -> Images:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = tuple(str(name) for name in file["class_names"])
            arrays = [file[key] for key in ("x_train", "y_train", "x_test", "y_test")]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise _broken(path, str(error).strip("'\"") or type(error).__name__) from error
    for x, y in (arrays[:2], arrays[2:]):
        if x.ndim != 4 or x.shape[1:] != (SIDE, SIDE, 3) or x.dtype != np.uint8:
            raise _broken(path, f"images of shape {x.shape} and dtype {x.dtype}")
        if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
            raise _broken(path, f"labels of shape {y.shape} and dtype {y.dtype}")
        if not ((y >= 0) & (y < len(names))).all():
            raise _broken(path, f"labels beyond its {len(names)} classes")
    train_x, train_y, test_x, test_y = arrays
    labels = train_y.astype(np.int64), test_y.astype(np.int64)
    return Images("CIFAR-10 subset", names, train_x, labels[0], test_x, labels[1])


def _broken(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not a subset of CIFAR-10 that can be used ({why}): take it away, or put a good"
        " one in its place."
    )


def _draw(labels: NDArray[np.integer], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One picture for each label: (N, side, side, 3)."""
    n = len(labels)
    u, v, pixel = _places(n, side, rng)
    inside = np.empty((n, side, side), np.float32)
    for label, name in enumerate(SHAPES):
        here = labels == label
        phase = _uniform(rng, 0, 2 * np.pi, (2, int(here.sum()), 1, 1))
        depth = _depth(name, u[here], v[here], phase)
        inside[here] = (0.5 + depth / pixel[here]).clip(0, 1)
    shape, ground = _colours(n, rng)
    picture = ground + inside[..., None] * (shape - ground)
    picture *= _light(n, side, rng)[..., None]
    colour = _uniform(rng, 0, 1, (n, 1, 1, 3))
    picture += _blot(n, side, rng)[..., None] * (colour - picture)
    picture += np.float32(0.06) * rng.standard_normal(picture.shape, dtype=np.float32)
    return (255 * picture.clip(0, 1)).astype(np.uint8)


def _uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Floats:
    return np.float32(low) + np.float32(high - low) * rng.random(shape, dtype=np.float32)


def _places(n: int, side: int, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Each pixel as the shape sees it: (u, v), the shape reaching from −1 to 1; a pixel's size."""
    tilt, size = _uniform(rng, -0.25, 0.25, (n, 1, 1)), _uniform(rng, 0.4, 0.75, (n, 1, 1))
    away = _uniform(rng, -1, 1, (2, n, 1, 1)) * (np.float32(0.9) - size)
    x, y = _grid(side)
    x, y = x - away[0], y - away[1]
    u = (np.cos(tilt) * x + np.sin(tilt) * y) / size
    v = (np.cos(tilt) * y - np.sin(tilt) * x) / size
    return u, v, np.float32(2 / side) / size


def _grid(side: int) -> tuple[Floats, Floats]:
    """The places of the pixels, from −1 to 1: x (1, 1, side) to the right, y (1, side, 1) down."""
    column = np.linspace(-1, 1, side, dtype=np.float32)
    return column[None, None, :], column[None, :, None]


def _depth(name: str, u: Floats, v: Floats, phase: Floats) -> Floats:
    """How deep inside the shape each place is; negative outside. phase: where a pattern begins."""
    wave = 5.0  # of a pattern, in radians to half the shape's size
    if name == "disc":
        return 0.9 - np.hypot(u, v)
    if name == "ring":
        return 0.25 - abs(np.hypot(u, v) - 0.75)
    if name == "square":
        return 0.8 - np.maximum(abs(u), abs(v))
    if name == "triangle":
        return np.minimum(0.75 - v, (0.9 + v - 1.9 * abs(u)) / 2.1)
    if name == "triangle down":
        return _depth("triangle", u, -v, phase)
    if name == "plus":
        x, y = abs(u), abs(v)
        return np.minimum(0.95 - np.maximum(x, y), 0.28 - np.minimum(x, y))
    if name == "saltire":
        return _depth("plus", (u + v) / 2**0.5, (u - v) / 2**0.5, phase)
    lying, standing = np.sin(wave * v + phase[0]), np.sin(wave * u + phase[1])
    if name == "lying stripes":
        return lying / wave
    if name == "standing stripes":
        return standing / wave
    return lying * standing / wave


def _colours(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The colours of shape and ground, (n, 1, 1, 3), at least 0.55 apart."""
    shape, ground = _uniform(rng, 0, 1, (2, n, 1, 1, 3))
    while (near := np.linalg.norm(shape - ground, axis=-1)[:, 0, 0] < 0.55).any():
        shape[near] = _uniform(rng, 0, 1, (int(near.sum()), 1, 1, 3))
    return shape, ground


def _light(n: int, side: int, rng: np.random.Generator) -> Floats:
    """Brightness that changes from one side of the picture to the other."""
    (x, y), angle = _grid(side), _uniform(rng, 0, 2 * np.pi, (n, 1, 1))
    return 0.85 + _uniform(rng, 0, 0.25, (n, 1, 1)) * (np.cos(angle) * x + np.sin(angle) * y)


def _blot(n: int, side: int, rng: np.random.Generator) -> Floats:
    """A round blot somewhere, which hides what is under it: how much of each pixel, 0 to 1."""
    (x, y), (left, top) = _grid(side), _uniform(rng, -1, 1, (2, n, 1, 1))
    reach = _uniform(rng, 0.1, 0.3, (n, 1, 1)) - np.hypot(x - left, y - top)
    return (reach * np.float32(side / 2)).clip(0, 1)


def main(arguments: list[str] | None = None) -> int:
    """The command line: download CIFAR-10. Returns the exit status."""
    done = "CIFAR-10 is in {root}, its checksums agree."
    return command_line("utils.data.images", "cifar10", download_cifar10, done, arguments)


if __name__ == "__main__":
    sys.exit(main())
