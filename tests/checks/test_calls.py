"""Library calls that an exercise forbids: what is found in a notebook's source, and what is not."""

import pytest

from grading.check import Notebook
from grading.checks import calls

FORBIDDEN = ["torch.nn.functional.conv2d", "torch.conv2d", "scipy"]


def found(*cells: str) -> list[str]:
    return calls.found(cells, "conv2d", FORBIDDEN)


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (["import torch\ndef conv2d(x, w): return torch.conv2d(x, w)"], "torch.conv2d"),
        (
            ["import torch.nn.functional as F", "def conv2d(x, w):\n    return F.conv2d(x, w)"],
            "torch.nn.functional.conv2d",
        ),
        (
            ["from torch import nn", "conv2d = nn.functional.conv2d"],
            "torch.nn.functional.conv2d",
        ),
        (
            ["def conv2d(x, w):\n    from torch import conv2d as c\n    return c(x, w)"],
            "torch.conv2d",
        ),
        (
            [
                "import scipy.signal\ndef helper(x): return scipy.signal.convolve(x, x)",
                "class conv2d:\n    def __call__(self, x): return helper(x)",
            ],
            "scipy.signal.convolve",
        ),
    ],
)
def test_a_library_call_is_found_by_its_full_name(cells: list[str], name: str) -> None:
    assert found(*cells) == [name]


@pytest.mark.parametrize(
    "cells",
    [
        ["import torch", "def conv2d(x: torch.conv2d, w) -> torch.conv2d: return x"],
        ["import torch", "def conv2d(x, w): return x", "print(torch.conv2d(1, 2))"],
        ["import torch", "def conv2d(x, w): return torch.einsum('a,a', x, w)"],
        ["from torch import conv2d as c", "def conv2d(x, c): return c(x)"],
        ["import torch\ndef conv2d(x): return torch.conv2d(x)", "def conv2d(x): return x"],
        ["import torch", "def other(x): return torch.conv2d(x)", "def conv2d(x): return x"],
        ["def conv2d(x): return 'torch.conv2d'  # torch.conv2d"],
        [
            "%matplotlib inline\nimport torch",
            "def broken(:",
            "def conv2d(x): return torch.conv2d(x)",
        ],
        ["\0", "conv2d(x)"],
    ],
)
def test_what_is_no_call_of_the_answer_is_not_found(cells: list[str]) -> None:
    assert found(*cells) == []


def test_two_functions_that_use_each_other_are_read_once() -> None:
    assert found("def conv2d(x): return twin(x)\ndef twin(x): return conv2d(x)") == []


def test_the_learners_own_kernel_is_read_by_its_cells() -> None:
    cells = ["", "import torch", "def conv2d(x): return torch.conv2d(x)"]
    assert Notebook({"In": cells}).uses("conv2d", FORBIDDEN) == ["torch.conv2d"]
    assert Notebook({"In": 3}).uses("conv2d", FORBIDDEN) == []
