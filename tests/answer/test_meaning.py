"""Errors of NumPy and PyTorch, said in a sentence with the learner's own shapes."""

import linecache

import numpy as np
import pytest
import torch

from grading.answer.codec import decode, encode
from grading.answer.runner import Runner

SETUP = "import numpy as np, torch\nfrom torch import nn\n"


def detail(code: str, *args: object) -> str:
    names: dict[str, object] = {}
    source = SETUP + code
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(True), "<cell>")
    exec(compile(source, "<cell>", "exec"), names)
    request = {
        "do": "call",
        "of": None,
        "path": ["f"],
        "args": list(args),
        "kwargs": {},
        "limit": 9.0,
    }
    return decode(Runner(names).answer(encode(request)))["fault"]["detail"]


X, W = np.zeros((4, 3)), np.zeros(5)


@pytest.mark.parametrize(
    ("code", "args", "says"),
    [
        ("def f(seed): torch.Generator(seed)", (99,), "its seed is set by .manual_seed"),
        ("def f(w, X): return w + X", (W, X), "counted from the right"),
        ("def f(w, X): return X @ w", (W, X), "In a matrix product the last size"),
        ("def f(w, X): return X @ 2", (W, X), "where one side is a single number, write `*`"),
        ("def f(z):\n    if z >= 0: return 1", (W,), "A condition needs one truth value"),
        ("def f(z):\n    a = np.zeros(2); a[0] = z", (W,), "One number is needed there"),
        ("def f():\n    torch.stack([torch.zeros(1), torch.zeros(2)])", (), "torch.cat joins"),
        ("def f():\n    torch.zeros(1).sum().item().backward()", (), "backward needs the tensor"),
        ("def f():\n    return np.array([[1], [1, 2]])", (), "rows have different lengths"),
        (
            "class N(nn.Module):\n    def __init__(self): self.a = nn.Linear(1, 1)\ndef f(): N()",
            (),
            "`super().__init__()` comes first",
        ),
        ("def f(z): return float(z)", (W,), "One number is needed"),
        ("def f(z): return z.reshape(2, 3)", (W,), "exactly as many numbers"),
        ("def f(z): return z[7]", (W,), "beyond the end"),
        ("def f(z): return z[0, 1]", (W,), "more indices in the brackets"),
        ("def f(z): return z.sum(axis=3)", (W,), "no axis of that number"),
        ("def f(z): return None + z", (1.0,), "Something here is None"),
        ("def f(z): return None[0]", (1.0,), "Something here is None"),
        ("def f(z):\n    z += 0.5\n    return z", (np.arange(3),), "holds whole numbers"),
        ("def f(z):\n    a, b = z\n    return a", ([1, 2, 3],), "equally many members"),
        ("def f(z):\n    t = t + z\n    return t", (1.0,), "so it is its own name"),
        ("def f(a, b): return a @ b", (torch.zeros(2, 3), torch.zeros(4, 5)), "last size"),
        ("def f(a, b): return a + b", (torch.zeros(3), torch.zeros(4)), "counted from the right"),
        ("def f(a):\n    if a > 0: return 1", (torch.zeros(3),), "A condition needs one"),
        ("def f(a): return nn.Linear(3, 2)(a)", (torch.zeros(4, 5),), "last size"),
        ("def f(a): return nn.Linear(5, 2)(a)", (torch.zeros(4, 5).double(),), "different dtypes"),
        ("def f(a): return nn.Linear(5, 2)(a).numpy()", (torch.zeros(4, 5),), "detach() it first"),
        ("def f(a):\n    a.sum().backward()", (torch.zeros(3),), "asks for a gradient"),
        ("def f(a): return f(a)", (1.0,), "without coming to an end"),
        ("def f(a): return a.long().softmax(0)", (torch.zeros(3),), "a .float() missing"),
        ("def f(a): return a.long().mean()", (torch.zeros(3),), "a .float() missing"),
        (
            "def f(a): return nn.functional.cross_entropy(a, a[:, 0])",
            (torch.zeros(3, 2),),
            "scores and labels exchanged",
        ),
        ("def f(a): return (a > 0).mean()", (torch.zeros(3),), "makes 0 and 1"),
        ("def f(a): return a.sum + 1", (torch.zeros(3),), "brackets are missing"),
        ("def f(a): return list(a.items)", ({},), "brackets are missing"),
        ("def f(a): return torch.relu(nn.ReLU())", (1.0,), "called on the tensor"),
        ("def f(a): return {a, 1}", ({},), "a dict is `{name: value}`"),
        ("def f(a): raise 'no'", (1.0,), "`raise` takes an exception"),
        ("def f(a): return a[: len(a) / 2]", (W,), "`//` a whole number"),
        ("def f(a): return range(a)", (1.5,), "`//` a whole number"),
    ],
)
def test_an_error_is_said_in_a_sentence(code: str, args: tuple[object, ...], says: str) -> None:
    assert says in detail(code, *args)


def test_the_learners_own_shapes_are_told() -> None:
    told = detail("def f(w, X):\n    return w + X", W, X)
    assert "The shapes on that line: w (5,), X (4, 3)." in told


def test_what_says_enough_is_left_alone() -> None:
    assert detail("def f(x): raise ValueError('x must be positive')", 1.0) == (
        "ValueError: x must be positive"
    )
