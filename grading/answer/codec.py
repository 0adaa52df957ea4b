"""The one codec: plain values to bytes and back, between a check and the student's code.

A check runs beside the student's code in a notebook and far from it in grading. Both ways every
argument and every result passes through here, so that what passes in the notebook passes in
grading. The bytes may come from a hostile process: nothing is unpickled, no type is looked up by a
name that the bytes give, and a declared size is compared with the payload before it is believed.

The form is JSON. `None`, booleans, strings, integers and finite floats stand for themselves;
everything else is a list that begins with a tag:

    ["list", [...]]   ["tuple", [...]]   ["dict", [[key, value], ...]]   ["bytes", base64]
    ["int", hex]      ["float", "nan"]   ["array", dtype, shape, base64]
    ["scalar", dtype, base64]            ["tensor", dtype, shape, base64]
    ["handle", number, type name]

Types are matched exactly: a subclass may answer `==` as it likes, so it is not plain.
"""

import base64
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_BYTES = 16 * 2**20
MAX_VALUES = 200_000  # lists, numbers and texts, not counting what is in arrays; each costs memory
MAX_DIGITS = 250  # hexadecimal ones of a whole number: as a float it is still finite
MAX_DEPTH = 24
MAX_DIMENSIONS = 16

_INTEGERS = {"int8", "int16", "int32", "int64", "uint8"}
_FLOATS = {"float16", "float32", "float64", "complex64", "complex128"}
ARRAY_DTYPES = frozenset({"bool", "uint16", "uint32", "uint64"} | _INTEGERS | _FLOATS)
TENSOR_DTYPES = frozenset({"bool", "bfloat16"} | _INTEGERS | _FLOATS)


class CodecError(ValueError):
    """The value is not plain, or the bytes are not what `encode` writes."""


@dataclass(frozen=True)
class Handle:
    """Stands for an object that stays in the student's process, such as a model."""

    number: int
    type_name: str


def encode(value: object, refer: Callable[[object], Handle] | None = None) -> bytes:
    """Write a plain value as bytes.

    refer: asked for a `Handle` for an object that is not plain; without it such an object is a
    CodecError, as are nesting deeper than MAX_DEPTH and more than MAX_BYTES.
    """
    data = json.dumps(_Encoder(refer).form(value, 0), separators=(",", ":")).encode("ascii")
    if len(data) > MAX_BYTES:
        raise CodecError(f"the value takes {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    return data


def decode(data: bytes, resolve: Callable[[Handle], object] | None = None) -> Any:
    """Read what `encode` wrote; CodecError for anything else.

    resolve: gives the object that a handle stands for; without it the `Handle` itself is returned.
    """
    if len(data) > MAX_BYTES:
        raise CodecError(f"the message has {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise CodecError(f"the message holds more than {MAX_VALUES:,} values")
    try:
        form = json.loads(data, parse_constant=_no_constant)
        return _Decoder(resolve).value(form, 0)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(f"not a message of this codec: {error}") from None


def _no_constant(name: str) -> object:
    raise CodecError(f"a bare {name} in the message")


class _Encoder:
    def __init__(self, refer: Callable[[object], Handle] | None) -> None:
        self.refer = refer
        self.payload = 0

    def form(self, value: Any, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise CodecError(f"nested more than {MAX_DEPTH} deep")
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            if value.bit_length() > 4 * (MAX_DIGITS - 3):
                raise CodecError("a whole number of hundreds of digits is too large")
            return value if abs(value) < 2**63 else ["int", hex(value)]
        if kind is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if kind is bytes:
            return ["bytes", self.base64(value)]
        if kind is list or kind is tuple:
            return [kind.__name__, [self.form(item, depth + 1) for item in value]]
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):  # a named tuple is a tuple
            return ["tuple", [self.form(item, depth + 1) for item in tuple.__iter__(value)]]
        if kind is dict:
            pairs = value.items()
            return ["dict", [[self.form(k, depth + 1), self.form(v, depth + 1)] for k, v in pairs]]
        if kind is Handle:
            return ["handle", value.number, value.type_name]
        if kind is np.ndarray and value.dtype.name in ARRAY_DTYPES:
            return ["array", value.dtype.name, list(value.shape), self.base64(_little(value))]
        if issubclass(kind, np.generic) and kind.__name__ in ARRAY_DTYPES | {"bool_"}:
            array = np.asarray(value)
            return ["scalar", array.dtype.name, self.base64(_little(array))]
        if _is_tensor(value):
            return self.tensor(value)
        if self.refer is not None:
            return self.form(self.refer(value), depth)
        raise CodecError(f"a value of type {kind.__name__} is not plain")

    def base64(self, raw: bytes) -> str:
        self.payload += len(raw)
        if self.payload > MAX_BYTES:
            raise CodecError(f"the arrays take more than {MAX_BYTES:,} bytes")
        return base64.b64encode(raw).decode("ascii")

    def tensor(self, value: Any) -> object:
        import torch

        name = str(value.dtype).removeprefix("torch.")
        if name not in TENSOR_DTYPES or value.layout is not torch.strided:
            raise CodecError(f"a tensor of {value.dtype}, {value.layout} is not plain")
        array = value.detach().cpu().contiguous()
        shape = list(array.shape)
        if name == "bfloat16":
            array = array.view(torch.int16)
        return ["tensor", name, shape, self.base64(_little(array.resolve_conj().numpy()))]


class _Decoder:
    def __init__(self, resolve: Callable[[Handle], object] | None) -> None:
        self.resolve = resolve

    def value(self, form: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CodecError(f"nested more than {MAX_DEPTH} deep")
        if not isinstance(form, list):
            if isinstance(form, dict):
                raise CodecError("an untagged object")
            if type(form) is int and abs(form) >= 2**63:
                raise CodecError("a whole number that is too large")
            return form
        tag, *rest = form
        reader = getattr(self, f"_read_{tag}", None) if tag in _TAGS else None
        if reader is None:
            raise CodecError("an unknown tag")
        return reader(depth, *rest)

    def _read_list(self, depth: int, items: list[Any]) -> list[Any]:
        return [self.value(item, depth + 1) for item in _a(list, items)]

    def _read_tuple(self, depth: int, items: list[Any]) -> tuple[Any, ...]:
        return tuple(self._read_list(depth, items))

    def _read_dict(self, depth: int, pairs: list[Any]) -> dict[Any, Any]:
        result = {}
        for key, value in _a(list, pairs):
            result[self.value(key, depth + 1)] = self.value(value, depth + 1)
        if len(result) != len(pairs):
            raise CodecError("a key twice")
        return result

    def _read_bytes(self, depth: int, text: str) -> bytes:
        return _payload(text)

    def _read_int(self, depth: int, text: str) -> int:
        if len(_a(str, text)) > MAX_DIGITS:
            raise CodecError("a whole number that is too large")
        return int(text, 16)

    def _read_float(self, depth: int, text: str) -> float:
        if text not in ("nan", "inf", "-inf"):
            raise CodecError("a float that is neither nan nor infinite")
        return float(text)

    def _read_array(self, depth: int, dtype: str, shape: list[int], text: str) -> np.ndarray:
        if dtype not in ARRAY_DTYPES:
            raise CodecError("an array of a dtype that is not allowed")
        return _array(dtype, shape, text)

    def _read_scalar(self, depth: int, dtype: str, text: str) -> Any:
        return self._read_array(depth, dtype, [], text)[()]

    def _read_tensor(self, depth: int, dtype: str, shape: list[int], text: str) -> object:
        import torch

        if dtype not in TENSOR_DTYPES:
            raise CodecError("a tensor of a dtype that is not allowed")
        if dtype == "bfloat16":
            return torch.from_numpy(_array("int16", shape, text)).view(torch.bfloat16)
        return torch.from_numpy(_array(dtype, shape, text))

    def _read_handle(self, depth: int, number: int, type_name: str) -> object:
        handle = Handle(_a(int, number), _a(str, type_name)[:80])
        return handle if self.resolve is None else self.resolve(handle)


_TAGS = frozenset(
    name.removeprefix("_read_") for name in vars(_Decoder) if name.startswith("_read_")
)


def _a(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise CodecError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _payload(text: str) -> bytes:
    return base64.b64decode(_a(str, text), validate=True)


def _array(dtype: str, shape: list[int], text: str) -> np.ndarray:
    if len(_a(list, shape)) > MAX_DIMENSIONS or any(_a(int, n) < 0 for n in shape):
        raise CodecError("an impossible shape")
    raw, kind = _payload(text), np.dtype(dtype).newbyteorder("<")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise CodecError("an array whose payload does not fill its shape")
    if dtype == "bool" and any(byte > 1 for byte in set(raw)):
        raise CodecError("a truth value that is neither 0 nor 1")
    # A bytearray, so that the array can be written to.
    return np.frombuffer(bytearray(raw), kind).astype(dtype, copy=False).reshape(shape)


def _little(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")  # a value can be a tensor only where torch is imported
    return torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter)
