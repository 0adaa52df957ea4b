"""The kernels that a submission can run in, by the name of their isolation.

Every result records under which isolation it was made.
"""

import tempfile
from collections.abc import Callable
from typing import Any

from jupyter_client.manager import KernelManager

from grading.judge import SessionLost
from grading.session import KernelSession

TRUSTED = "none: the submissions were trusted"


def opener(isolation: str) -> Callable[[], KernelSession]:
    """What opens a session under the named isolation."""
    if isolation == TRUSTED:
        return lambda: KernelSession(TrustedKernel())
    raise ValueError(f"no isolation is called {isolation!r}")


class TrustedKernel:
    """A kernel without any isolation, for submissions that are trusted."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="submission-")
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=self.folder.name)
        self.client: Any = self.manager.blocking_client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=60)
        except RuntimeError as error:
            self.close()
            raise SessionLost(f"The kernel did not start: {error}") from None

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def alive(self) -> bool:
        return self.manager.is_alive()

    def reason(self) -> str:
        return ""

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.folder.cleanup()
