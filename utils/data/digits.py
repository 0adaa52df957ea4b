"""Handwritten digits: MNIST where it can be had, scikit-learn's digits otherwise.

`python -m utils.data.digits mnist [--root DIR]` downloads MNIST, and so does `make data`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils.data.download import command_line, download_folder, fetch, file_fault
from utils.data.root import DataError, data_root

# The four decompressed files of MNIST (Y. LeCun, C. Cortes, C. J. C. Burges): bytes and SHA-256.
MNIST_FILES = {
    "train-images-idx3-ubyte": (
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Images of handwritten digits and their labels, split into training and test set.

    train_x, test_x: (N, H, W) float32, 0 (paper) to 1 (ink)
    train_y, test_y: (N,) int64, 0 to 9
    name: "MNIST" or "scikit-learn digits"
    """

    name: str
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        _, height, width = self.train_x.shape
        return height, width

    def __repr__(self) -> str:
        height, width = self.image_shape
        return (
            f"{self.name}: {len(self.train_x):,} training and {len(self.test_x):,} test images "
            f"of {height}×{width} pixels"
        )


def load(root: str | Path | None = None) -> Digits:
    """MNIST from the data root, or scikit-learn's digits; one printed line says which and why.

    root: a folder that holds MNIST/raw. Without it the environment variable LAB_DATA names the
    folder (a relative path starts at the repository, where `make` runs), and without that it is
    `data` in the repository, where `make data` puts MNIST.

    Every file is compared with its official SHA-256 first. Broken or missing ones among the four
    are downloaded again where the folder can be written; the broken ones are kept as NAME.broken.
    Raises DataError where that is not possible; MNIST is never used in part.
    """
    folder, source = data_root(root)
    raw = folder / "MNIST" / "raw"
    if not any((raw / name).exists() for name in MNIST_FILES):
        loaded = _scikit_learn_digits()
        print(f"{loaded} (comes with scikit-learn{_why_not_mnist(folder, source)}).")
        return loaded
    faults = _faults(raw)
    if faults:
        _repair(folder, _listed(faults))
    loaded = _read_mnist(raw)
    print(f"{loaded} (from {folder}, checksums agree).")
    return loaded


def download_mnist(root: Path) -> None:
    """Put the four files of MNIST into root/MNIST/raw, as torchvision lays them out.

    The download goes into a temporary folder inside root and is moved into place once its checksums
    agree, so a failed one changes nothing. Good files stay; broken ones are kept as NAME.broken.
    Raises DataError if the files cannot be had or written.
    """
    raw = root / "MNIST" / "raw"
    if not _faults(raw):
        return
    with download_folder("MNIST", "`make data`", root, raw) as temporary:
        _move_into_place(_fetch_mnist(temporary), raw)


def _why_not_mnist(folder: Path, source: str) -> str:
    raw = folder / "MNIST" / "raw"
    packed = [name for name in MNIST_FILES if (raw / f"{name}.gz").exists()]
    if packed:
        return f"; MNIST's files in {raw} are still packed: unpack them (`gunzip {raw}/*.gz`)"
    deeper = next(iter(folder.glob("*/MNIST/raw")), None) if folder.is_dir() else None
    if deeper is not None:
        return f"; MNIST lies one folder deeper: set LAB_DATA to {deeper.parents[1]}"
    if source:
        return f"; a fallback, since {source} is {folder} and has no MNIST: `make data` fetches it"
    return "; for MNIST run `make data`, or set LAB_DATA to a folder that has it"


def _scikit_learn_digits() -> Digits:
    """1,797 images, 8×8, of which a fifth of each class is the test set: always the same one."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    x = (pixels / 16).astype(np.float32).reshape(-1, 8, 8)
    y = labels.astype(np.int64)
    train, test = train_test_split(np.arange(len(y)), test_size=360, stratify=y, random_state=0)
    return Digits("scikit-learn digits", x[train], y[train], x[test], y[test])


def _repair(folder: Path, faults: str) -> None:
    print(f"MNIST in {folder} cannot be used as it is ({faults}).")
    try:
        download_mnist(folder)
    except DataError as error:
        raise DataError(
            f"MNIST in {folder} cannot be used ({faults}). {error} "
            "To go on with scikit-learn's digits, set LAB_DATA to an empty folder."
        ) from error


def _read_mnist(raw: Path) -> Digits:
    """MNIST through torchvision's readers of the idx format.

    They read exactly the files that were checked. `torchvision.datasets.MNIST` would prefer a
    `processed/training.pt` that an old torchvision left beside them.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file

    def images(name: str) -> NDArray[np.float32]:
        return read_image_file(str(raw / name)).numpy().astype(np.float32) / np.float32(255)

    def labels(name: str) -> NDArray[np.int64]:
        return read_label_file(str(raw / name)).numpy()

    return Digits(
        "MNIST",
        images("train-images-idx3-ubyte"),
        labels("train-labels-idx1-ubyte"),
        images("t10k-images-idx3-ubyte"),
        labels("t10k-labels-idx1-ubyte"),
    )


def _faults(raw: Path) -> dict[str, str]:
    """What is wrong with each of the four files that is not as it should be."""
    found = {name: file_fault(raw / name, *expected) for name, expected in MNIST_FILES.items()}
    return {name: fault for name, fault in found.items() if fault}


def _listed(faults: dict[str, str]) -> str:
    return "; ".join(f"{name} {fault}" for name, fault in faults.items())


def _fetch_mnist(folder: Path) -> Path:
    """Download into an empty folder with torchvision's downloader; return the checked files."""
    from torchvision.datasets import MNIST

    fetch("MNIST", "12 MB", "`make data`", lambda: MNIST(folder, download=True))
    fresh = folder / "MNIST" / "raw"
    faults = _faults(fresh)
    if faults:
        raise DataError(f"The MNIST that was downloaded is broken ({_listed(faults)}): try again.")
    for archive in fresh.glob("*.gz"):
        archive.unlink()
    return fresh


def _move_into_place(fresh: Path, raw: Path) -> None:
    if not raw.exists():
        raw.parent.mkdir(exist_ok=True)
        fresh.rename(raw)  # one step: nobody finds a part of the four
        return
    for name in _faults(raw):
        if (raw / name).exists():
            (raw / name).replace(raw / f"{name}.broken")
        (fresh / name).replace(raw / name)


def main(arguments: list[str] | None = None) -> int:
    """The command line: download one data set. Returns the exit status."""
    done = "MNIST is in {root}, all four files with their official checksums."
    return command_line("utils.data.digits", "mnist", download_mnist, done, arguments)


if __name__ == "__main__":
    sys.exit(main())
