"""Scenes with several objects, blood cells; lab 19's answers against the library and VOC's rule."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from matplotlib.image import imsave
from numpy.typing import NDArray

from grading.checks.answers import detection as answers
from utils.data import detection
from utils.data import root as data_root
from utils.data.root import DataError

REAL_DATA = os.environ.get("LAB_DATA", "")


def test_scenes_are_reproducible_and_of_the_stated_form() -> None:
    made, again, other = detection.drawn(30), detection.drawn(30), detection.drawn(30, seed=1)
    assert made.x.shape == (30, detection.SIDE, detection.SIDE, 3)
    assert made.x.dtype == np.uint8
    assert (made.x == again.x).all()
    assert (made.x != other.x).any()
    for boxes, labels in zip(made.boxes, made.labels, strict=True):
        assert (boxes.dtype, labels.dtype) == (np.float32, np.int64)
        assert boxes.shape == (len(labels), 4)
        assert 1 <= len(labels) <= detection.MOST_OBJECTS
        assert set(labels.tolist()) <= {1, 2, 3}
    assert made.counts().sum() == sum(map(len, made.labels))
    assert "30 pictures of 64×64 pixels" in repr(made)


def test_objects_are_whole_of_the_stated_size_and_overlap_little() -> None:
    made = detection.drawn(150)
    boxes = np.concatenate(made.boxes)
    assert boxes.min() >= 0
    assert boxes.max() <= detection.SIDE
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert sizes.min() >= detection.LEAST - 1e-3
    assert sizes.max() <= detection.MOST + 1e-3
    for one in map(torch.from_numpy, made.boxes):
        iou = torchvision.ops.box_iou(one, one) - torch.eye(len(one))
        assert iou.max() <= detection.MOST_HIDDEN


def test_an_object_is_darker_than_the_ground_and_fills_its_box() -> None:
    made = detection.drawn(150)
    grey = made.x.astype(float).mean(axis=3)
    for x, boxes, labels in zip(grey, made.boxes, made.labels, strict=True):
        for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
            middle = int((top + bottom) / 2), int((left + right) / 2)
            edge = middle[0], int(left + 0.12 * (right - left))
            place = edge if detection.KINDS[label - 1] == "ring" else middle
            assert x[place] < np.median(x) + 25  # noise and lines


# -------------------------------------------------------------------------- blood cells


def annotation(*objects: tuple[str, int, int, int, int]) -> bytes:
    """A picture's boxes, as VOC writes them down."""
    inner = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in objects
    )
    return f"<annotation>{inner}</annotation>".encode()


def jpeg(value: int, width: int = 80, height: int = 40) -> bytes:
    file = io.BytesIO()
    imsave(file, np.full((height, width, 3), value, np.uint8), format="jpeg")
    return file.getvalue()


def cells() -> dict[str, bytes]:
    """Three pictures, one a split; the second has a box without an area."""
    files = {}
    for n, split in enumerate(detection.SPLITS):
        files[f"ImageSets/Main/{split}.txt"] = f"b{n}\n".encode()
        files[f"JPEGImages/b{n}.jpg"] = jpeg(60 * n + 40)
        more = [("Platelets", 9, 9, 9, 30)] if n == 1 else []
        files[f"Annotations/b{n}.xml"] = annotation(
            ("RBC", 4, 8, 44, 28), ("WBC", 40, 0, 80, 40), *more
        )
    return files


def fill(root: Path, files: dict[str, bytes], packed: bool) -> None:
    folder = root / detection.FOLDER
    folder.parent.mkdir(parents=True)
    if not packed:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return
    with tarfile.open(root / detection.ARCHIVE, "w:gz") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(f"BCCD/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


@pytest.mark.parametrize("packed", [False, True])
def test_cells_are_read_and_a_box_without_an_area_is_dropped_and_said(
    packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, cells(), packed)
    found = detection.blood_cells(tmp_path)
    assert found is not None
    line = capsys.readouterr().out
    assert "1 train, 1 val, 1 test" in line
    assert "Left out: 1 boxes without an area, of b1." in line
    for one in found.values():
        assert one.x.shape == (1, 10, 20, 3)
        np.testing.assert_allclose(one.boxes[0], [[1, 2, 11, 7], [10, 0, 20, 10]])
        assert one.labels[0].tolist() == [1, 2]
        assert one.counts().tolist() == [[1, 1, 0]]
    assert abs(int(found["val"].x.mean()) - 100) <= 2


def test_without_cells_there_are_none_and_the_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detection.blood_cells(tmp_path) is None
    assert f"no blood cells in {tmp_path}" in capsys.readouterr().out


def test_lab_data_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, cells(), packed=True)
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    assert detection.blood_cells() is not None
    monkeypatch.delenv("LAB_DATA")
    monkeypatch.setattr(data_root, "REPOSITORY", tmp_path / "elsewhere")
    assert detection.blood_cells() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"JPEGImages/b0.jpg": b"no picture"}, "b0.jpg in .* is no colour picture"),
        ({"Annotations/b2.xml": b"<annotation>"}, "b2.xml in .* cannot be understood"),
        ({"Annotations/b2.xml": annotation(("XYZ", 1, 1, 2, 2))}, "b2.xml in .* understood"),
        ({"ImageSets/Main/val.txt": b"b9"}, "has no JPEGImages/b9.jpg"),
        ({"ImageSets/Main/val.txt": b""}, "the pictures of val are none"),
    ],
)
def test_cells_that_cannot_be_used_are_refused(
    change: dict[str, bytes], words: str, tmp_path: Path
) -> None:
    fill(tmp_path, {**cells(), **change}, packed=False)
    with pytest.raises(DataError, match=words):
        detection.blood_cells(tmp_path)


def test_an_archive_that_is_torn_is_refused(tmp_path: Path) -> None:
    (tmp_path / "detection").mkdir()
    (tmp_path / detection.ARCHIVE).write_bytes(b"\x1f\x8b torn")
    with pytest.raises(DataError, match="cannot be read"):
        detection.blood_cells(tmp_path)


@pytest.mark.skipif(
    not (REAL_DATA and (data_root.REPOSITORY / REAL_DATA / detection.ARCHIVE).exists()),
    reason="LAB_DATA has no detection/BCCD.tar.gz",
)
def test_the_real_blood_cells(capsys: pytest.CaptureFixture[str]) -> None:
    found = detection.blood_cells()
    assert found is not None
    assert [len(one.x) for one in found.values()] == [205, 87, 72]
    line = capsys.readouterr().out
    assert "2 boxes" in line
    assert "BloodImage_00338" in line
    assert "BloodImage_00343" in line
    assert found["test"].x.shape == (72, 120, 160, 3)


# ------------------------------------------------------- the answers, against references


def random_boxes(rng: np.random.Generator, count: int) -> torch.Tensor:
    corner, size = rng.uniform(0, 60, (count, 2)), rng.uniform(4, 30, (count, 2))
    return torch.tensor(np.concatenate([corner, corner + size], axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_iou_and_suppression_are_torchvisions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, 90), random_boxes(rng, 40)
    torch.testing.assert_close(answers.box_iou(a, b), torchvision.ops.box_iou(a, b))
    scores, labels = torch.tensor(rng.uniform(size=90)), torch.tensor(rng.integers(1, 4, 90))
    for threshold in (0.1, 0.4, 0.7):
        theirs = torchvision.ops.batched_nms(a, scores, labels, threshold)
        assert torch.equal(answers.nms(a, scores, labels, threshold), theirs)


@pytest.mark.parametrize("seed", range(5))
def test_offsets_are_torchvisions(seed: int) -> None:
    from torchvision.models.detection._utils import BoxCoder

    rng = np.random.default_rng(seed)
    boxes, anchors = random_boxes(rng, 30), random_boxes(rng, 30)
    theirs = BoxCoder((1.0, 1.0, 1.0, 1.0)).encode_single(boxes, anchors)
    offsets = answers.encode_boxes(boxes, anchors)
    torch.testing.assert_close(offsets, theirs)
    torch.testing.assert_close(answers.decode_boxes(offsets, anchors), boxes)


def voc_average_precision(
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]], truth: list[NDArray[np.float64]]
) -> float:
    """As the devkit of VOC 2010 computes it, box by box; the scores all differ."""
    every = [
        (score, picture, box)
        for picture, (boxes, scores) in enumerate(found)
        for box, score in zip(boxes, scores, strict=True)
    ]
    every.sort(key=lambda one: -one[0])
    detected = [np.zeros(len(one), bool) for one in truth]
    tp, fp = np.zeros(len(every)), np.zeros(len(every))
    for d, (_, picture, box) in enumerate(every):
        most, best = -np.inf, -1
        for j, other in enumerate(truth[picture]):
            width = min(box[2], other[2]) - max(box[0], other[0])
            height = min(box[3], other[3]) - max(box[1], other[1])
            if width > 0 and height > 0:
                areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
                overlap = width * height / (sum(areas) - width * height)
                if overlap > most:
                    most, best = overlap, j
        if most >= 0.5 and not detected[picture][best]:
            tp[d], detected[picture][best] = 1, True
        else:
            fp[d] = 1
    recall = np.cumsum(tp) / sum(map(len, truth))
    precision = np.cumsum(tp) / (np.cumsum(tp) + np.cumsum(fp))
    mrec, mpre = np.r_[0, recall, 1], np.r_[0, precision, 0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    at = np.flatnonzero(mrec[1:] != mrec[:-1]) + 1
    return float(((mrec[at] - mrec[at - 1]) * mpre[at]).sum())


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_is_vocs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [random_boxes(rng, int(rng.integers(0, 6))) for _ in range(6)] + [random_boxes(rng, 2)]
    found = []
    for boxes in truth:
        near = [boxes + torch.tensor(rng.normal(0, 3, boxes.shape)) for _ in range(2)]
        near = torch.cat([*near, random_boxes(rng, 2)])
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        found.append((near, torch.tensor(rng.uniform(size=len(near)))))
    right = answers.true_detections(found, truth)
    ours = answers.average_precision(right, sum(map(len, truth)))
    theirs = voc_average_precision(
        [(b.numpy(), s.numpy()) for b, s in found], [b.numpy() for b in truth]
    )
    assert 0 < ours < 1
    assert abs(ours - theirs) < 1e-9
