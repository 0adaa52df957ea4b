"""The interpreter as a fresh notebook has it, for as long as a check runs the student's code.

A notebook may have made warnings errors, switched gradients off or chosen another default dtype.
That is its own affair: a right answer is right all the same, and finds its own state afterwards.
"""

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

# As they were before any code of the notebook's ran: labs import this in their first cell.
_RECURSION_LIMIT, _FOLDER = sys.getrecursionlimit(), os.getcwd()
_ENVIRONMENT, _PRINTS = dict(os.environ), np.get_printoptions()


@contextmanager
def usual_state() -> Iterator[None]:
    """Within the block the usual state; afterwards the notebook's own again."""
    with ExitStack() as own:
        own.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        own.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        _usual(own, np.get_printoptions, lambda options: np.set_printoptions(**options), _PRINTS)
        _usual(own, sys.getrecursionlimit, sys.setrecursionlimit, _RECURSION_LIMIT)
        _usual(own, _folder, os.chdir, _FOLDER)
        _usual(own, lambda: dict(os.environ), _set_environment, _ENVIRONMENT)
        own.callback(random.setstate, random.getstate())
        own.callback(np.random.set_state, np.random.get_state())
        if "torch" in sys.modules:
            _usual_torch(own, sys.modules["torch"])
        yield


def _usual_torch(own: ExitStack, torch: Any) -> None:
    own.callback(torch.set_rng_state, torch.get_rng_state())
    _usual(own, torch.is_grad_enabled, torch.set_grad_enabled, True)
    _usual(own, torch.get_default_dtype, torch.set_default_dtype, torch.float32)
    _usual(own, torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False)
    deterministic = torch.are_deterministic_algorithms_enabled
    _usual(own, deterministic, torch.use_deterministic_algorithms, False)
    _usual(own, torch.get_default_device, torch.set_default_device, torch.device("cpu"))


def _usual(own: ExitStack, get: Callable[[], Any], put: Callable[[Any], Any], usual: Any) -> None:
    """The usual value now; after the block the one of before, whatever an answer has put there."""

    def let_be(value: Any) -> None:
        if get() != value:
            put(value)

    before = get()
    own.callback(let_be, before)
    if before != usual:
        put(usual)


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted
        return _FOLDER


def _set_environment(wanted: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(wanted)
