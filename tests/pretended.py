"""A GPU that is not there: tensors that say they are elsewhere, and refuse what a GPU's refuse.

    with pretended.gpu():
        x = torch.zeros(3, device=pretended.DEVICE)     # computes, on the CPU
        x + torch.zeros(3)                              # RuntimeError: not on one device

Torch's `meta` device stands for it: autograd and modules know it, and it needs no driver. Numbers
are really computed, so a lab runs as it would on a GPU, and what would fail there for a tensor that
was left on the CPU fails here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
# Functions between devices, and those that take indices of the CPU's as well.
_ACROSS = (
    "copy_",
    "_to_copy",
    "index",
    "index_put",
    "index_put_",
    "_index_put_impl_",
    "_unsafe_index",
)


class Elsewhere(torch.Tensor):
    """A tensor of the pretended GPU's; `held` is where its numbers are."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "Elsewhere":
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()  # as a GPU's: it is copied first

    def __format__(self, spec: str) -> str:
        return format(self.held, spec)

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return f"{self.held!r} elsewhere"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    given, _ = tree_flatten((args, kwargs))
    tensors = [one for one in given if isinstance(one, torch.Tensor)]
    there = [one for one in tensors if isinstance(one, Elsewhere)]
    name = func.overloadpacket.__name__
    here = [one for one in tensors if not isinstance(one, Elsewhere) and one.ndim]
    if there and here and name not in _ACROSS:
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {name} got one of shape"
            f" {tuple(here[0].shape)} from the CPU and one of {tuple(there[0].shape)} from the GPU"
        )
    device = kwargs.get("device")
    goes_there = bool(there) if device is None else torch.device(device) == DEVICE
    if goes_there and any(isinstance(one, torch.Generator) for one in given):
        raise RuntimeError(f"Expected a generator of the GPU's: {name} got the CPU's")
    if name == "copy_":
        goes_there = isinstance(args[0], Elsewhere)
    out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if name.endswith("_") and tensors and out is _inner(args[0]):
        return args[0]
    return tree_map(lambda one: _outer(one, goes_there), out)


def _inner(value: Any) -> Any:
    if isinstance(value, Elsewhere):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) and value == DEVICE else value


def _outer(value: Any, there: bool) -> Any:
    wanted = there and isinstance(value, torch.Tensor) and not isinstance(value, Elsewhere)
    return Elsewhere(value) if wanted else value


@contextmanager
def gpu() -> Iterator[None]:
    """Within it, `best_device()` is the pretended GPU."""
    with mock.patch("utils.device.best_device", return_value=DEVICE), _Mode():
        yield
