"""Fixtures for tests of the sandbox: kernels in it, in both ways to start one."""

from collections.abc import Iterator
from typing import Any

import pytest

from grading.sandbox import Limits, SandboxKernel, launch, open_kernel
from tests.sandbox.sandboxes import Inside, Open, run


@pytest.fixture(scope="module")
def light_zygote() -> Iterator[None]:
    """A zygote that imports little, so that tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        light = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.debugger", "numpy")
        patch.setattr(launch, "PRELOADED", light)
        yield


@pytest.fixture(scope="module", params=["afresh", "forked"])
def forked(request: pytest.FixtureRequest, light_zygote: None) -> bool:
    return request.param == "forked"


@pytest.fixture
def open_sandbox(forked: bool) -> Iterator[Open]:
    """Opens kernels, which are closed after the test."""
    opened: list[SandboxKernel] = []

    def open_one(limits: Limits | None = None, **options: Any) -> SandboxKernel:
        opened.append(open_kernel(limits, fast=forked, **options))
        assert ("forked" in opened[-1].isolation) == forked
        return opened[-1]

    yield open_one
    for kernel in opened:
        kernel.close()


@pytest.fixture(scope="module")
def inside(forked: bool) -> Iterator[Inside]:
    """What code prints in a kernel that the tests that harm nothing share."""
    kernel = open_kernel(fast=forked)
    yield lambda code: run(kernel, code).ok()
    kernel.close()
