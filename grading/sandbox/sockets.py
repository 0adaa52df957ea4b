"""Sockets of a kernel's own, which no other process can take."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from grading.sandbox.launch import FOLDER


@contextmanager
def own_sockets() -> Iterator[dict[str, str]]:
    """A KernelManager's traits by which its kernel's sockets lie in a folder of its own.

    By default they are TCP ports, which are chosen, let go of, and bound by the kernel later: what
    another process takes in between leaves ipykernel waiting for ever. Windows has nothing else.
    """
    if not zmq.has("ipc"):
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="kernel-", dir=FOLDER) as folder:
        yield {"transport": "ipc", "ip": f"{folder}/k"}
