"""The machine that a lab runs on. torch is imported only when one of these is called."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> torch.device:
    """The fastest device torch can use here: the first CUDA GPU, else Apple's, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def describe() -> str:
    """One line on this machine: processor, cores, GPUs, and the versions of torch and Python."""
    import torch

    cores = usable_cores()
    return ", ".join(
        [
            _processor_name(),
            f"{cores} core" if cores == 1 else f"{cores} cores",
            _gpu_names(),
            f"torch {torch.__version__}",
            f"Python {platform.python_version()}",
        ]
    )


def usable_cores() -> int:
    """The cores this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor_name() -> str:
    """The processor's trade name; where the system does not tell it, the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def _gpu_names() -> str:
    """Such as "2 × NVIDIA H200", "Apple GPU" or "no GPU"."""
    import torch

    count = torch.cuda.device_count()
    names = Counter(torch.cuda.get_device_name(index) for index in range(count))
    if names:
        return " and ".join(f"{many} × {name}" for name, many in names.items())
    return "Apple GPU" if torch.backends.mps.is_available() else "no GPU"
