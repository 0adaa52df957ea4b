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
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Fresh:
    """What code of the notebook's may change in its process, as it was before any of it ran."""

    recursion_limit: int = field(default_factory=sys.getrecursionlimit)
    folder: str = field(default_factory=os.getcwd)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    print_options: Any = field(default_factory=np.get_printoptions)


_fresh = _Fresh()  # labs import this in their first cell


def note_usual_state() -> None:
    """What is usual is as it is now: for a process that was forked from one that imported this."""
    global _fresh
    _fresh = _Fresh()


@contextmanager
def usual_state() -> Iterator[None]:
    """Within the block the usual state; afterwards the notebook's own again."""
    with ExitStack() as own:
        own.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        own.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        print_options = _fresh.print_options
        _usual(own, np.get_printoptions, lambda one: np.set_printoptions(**one), print_options)
        _usual(own, sys.getrecursionlimit, sys.setrecursionlimit, _fresh.recursion_limit)
        _usual(own, _folder, os.chdir, _fresh.folder)
        _usual(own, lambda: dict(os.environ), _set_environment, _fresh.environment)
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
        return _fresh.folder


def _set_environment(wanted: dict[str, str]) -> None:
    now = dict(os.environ)
    for name in now.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in wanted.items() if now.get(name) != value})
