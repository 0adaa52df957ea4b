"""Where data lie, and the error for data that cannot be used or had."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class DataError(Exception):
    """Data that cannot be used or had. The message says what is wrong and what to do."""


def data_root(root: str | Path | None) -> tuple[Path, str]:
    """The folder in which data lie, and who named it: root, LAB_DATA, or "" for the default."""
    if root is not None:
        return Path(root).expanduser().absolute(), "root"
    named = os.environ.get("LAB_DATA", "")
    if named:
        # A notebook's own working folder is not the one in which the learner set LAB_DATA.
        return (REPOSITORY / Path(named).expanduser()).resolve(), "LAB_DATA"
    return REPOSITORY / "data", ""
