"""A Jupyter kernel that student code cannot get out of.

By the name of its kernel, once `install_kernelspec` has made it known:

    papermill --kernel p2p-sandbox notebook.ipynb out.ipynb
    nbgrader autograde 01_perceptron --Execute.kernel_name=p2p-sandbox

From a program:

    kernel = open_kernel(Limits(memory=2 * GB), files=submission, fast=True)
    kernel.client.execute_interactive("1 + 1")
    kernel.stopped_by    # LimitReached, or None
    kernel.close()

What it isolates, and what it does not: docs/sandbox.md.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Bool, Dict, Unicode

from grading.sandbox import launch, view
from grading.sandbox.inside.init import PORTS
from grading.sandbox.inside.limits import GB, KB, MB, LimitReached, Limits
from grading.sandbox.launch import FOLDER, Allowance
from grading.sandbox.process import START_SECONDS, Process
from grading.sandbox.view import SandboxUnavailable

__all__ = [
    "FOLDER",
    "GB",
    "KB",
    "KERNEL_NAME",
    "MB",
    "LimitReached",
    "Limits",
    "Problem",
    "SandboxKernel",
    "SandboxProvisioner",
    "SandboxUnavailable",
    "borrow_zygote",
    "install_kernelspec",
    "lend_zygote",
    "open_kernel",
    "probe",
]

KERNEL_NAME = "p2p-sandbox"
_SPEC = {
    "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],  # not used
    "display_name": "Python 3 (sandbox)",
    "language": "python",
    "interrupt_mode": "signal",
    "metadata": {"kernel_provisioner": {"provisioner_name": KERNEL_NAME}},
}


@dataclass(frozen=True)
class Problem:
    """Why there can be no sandbox here and how to get one, in a sentence."""

    message: str

    def __str__(self) -> str:
        return self.message


def probe() -> Problem | None:
    """Try to make a sandbox; None if it can be done. Later calls remember the answer."""
    found = view.problem()
    return None if found is None else Problem(found)


class SandboxKernel:
    """A running kernel in a sandbox, with a client that is connected to it. Everything blocks."""

    def __init__(self, socket: "_Socket", session: Process) -> None:
        self._socket, self._session = socket, session
        self.client = BlockingKernelClient()
        self.client.load_connection_info(socket.info)
        self.client.start_channels(hb=False)  # `alive` knows better

    @property
    def isolation(self) -> str:
        """How it is isolated, in words."""
        return self._session.isolation

    @property
    def stopped_by(self) -> LimitReached | None:
        """The limit that ended it, if one did."""
        return self._session.stopped_by

    @property
    def idle_seconds(self) -> float:
        """How long its cells waited while nothing in it computed."""
        return self._session.idle_seconds

    @property
    def starved_seconds(self) -> float:
        """How long its cells would have computed, had there been a processor."""
        return self._session.starved_seconds

    def alive(self) -> bool:
        return self._session.exit_code is None

    def reason(self) -> str:
        """The sentence that names the limit that ended it; empty if none did."""
        return self.stopped_by.message if self.stopped_by else ""

    def interrupt(self) -> None:
        """Interrupt what it is running, as Ctrl-C would."""
        self._session.interrupt()

    def close(self) -> None:
        """End it, with everything that it started, and wait until nothing is left."""
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        self._session.kill()
        self._session.wait().result()
        self._socket.remove()


def open_kernel(
    limits: Limits | None = None,
    *,
    files: Path | None = None,
    data: Path | None = None,
    gpu: bool = False,
    fast: bool = False,
    imports: Collection[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> SandboxKernel:
    """Start a kernel in a sandbox.

    files: a folder whose plain files are put into the notebook's working folder.
    data: a folder that the notebook may read, its LAB_DATA.
    fast: fork it from a process that has imported what labs import, where that is safe.
    imports: modules that the process imports besides, for this kernel and all later ones.
    environment: of this, the notebook sees the few variables that a lab needs.

    Raises SandboxUnavailable, ValueError (the files exceed the limit) or RuntimeError.
    """
    allowance = Allowance(limits or Limits(), data.resolve() if data else None, gpu)
    folder = _Socket(secrets.token_hex().encode())
    try:
        session = folder.session(allowance, files, fast, environment, imports)
        session.start().result()
    except BaseException:
        folder.remove()
        raise
    kernel = SandboxKernel(folder, session)
    _greet(kernel)
    return kernel


def lend_zygote(
    count: int, *, data: Path | None = None, gpu: bool = False, imports: Collection[str] = ()
) -> socket.socket:
    """Begin to start what kernels are forked from, for `count` other processes of this program.

    imports: what it has imported before the first kernel is wanted. Each process gives what is
    returned, when it begins, to `borrow_zygote`. It ends with this process.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    supervisor = launch.supervisor()
    supervisor.call(supervisor.lend(Allowance(Limits(), data, gpu), ours, count, imports))
    return theirs


def borrow_zygote(lent: socket.socket) -> None:
    """Fork this process's kernels from the zygote of the one that lends it; from one of its own,
    where that one has none."""
    launch.supervisor().borrow(lent)


def _greet(kernel: SandboxKernel) -> None:
    """Wait until the kernel's answers and its outputs both arrive."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and kernel.alive():
        request = kernel.client.kernel_info()
        try:
            kernel.client.get_shell_msg(timeout=5)
            while _parent(kernel.client.get_iopub_msg(timeout=0.2)) != request:
                pass
        except Empty:
            continue  # outputs are not subscribed to yet: ask again
        return
    kernel.close()
    raise RuntimeError(f"The sandboxed kernel does not answer. {kernel.reason()}".rstrip())


def _parent(message: Any) -> str | None:
    return message["parent_header"].get("msg_id")


class _Socket:
    """The private folder in which clients find one kernel, also after a restart."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._folder = tempfile.TemporaryDirectory(prefix=launch.prefix(), dir=FOLDER)
        self.info: Any = {
            **PORTS,
            "transport": "ipc",
            "ip": f"{self._folder.name}/k",
            "key": key,
            "signature_scheme": "hmac-sha256",
        }

    def session(
        self,
        allowance: Allowance,
        files: Path | None,
        fast: bool,
        environment: Mapping[str, str],
        imports: Collection[str] = (),
        keep: Path | None = None,
    ) -> Process:
        """A new session behind these sockets. Raises SandboxUnavailable and ValueError."""
        if problem := probe():
            raise SandboxUnavailable(str(problem))
        return Process(
            allowance,
            self.info["ip"],
            key=self._key,
            files=files,
            keep=keep,
            fast=fast,
            imports=imports,
            environment=view.session_environment(allowance.data, environment),
        )

    def remove(self) -> None:
        self._folder.cleanup()


class SandboxProvisioner(KernelProvisionerBase):
    """Runs this environment's Python kernel in a sandbox, whatever command the kernelspec names."""

    limits: Any = Dict(
        help="Limits other than the usual ones, by their names in grading.sandbox.Limits."
    ).tag(config=True)
    data: Any = Unicode(
        help="A folder that notebooks may read, their LAB_DATA. Default: this process's LAB_DATA."
    ).tag(config=True)
    gpu: Any = Bool(False, help="Let notebooks use the NVIDIA GPUs.").tag(config=True)
    fast: Any = Bool(
        False,
        help="Fork kernels from a process that has imported what labs import, where that is safe."
        " Pays from the second kernel of a process on.",
    ).tag(config=True)

    _socket: _Socket | None = None
    _session: Process | None = None
    _waited = _told = False

    @property
    def stopped_by(self) -> LimitReached | None:
        """The limit that ended the kernel, if one did; it is also written to the log."""
        return self._session.stopped_by if self._session else None

    @property
    def isolation(self) -> str:
        """How the kernel is isolated, in words; empty before it starts."""
        return self._session.isolation if self._session else ""

    @property
    def has_process(self) -> bool:
        return self._session is not None and not self._waited

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel; the files in `cwd`, if that is given, go into its working folder, and
        the plain files that are new there in the end come back.

        Raises SandboxUnavailable, ValueError (a limit that is none, or exceeded) or RuntimeError.
        """
        if self._socket is None:  # a restart keeps the paths that clients are connected to
            assert self.parent is not None
            self._socket = _Socket(self.parent.session.key)
        files = Path(kwargs["cwd"]) if kwargs.get("cwd") else None
        self._session = self._socket.session(
            self._setting(), files, self.fast, kwargs["env"], keep=files
        )
        self._waited = self._told = False
        await asyncio.wrap_future(self._session.start())
        self.log.debug("Sandbox: %s", self.isolation)
        self.connection_info = self._socket.info
        return self.connection_info

    def _setting(self) -> Allowance:
        known = [field.name for field in fields(Limits)]
        if unknown := set(self.limits) - set(known):
            raise ValueError(f"The sandbox has no limit {unknown}; it has {', '.join(known)}.")
        data = self.data or os.environ.get("LAB_DATA")
        limits = replace(Limits(), **self.limits)
        return Allowance(limits, Path(data).resolve() if data else None, self.gpu)

    async def poll(self) -> int | None:
        if self._session is None:
            return 0
        if self._session.exit_code is not None and self.stopped_by and not self._told:
            self._told = True
            self.log.error(self.stopped_by.message)
        return self._session.exit_code

    async def wait(self) -> int | None:
        assert self._session is not None
        await asyncio.wrap_future(self._session.wait())
        self._waited = True
        return await self.poll()

    async def send_signal(self, signum: int) -> None:
        assert self._session is not None
        if signum == signal.SIGINT:
            self._session.interrupt()
        else:
            self._session.kill()

    async def kill(self, restart: bool = False) -> None:
        assert self._session is not None
        self._session.kill()

    async def terminate(self, restart: bool = False) -> None:
        await self.kill()

    async def shutdown_requested(self, restart: bool = False) -> None:
        await self.kill()  # a submission has no last word

    async def cleanup(self, restart: bool = False) -> None:
        if self._socket is not None and not restart:
            self._socket.remove()
            self._socket = None


def install_kernelspec(prefix: Path = Path(sys.prefix)) -> Path:
    """Make the kernel's name known to Jupyter in this environment; the file that says so."""
    file = prefix / "share" / "jupyter" / "kernels" / KERNEL_NAME / "kernel.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_SPEC, indent=1) + "\n")
    return file
