"""The kernels that a submission can run in, by the name of their isolation.

Every result records under which isolation it was made.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from grading import sandbox
from grading.course.files import CourseError
from grading.marking.judge import NoSession, TimeLimits
from grading.marking.session import START_SECONDS, KernelSession, connect, disconnect
from grading.sandbox.sockets import own_sockets

SANDBOX = "bubblewrap"
TRUSTED = "none: the submissions were trusted"
# What takes a second or two to import and not every lab needs, by what the code of one that does
# has: then it is imported once for all kernels. A first optimizer imports _dynamo.
_LARGE = {
    "sklearn.datasets": r"\bsklearn\b|\bdigits\.",
    "sklearn.model_selection": r"\bsklearn\b|\bdigits\.",
    "torch._dynamo": r"\boptim\b|\.backward\(|\bautograd\.grad\b",
    "torchvision": r"\btorchvision\b|\bimages\.",
}
_SPARE = 60.0  # seconds by which the sandbox's own limits exceed ours, which spare the kernel


def isolation() -> str:
    """The isolation that this machine can give. Raises CourseError where there is none."""
    problem = sandbox.probe()
    if problem is not None:
        raise CourseError(
            f"{problem} Or grade without any protection, submissions that you trust only, with"
            " --trust-submissions."
        )
    return SANDBOX


def opener(
    isolation: str, limits: TimeLimits, scale: str, gpu: bool = False, code: str = ""
) -> Callable[[], KernelSession]:
    """What opens a session under the named isolation. It raises NoSession.

    scale: the labs' scale, as LAB_SCALE has it; gpu: whether the sandbox shows NVIDIA GPUs; code:
    of the cells that will run, from which it only guesses what is worth having imported.
    """
    environment = {
        **os.environ,
        "LAB_SCALE": scale,
        "NBGRADER_EXECUTION": "autograde",
        "OMP_NUM_THREADS": "1",  # submissions run beside each other
    }
    if isolation == TRUSTED:
        return lambda: KernelSession(TrustedKernel(environment))
    if isolation == SANDBOX:
        imports = [module for module, words in _LARGE.items() if re.search(words, code)]
        return lambda: _sandboxed(environment, limits, gpu, imports)
    raise ValueError(f"no isolation is called {isolation!r}")


def _sandboxed(
    environment: dict[str, str], limits: TimeLimits, gpu: bool, imports: Sequence[str]
) -> KernelSession:
    most = sandbox.Limits(
        cell_seconds=max(limits.cell_seconds, limits.exercise_seconds) + _SPARE,
        wall_seconds=limits.total_seconds + _SPARE,
        idle_seconds=limits.idle_seconds,
    )
    try:
        kernel = sandbox.open_kernel(
            most,
            data=_data(),
            gpu=gpu,
            fast=True,
            imports=imports,
            environment=environment,
        )
    except RuntimeError as error:  # a SandboxUnavailable, too
        raise NoSession(str(error)) from None
    return KernelSession(kernel)


def lend(isolation: str, gpu: bool, count: int) -> Callable[[], None] | None:
    """Begin to start what the kernels of `count` other processes are forked from, if that is how
    they are made under this isolation: what each of them is to call as it begins."""
    if isolation != SANDBOX:
        return None
    with suppress(sandbox.SandboxUnavailable):  # each says why, when it wants a kernel
        return partial(sandbox.borrow_zygote, sandbox.lend_zygote(count, data=_data(), gpu=gpu))
    return None


def _data() -> Path | None:
    data = os.environ.get("LAB_DATA")
    return Path(data).resolve() if data else None


class TrustedKernel:
    """A kernel without any isolation, for submissions that are trusted."""

    isolation = TRUSTED
    idle_seconds = starved_seconds = 0.0  # not measured

    def __init__(self, environment: dict[str, str]) -> None:
        self._own = ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True)
        cwd = self._own.enter_context(folder)
        sockets = self._own.enter_context(own_sockets())
        self.manager = KernelManager(kernel_name="python3", **sockets)
        quiet: Any = subprocess.DEVNULL  # for what does not go to the notebook
        self.manager.start_kernel(cwd=cwd, env=environment, stdout=quiet, stderr=quiet)
        self.client = connect(self.manager)
        try:
            self.client.wait_for_ready(timeout=START_SECONDS)
        except RuntimeError as error:
            self.close()
            raise NoSession(f"The kernel did not start: {error}") from None

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def alive(self) -> bool:
        return self.manager.is_alive()

    def reason(self) -> str:
        return ""

    def close(self) -> None:
        disconnect(self.client)
        self.manager.shutdown_kernel(now=True)
        self._own.close()
