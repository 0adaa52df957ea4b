"""The scale of a run: the same lab in seconds on a build machine, or in earnest on a GPU."""

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

# From small to large. A scale for which a lab has no sizes uses the nearest smaller one it has.
SCALES = ("smoke", "cpu", "gpu", "multi")

Sizes = Mapping[str, Any]


def choose(
    scale: str = "",
    *,
    smoke: Sizes,
    cpu: Sizes,
    gpu: Sizes | None = None,
    multi: Sizes | None = None,
) -> SimpleNamespace:
    """The sizes of one scale, and one printed line that says which scale and why.

    scale: the notebook's parameter. Empty: the environment variable LAB_SCALE decides, and without
    that the machine (no CUDA device: cpu; one: gpu; several: multi).
    smoke, cpu, gpu, multi: the sizes of each scale, with the same names in each.

    Returns a namespace with every size, and `scale`, the scale whose sizes they are.
    Raises ValueError for an unknown scale, or for scales that do not name the same sizes.

    >>> sizes = choose("smoke", smoke={"epochs": 1}, cpu={"epochs": 10})
    Scale smoke: the parameter `scale` asks for it.
    >>> sizes.epochs
    1
    """
    tables = {"smoke": smoke, "cpu": cpu, "gpu": gpu, "multi": multi}
    given = {name: sizes for name, sizes in tables.items() if sizes is not None}
    _require_same_names(given)
    wanted, why = _wanted(scale)
    no_larger = SCALES[: SCALES.index(wanted) + 1]
    used = next(name for name in reversed(no_larger) if name in given)
    missing = "" if used == wanted else f", but this lab has no sizes of its own for {wanted}"
    print(f"Scale {used}: {why}{missing}.")
    return SimpleNamespace(scale=used, **given[used])


def _wanted(parameter: str) -> tuple[str, str]:
    """The scale to run at, and the reason."""
    sources = {"the parameter `scale`": parameter, "LAB_SCALE": os.environ.get("LAB_SCALE", "")}
    for source, scale in sources.items():
        if scale in SCALES:
            return scale, f"{source} asks for it"
        if scale != "":
            raise ValueError(
                f"There is no scale {scale!r}: set {source} to smoke, cpu, gpu or multi, "
                "or leave it empty and the machine decides."
            )
    return _scale_of_machine()


def _scale_of_machine() -> tuple[str, str]:
    import torch  # here, so that a run whose scale is given need not wait for it

    count = torch.cuda.device_count()
    if count == 0:
        return "cpu", "this machine has no CUDA device"
    if count == 1:
        return "gpu", "this machine has a CUDA device"
    return "multi", f"this machine has {count} CUDA devices"


def _require_same_names(given: Mapping[str, Sizes]) -> None:
    for scale, sizes in given.items():
        if not isinstance(sizes, Mapping):
            raise ValueError(
                f"{scale} should be a dict of sizes, such as {{'epochs': 1}}, and not {sizes!r}."
            )
    expected = set(given["cpu"])
    for scale, sizes in given.items():
        only_one = sorted(expected ^ set(sizes))
        if only_one:
            raise ValueError(
                f"The scales cpu and {scale} must name the same sizes, but only one of them "
                f"has {', '.join(only_one)}."
            )
    if "scale" in expected:
        raise ValueError("No size may be called `scale`, which tells the scale in use: rename it.")
