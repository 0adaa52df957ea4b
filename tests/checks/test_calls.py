"""Library calls that an exercise forbids: what is found in a notebook's source, and what is not."""

import pytest

from grading.check import Notebook
from grading.checks import calls

FORBIDDEN = ["torch.nn.functional.conv2d", "torch.conv2d", "scipy"]
NN, T = FORBIDDEN[:2]


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
        (["from torch import conv2d"], "torch.conv2d"),
        (["from torch.nn.functional import conv2d as conv2d"], NN),
        (["from torch.nn.functional import *"], NN),
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
        (
            ["import torch.nn.functional as F\ncv = F.conv2d", "def conv2d(x, w): return cv(x, w)"],
            NN,
        ),
        (
            ["import torch.nn.functional as F", "def conv2d(*x): return getattr(F, 'conv2d')(*x)"],
            NN,
        ),
        (["import torch.nn.functional as F", "def conv2d(*x): return vars(F)['conv2d'](*x)"], NN),
        (
            [
                "import torch.nn.functional as F\nG = F",
                "H = G\ndef conv2d(*x): return getattr(H, 'conv' + '2d')(*x)",
            ],
            NN,
        ),
        (["from torch.nn.functional import *", "g = conv2d\ndef conv2d(*x): return g(*x)"], NN),
        (["from torch.nn import functional as F", "conv2d: object = F.conv2d"], NN),
        (["import torch.nn.functional as F", "conv2d, other = F.conv2d, 3"], NN),
        (
            [
                "import torch.nn.functional as F",
                "if True:\n    def conv2d(*x): return F.conv2d(*x)",
            ],
            NN,
        ),
        (
            ["import torch.nn.functional as F", "try:\n    conv2d = F.conv2d\nfinally:\n    pass"],
            NN,
        ),
        (["import torch.nn.functional as F", "(conv2d := F.conv2d)"], NN),
        (["import torch.nn.functional as F", "conv2d = lambda *x: F.conv2d(*x)"], NN),
        (["import torch.nn.functional as F", "def conv2d(*x, f=F.conv2d): return f(*x)"], NN),
        (
            [
                "import torch",
                "def conv2d(*x):\n    f = torch.nn.functional\n    return f.conv2d(*x)",
            ],
            NN,
        ),
        (["def conv2d(*x): return __import__('torch').nn.functional.conv2d(*x)"], NN),
        (
            [
                "import importlib",
                "def conv2d(*x): return importlib.import_module('torch').conv2d(*x)",
            ],
            "torch.conv2d",
        ),
        (["import sys", "def conv2d(*x): return sys.modules['torch'].conv2d(*x)"], "torch.conv2d"),
        (["import torch", "def conv2d(*x): return eval('torch.conv2d(*x)')"], "torch.conv2d"),
        (["import torch", "def conv2d(*x): return globals()['torch'].conv2d(*x)"], "torch.conv2d"),
        (["%%time\nimport torch\ndef conv2d(*x): return torch.conv2d(*x)"], "torch.conv2d"),
        (["!ls\nimport torch\ndef conv2d(*x): return torch.conv2d(*x)"], "torch.conv2d"),
        (["%matplotlib inline\nimport torch", "conv2d = torch.conv2d"], "torch.conv2d"),
        (["import torch", "def conv2d(x): return x", "def conv2d(x): return torch.conv2d(x)"], T),
        (
            [
                "import torch",
                "def helper(x): return x",
                "def conv2d(x): return helper(x)",
                "helper = torch.conv2d",
            ],
            T,
        ),
        (
            [
                "import torch.nn.functional as F",
                "def conv2d(*x): return (F if x else 0).conv2d(*x)",
            ],
            NN,
        ),
        (
            [
                "import torch.nn.functional as F",
                "def conv2d(*x):\n    G = F if x else None\n    H = G\n    return H.conv2d(*x)",
            ],
            NN,
        ),
        (
            [
                "import torch.nn.functional as F",
                "def conv2d(*x):\n    if x:\n        G = F\n    else:\n        G = None\n"
                "    return G.conv2d(*x)",
            ],
            NN,
        ),
        (["import torch", "T = None or torch", "def conv2d(*x): return T.conv2d(*x)"], T),
        (["import torch", "def conv2d(*x):\n    T = x and torch\n    return T.conv2d(*x)"], T),
        (["import torch", "def conv2d(*x): return {'a': 1, 'b': torch}['b'].conv2d(*x)"], T),
        (
            [
                "import torch",
                "L = [0, torch]",
                "def conv2d(*x):\n    t = L[1]\n    return t.conv2d(*x)",
            ],
            T,
        ),
        (["import torch", "def conv2d(*x):\n    t = (torch,)[0]\n    return t.conv2d(*x)"], T),
        (["import torch", "def conv2d(*x): return (t := torch if x else 0).conv2d(*x)"], T),
        (
            [
                "import torch",
                "def conv2d(*x):\n    t: object = torch or 0\n    return t.conv2d(*x)",
            ],
            T,
        ),
        (
            ["import torch", "T = torch if 1 else None\nU = [T]", "V = U[0]\nconv2d = V.conv2d"],
            T,
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
        ["import torch", "def broken(:", "def conv2d(x): return x"],
        ["import torch", "def conv2d(x): return x if isinstance(x, torch.conv2d) else None"],
        ["%%bash\nimport torch\ndef conv2d(x): return torch.conv2d(x)"],
        ["import torch\ndef conv2d(x): return torch.conv2d(x)", "%%time\ndef conv2d(x): return x"],
        [
            "import torch\ndef conv2d(x): return torch.conv2d(x)",
            "if 1:\n    def conv2d(x): return x",
        ],
        ["\0", "conv2d(x)"],
        ["import torch", "def conv2d(x, w): return (x if w else torch).einsum('a', x)"],
        ["import torch", "def conv2d(x): return x", "T = torch if 1 else 0\nprint(T.conv2d)"],
        ["def conv2d(x):\n    sizes = {'R': x, 'S': [x]}\n    return sizes['R'].conv2d(sizes)"],
        ["def conv2d(x, torch=None):\n    t = torch or x\n    return t.conv2d(x)"],
        ["def conv2d(x):\n    x = x.a if x else x.b\n    return x.conv2d"],
        ["a = [b, b]\nb = [a.x, a.y]", "def conv2d(x): return a[0].conv2d or b"],
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


def test_patterns_methods_and_own_functions_are_forbidden_too() -> None:
    cells = ["import torch.nn.functional as F", "def conv2d_loops(x): return x"]
    sister = [*cells, "def conv2d(x): return F.conv3d(x[None])[0]"]
    assert calls.found(sister, "conv2d", ["torch.*conv?d"]) == ["torch.nn.functional.conv3d"]
    method = [*cells, "def conv2d(x):\n    y = x.reshape(3)\n    return y.unfold(0, 1, 1)"]
    assert calls.found(method, "conv2d", [".unfold"]) == [".unfold"]
    own = [*cells, "def conv2d(x): return helper(x)", "def helper(x): return conv2d_loops(x)"]
    assert calls.found(own, "conv2d", ["conv2d_loops"]) == ["conv2d_loops"]
    assert calls.found(own, "conv2d_loops", ["conv2d_loops"]) == []


def test_a_notebooks_later_cells_do_not_count() -> None:
    cells = ["import torch", "def conv2d(x): return helper(x)", "def helper(x): return x"]
    later = [*cells, "def helper(x): return torch.conv2d(x)\ntheirs = helper(1)"]
    assert calls.up_to(later, "conv2d") == cells[:2]
    assert calls.up_to(later, "nothing") == later


def test_deep_and_odd_cells_do_no_harm() -> None:
    deep = "x = " + "(" * 5000 + ")" * 5000
    assert found(deep, "-" * 100_000 + "1", "def conv2d(x): return x") == []


def test_names_that_stand_for_very_many_do_no_harm() -> None:
    twos = "".join(f"x{i + 1} = [x{i}.a, x{i}.b]\n" for i in range(40))
    assert found("x0 = x40", twos, "def conv2d(x): return x40[0].c") == []
