"""What one device does by itself: lab 11's kernels and roofline, and networks beside the CPU."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from grading.course.cells import names
from grading.course.gpu.labs import Note
from grading.course.gpu.machine import sheet
from utils.kernels import launch
from utils.kernels.device import Here


def kernels(root: Path, note: Note) -> None:
    """Lab 11's two kernels and some of torch's, in bytes or FLOPs a second, beside the data sheet.

    Without a GPU the kernels are interpreted, for their values alone.
    """
    lab = names(root / "solutions" / "11_gpu.py", *["measure", "programs", "softmax_kernel"])
    lab |= names(root / "solutions" / "11_gpu.py", "relu_add_kernel")
    here, compiled = Here(), not launch.INTERPRETED and launch.triton is not None
    card = torch.cuda.get_device_name() if here.kind == "cuda" else ""
    found: dict[str, Any] = {"kernels": launch.where(), "gpu": card, "sheet": sheet(card)}
    found["gaps"] = _gaps(lab, here.kind)
    rows = found["rows"] = dict[str, dict[str, float]]()
    note(found)
    numbers = 2**28 if here.kind == "cuda" else 2**20
    seconds = lambda work: lab["measure"](work, here, 20)  # noqa: E731
    for name, moved, work in _moving(lab, here.kind, numbers, compiled):
        rows[name] = {"bytes a second": moved / seconds(work)}
        note(found)
    side = 8192 if here.kind == "cuda" else 256
    for kind in ("float32", "bfloat16"):
        x, w = torch.randn(2, side, side, device=here.kind, dtype=getattr(torch, kind))
        took = seconds(lambda x=x, w=w: x @ w)
        rows[f"product of two ({side}, {side}), {kind}"] = {"FLOP a second": 2 * side**3 / took}
        note(found)


def _gaps(lab: dict[str, Any], kind: str) -> dict[str, float]:
    """How far the kernels are from torch's, on sizes that no block divides."""
    x, y = torch.randn(2, 1000, device=kind)
    out = torch.empty_like(x)
    launch.launch(lab["relu_add_kernel"], lab["programs"](1000, 64), x, y, out, 1000, 64)
    found = {"relu_add_kernel": (out - torch.relu(x + y)).abs().max().item()}
    x = 30 * torch.randn(7, 100, device=kind)
    out = torch.empty_like(x)
    launch.launch(lab["softmax_kernel"], 7, x, out, 100, 100, 128)
    found["softmax_kernel"] = (out - torch.softmax(x, 1)).abs().max().item()
    wrong = {name: gap for name, gap in found.items() if not gap < 1e-5}
    if wrong:
        raise ArithmeticError(f"kernels that differ from torch's: {wrong}")
    return found


Moving = tuple[str, int, Callable[[], object]]  # a name, the bytes that it has to move, the work


def _moving(lab: dict[str, Any], kind: str, numbers: int, compiled: bool) -> list[Moving]:
    x, y = torch.randn(numbers, device=kind), torch.randn(numbers, device=kind)
    rows, out = x.view(-1, 1024), torch.empty_like(x)
    softmax, relu_add = lab["softmax_kernel"], lab["relu_add_kernel"]
    grid = (lab["programs"](numbers, 1024),)
    own: list[Moving] = [
        (
            "relu_add, lab 11's kernel",
            3 * x.nbytes,
            lambda: relu_add[grid](x, y, out, numbers, 1024),
        ),
        (
            "softmax, lab 11's kernel",
            2 * x.nbytes,
            lambda: softmax[(len(rows),)](rows, out, 1024, 1024, 1024),
        ),
    ]
    return [
        ("copy", 2 * x.nbytes, lambda: out.copy_(x)),
        *(own if compiled else []),
        ("relu(x + y), torch's two kernels", 3 * x.nbytes, lambda: torch.relu(x + y)),
        ("softmax, torch's", 2 * x.nbytes, lambda: torch.softmax(rows, 1)),
    ]


# Networks


def networks(root: Path, note: Note) -> None:
    """A forward and a backward of the labs' networks on the CPU and on the GPU; how far apart."""
    from utils.device import best_device

    measure = names(root / "solutions" / "11_gpu.py", "measure")["measure"]
    rows = list[dict[str, Any]]()
    for name, network, inputs in _networks(root):
        row: dict[str, Any] = {"network": name}
        outputs = []
        for kind in dict.fromkeys(["cpu", best_device().type]):
            here = Here(kind)
            placed, given = copy.deepcopy(network).to(kind), inputs.to(kind)
            work = lambda placed=placed, given=given: _step(placed, given)  # noqa: E731
            row[kind] = measure(work, here, 5)
            outputs.append(work())
        first = outputs[0]
        row["gap"] = max((one - first).abs().max().item() for one in outputs)
        row["gap"] /= first.abs().max().item()
        rows.append(row)
        note({"rows": rows})


def _step(network: nn.Module, inputs: Tensor) -> Tensor:
    """A forward and a backward; the gradient of the first weights, on the CPU."""
    network.zero_grad()
    outputs = network(inputs)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    outputs.square().mean().backward()
    return next(p.grad for p in network.parameters() if p.grad is not None).cpu()


def _networks(root: Path) -> list[tuple[str, nn.Module, Tensor]]:
    from utils import spec
    from utils.training.text import CharLSTM

    torch.manual_seed(0)
    solutions = root / "solutions"
    lenet = names(solutions / "05_convolution.py", "LeNet")["LeNet"]
    cifar = names(solutions / "06_cifar.py", "build_network", "NETWORK")
    pipeline = [nn.Sequential(nn.Linear(1024, 1024), nn.Tanh()) for _ in range(32)]
    text = torch.randint(80, (64, 64))
    return [
        ("lab 05's LeNet, 256 digits", lenet(), torch.randn(256, 1, 28, 28)),
        (
            "lab 06's network, 128 pictures",
            cifar["build_network"](spec.parse(cifar["NETWORK"])),
            torch.randn(128, 3, 32, 32),
        ),
        ("lab 09's LSTM of 256 units, 64 × 64 characters", CharLSTM(80, 256), text),
        (
            "lab 15's 32 layers of 1,024 units, 256 rows",
            nn.Sequential(*pipeline),
            torch.randn(256, 1024),
        ),
    ]
