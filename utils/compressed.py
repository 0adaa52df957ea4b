"""A small network as a file: dense, or pruned, shared and Huffman-coded, to the last bit.

    write_dense(path, network)                            # 32 bits a number
    write(path, layers, gap_bits, entries=…, huffman=…, encode=…)
    layers = read(path, decode=…)

The compressed file follows Han, Mao and Dally (2016, arXiv 1510.00149). How it is coded is the
caller's: which entries are stored, how long each word is and how words become bits. The layout:

    8            how many layers
    each layer:
      16 + 16    outputs O, inputs I
      4 + 4      bits of a code, b, and of a gap, g
      32 + 32    how many bits the gaps take, and the codes
      32·(2^b − 1)  the codebook, float32, without its first number, which is 0
      5·2^g      for each gap the length of its word, 0 if there is none
      5·2^b      for each code the length of its word, 0 if there is none
      …          the gaps' words, then the codes' words
      32·O       the biases, float32

One stream of bits, big end first, filled up with zeros to a whole byte. An entry is a stored code
and the gap before it: how many zeros, read row by row, lie between it and the entry before.

Of a prefix code only the lengths are kept: the words are the canonical ones of these lengths, as in
DEFLATE (RFC 1951), so any two codes with equal lengths make the same file.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LENGTH_BITS = 5  # of the length of a word, which is thus at most 31
HEADER_BITS = 8
LAYER_BITS = (16, 16, 4, 4, 32, 32)

Entries = Callable[[NDArray[np.integer], int], tuple[Sequence[int], Sequence[int]]]
Huffman = Callable[[Sequence[int]], Sequence[str]]
Encode = Callable[[Sequence[int], Sequence[str]], str]
Decode = Callable[[str, Sequence[str]], Sequence[int]]


class Layer(NamedTuple):
    """A linear layer whose weights are `codebook[codes]`.

    codes: (O, I) whole numbers, 0 for a weight that is zero; codebook: (2^b,) float32, 0 first;
    bias: (O,) float32.
    """

    codes: NDArray[np.integer]
    codebook: NDArray[np.floating]
    bias: NDArray[np.floating]

    @property
    def weights(self) -> NDArray[np.floating]:
        """(O, I) float32."""
        return np.asarray(self.codebook, np.float32)[self.codes]


class FileError(ValueError):
    """A file that is none of these, or a network that no such file can hold."""


def rounded(weights: NDArray[np.floating], bias: NDArray[np.floating], bits: int) -> Layer:
    """The layer with its weights, but for zeros, moved to the nearest of 2^bits − 1 values at equal
    distances. weights: (O, I); bias: (O,)."""
    book = np.zeros(2**bits, np.float32)
    book[1:] = np.linspace(weights.min(), weights.max(), 2**bits - 1)
    step = max(float(book[2] - book[1]), 1e-30)
    nearest = 1 + np.rint((weights - book[1]) / step).astype(np.int64)
    return Layer(np.where(weights == 0, 0, nearest), book, bias.copy())


def canonical(lengths: Sequence[int]) -> list[str]:
    """The words of the canonical prefix code: shorter ones first, equally long ones in order.

    lengths: of each symbol's word, 0 for none. Raises FileError if no prefix code has them.
    """
    words, number, before = [""] * len(lengths), 0, 0
    for length, symbol in sorted((n, i) for i, n in enumerate(lengths) if n):
        number <<= length - before
        if number >> length:
            raise FileError(f"no prefix code has words of the lengths {list(lengths)}")
        words[symbol] = format(number, f"0{length}b")
        number, before = number + 1, length
    return words


def pack(
    layers: Iterable[Layer | tuple[NDArray, NDArray, NDArray]],
    gap_bits: int,
    *,
    entries: Entries,
    huffman: Huffman,
    encode: Encode,
) -> bytes:
    """The bytes of the compressed file.

    gap_bits: g, 1 to 15; entries(codes, g): the gaps and the codes of what is stored;
    huffman(counts): a word for each symbol, whose length counts; encode(symbols, words): bits.
    Raises FileError for what the layout cannot hold.
    """
    layers = [Layer(*layer) for layer in layers]
    parts = [_number(len(layers), HEADER_BITS)]
    for codes, codebook, bias in layers:
        code_bits = (len(codebook) - 1).bit_length()
        if len(codebook) != 2**code_bits or codebook[0] != 0:
            raise FileError("a codebook has 2^b numbers, and the first is 0")
        gaps, symbols = entries(codes, gap_bits)
        if len(gaps) != len(symbols):
            raise FileError(f"{len(gaps)} gaps do not belong to {len(symbols)} codes")
        tables, streams = [], []
        for numbers, width in ((gaps, gap_bits), (symbols, code_bits)):
            counts = np.bincount(np.asarray(numbers, np.int64), minlength=2**width)
            if len(counts) > 2**width:
                raise FileError(f"{len(counts) - 1} does not fit into {width} bits")
            lengths = [len(word) for word in huffman(counts.tolist())]
            tables += [_number(length, LENGTH_BITS) for length in lengths]
            streams.append(encode(numbers, canonical(lengths)))
        header = (*codes.shape, code_bits, gap_bits, *map(len, streams))
        parts += [_number(n, width) for n, width in zip(header, LAYER_BITS, strict=True)]
        parts += [_floats(codebook[1:]), *tables, *streams, _floats(bias)]
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def write(
    path: str | Path,
    layers: Iterable[Layer | tuple[NDArray, NDArray, NDArray]],
    gap_bits: int,
    *,
    entries: Entries,
    huffman: Huffman,
    encode: Encode,
) -> int:
    """Write the compressed file; returns its size in bytes, as the file system has it."""
    file = Path(path)
    file.write_bytes(pack(layers, gap_bits, entries=entries, huffman=huffman, encode=encode))
    return file.stat().st_size


def read(path: str | Path, *, decode: Decode) -> list[Layer]:
    """The layers of a compressed file. decode(bits, words): the symbols of a stream of bits.

    Raises FileError for a file that is cut short or is none of these.
    """
    data = Path(path).read_bytes()
    stream = _Stream("".join(f"{byte:08b}" for byte in data))
    layers = []
    for _ in range(stream.number(HEADER_BITS)):
        header = [stream.number(width) for width in LAYER_BITS]
        outputs, inputs, code_bits, gap_bits, gap_length, code_length = header
        codebook = np.concatenate([np.zeros(1, np.float32), stream.floats(2**code_bits - 1)])
        tables = [
            canonical([stream.number(LENGTH_BITS) for _ in range(2**width)])
            for width in (gap_bits, code_bits)
        ]
        gaps = decode(stream.take(gap_length), tables[0])
        symbols = decode(stream.take(code_length), tables[1])
        codes = np.zeros(outputs * inputs, np.int64)
        places = np.cumsum(np.asarray(gaps, np.int64) + 1) - 1
        if len(gaps) != len(symbols) or (len(places) and places[-1] >= len(codes)):
            raise FileError(f"{path}: the entries do not fit the layer")
        codes[places] = symbols
        layers.append(Layer(codes.reshape(outputs, inputs), codebook, stream.floats(outputs)))
    return layers


def write_dense(path: str | Path, layers: Iterable[tuple[NDArray, NDArray]]) -> int:
    """Write weights (O, I) and biases (O,) as they are, float32, in the layout's own header;
    returns the file's size in bytes."""
    pairs = list(layers)
    data = bytearray(struct.pack(">B", len(pairs)))
    for weights, bias in pairs:
        data += struct.pack(">HH", *weights.shape)
        data += np.asarray(weights, ">f4").tobytes() + np.asarray(bias, ">f4").tobytes()
    Path(path).write_bytes(data)
    return Path(path).stat().st_size


class _Stream:
    """Bits, taken one piece after another."""

    def __init__(self, bits: str) -> None:
        self._bits, self._at = bits, 0

    def take(self, count: int) -> str:
        piece = self._bits[self._at : self._at + count]
        if len(piece) < count:
            raise FileError("the file ends too soon")
        self._at += count
        return piece

    def number(self, width: int) -> int:
        return int(self.take(width), 2)

    def floats(self, count: int) -> NDArray[np.float32]:
        bits = self.take(32 * count)
        data = int(bits or "0", 2).to_bytes(4 * count, "big")
        return np.frombuffer(data, ">f4").astype(np.float32)


def _number(value: int, width: int) -> str:
    if not 0 <= value < 2**width:
        raise FileError(f"{value} does not fit into {width} bits")
    return format(value, f"0{width}b")


def _floats(values: NDArray[np.floating]) -> str:
    return "".join(f"{byte:08b}" for byte in np.asarray(values, ">f4").tobytes())
