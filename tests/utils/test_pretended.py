"""What a GPU would refuse is refused here too, and the labs' training does none of it."""

import ast
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from grading.course import cells
from tests import pretended
from tests.labs import LABS, ROOT
from utils import ranks, training
from utils.kernels import device as kernels_device
from utils.training.text import CharLSTM

HERE, THERE = torch.device("cpu"), pretended.DEVICE


@pytest.fixture(autouse=True)
def _pretend() -> Iterator[None]:
    with pretended.gpu():
        yield


@pytest.mark.parametrize(
    "refused",
    [
        lambda: torch.ones(3, device=THERE) + torch.ones(3),
        lambda: torch.nn.functional.linear(torch.ones(1, 3, device=THERE), torch.ones(2, 3)),
        lambda: torch.ones(3, device=THERE).numpy(),
        lambda: torch.randperm(3, generator=torch.Generator(), device=THERE),
    ],
)
def test_the_pretended_gpu_refuses_what_a_gpu_does(refused: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        refused()


def test_the_pretended_gpu_computes() -> None:
    x = torch.arange(4.0, device=THERE, requires_grad=True)
    (2 * x[torch.tensor([1, 3])]).sum().backward()
    assert x.grad is not None
    assert x.grad.device == THERE
    assert x.grad.cpu().numpy().tolist() == [0, 2, 0, 2]
    assert (x.tolist(), f"{x.sum():.1f}", float(x.max())) == ([0, 1, 2, 3], "6.0", 3.0)


def test_training_there_leaves_nothing_here_and_draws_the_same_batches() -> None:
    """A seed gives the same run on every device: its generators are the CPU's."""

    def augment(X: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return X + 0.1 * torch.randn(X.shape, generator=generator).to(X.device)

    weights = []
    for where in (HERE, THERE):
        torch.manual_seed(0)
        model, X, y = nn.Linear(5, 3), torch.randn(40, 5), torch.arange(40) % 3
        model, data = model.to(where), (X.to(where), y.to(where))
        optimizer = torch.optim.Adam(model.parameters())
        training.fit(model, optimizer, data, data, epochs=2, batch_size=16, augment=augment)
        weights.append(model.weight.detach().cpu())
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize(
    ("lab", "made", "inputs"),
    [("05_convolution", "LeNet", (4, 1, 28, 28)), ("06_cifar", "Fire", (2, 8, 6, 6))],
)
def test_a_labs_network_learns_there(lab: str, made: str, inputs: tuple[int, ...]) -> None:
    build = cells.names(ROOT / "solutions" / f"{lab}.py", made)[made]
    network = (build() if made == "LeNet" else build(8, 4, 4, 4)).to(THERE)
    network(torch.randn(inputs, device=THERE)).square().mean().backward()
    assert {p.grad.device for p in network.parameters() if p.grad is not None} == {THERE}


def test_a_network_of_text_carries_its_state_there() -> None:
    model, ids = CharLSTM(9, 6).to(THERE), torch.randint(9, (2, 5)).to(THERE)
    scores, state = model(ids)
    again, _ = model(ids, state)
    again.mean().backward()
    assert {one.device for one in (scores, *state)} == {THERE}


def test_a_timer_waits_for_the_gpu_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lab 11's, with a clock that only waiting moves."""
    clock, queue = [0.0], [5.0]  # of work that waits in the device's queue

    def synchronize() -> None:
        clock[0] += queue[0]
        queue[0] = 0.0

    def call() -> None:
        queue[0] += 0.25

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(kernels_device.time, "perf_counter", lambda: clock[0])
    measure = cells.names(ROOT / "solutions" / "11_gpu.py", "measure")["measure"]
    assert measure(call, kernels_device.Here("cuda"), 5) == pytest.approx(0.25)


# Ranks


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("gpus", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("nccl", [(2, 21, 5), (2, 28, 9), (2, 30, 0), (2, 30, 7, "rc"), (3, 0, 0)])
def test_ranks_are_laid_out_on_any_machine(size: int, gpus: int, nccl: tuple) -> None:
    layout = ranks.lay_out(size, gpus, nccl, cores=16)
    alone, many = size <= gpus, nccl[:2] >= (2, 30)
    assert layout.backend == ("nccl" if gpus and (alone or many) else "gloo")
    assert layout.staged == bool(gpus and not alone and not many)
    expected = tuple(f"cuda:{rank % gpus}" if gpus else "cpu" for rank in range(size))
    assert layout.devices == expected
    assert layout.threads == 16 // size
    shared = "which they share" in str(layout)
    assert shared == bool(gpus and not alone)


@pytest.mark.parametrize("lab", LABS)
def test_ranks_that_may_have_gpus_put_their_tensors_there(lab: str) -> None:
    """`ranks.run` without device="cpu" may hand out GPUs, and NCCL takes no tensor of the CPU's."""
    tree = ast.parse((ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8"))
    text = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}

    def reaches(name: str, seen: frozenset[str] = frozenset()) -> bool:
        source = text.get(name, "")
        others = [one for one in text if one in source and one not in seen | {name}]
        return "ranks.device()" in source or any(reaches(one, seen | {name}) for one in others)

    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    wrong = [
        f"line {call.lineno}"
        for call in calls
        if ast.unparse(call.func) == "ranks.run"
        and "device='cpu'" not in ast.unparse(call)
        and not reaches(ast.unparse(call.args[0]))
    ]
    assert wrong == []
