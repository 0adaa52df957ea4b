"""What there is: GPUs and how they reach each other, driver, NCCL, versions."""

import importlib.metadata
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "triton", "numpy", "scikit-learn", "matplotlib")


def look() -> dict[str, Any]:
    """This machine as plain values. It starts CUDA, so it belongs in a process of its own."""
    import platform

    import torch

    from utils import device

    count = torch.cuda.device_count()
    found: dict[str, Any] = {
        "words": device.describe(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "cuda": torch.version.cuda,
        "driver": _driver(),
        "nccl": list(_nccl()) if count else [],
        "gpus": [_gpu(torch.cuda.get_device_properties(number)) for number in range(count)],
        "peers": [
            [a == b or torch.cuda.can_device_access_peer(a, b) for b in range(count)]
            for a in range(count)
        ],
        "cores": device.usable_cores(),
    }
    if not count:
        found["no GPU because"] = _why_none()
    return found


def _gpu(properties: Any) -> dict[str, Any]:
    return {
        "name": properties.name,
        "memory": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "processors": properties.multi_processor_count,
    }


def _nccl() -> tuple[int, ...]:
    from torch.cuda import nccl

    return nccl.version()[:3]


def _version(package: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""


def _driver() -> str:
    """The NVIDIA driver's version; "" where there is none."""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
            if done.returncode == 0 and done.stdout.strip():
                return done.stdout.split()[0]
    file = Path("/proc/driver/nvidia/version")
    words = file.read_text(encoding="utf-8").split() if file.exists() else []
    return next((word for word in words if word[:1].isdigit() and "." in word), "")


def _why_none() -> str:
    """Torch's own word on why it has no GPU."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return "torch finds none"


# By what a card's name contains; the first that fits counts: bytes a second of the memory, and
# dense FLOP/s. What several public lists of specifications agree on (read on 2026-11-30; H100 and
# A100 as in G. Lockwood's notes, which cite NVIDIA's papers). What was not found there is left out.
SHEETS: dict[str, dict[str, float]] = {
    "B200": {"bfloat16": 2250e12},
    "H200": {"bandwidth": 4.8e12, "float32": 66.9e12, "bfloat16": 989.4e12},
    "H100 PCIe": {"bandwidth": 2.0e12, "float32": 51e12, "bfloat16": 756e12},
    "H100 NVL": {},  # not the next one's
    "H100": {"bandwidth": 3.35e12, "float32": 66.9e12, "bfloat16": 989.4e12},
    "A100-SXM4-80GB": {"bandwidth": 2.039e12, "float32": 19.5e12, "bfloat16": 312e12},
    "A100 80GB PCIe": {"float32": 19.5e12, "bfloat16": 312e12},
    "A100": {"bandwidth": 1.555e12, "float32": 19.5e12, "bfloat16": 312e12},
    "L40S": {"bandwidth": 0.864e12, "float32": 91.6e12, "bfloat16": 362e12},
    "L4": {"bandwidth": 0.3e12, "bfloat16": 121e12},
    "V100": {"bandwidth": 0.9e12, "float32": 15.7e12},
    "T4": {"bandwidth": 0.32e12, "float32": 8.1e12},
    "RTX 4090": {"float32": 82.6e12},
    "RTX 3090": {"float32": 35.6e12},
}


def sheet(name: str) -> dict[str, float]:
    """The data sheet of a card by its name, such as "NVIDIA H200"; {} where it is not known."""
    return next((SHEETS[card] for card in SHEETS if re.search(rf"\b{card}\b", name)), {})
