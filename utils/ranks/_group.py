"""The process group of a rank: which backend and devices it has, and the tensors it sends."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from utils.device import usable_cores

if TYPE_CHECKING:
    import torch

SEVERAL_RANKS_A_GPU = (2, 30)  # the first NCCL that has NCCL_MULTI_RANK_GPU_ENABLE
_LONG = timedelta(days=1)  # the kernel keeps the time, not the backend


@dataclass(frozen=True)
class Plan:
    """How ranks are laid out on this machine; `str` of it is one line for people.

    backend: "gloo" or "nccl"; devices: the device of each rank, such as "cuda:0"; threads: of each
    rank; staged: whether a tensor on a GPU is sent by way of the CPU.
    """

    backend: str
    devices: tuple[str, ...]
    threads: int
    staged: bool
    words: str

    def __str__(self) -> str:
        return self.words


def plan(world_size: int, *, device: str = "") -> Plan:
    """The layout of `world_size` ranks on what this machine has.

    device: "cpu" to leave GPUs unused. Raises ValueError for another device or no ranks.
    """
    import torch
    from torch.cuda import nccl

    if device not in ("", "cpu"):
        raise ValueError(f"device is 'cpu', or empty for the GPUs where there are any: {device!r}.")
    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    return lay_out(world_size, gpus, nccl.version() if gpus else (), usable_cores())


def lay_out(world_size: int, gpus: int, nccl: tuple[Any, ...], cores: int) -> Plan:
    """The layout of `world_size` ranks on a machine with so many GPUs, this NCCL, so many cores.

    nccl: such as (2, 28, 9); with () ranks that share a GPU send by way of the CPU. Raises
    ValueError for no ranks.
    """
    if world_size < 1:
        raise ValueError(f"There must be at least 1 rank, not {world_size}.")
    threads = max(1, cores // world_size)
    who = "1 rank" if world_size == 1 else f"{world_size} ranks"
    if gpus == 0:
        where = (
            f"on {cores} CPU core{'s' * (cores > 1)}, {threads} thread{'s' * (threads > 1)} each"
        )
        devices = ("cpu",) * world_size
        return Plan("gloo", devices, threads, False, f"{who} {where}; messages over gloo.")
    devices = tuple(f"cuda:{rank % gpus}" for rank in range(world_size))
    who = f"{who} on {gpus} GPU{'s' * (gpus > 1)}"
    if world_size <= gpus:
        return Plan("nccl", devices, threads, False, f"{who}, one each; over NCCL.")
    if nccl >= SEVERAL_RANKS_A_GPU:
        return Plan("nccl", devices, threads, False, f"{who}, which they share; over NCCL.")
    words = f"{who}, which they share; by way of the CPU, over gloo."
    return Plan("gloo", devices, threads, True, words)


@dataclass
class _Here:
    """What this process is, once it is a rank."""

    device: str = "cpu"
    staged: bool = False


_here = _Here()


def join(layout: Plan, rank: int, file: str) -> None:
    """Make this process a rank of a new process group, leaving an earlier one.

    rank: among those on this machine; file: where they find each other. Empty: through the
    environment, as torchrun sets it, which knows of other machines.
    """
    import torch
    import torch.distributed as dist
    from torch._C._distributed_c10d import FileStore  # torch.distributed has it, unannounced

    leave()
    mine = layout.devices[rank]
    _here.device, _here.staged = mine, layout.staged
    torch.set_num_threads(layout.threads)
    if mine != "cpu":
        torch.cuda.set_device(mine)
    if layout.backend == "nccl" and len(set(layout.devices)) < len(layout.devices):
        os.environ["NCCL_MULTI_RANK_GPU_ENABLE"] = "1"
    if not file:
        dist.init_process_group(layout.backend)
        return
    size = len(layout.devices)
    store = FileStore(file, size)
    dist.init_process_group(layout.backend, store=store, rank=rank, world_size=size, timeout=_LONG)


def leave() -> None:
    """Leave the process group, if there is one."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def device() -> "torch.device":
    """The device of this rank; outside a rank, the CPU."""
    import torch

    return torch.device(_here.device)


def send(tensor: "torch.Tensor", dst: int, tag: int = 0) -> None:
    """`torch.distributed.send`, also for tensors on a GPU that the backend cannot send from."""
    import torch.distributed as dist

    dist.send(tensor.cpu() if _here.staged else tensor, dst, tag=tag)


def recv(tensor: "torch.Tensor", src: int, tag: int = 0) -> None:
    """`torch.distributed.recv` into `tensor`, also on a GPU that the backend cannot receive on."""
    import torch.distributed as dist

    if not _here.staged:
        dist.recv(tensor, src, tag=tag)
        return
    arrived = tensor.cpu()
    dist.recv(arrived, src, tag=tag)
    tensor.copy_(arrived)
