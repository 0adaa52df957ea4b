"""Pictures with several objects and their boxes: scenes drawn by code, and blood cells.

    scenes = detection.drawn(600, seed=1)     # always there
    cells = detection.blood_cells()           # "train", "val", "test"; None where there are none

A box is left, top, right, bottom in pixels: edges, so that it is right − left wide.
The blood cells are the BCCD data set (S. Cheng and others, MIT licence). Nothing here downloads:
`python -m utils.data.detection` says what is there, and what to put where.
"""

import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils.data.download import tell
from utils.data.root import DataError, data_root

Floats = NDArray[np.floating]  # float32

KINDS = ("ring", "disc", "cross")
SIDE = 64  # of a drawn scene, in pixels
LEAST, MOST = 9.0, 24.0  # of a drawn object's width and height, in pixels
MOST_OBJECTS = 6
MOST_HIDDEN = 0.1  # IoU of two drawn objects
CONTRAST = 0.25  # by how much an object is darker than the ground, of 1

SOURCE = "https://github.com/Shenggan/BCCD_Dataset"
ARCHIVE, FOLDER = Path("detection") / "BCCD.tar.gz", Path("detection") / "BCCD"
CELLS = ("RBC", "WBC", "Platelets")
SPLITS = ("train", "val", "test")
SHRINK = 4  # the blood cells' pictures are 640 × 480 pixels, and made 160 × 120


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Pictures, and the boxes and classes of what is in them.

    name: "drawn scenes" or "blood cells"; class_names: of K classes; x: (N, H, W, 3) uint8, height,
    width and red-green-blue; boxes: N arrays (n, 4) float32, left, top, right, bottom in pixels;
    labels: N arrays (n,) int64, from 1 to K: 0 is left for the background.
    """

    name: str
    class_names: tuple[str, ...]
    x: NDArray[np.uint8]
    boxes: tuple[NDArray[np.float32], ...]
    labels: tuple[NDArray[np.int64], ...]

    def counts(self) -> NDArray[np.int64]:
        """(N, K): how many objects of each class are in each picture."""
        classes = len(self.class_names)
        return np.stack([np.bincount(one, minlength=classes + 1)[1:] for one in self.labels])

    def __repr__(self) -> str:
        _, height, width, _ = self.x.shape
        objects = sum(map(len, self.labels))
        return (
            f"{self.name}: {len(self.x):,} pictures of {width}×{height} pixels with"
            f" {objects:,} objects of {len(self.class_names)} classes"
        )


def drawn(count: int, seed: int = 0) -> Pictures:
    """Scenes drawn by code; the same ones for the same seed.

    In each are 1 to 6 rings, discs and crosses, 9 to 24 pixels wide and high and darker than the
    pale ground, among thin lines and noise. They overlap little: the IoU of two is 0.1 at most.
    """
    rng = np.random.default_rng([19, seed])
    x = np.empty((count, SIDE, SIDE, 3), np.uint8)
    boxes: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    for n in range(count):
        ground = rng.uniform(0.55, 1, 3).astype(np.float32)
        canvas = _ground(ground, rng)
        boxes.append(_places(int(rng.integers(1, MOST_OBJECTS + 1)), rng))
        labels.append(rng.integers(1, len(KINDS) + 1, len(boxes[-1])))
        for box, label in zip(boxes[-1], labels[-1], strict=True):
            _draw(canvas, KINDS[label - 1], box, _darker(ground, rng))
        canvas += np.float32(0.05) * rng.standard_normal(canvas.shape, dtype=np.float32)
        x[n] = 255 * canvas.clip(0, 1)
    return Pictures("drawn scenes", KINDS, x, tuple(boxes), tuple(labels))


def blood_cells(root: str | Path | None = None) -> dict[str, Pictures] | None:
    """The blood cells, by the data set's own split; one printed line says what came.

    root: a folder that holds detection/BCCD.tar.gz, or detection/BCCD with its folders. Without it
    LAB_DATA names the folder, and without that it is `data` in the repository. Each picture is
    shrunk to 160 × 120, by the mean of 4 × 4 pixels. A box without an area is left out, and the
    line says how many were, and of which pictures. None where there are no blood cells.
    Raises DataError for files that are there and cannot be used.
    """
    folder, _ = data_root(root)
    place = next((folder / one for one in (ARCHIVE, FOLDER) if (folder / one).exists()), None)
    if place is None:
        print(f"There are no blood cells in {folder}: `python -m utils.data.detection` says more.")
        return None
    files = dict(_files(place))
    flat: list[str] = []
    found = {split: _split(files, split, place, flat) for split in SPLITS}
    sizes = ", ".join(f"{len(one.x)} {split}" for split, one in found.items())
    print(f"Blood cells ({sizes}) from {place}.", end=" ")
    if flat:
        listed = ", ".join(dict.fromkeys(flat))
        print(f"Left out: {len(flat)} boxes without an area, of {listed}.")
    else:
        print("Every box has an area.")
    return found


# --------------------------------------------------------------------------- drawn scenes


def _places(wanted: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Boxes (n, 4), at most so many and at least one, which overlap little."""
    boxes = np.empty((0, 4), np.float32)
    for _ in range(12 * wanted):
        if len(boxes) == wanted:
            break
        size = np.exp(rng.uniform(np.log(LEAST), np.log(MOST)))
        stretch = rng.uniform(0.88, 1.13)
        width, height = np.clip([size * stretch, size / stretch], LEAST, MOST)
        left, top = rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height)
        box = np.array([[left, top, left + width, top + height]], np.float32)
        if (_overlap(box[0], boxes) <= MOST_HIDDEN).all():
            boxes = np.concatenate([boxes, box])
    return boxes


def _overlap(box: Floats, boxes: Floats) -> Floats:
    """How much of the smaller one of two boxes the other covers, (n,): no less than their IoU."""
    ends = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return ends.clip(0).prod(axis=1) / np.minimum(areas, (box[2:] - box[:2]).prod())


def _ground(colour: Floats, rng: np.random.Generator) -> Floats:
    """An empty scene: a colour that changes from side to side, and thin lines."""
    middles = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    slope = rng.uniform(-0.1, 0.1, (2, 3)).astype(np.float32)
    canvas = colour + middles[:, None, None] * slope[0] + middles[None, :, None] * slope[1]
    for _ in range(2):
        angle, (row, column) = rng.uniform(0, np.pi), rng.uniform(0, 1, 2)
        away = np.cos(angle) * (middles[:, None] - row) + np.sin(angle) * (middles - column)
        covered = np.float32(0.7) * (1.1 - abs(away) * SIDE).clip(0, 1)[..., None]
        canvas = canvas + covered * (rng.uniform(0, 1, 3) - canvas)
    return canvas.astype(np.float32)


def _darker(ground: Floats, rng: np.random.Generator) -> Floats:
    """A colour that stands out from the ground."""
    while True:
        colour = rng.uniform(0, 0.9, 3).astype(np.float32)
        if ground.mean() - colour.mean() > CONTRAST:
            return colour


def _draw(canvas: Floats, kind: str, box: Floats, colour: Floats) -> None:
    """Draw an object into its box; the canvas is changed."""
    (left, top), (right, bottom) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    half = (box[2:] - box[:2]) / 2
    u = (np.arange(left, right) + 0.5 - box[0]) / half[0] - 1
    v = ((np.arange(top, bottom) + 0.5 - box[1]) / half[1] - 1)[:, None]
    depth = 1 - np.hypot(u, v)
    if kind == "ring":
        depth = np.minimum(depth, np.hypot(u, v) - 0.5)
    elif kind == "cross":
        depth = np.minimum(1 - np.maximum(abs(u), abs(v)), 0.28 - np.minimum(abs(u), abs(v)))
    covered = (0.5 + depth * half.min()).clip(0, 1)[..., None]
    window = canvas[top:bottom, left:right]
    window += covered * (colour - window)


# ---------------------------------------------------------------------------- blood cells


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    """(folder/name, content) of the data set's files."""
    try:
        if place.is_dir():
            for path in place.glob("*/**/*"):
                if path.is_file():
                    yield f"{path.parent.name}/{path.name}", path.read_bytes()
            return
        with tarfile.open(place, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    path = Path(member.name)
                    yield f"{path.parent.name}/{path.name}", file.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(
            f"{place} cannot be read ({error}): take it anew from {SOURCE}, or move it away."
        ) from error


def _split(files: Mapping[str, bytes], split: str, place: Path, flat: list[str]) -> Pictures:
    """The pictures of a split; the names of those with a box without an area are added to flat."""
    names = _file(files, f"Main/{split}.txt", place).decode().split()
    x = []
    boxes: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    for name in names:
        x.append(_picture(_file(files, f"JPEGImages/{name}.jpg", place), name, place))
        found = _annotation(_file(files, f"Annotations/{name}.xml", place), name, place)
        kept = [(box, label) for box, label in found if box[2] > box[0] and box[3] > box[1]]
        flat += [name] * (len(found) - len(kept))
        corners = np.array([box for box, _ in kept], np.float32).reshape(-1, 4)
        boxes.append(corners / np.float32(SHRINK))
        labels.append(np.array([label for _, label in kept], np.int64))
    if not names or len({one.shape for one in x}) > 1:
        raise DataError(f"{place}: the pictures of {split} are none, or not all of one size.")
    return Pictures("blood cells", CELLS, np.stack(x), tuple(boxes), tuple(labels))


def _file(files: Mapping[str, bytes], name: str, place: Path) -> bytes:
    if name not in files:
        raise DataError(f"{place} has no {name}: take all of {SOURCE}, or move it away.")
    return files[name]


def _picture(content: bytes, name: str, place: Path) -> NDArray[np.uint8]:
    """A picture, shrunk: (H / 4, W / 4, 3)."""
    from matplotlib.image import imread  # here, as nothing else in this module needs it

    try:
        pixels = np.asarray(imread(BytesIO(content), format="jpeg"))
        height, width = (n // SHRINK for n in pixels.shape[:2])
        tiles = pixels[: height * SHRINK, : width * SHRINK]
        tiles = tiles.reshape(height, SHRINK, width, SHRINK, 3)
    except (OSError, ValueError) as error:
        raise DataError(f"{name}.jpg in {place} is no colour picture that can be read.") from error
    return tiles.mean(axis=(1, 3)).round().astype(np.uint8)


def _annotation(content: bytes, name: str, place: Path) -> list[tuple[list[float], int]]:
    """The boxes of a picture in VOC's form, each with its label."""
    found = []
    try:
        for thing in ET.fromstring(content).iter("object"):
            label = 1 + CELLS.index(thing.findtext("name", ""))
            corners = [float(thing.findtext(f"bndbox/{end}", "")) for end in _ENDS]
            found.append((corners, label))
    except (ET.ParseError, ValueError) as error:
        raise DataError(f"{name}.xml in {place} cannot be understood ({error}).") from error
    return found


_ENDS = ("xmin", "ymin", "xmax", "ymax")


def main(arguments: list[str] | None = None) -> int:
    """The command line: what is there, and what to put where. Returns the exit status."""
    remedy = (
        f"For blood cells, take {SOURCE} (MIT licence, 364 pictures) and put its folder `BCCD`,"
        f" packed as BCCD.tar.gz, at {{place}}, or unpacked beside it."
    )
    about = "Blood cells"
    return tell("utils.data.detection", about, blood_cells, [ARCHIVE, FOLDER], remedy, arguments)


if __name__ == "__main__":
    sys.exit(main())
