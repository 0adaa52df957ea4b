"""Handwritten digits: which are used, and what happens when the files of MNIST are not right.

A tiny MNIST (30 training, 10 test images of 6×5 pixels) stands in for the real one: files in its
format, its table of checksums, and a mirror on 127.0.0.1 from which torchvision downloads.
"""

import dataclasses
import gzip
import hashlib
import http.server
import os
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import MNIST

from utils.data import digits as data
from utils.data import download, root
from utils.data.digits import load as digits
from utils.data.root import DataError

REAL_DATA = os.environ.get("LAB_DATA", "")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in the idx format: two zeros, type 8, the rank, the sizes, the values."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def tiny_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 6, 5), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (10, 6, 5), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 10, dtype=np.uint8),
    }


TINY = {name: idx(array) for name, array in tiny_arrays().items()}


class Mirror(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and keeps the names it was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what a test prints is what it checks."""


@dataclasses.dataclass
class World:
    """A repository without data, a data root, and a mirror that has the tiny MNIST."""

    repository: Path
    root: Path
    mirror: Path
    asked: list[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def raw(self) -> Path:
        return self.root / "MNIST" / "raw"

    def fill(self, root: Path | None = None) -> None:
        """Lay the four good files into a root."""
        raw = (root or self.root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name, content in TINY.items():
            (raw / name).write_bytes(content)

    def serve(self, name: str, content: bytes) -> None:
        """Let the mirror have this file, with an MD5 that torchvision accepts."""
        archive = gzip.compress(content, mtime=0)
        (self.mirror / f"{name}.gz").write_bytes(archive)
        resources = dict(MNIST.resources)
        resources[f"{name}.gz"] = hashlib.md5(archive, usedforsecurity=False).hexdigest()
        self.monkeypatch.setattr(MNIST, "resources", list(resources.items()))

    def disconnect(self) -> None:
        """Take the network away: nobody listens on port 9 of this machine."""
        self.monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folders = {name: tmp_path / name for name in ("repository", "root", "mirror")}
    for folder in folders.values():
        folder.mkdir()
    handler = type("TinyMirror", (Mirror,), {"asked": []})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(folders["mirror"]))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    table = {name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in TINY.items()}
    monkeypatch.setattr(data, "MNIST_FILES", table)
    monkeypatch.setattr(root, "REPOSITORY", folders["repository"])
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", [])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("LAB_DATA", raising=False)
    made = World(**folders, asked=handler.asked, monkeypatch=monkeypatch)
    for name, body in TINY.items():
        made.serve(name, body)
    yield made
    server.shutdown()
    server.server_close()


def assert_is_tiny(loaded: data.Digits) -> None:
    arrays = tiny_arrays()
    assert loaded.name == "MNIST"
    assert loaded.image_shape == (6, 5)
    for part, prefix in (("train", "train"), ("test", "t10k")):
        x, y = getattr(loaded, f"{part}_x"), getattr(loaded, f"{part}_y")
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(x, arrays[f"{prefix}-images-idx3-ubyte"] / np.float32(255))
        np.testing.assert_array_equal(y, arrays[f"{prefix}-labels-idx1-ubyte"])


# The embedded default


def test_without_a_data_root_the_digits_are_scikit_learns(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = digits()
    assert loaded.name == "scikit-learn digits"
    assert loaded.train_x.shape == (1437, 8, 8)
    assert loaded.test_x.shape == (360, 8, 8)
    assert (loaded.train_x.dtype, loaded.train_y.dtype) == (np.float32, np.int64)
    assert (loaded.train_x.min(), loaded.train_x.max()) == (0.0, 1.0)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "scikit-learn" in line
    assert "make data" in line
    assert "fallback" not in line


def test_the_split_is_stratified_complete_and_always_the_same(world: World) -> None:
    from sklearn.datasets import load_digits

    first, second = digits(), digits()
    np.testing.assert_array_equal(first.test_x, second.test_x)
    np.testing.assert_array_equal(first.train_y, second.train_y)
    # A different split would change every figure that the labs print.
    assert first.test_y[:12].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]
    assert set(np.bincount(first.test_y)) <= {35, 36, 37}
    both = np.concatenate([first.train_x, first.test_x]).reshape(-1, 64) * 16
    everything, _ = load_digits(return_X_y=True)
    assert sorted(both.astype(int).tolist()) == sorted(everything.astype(int).tolist())


# Where MNIST is looked for


def test_the_argument_beats_lab_data_which_beats_the_repositorys_own_folder(world: World) -> None:
    world.fill(world.repository / "data")
    assert digits().name == "MNIST"
    world.monkeypatch.setenv("LAB_DATA", str(world.root))
    assert digits().name == "scikit-learn digits"
    assert_is_tiny(digits(world.repository / "data"))


def test_the_line_says_where_mnist_comes_from(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.fill()
    world.monkeypatch.setenv("LAB_DATA", str(world.root))
    assert_is_tiny(digits())
    line = capsys.readouterr().out
    assert line.startswith("MNIST: 30 training and 10 test images of 6×5 pixels")
    assert f"from {world.root}" in line
    assert line.count("\n") == 1


def test_a_relative_lab_data_starts_at_the_repository_wherever_the_notebook_runs(
    world: World, tmp_path: Path
) -> None:
    world.fill()
    world.monkeypatch.setenv("LAB_DATA", "../root")
    world.monkeypatch.chdir(tmp_path)
    assert_is_tiny(digits())


@pytest.mark.parametrize("exists", [True, False])
def test_a_lab_data_without_mnist_gives_a_fallback_that_says_so(
    world: World, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    folder = world.root if exists else world.root / "nowhere"
    world.monkeypatch.setenv("LAB_DATA", str(folder))
    assert digits().name == "scikit-learn digits"
    line = capsys.readouterr().out
    assert "a fallback" in line
    assert f"LAB_DATA is {folder}" in line
    assert world.asked == []  # nobody asked for a download


def test_an_old_torchvisions_processed_folder_is_not_believed(world: World) -> None:
    world.fill()
    processed = world.root / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        (processed / name).write_bytes(b"something else altogether")
    assert_is_tiny(digits(world.root))


def test_digits_are_frozen_and_describe_themselves(world: World) -> None:
    world.fill()
    loaded = digits(world.root)
    assert repr(loaded) == "MNIST: 30 training and 10 test images of 6×5 pixels"
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.name = "other"  # pyright: ignore[reportAttributeAccessIssue]


# Files that are not right


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


Fault = Callable[[Path], None]
FAULTS = {
    "cut short": truncate,
    "SHA-256 differs": flip_a_byte,
    "is missing": Path.unlink,
    "cannot be read": replace_by_folder,
}
each_fault = pytest.mark.parametrize(("words", "spoil"), FAULTS.items(), ids=FAULTS)
each_file = pytest.mark.parametrize("name", [IMAGES, LABELS])


@each_fault
@each_file
def test_a_broken_file_is_reported_set_aside_and_downloaded_again(
    world: World, capsys: pytest.CaptureFixture[str], words: str, spoil: Fault, name: str
) -> None:
    world.fill()
    spoil(world.raw / name)
    was_there = (world.raw / name).exists()
    others = [world.raw / other for other in TINY if other != name]
    untouched = [path.stat().st_ino for path in others]
    assert_is_tiny(digits(world.root))
    printed = capsys.readouterr().out
    assert f"{name} " in printed
    assert words in printed
    assert [path.stat().st_ino for path in others] == untouched
    aside = [f"{name}.broken"] if was_there else []
    assert sorted(path.name for path in world.raw.iterdir()) == sorted([*TINY, *aside])
    assert [path.name for path in world.root.iterdir()] == ["MNIST"]


@each_fault
def test_without_a_network_a_broken_file_is_an_error_and_everything_stays(
    world: World, words: str, spoil: Fault
) -> None:
    world.fill()
    world.disconnect()
    spoil(world.raw / IMAGES)
    before = sorted(world.root.rglob("*"))
    with pytest.raises(DataError) as error:
        digits(world.root)
    for part in (IMAGES, words, "could not be downloaded", "check the network", "make data"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(world.root.rglob("*")) == before


def test_what_a_read_only_folder_has_wrong_is_told_and_left(world: World) -> None:
    world.fill()
    flip_a_byte(world.raw / LABELS)
    places = [world.raw, world.raw.parent, world.root]
    for place in places:
        place.chmod(0o555)
    with pytest.raises(DataError, match=rf"{LABELS} .* is read-only: set LAB_DATA to a folder"):
        digits(world.root)
    assert world.asked == []
    for place in places:
        place.chmod(0o755)


def test_a_full_disk_is_told_in_one_sentence(world: World) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    world.monkeypatch.setattr(download.tempfile, "TemporaryDirectory", no_room)
    with pytest.raises(DataError, match=r"could not be written to .* \(No space left on device\)"):
        data.download_mnist(world.root)


def test_a_mirror_that_serves_rubbish_is_not_believed(world: World) -> None:
    (world.mirror / f"{IMAGES}.gz").write_bytes(b"<html>Please log in to this network</html>")
    with pytest.raises(DataError, match=r"could not be downloaded \(.*corrupted"):
        data.download_mnist(world.root)
    assert list(world.root.iterdir()) == []


def test_a_download_with_the_wrong_content_is_not_used(world: World) -> None:
    world.serve(LABELS, TINY[LABELS][:-1] + b"\x0b")
    with pytest.raises(DataError, match=rf"downloaded is broken \({LABELS} is not the official"):
        data.download_mnist(world.root)
    assert list(world.root.iterdir()) == []


def test_an_interrupted_download_leaves_nothing_behind(world: World) -> None:
    def interrupted(self: MNIST, root: Path, download: bool) -> None:
        (root / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    world.monkeypatch.setattr(MNIST, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.download_mnist(world.root)
    assert list(world.root.iterdir()) == []


# The command line


def test_the_command_downloads_once_into_the_root_that_is_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    root = world.root / "new" / "place"
    assert data.main(["mnist", "--root", str(root)]) == 0
    assert f"MNIST is in {root}" in capsys.readouterr().out
    assert_is_tiny(digits(root))
    assert sorted(path.name for path in (root / "MNIST" / "raw").iterdir()) == sorted(TINY)
    asked = len(world.asked)
    assert asked > 0
    assert data.main(["mnist", "--root", str(root)]) == 0
    assert len(world.asked) == asked


def test_the_command_downloads_into_lab_data_or_the_repositorys_folder(world: World) -> None:
    assert data.main(["mnist"]) == 0
    assert_is_tiny(digits(world.repository / "data"))
    world.monkeypatch.setenv("LAB_DATA", str(world.root))
    assert data.main(["mnist"]) == 0
    assert_is_tiny(digits(world.root))


def test_the_command_fails_with_one_line_where_there_is_no_network(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.disconnect()
    assert data.main(["mnist", "--root", str(world.root)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "check the network" in told


# The real files, where the machine has them


@pytest.mark.skipif(not REAL_DATA, reason="LAB_DATA is not set, so the real MNIST was not read")
def test_the_real_mnist_agrees_with_the_official_checksums() -> None:
    loaded = digits()
    assert loaded.name == "MNIST"
    assert loaded.train_x.shape == (60_000, 28, 28)
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(loaded.test_y).tolist() == expected


def test_mnist_that_is_packed_or_one_folder_too_deep_is_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = world.root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{IMAGES}.gz").write_bytes(b"packed")
    assert digits(world.root).name == "scikit-learn digits"
    assert "still packed: unpack them" in capsys.readouterr().out
    assert digits(world.root.parent).name == "scikit-learn digits"
    assert f"one folder deeper: set LAB_DATA to {world.root}" in capsys.readouterr().out
