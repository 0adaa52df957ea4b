"""The codec under property-based tests: what goes in comes out, and nothing else gets in."""

import json
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grading.answer import codec
from grading.answer.codec import CodecError, Handle, decode, encode

arrays = st.sampled_from(sorted(codec.ARRAY_DTYPES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)
tensors = arrays.filter(lambda a: a.dtype.name in codec.TENSOR_DTYPES).map(torch.from_numpy)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())  # surrogates included
    | st.binary(max_size=40)
    | arrays.filter(lambda a: a.size > 0).map(lambda a: a.ravel()[0])
)
keys = st.booleans() | st.integers() | st.text(max_size=5) | st.tuples(st.integers(), st.text())
plain = st.recursive(
    scalars | arrays | tensors,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(a: object, b: object) -> bool:
    """Equal in type, dtype, shape and every bit that counts (NaN equals NaN, 0.0 is not −0.0)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and same(a.resolve_conj().numpy(), b.resolve_conj().numpy())
    if isinstance(a, np.ndarray | np.generic) and isinstance(b, np.ndarray | np.generic):
        alike = a.dtype == b.dtype and a.shape == b.shape
        return alike and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    return repr(a) == repr(b)


@given(plain)
@example([2**70, -(2**63), float("inf"), -0.0, "\ud800", b"\0", {"": np.float16(1)}])
def test_plain_values_come_back_as_they_were(value: object) -> None:
    assert same(decode(encode(value)), value)


@given(plain)
def test_a_decoded_value_encodes_to_the_same_bytes(value: object) -> None:
    assert encode(decode(encode(value))) == encode(value)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_value_or_a_codec_error(data: bytes) -> None:
    with suppress(CodecError):  # the one error that hostile bytes may cause
        decode(data)


TAGS = st.sampled_from(
    ["list", "tuple", "dict", "bytes", "int", "float", "array", "scalar", "tensor", "handle", "_a"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.builds(
            lambda tag, rest: [tag, *rest],
            st.sampled_from(
                [
                    "list",
                    "tuple",
                    "dict",
                    "bytes",
                    "int",
                    "float",
                    "array",
                    "scalar",
                    "tensor",
                    "handle",
                    "_a",
                    "value",
                ]
            ),
            st.lists(inner | st.sampled_from(["int8", "float64", "bool", "AAAA", "AA=="])),
        )
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(json_values)
def test_hostile_messages_are_a_plain_value_or_a_codec_error(form: object) -> None:
    try:
        value = decode(json.dumps(form).encode())
    except CodecError:
        return
    encode(value)  # whatever came out is plain


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 100_000,
        b"1" * 5_000,
        b"NaN",
        b"{}",
        b"\xff",
        b'["object", 1]',
        b'["array", "object", [1], "AAAAAAAAAAA="]',
        b'["array", "V8", [1], "AAAAAAAAAAA="]',
        b'["array", "int8", [1000000000000], ""]',
        b'["array", "int8", [-1, -1], "AA=="]',
        b'["array", "int8", [0, 99999999999999999999], ""]',
        b'["array", "int8", [true], "AA=="]',
        b'["array", "bool", [1], "Ag=="]',
        b'["array", "int8", [1], "AA"]',
        b'["tensor", "uint16", [1], "AAA="]',
        b'["float", "1.5"]',
        b'["int", "0xzz"]',
        b'["dict", [["a", 1], ["a", 2]]]',
        b'["dict", [[["list", []], 1]]]',
        b'["handle", "0", "x"]',
        b'["list", "x"]',
    ],
)
def test_known_hostile_messages_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


def test_sizes_are_limited_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 1_000)
    assert decode(encode(np.zeros(700, np.uint8))).nbytes == 700
    for value in (np.zeros(1_001, np.uint8), "x" * 1_001, list(range(1_000))):
        with pytest.raises(CodecError, match="bytes"):
            encode(value)
    with pytest.raises(CodecError, match="bytes"):
        decode(b'"' + b"x" * 1_000 + b'"')


def test_depth_is_limited_both_ways() -> None:
    deep: list[object] = []
    for _ in range(codec.MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(CodecError, match="deep"):
        encode(deep)
    with pytest.raises(CodecError, match="deep"):
        decode(b'["list",[' * (codec.MAX_DEPTH + 2) + b"]]" * (codec.MAX_DEPTH + 2))


class Liar(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize(
    "value",
    [
        Liar(1),
        type("Sneaky", (np.ndarray,), {})((2,)),
        np.array([object()]),
        np.array(["text"]),
        np.ma.masked_array([1.0]),
        {1, 2},
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_refused_or_referred_to(value: object) -> None:
    with pytest.raises(CodecError):
        encode([value])
    handle = decode(encode([value], refer=lambda thing: Handle(7, type(thing).__name__)))[0]
    assert handle == Handle(7, type(value).__name__)


def test_a_named_tuple_is_a_tuple() -> None:
    pair = NamedTuple("Pair", [("w", float), ("b", list)])(1.0, [2])
    assert decode(encode(pair)) == (1.0, [2])


def test_a_handle_is_resolved_where_its_object_is() -> None:
    thing = object()
    data = encode({"model": thing}, refer=lambda _: Handle(0, "object"))
    assert decode(data, resolve=lambda handle: [thing][handle.number]) == {"model": thing}


def test_a_decoded_array_can_be_written_to() -> None:
    got = decode(encode(np.zeros(3)))
    got[0] = 1.0
    assert got[0] == 1.0


def test_bfloat16_and_conjugate_tensors_keep_their_values() -> None:
    half = torch.tensor([1.5, float("nan")]).to(torch.bfloat16)
    got = decode(encode(half))
    assert got.dtype is torch.bfloat16
    assert torch.equal(got[:1], half[:1])
    assert got[1].isnan()
    assert decode(encode(torch.tensor([1 + 2j]).conj())).item() == 1 - 2j


def test_what_would_take_much_memory_is_refused_before_it_is_read() -> None:
    with pytest.raises(CodecError, match="more than 200,000 values"):
        decode(b"[" + b"{}," * 1_000_000 + b"{}]")
    for number in (b"9" * 40, b'["int","' + b"f" * 5000 + b'"]'):
        with pytest.raises(CodecError, match="too large"):
            decode(number)
    with pytest.raises(CodecError, match="too large"):
        encode(10**5000)
    assert decode(encode(10**200)) == 10**200
