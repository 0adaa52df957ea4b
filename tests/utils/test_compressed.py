"""Compressed networks as files: canonical words, the layout to the bit, what is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from grading.checks.answers import inference as right
from utils import compressed
from utils.compressed import FileError, Layer

OWN = {"entries": right.entries, "huffman": right.huffman, "encode": right.encode}


def layer(outputs: int, inputs: int, bits: int, kept: float, seed: int = 0) -> Layer:
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 2**bits, (outputs, inputs)) * (rng.random((outputs, inputs)) < kept)
    book = np.sort(rng.normal(size=2**bits)).astype(np.float32)
    book[0] = 0
    return Layer(codes, book, rng.normal(size=outputs).astype(np.float32))


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([], []),
        ([0, 0], ["", ""]),
        ([0, 1, 0], ["", "0", ""]),
        ([1, 2, 3, 3, 0], ["0", "10", "110", "111", ""]),
        ([3, 1, 3, 2], ["110", "0", "111", "10"]),
        ([2, 1, 3, 3], ["10", "0", "110", "111"]),
    ],
)
def test_canonical_words(lengths: Sequence[int], words: list[str]) -> None:
    assert compressed.canonical(lengths) == words


def test_lengths_that_no_prefix_code_has_are_refused() -> None:
    with pytest.raises(FileError, match="no prefix code"):
        compressed.canonical([1, 1, 2])


@pytest.mark.parametrize("gap_bits", [1, 3, 6])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.4, 1.0])
def test_what_is_written_is_read(tmp_path: Path, kept: float, gap_bits: int) -> None:
    layers = [layer(7, 30, 3, kept), layer(1, 7, 2, kept, seed=1)]
    size = compressed.write(tmp_path / "net", layers, gap_bits, **OWN)
    assert size == (tmp_path / "net").stat().st_size == -(-right.bits(layers, gap_bits) // 8)
    again = compressed.read(tmp_path / "net", decode=right.decode)
    for one, two in zip(layers, again, strict=True):
        for name in Layer._fields:
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        np.testing.assert_array_equal(one.weights, two.weights)
        assert two.weights.dtype == np.float32


def test_the_size_is_the_sum_of_its_pieces() -> None:
    codes = np.array([[5, 0, 0, 3, 0, 0], [0, 0, 0, 0, 2, 0]])
    book = np.array([0, 1, 2, 3, 4, 5, 6, 7], np.float32)
    data = compressed.pack([(codes, book, np.zeros(2))], 2, **OWN)
    gaps, stored = right.entries(codes, 2)
    assert (gaps, stored) == ([0, 2, 3, 2], [5, 3, 0, 2])
    words = 1 + 1 + 2 + 2 + 4 * 2  # of gaps 2, 2, 0, 3, and of four codes, each once
    bits = 8 + 104 + 32 * 7 + 5 * (4 + 8) + words + 32 * 2
    assert (
        8 * len(data) == -(-bits // 8) * 8 == right.compressed_bits([(codes, book, np.zeros(2))], 2)
    )


def test_codes_of_equal_lengths_make_the_same_file() -> None:
    def turned(counts: Sequence[int]) -> list[str]:
        return [word.translate({48: "1", 49: "0"}) for word in right.huffman(counts)]

    one = [layer(6, 20, 3, 0.2)]
    other = compressed.pack(one, 3, **{**OWN, "huffman": turned})
    assert compressed.pack(one, 3, **OWN) == other


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net"
    compressed.write(file, [layer(4, 9, 2, 0.5)], 2, **OWN)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FileError, match="ends too soon"):
        compressed.read(file, decode=right.decode)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"codebook": np.ones(4)}, "the first is 0"),
        ({"codebook": np.zeros(3)}, "2\\^b numbers"),
        ({"codes": np.full((2, 3), 9)}, "does not fit into 2 bits"),
        ({"codes": np.ones((1, 70_000), int)}, "70000 does not fit into 16 bits"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(changes: dict[str, np.ndarray], says: str) -> None:
    one = layer(2, 3, 2, 1.0)._replace(**changes)
    with pytest.raises(FileError, match=says):
        compressed.pack([one], 2, **OWN)


def test_gaps_and_codes_belong_together() -> None:
    with pytest.raises(FileError, match="2 gaps do not belong to 1 codes"):
        compressed.pack(
            [layer(2, 3, 2, 1.0)], 2, **{**OWN, "entries": lambda codes, g: ([0, 0], [1])}
        )


def test_a_dense_file_has_the_numbers_and_the_shapes(tmp_path: Path) -> None:
    pairs = [(np.ones((3, 4), np.float32), np.zeros(3, np.float32))] * 2
    assert compressed.write_dense(tmp_path / "dense", pairs) == 1 + 2 * (4 + 4 * (12 + 3))


def test_rounded_weights_are_within_half_a_step() -> None:
    weights = np.array([[0.0, -1.0, 0.3], [2.0, 0.55, 0.0]])
    one = compressed.rounded(weights, np.zeros(2), bits=3)
    assert (one.weights == 0).sum() == 2
    assert abs(one.weights - weights).max() <= 0.25 + 1e-6
    assert (one.codes.min(), one.codes.max()) == (0, 7)
