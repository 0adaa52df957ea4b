"""The kernels that a submission can run in, by the name of their isolation.

Every result records under which isolation it was made.
"""

import os
import re
import shutil
import subprocess
import sys
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
from grading.sandbox import view
from grading.sandbox.sockets import own_sockets

SANDBOX = "bubblewrap"
TRUSTED = "none: the submissions were trusted"
SECOND_USER = "a second user of this machine, without namespaces"
_UID = 61_379  # of that user: a number in the range that Debian leaves to nobody
# What takes a second or two to import and not every lab needs, by what the code of one that does
# has: then it is imported once for all kernels. A first optimizer imports _dynamo, and so does
# torch.distributed.pipelining.
_LARGE = {
    "sklearn.datasets": r"\bsklearn\b|(?<![.\w])digits\.",
    "sklearn.model_selection": r"\bsklearn\b|(?<![.\w])digits\.",
    "torch": r"\btorch\b",
    "torch._dynamo": r"\boptim\b|\bengine\b",
    "torchvision": r"\btorchvision\b|(?<![.\w])images\.",
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


def isolation_of_one() -> str:
    """The isolation that this machine can give to one submission at a time, where it is made for
    that one alone, as Gradescope's are. Raises CourseError where there is none."""
    problem = sandbox.probe()
    if problem is None:
        return SANDBOX
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise CourseError(f"{problem} A second user needs root, and util-linux's setpriv.")
    return SECOND_USER


def large_imports(code: str) -> list[str]:
    """What code seems to import that is worth having imported before it runs: a guess."""
    return [module for module, words in _LARGE.items() if re.search(words, code)]


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
    if isolation == SECOND_USER:
        return lambda: KernelSession(SecondUserKernel(environment))
    if isolation == SANDBOX:
        return lambda: _sandboxed(environment, limits, gpu, large_imports(code))
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


def lend(isolation: str, gpu: bool, code: str, count: int) -> Callable[[], None] | None:
    """Begin to start what the kernels of `count` other processes are forked from, if that is how
    they are made under this isolation: what each of them is to call as it begins.

    code: such as the kernels will run, as `opener` has it.
    """
    if isolation != SANDBOX:
        return None
    with suppress(sandbox.SandboxUnavailable):  # each says why, when it wants a kernel
        lent = sandbox.lend_zygote(count, data=_data(), gpu=gpu, imports=large_imports(code))
        return partial(sandbox.borrow_zygote, lent)
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
        environment = self._prepare(Path(cwd), environment)
        quiet: Any = subprocess.DEVNULL  # for what does not go to the notebook
        self.manager.start_kernel(cwd=cwd, env=environment, stdout=quiet, stderr=quiet)
        self.client = connect(self.manager)
        try:
            self.client.wait_for_ready(timeout=START_SECONDS)
        except RuntimeError as error:
            self.close()
            raise NoSession(f"The kernel did not start: {error}") from None

    def _prepare(self, cwd: Path, environment: dict[str, str]) -> dict[str, str]:
        """What is to be done before it starts in `cwd`; the environment that it gets."""
        return environment

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


class SecondUserKernel(TrustedKernel):
    """A kernel that is another user than this process, which must be root's: what root alone may
    read is out of its reach, and what it started ends with it. It has this machine's network and
    processes, and may read what everybody may (docs/sandbox.md)."""

    isolation = SECOND_USER

    def _prepare(self, cwd: Path, environment: dict[str, str]) -> dict[str, str]:
        sockets = Path(self.manager.ip).parent
        self.manager.connection_file = str(sockets / "connection.json")
        self.manager.write_connection_file()
        for path in (cwd, sockets, sockets / "connection.json"):
            os.chown(path, _UID, _UID)
        assert self.manager.kernel_spec is not None
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager.kernel_spec.argv = [*_limited(), *_as_second_user(), *kernel]
        return {
            **view.session_environment(_data(), environment),
            "HOME": str(cwd),
            "TMPDIR": str(cwd),
            "MPLCONFIGDIR": str(cwd / ".matplotlib"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def close(self) -> None:
        everything = ["sh", "-c", "kill -KILL -1"]  # that this user may kill, and so itself
        subprocess.run([*_as_second_user(), *everything], check=False)
        super().close()


def _as_second_user() -> list[str]:
    """What stands before a command to run it as that user, without a way back."""
    user = [f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups"]
    return ["setpriv", *user, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"]


def _limited() -> list[str]:
    """What stands before a command to give each of its processes the sandbox's limits."""
    most = sandbox.Limits()
    limits = {
        "core": 0,
        "nproc": most.processes,
        "fsize": most.file_size,
        "nofile": most.open_files,
        "data": most.memory,
    }
    return ["prlimit", *(f"--{name}={value}:{value}" for name, value in limits.items())]
