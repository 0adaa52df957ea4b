"""The machine that runs kernels from their text, devices to measure on, and Triton beside them."""

import numpy as np
import pytest
import torch

from utils.kernels import launch as kernels
from utils.kernels.device import Simulated, training_steps
from utils.kernels.launch import jit, launch, tl, trace
from utils.kernels.machine import KernelError, Source, run
from utils.kernels.source import of_plain, plain

BEGIN = "offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK); mask = offsets < n\n    "


@jit
def scaled_kernel(x_ptr, out_ptr, n, factor, BLOCK: tl.constexpr):  # pyright: ignore[reportInvalidTypeForm]
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0)
    tl.store(out_ptr + offsets, doubled(x) * factor / HALF, mask=mask)


@jit
def doubled(x):
    return x + x


HALF = tl.constexpr(0.5)


def ran(body: str, n: int = 10, programs: int = 3, block: int = 4) -> np.ndarray:
    text = f"def k(x_ptr, out_ptr, n, BLOCK):\n    {body}"
    x, out = np.arange(n, dtype=np.float32), np.full(n, -1, dtype=np.float32)
    return run(Source("k", {"k": text}), programs, [x, out, n, block]).arrays["out_ptr"]


def test_machine_and_triton_agree_on_functions_and_constants_of_the_file() -> None:
    x, out = torch.randn(37), torch.zeros(37)
    memory = trace(scaled_kernel, 5, x, out, 37, 3.0, 8)
    assert torch.allclose(torch.from_numpy(memory.arrays["out_ptr"]), 12 * x)
    assert not out.any()
    launch(scaled_kernel, 5, x, out, 37, 3.0, 8)
    assert torch.allclose(out, 12 * x)
    assert memory.bytes == 2 * 37 * 4
    assert set(memory.counts("load", "x_ptr")) == {1}


def test_where_says_what_runs_kernels() -> None:
    assert "riton" in kernels.where()


def test_a_text_travels_as_plain_values_and_is_refused_in_another_form() -> None:
    source = of_plain(plain(scaled_kernel))
    assert set(source.texts) == {"scaled_kernel", "doubled"}
    assert source.constants == {"HALF": 0.5}
    for odd in (None, {}, {"name": "k", "parts": []}, {"name": "k", "parts": [{"k": 3}, {}, {}]}):
        with pytest.raises(KernelError):
            of_plain(odd)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("tl.load(x_ptr + tl.arange(0, 16))", "memory", "outside of `x_ptr`"),
        ("tl.store(x_ptr - 1, 0.0)", "memory", "outside of `x_ptr`"),
        ("tl.arange(4)", "wrong", "takes a start and an end"),
        ("tl.arange(0, 3)", "wrong", "power of 2"),
        ("tl.arange(0, n)", "wrong", "when the kernel is compiled"),
        ("tl.load(3)", "wrong", "not given a place"),
        ("x_ptr * 2", "wrong", "as if it were a number"),
        ("x_ptr + 0.5", "wrong", "whole numbers"),
        ("y + 1", "wrong", "does not know"),
        ("tl.dot(1, 2)", "unknown", "does not know"),
        ("import os", "unknown", "does not know"),
        ("__import__('os').system('true')", "wrong", "a name that it does not know"),
        ("x_ptr.array.tofile('x')", "unknown", "does not know"),
        ("(1).__class__.__mro__()", "unknown", "does not know"),
        ("while True: pass", "wrong", "does not end"),
        ("for i in range(10 ** 9): pass", "unknown", "this power"),
        ("for i in range(1000000000): pass", "wrong", "does not end"),
        ("a = 1 << 62; b = a * a", "wrong", "too large"),
        ("tl.zeros((65536, 65536))", "wrong", "too large"),
        ("tl.arange(0, 32768)[:, None] + tl.arange(0, 32768)[None, :]", "wrong", "too large"),
        ("k(x_ptr, out_ptr, n, BLOCK)", "wrong", "cannot call themselves"),
        ("raise NotImplementedError('your code here')", "undone", "not written yet"),
        ("if tl.arange(0, 4) > 2: pass", "wrong", "one truth value"),
        ("x = tl.load(x_ptr + tl.arange(0, 4)); x[0] = 1.0", "wrong", "no item"),
        ("(" * 150 + "1" + ")" * 150, "wrong", ""),
        ("-" * 9000 + "1", "wrong", ""),
    ],
)
def test_what_cannot_be_run_is_told(body: str, kind: str, says: str) -> None:
    if body.startswith("((("):
        ran(body)  # only deep
        return
    with pytest.raises(KernelError) as caught:
        ran(body)
    assert caught.value.kind == kind
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "tl.store(out_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) * 2, mask=mask)",
        "x = tl.load(x_ptr + offsets, mask, 0.0)\n    tl.store(out_ptr + offsets, x + x, mask)",
        "x = tl.load(x_ptr + offsets[:, None], mask[:, None])\n"
        "    tl.store(out_ptr + offsets, tl.sum(x, axis=1) + x.max(1), mask=mask)",
        "x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)\n"
        "    y = x if BLOCK > 2 else 0\n    y += x\n    tl.store(out_ptr + offsets, y, mask=mask)",
    ],
)
def test_ways_to_double(body: str) -> None:
    assert ran(BEGIN + body).tolist() == [2.0 * k for k in range(10)]


def test_what_a_mask_leaves_out_of_a_load_is_nan() -> None:
    found = ran(
        BEGIN
        + "x = tl.load(x_ptr + offsets, mask=offsets < 2)\n    tl.store(out_ptr + offsets, x, mask)"
    )
    assert np.isnan(found[2:]).all()
    assert found[:2].tolist() == [0, 1]


def test_a_kernel_is_launched_only_if_its_places_lie_inside() -> None:
    x, out = torch.zeros(9), torch.zeros(9)
    with pytest.raises(KernelError, match="outside"):
        launch(careless_kernel, 3, x, out, 4)


@jit
def careless_kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):  # pyright: ignore[reportInvalidTypeForm]
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets))


@jit
def unwritten_kernel(x_ptr):
    raise NotImplementedError("your code here")


def test_an_unwritten_kernel_is_not_implemented() -> None:
    for way in (launch, trace):
        with pytest.raises(NotImplementedError):
            way(unwritten_kernel, 1, torch.zeros(3))


def test_a_simulated_device_works_by_itself() -> None:
    device = Simulated([2.0, 3.0], launch=0.5, queue=1.0)
    device.call()
    device.call()
    assert device.now() == 1.0
    device.synchronize()
    assert device.now() == 1.0 + 2.0 + 3.0
    assert device.now() == 6.0


def test_a_prefetched_batch_shortens_a_step_more_than_a_fused_optimizer() -> None:
    def step(**way: bool) -> float:
        ends = [span.end for span in training_steps(**way).spans if span.name == "wait"]
        return ends[-1] - ends[-2]

    assert step(prefetched=True) < 0.5 * step() < step(fused=True) < step()
