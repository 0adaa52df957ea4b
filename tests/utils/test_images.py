"""Colour pictures: which are used, and what happens where the files are not right.

A tiny CIFAR-10 (six batches of five pictures), packed as the official archive is, stands in for the
real one; torchvision downloads it from 127.0.0.1.
"""

import dataclasses
import hashlib
import os
import pickle
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from torchvision.datasets import CIFAR10

from tests.utils.test_digits import Mirror
from utils.data import images, root
from utils.data.root import DataError

REAL_DATA = os.environ.get("LAB_DATA", "")
NAMES = [f"class {n}" for n in range(10)]
BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


def tiny_batch(number: int) -> dict[str, object]:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (5, 3072), dtype=np.uint8)
    return {"data": pixels, "labels": rng.integers(0, 10, 5).tolist()}


@dataclasses.dataclass
class World:
    """A repository without data, a data root, and the archive of a tiny CIFAR-10."""

    repository: Path
    root: Path
    archive: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def place(self) -> Path:
        return self.root / CIFAR10.base_folder

    def fill(self) -> None:
        with tarfile.open(self.archive) as file:
            file.extractall(self.root, filter="data")

    def subset(self, **changed: object) -> Path:
        """Write a subset file of 20 + 10 pictures, with some arrays changed (None: left out)."""
        path = self.root / images.SUBSET
        path.parent.mkdir(parents=True)
        rng = np.random.default_rng(0)
        arrays: dict[str, object] = {"class_names": np.array(NAMES)}
        for part, count in (("train", 20), ("test", 10)):
            arrays[f"x_{part}"] = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            arrays[f"y_{part}"] = np.arange(count) % 10
        kept = {key: value for key, value in (arrays | changed).items() if value is not None}
        np.savez(path, **kept)  # pyright: ignore[reportArgumentType]
        return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folders = {name: tmp_path / name for name in ("repository", "root", "mirror")}
    for folder in folders.values():
        folder.mkdir()
    batches = folders["mirror"] / CIFAR10.base_folder
    batches.mkdir()
    contents = {name: tiny_batch(number) for number, name in enumerate(BATCHES)}
    sums = {}
    for name, content in {**contents, "batches.meta": {"label_names": NAMES}}.items():
        (batches / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((batches / name).read_bytes(), usedforsecurity=False).hexdigest()
    archive = folders["mirror"] / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as file:
        file.add(batches, CIFAR10.base_folder)
    whole = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    handler = type("TinyMirror", (Mirror,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(archive.parent)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/{archive.name}"
    monkeypatch.setattr(CIFAR10, "url", address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(CIFAR10, "tgz_md5", whole)
    monkeypatch.setattr(root, "REPOSITORY", folders["repository"])
    monkeypatch.delenv("LAB_DATA", raising=False)
    yield World(folders["repository"], folders["root"], archive, monkeypatch)
    server.shutdown()
    server.server_close()


def assert_is_tiny(loaded: images.Images) -> None:
    assert loaded.name == "CIFAR-10"
    assert loaded.class_names == tuple(NAMES)
    pixels = np.asarray(tiny_batch(0)["data"]).reshape(5, 3, 32, 32)
    np.testing.assert_array_equal(loaded.train_x[:5], pixels.transpose(0, 2, 3, 1))
    assert loaded.train_y[:5].tolist() == tiny_batch(0)["labels"]
    assert loaded.test_y.tolist() == tiny_batch(5)["labels"]
    assert (len(loaded.train_x), len(loaded.test_x)) == (25, 5)
    assert (loaded.train_x.dtype, loaded.train_y.dtype) == (np.uint8, np.int64)


# Pictures drawn by code


def test_without_files_pictures_are_drawn_and_one_line_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = images.cifar10()
    assert loaded.name == "drawn shapes"
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "make data" in line
    world.monkeypatch.setenv("LAB_DATA", str(world.root))
    images.cifar10()
    assert f"LAB_DATA is {world.root} and has no CIFAR-10" in capsys.readouterr().out


def test_drawn_pictures_are_balanced_reproducible_and_of_the_stated_form() -> None:
    loaded, again = images.drawn(60, 25), images.drawn(60, 25)
    assert loaded.train_x.shape == (60, 32, 32, 3)
    assert loaded.test_x.shape == (25, 32, 32, 3)
    assert (loaded.train_x.dtype, loaded.train_y.dtype) == (np.uint8, np.int64)
    assert np.bincount(loaded.train_y).tolist() == [6] * 10
    assert set(np.bincount(loaded.test_y)) == {2, 3}
    np.testing.assert_array_equal(loaded.test_x, again.test_x)
    np.testing.assert_array_equal(loaded.train_y, again.train_y)
    other = images.drawn(60, 25, seed=1)
    assert (other.train_x != loaded.train_x).any()
    assert not (loaded.train_x[0] == loaded.test_x).all(axis=(1, 2, 3)).any()


def test_colours_and_pixels_alone_tell_little_about_the_class() -> None:
    loaded = images.drawn(1500, 500)
    colours = [x.reshape(len(x), -1, 3) for x in (loaded.train_x / 255, loaded.test_x / 255)]
    by_colour = RidgeClassifier().fit(colours[0].mean(axis=1), loaded.train_y)
    assert by_colour.score(colours[1].mean(axis=1), loaded.test_y) < 0.25
    by_pixel = RidgeClassifier(1000.0).fit(colours[0].reshape(1500, -1), loaded.train_y)
    assert by_pixel.score(colours[1].reshape(500, -1), loaded.test_y) < 0.4


# Where CIFAR-10 is looked for


def test_the_full_set_goes_before_the_subset(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.subset()
    loaded = images.cifar10(world.root)
    assert loaded.name == "CIFAR-10 subset"
    assert loaded.train_y.tolist() == [*range(10)] * 2
    assert f"from {world.root}" in capsys.readouterr().out
    world.fill()
    assert_is_tiny(images.cifar10(world.root))


def test_lab_data_names_the_root(world: World) -> None:
    world.fill()
    world.monkeypatch.setenv("LAB_DATA", str(world.root))
    loaded = images.cifar10()
    assert_is_tiny(loaded)
    expected = "CIFAR-10: 25 training and 5 test images of 32×32 pixels in colour, 10 classes"
    assert repr(loaded) == expected


# Files that are not right


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_broken_file_is_an_error_and_nothing_is_downloaded(
    world: World, name: str, missing: bool
) -> None:
    world.fill()
    path = world.place / name
    path.unlink() if missing else path.write_bytes(path.read_bytes()[:-3])
    before = sorted(world.root.rglob("*"))
    with pytest.raises(DataError, match=r"run `make data` again"):
        images.cifar10(world.root)
    assert sorted(world.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"y_test": None}, "y_test"),
        ({"x_train": np.zeros((20, 3, 32, 32), np.uint8)}, r"shape \(20, 3, 32, 32\)"),
        ({"x_train": np.zeros((20, 32, 32, 3))}, "dtype float64"),
        ({"y_train": np.arange(19)}, r"labels of shape \(19,\)"),
        ({"y_test": np.arange(10) + 1}, "beyond its 10 classes"),
        ({"class_names": np.array([{}], dtype=object)}, "allow_pickle"),
    ],
)
def test_a_subset_of_another_form_is_an_error(
    world: World, changed: dict[str, object], says: str
) -> None:
    world.subset(**changed)
    with pytest.raises(DataError, match=says):
        images.cifar10(world.root)


def test_a_subset_that_is_no_archive_is_an_error(world: World) -> None:
    path = world.subset()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="take it away"):
        images.cifar10(world.root)


# The download


def test_the_command_downloads_once_into_the_root_that_is_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    root = world.root / "new"
    assert images.main(["cifar10", "--root", str(root)]) == 0
    assert f"CIFAR-10 is in {root}" in capsys.readouterr().out
    assert [path.name for path in root.iterdir()] == [CIFAR10.base_folder]
    assert_is_tiny(images.cifar10(root))
    world.archive.unlink()
    assert images.main(["cifar10", "--root", str(root)]) == 0


def test_broken_files_are_set_aside(world: World) -> None:
    for expected in ("broken", "broken2"):
        if not world.place.exists():
            world.fill()
        (world.place / "test_batch").write_bytes(b"")
        images.download_cifar10(world.root)
        assert (world.root / f"{CIFAR10.base_folder}.{expected}").exists()
        assert_is_tiny(images.cifar10(world.root))


@pytest.mark.parametrize("fault", ["no network", "other content"])
def test_a_download_that_fails_changes_nothing(
    world: World, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    if fault == "no network":
        world.archive.unlink()
    else:
        world.archive.write_bytes(b"<html>Please log in to this network</html>")
    assert images.main(["cifar10", "--root", str(world.root)]) == 1
    told = capsys.readouterr().err
    assert "CIFAR-10 could not be downloaded" in told.splitlines()[-1]
    assert "run `make data`" in told
    assert list(world.root.iterdir()) == []


def test_a_read_only_root_is_refused_before_the_download(world: World) -> None:
    world.root.chmod(0o555)
    with pytest.raises(DataError, match="is read-only: set LAB_DATA to a folder"):
        images.download_cifar10(world.root)
    world.root.chmod(0o755)


# The real files, where the machine has them


@pytest.mark.skipif(not REAL_DATA, reason="LAB_DATA is not set, so the real pictures were not read")
def test_the_real_pictures_are_balanced_and_named() -> None:
    loaded = images.cifar10()
    assert loaded.name.startswith("CIFAR-10")
    assert loaded.class_names[:4] == ("airplane", "automobile", "bird", "cat")
    assert len(set(np.bincount(loaded.train_y))) == len(set(np.bincount(loaded.test_y))) == 1
