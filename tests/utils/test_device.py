"""The machine: which device a lab computes on, and how the machine is described."""

import subprocess
import sys

import pytest
import torch

from utils import device


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_is_the_fastest_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device.best_device() == torch.device(expected)


def test_the_description_is_one_line_with_cores_gpus_and_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["NVIDIA H200", "NVIDIA H200", "NVIDIA L4"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: names[index])
    line = device.describe()
    assert "\n" not in line
    assert "2 × NVIDIA H200 and 1 × NVIDIA L4" in line
    assert f"torch {torch.__version__}" in line
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in line
    processor, cores = line.split(", ")[:2]
    assert processor
    assert int(cores.removesuffix("s").removesuffix(" core")) >= 1


def test_the_description_says_when_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "no GPU" in device.describe()


def test_importing_the_package_imports_neither_torch_nor_scikit_learn() -> None:
    script = (
        "import sys\n"
        "from utils import device, plots, settings\n"
        "from utils.data import digits\n"
        "settings.choose('smoke', smoke={}, cpu={})\n"
        "print({'torch', 'torchvision', 'sklearn'} & set(sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "set()"
