"""A Jupyter kernel that student code cannot get out of, by the name of its kernel alone.

    python -m papermill --kernel p2p-sandbox notebook.ipynb out.ipynb

`install_kernelspec` makes the name known to nbgrader, nbclient and papermill. A program uses
`kernel_manager`, which needs no name, and reads from its provisioner what came of the kernel:

    manager = kernel_manager(Limits(memory=2 * GB), fast=True)
    await manager.start_kernel(cwd=folder)  # or NotebookClient(notebook, km=manager)
    ...
    manager.provisioner.stopped_by       # LimitReached, or None
    manager.provisioner.isolation        # "bubblewrap, kernels forked from a zygote"

What it isolates, and what it does not: docs/sandbox.md.
"""

import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Bool, Dict, Unicode

from grading import sandbox_launch, sandbox_view
from grading.sandbox_init import PORTS
from grading.sandbox_launch import Setting
from grading.sandbox_limits import GB, KB, MB, LimitReached, Limits
from grading.sandbox_session import Session
from grading.sandbox_view import SandboxUnavailable

__all__ = [
    "GB", "KB", "KERNEL_NAME", "MB", "LimitReached", "Limits", "Problem", "SandboxProvisioner",
    "SandboxUnavailable", "install_kernelspec", "kernel_manager", "probe",
]  # fmt: skip

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
    found = sandbox_view.problem()
    return None if found is None else Problem(found)


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
        " Pays from the second kernel on.",
    ).tag(config=True)

    _session: Session | None = None
    _waited = _told = False
    _folder: "tempfile.TemporaryDirectory[str] | None" = None

    @property
    def stopped_by(self) -> LimitReached | None:
        """The limit that ended the kernel, if one did."""
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
        """Start the kernel; the files in `cwd`, if that is given, become its working folder's.

        Raises SandboxUnavailable, ValueError (bad limits, too many files) or RuntimeError.
        """
        if problem := probe():
            raise SandboxUnavailable(str(problem))
        if self._folder is None:  # a restart keeps the paths that clients are connected to
            self._folder = tempfile.TemporaryDirectory(
                prefix=sandbox_launch.prefix(), dir=sandbox_launch.FOLDER
            )
        setting = self._setting()
        assert self.parent is not None
        key: bytes = self.parent.session.key
        cwd = kwargs.get("cwd")
        self._waited = self._told = False
        self._session = Session(
            setting, Path(self._folder.name), key=key, fast=self.fast,
            environment=sandbox_view.session_environment(setting.data, kwargs["env"]),
            files=Path(cwd) if cwd else None,
        )  # fmt: skip
        await self._session.start()
        self.log.debug("Sandbox: %s", self._session.isolation)
        info: Any = {
            **PORTS, "transport": "ipc", "ip": self._session.ip, "key": key,
            "signature_scheme": "hmac-sha256",
        }  # fmt: skip
        self.connection_info = info
        return info

    def _setting(self) -> Setting:
        try:
            limits = replace(Limits(), **self.limits)
        except TypeError:
            unknown = sorted(set(self.limits) - set(Limits.__dataclass_fields__))
            known = ", ".join(Limits.__dataclass_fields__)
            raise ValueError(f"The sandbox has no limit {unknown}; it has {known}.") from None
        data = self.data or os.environ.get("LAB_DATA")
        return Setting(limits, Path(data).resolve() if data else None, self.gpu)

    async def poll(self) -> int | None:
        if self._session is None:
            return 0
        if self._session.exit_code is not None and self.stopped_by and not self._told:
            self._told = True
            self.log.error(self.stopped_by.message)
        return self._session.exit_code

    async def wait(self) -> int | None:
        assert self._session is not None
        await self._session.wait()
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
        await self.kill()  # student code has no last word

    async def cleanup(self, restart: bool = False) -> None:
        if self._folder is not None and not restart:
            self._folder.cleanup()
            self._folder = None


class _OneSpec(KernelSpecManager):
    """Knows the sandbox's kernel, installed or not."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**_SPEC)


def kernel_manager(
    limits: Limits | None = None,
    *,
    data: Path | None = None,
    gpu: bool = False,
    fast: bool = False,
) -> AsyncKernelManager:
    """A manager for one sandboxed kernel; start it with the submission's folder as `cwd`.

    Its `provisioner`, a SandboxProvisioner, has `stopped_by` and `isolation`.
    """
    specs = _OneSpec()
    manager = AsyncKernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs)
    manager.provisioner = SandboxProvisioner(
        parent=manager, kernel_spec=specs.get_kernel_spec(KERNEL_NAME),
        limits=asdict(limits or Limits()), data=str(data or ""), gpu=gpu, fast=fast,
    )  # fmt: skip
    return manager


def install_kernelspec(prefix: Path = Path(sys.prefix)) -> Path:
    """Make the kernel's name known to Jupyter in this environment; the file that says so."""
    file = prefix / "share" / "jupyter" / "kernels" / KERNEL_NAME / "kernel.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_SPEC, indent=1) + "\n")
    return file
