"""What a test may want of the system beyond Python: `@needs("chromium")`, `@needs("bwrap")`…"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

BARE = Path(__file__).parents[1] / "build" / "bare" / "bin" / "python"

# name -> (commands that must all succeed, how to get them)
PROBES = {
    "chromium": (
        (("chromium", "--version"), ("chromedriver", "--version")),
        "Chromium and its driver are not installed (Debian: apt-get install chromium"
        " chromium-driver)",
    ),
    "bwrap": (
        (("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"),),
        "bubblewrap cannot make a sandbox here (Debian: apt-get install bubblewrap; the kernel must"
        " allow user namespaces)",
    ),
    "root": (
        (("sh", "-c", 'test "$(id -u)" = 0'),),
        "It starts another user's processes, which root alone may",
    ),
    "bare": (
        ((str(BARE), "-c", "import importlib.util; assert importlib.util.find_spec('torch')"),),
        "The environment of a borrowed GPU machine is not in build/bare (`make bare`: 6 GB)",
    ),
    "postgres": (
        (("initdb", "--version"), ("postgres", "--version")),
        "PostgreSQL's server is not installed, or its commands are not on PATH (Debian: apt-get"
        " install postgresql; PATH=/usr/lib/postgresql/*/bin)",
    ),
}


def needs(name: str) -> pytest.MarkDecorator:
    """Mark a test that runs only where `name`, a key of PROBES, works; the skip says why."""
    commands, remedy = PROBES[name]
    return pytest.mark.skipif(not all(map(_works, commands)), reason=remedy)


@cache
def _works(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except subprocess.TimeoutExpired:
        return False
