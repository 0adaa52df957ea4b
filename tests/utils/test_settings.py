"""The scale of a run: who decides it, and what the learner is told."""

from typing import Any

import pytest
import torch

from utils import settings

SIZES: dict[str, dict[str, int]] = {
    "smoke": {"epochs": 1},
    "cpu": {"epochs": 10},
    "gpu": {"epochs": 100},
    "multi": {"epochs": 1000},
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_SCALE", raising=False)


def with_cuda_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(("devices", "scale"), [(0, "cpu"), (1, "gpu"), (2, "multi"), (8, "multi")])
def test_the_machine_decides_where_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    devices: int,
    scale: str,
) -> None:
    with_cuda_devices(monkeypatch, devices)
    chosen = settings.choose("", **SIZES)
    assert (chosen.scale, chosen.epochs) == (scale, SIZES[scale]["epochs"])
    assert "this machine has" in capsys.readouterr().out


def test_the_environment_beats_the_machine_and_the_parameter_beats_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_cuda_devices(monkeypatch, 1)
    monkeypatch.setenv("LAB_SCALE", "smoke")
    assert settings.choose("", **SIZES).scale == "smoke"
    assert settings.choose("multi", **SIZES).scale == "multi"
    assert capsys.readouterr().out == (
        "Scale smoke: LAB_SCALE asks for it.\nScale multi: the parameter `scale` asks for it.\n"
    )


@pytest.mark.parametrize(
    ("wanted", "without", "used"),
    [("gpu", ["gpu", "multi"], "cpu"), ("multi", ["multi"], "gpu"), ("multi", ["gpu"], "multi")],
)
def test_a_scale_without_sizes_uses_the_next_smaller_one(
    wanted: str, without: list[str], used: str
) -> None:
    given = {scale: sizes for scale, sizes in SIZES.items() if scale not in without}
    chosen = settings.choose(wanted, **given)
    assert (chosen.scale, chosen.epochs) == (used, SIZES[used]["epochs"])


def test_the_one_line_says_that_a_scale_has_no_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    settings.choose("multi", smoke={}, cpu={})
    assert capsys.readouterr().out == (
        "Scale cpu: the parameter `scale` asks for it, "
        "but this lab has no sizes of its own for multi.\n"
    )


@pytest.mark.parametrize("source", ["parameter", "environment"])
def test_an_unknown_scale_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "environment":
        monkeypatch.setenv("LAB_SCALE", "huge")
    with pytest.raises(ValueError, match=r"no scale 'huge'.*smoke, cpu, gpu or multi"):
        settings.choose("huge" if source == "parameter" else "", **SIZES)


def test_a_mistaken_environment_does_not_matter_where_the_parameter_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_SCALE", "huge")
    assert settings.choose("cpu", **SIZES).scale == "cpu"


def test_scales_that_name_different_sizes_are_refused_whichever_is_in_use() -> None:
    with pytest.raises(ValueError, match=r"cpu and gpu must name the same sizes.*batch, epochs"):
        settings.choose("smoke", smoke={"epochs": 1}, cpu={"epochs": 9}, gpu={"batch": 64})


def test_sizes_that_are_no_dict_are_refused() -> None:
    sizes: Any = 3
    with pytest.raises(ValueError, match=r"cpu should be a dict of sizes.* and not 3"):
        settings.choose("smoke", smoke={"epochs": 1}, cpu=sizes)


def test_a_size_may_not_hide_the_scale() -> None:
    with pytest.raises(ValueError, match="No size may be called `scale`"):
        settings.choose("smoke", smoke={"scale": 1}, cpu={"scale": 2})
