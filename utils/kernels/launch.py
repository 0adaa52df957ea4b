"""Kernels of a notebook: run by Triton where it is, and traced by the machine of this package.

Without a GPU Triton interprets kernels, which has to be asked for before it is imported. It runs on
Linux; elsewhere `jit` leaves a function as it is, and the machine runs it.
"""

import importlib
import importlib.util
import os
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from utils.kernels.machine import KernelError, Memory, run
from utils.kernels.source import read

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def _triton() -> Any:
    if importlib.util.find_spec("triton") is None:
        return None
    try:
        return importlib.import_module("triton")
    except ImportError:  # it is there, and does not run here
        return None


triton = _triton()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# What a kernel's text needs where there is no Triton: the name of an annotation.
_STAND_IN = types.SimpleNamespace(__name__="triton.language", constexpr=int)
tl: Any = importlib.import_module("triton.language") if triton is not None else _STAND_IN


def where() -> str:
    """One line on what runs kernels here."""
    if triton is None:
        return "Triton is not installed: the course's own machine runs the kernels."
    if not INTERPRETED:
        return f"Triton {triton.__version__} compiles kernels for {torch.cuda.get_device_name()}."
    if not _interprets():
        return "Triton was imported before this lab asked it to interpret: restart the kernel."
    return f"Triton {triton.__version__} interprets kernels: there is no GPU here."


def jit(function: Callable[..., Any]) -> Any:
    """Triton's `jit`, where Triton is; otherwise the function itself."""
    if triton is None:
        return function
    try:
        return triton.jit(function)
    except (OSError, ValueError):  # a function without a text, such as one made by exec
        return function


def trace(kernel: Any, programs: int | Sequence[int], *arguments: Any) -> Memory:
    """Run a kernel on copies of its arguments, on the machine; what it did to the memory.

    Raises NotImplementedError if it is not written yet, and KernelError.
    """
    copies = [np.array(_numpy(one)) if _is_array(one) else one for one in arguments]
    try:
        return run(read(kernel), programs, copies)
    except KernelError as error:
        if error.kind == "undone":
            raise NotImplementedError(error.message) from None
        raise


def launch(kernel: Any, programs: int | Sequence[int], *arguments: Any) -> None:
    """Run a kernel on torch tensors: by Triton, or by the machine where Triton is not.

    On a CPU it is traced first: Triton's interpreter would follow a wrong pointer anywhere.
    Raises NotImplementedError if it is not written yet, and KernelError.
    """
    if triton is not None and not INTERPRETED:
        _refuse_undone(kernel)
    else:
        try:
            trace(kernel, programs, *arguments)
        except KernelError as error:
            if error.kind != "unknown" or triton is None:
                raise
    if triton is not None and _interprets() and hasattr(kernel, "fn"):
        grid = (programs,) if isinstance(programs, int) else tuple(programs)
        kernel[grid](*arguments)
    else:
        run(read(kernel), programs, [_numpy(one) if _is_array(one) else one for one in arguments])


def _refuse_undone(kernel: Any) -> None:
    if any("raise NotImplementedError" in text for text in read(kernel).texts.values()):
        raise NotImplementedError("The kernel is not written yet.")


def _interprets() -> bool:
    """Whether Triton's own functions are interpreted, too, or compiled, as this process asked."""
    return (type(tl.sum).__name__ == "InterpretedFunction") == INTERPRETED


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


def _numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
