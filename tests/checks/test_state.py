"""State that a notebook sets does not reach the checks: a right answer stays right, and the state
is the notebook's own again afterwards."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grading.answer import exercise, render
from grading.answer.usual_state import usual_state
from grading.check import Notebook
from tests.labs import LABS, reference

# How a notebook changes its interpreter, and how one sees it.
STATES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "NumPy's errors": (lambda: np.seterr(all="raise"), lambda: np.geterr()["over"]),
    "NumPy's prints": (lambda: np.set_printoptions(precision=1), lambda: np.get_printoptions()),
    "gradients off": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "float64 by default": (
        lambda: torch.set_default_dtype(torch.float64),
        torch.get_default_dtype,
    ),
    "anomalies detected": (
        lambda: torch.autograd.set_detect_anomaly(True),
        torch.is_anomaly_enabled,
    ),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "warnings are errors": (
        lambda: warnings.simplefilter("error"),
        lambda: warnings.filters[0][0],
    ),
    "deep recursion": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "seeds": (lambda: (torch.manual_seed(7), np.random.seed(7)), torch.initial_seed),
    "another folder": (lambda: os.chdir("/"), os.getcwd),
    "environment": (
        lambda: os.environ.update(LAB_SCALE="gpu", GLOO_SOCKET_IFNAME="eth7"),
        lambda: os.environ.get("GLOO_SOCKET_IFNAME"),
    ),
}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with usual_state(), warnings.catch_warnings(), np.errstate():
        before = dict(os.environ), os.getcwd(), sys.getrecursionlimit(), np.get_printoptions()
        yield
        os.environ.clear()
        os.environ.update(before[0])
        os.chdir(before[1])
        sys.setrecursionlimit(before[2])
        np.set_printoptions(**before[3])
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.autograd.set_detect_anomaly(False)
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("lab", LABS)
def test_a_right_answer_stays_right_whatever_the_notebook_set(lab: str) -> None:
    names = dict(reference(lab))
    for change, _ in STATES.values():
        change()
    before = {state: seen() for state, (_, seen) in STATES.items()}
    for one in exercise.load(lab).values():
        if one.time_limit > 100:  # ranks in processes of their own take seconds to start
            continue
        result = exercise.run(one, Notebook(names), np.random.default_rng(3))
        assert result.score == one.points, render.text(result)
    assert {state: seen() for state, (_, seen) in STATES.items()} == before


@pytest.mark.parametrize("state", STATES)
def test_what_an_answer_sets_does_not_outlast_its_check(state: str) -> None:
    change, seen = STATES[state]
    before = seen()
    with usual_state():
        change()
        assert seen() != before
    assert seen() == before


def test_a_folder_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    result = exercise.run(
        exercise.load("01_perceptron")["neuron"],
        Notebook(dict(reference("01_perceptron"))),
        np.random.default_rng(0),
    )
    assert result.status == "passed"
    os.chdir("/")
