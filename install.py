"""Install the course into `.venv`: `python install.py`; every `make` target runs it first.

Standard library only, and no syntax newer than Python 3.6, so that an old Python reaches the
sentence which says that it is too old. A finished installation is recorded in
`.venv/course-install.json`; while that record fits, a run does nothing.
"""

import configparser
import contextlib
import hashlib
import html
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
UV = BIN / ("uv.exe" if os.name == "nt" else "uv")
RECORD = VENV / "course-install.json"

VERSION = "{}.{}".format(*sys.version_info)
SUPPORTED = ("3.13", "3.12", "3.11")  # the first one found is taken where `python3` is another
# In GB: installed, and wanted free. Measured on Linux, where torch brings CUDA; guessed elsewhere.
SIZE, ROOM = (7, 10) if sys.platform == "linux" else (2, 3)

NO_ROOM = (
    f"The disk has too little room: free some (an installation takes about {ROOM} GB here and in"
    " uv's cache, which UV_CACHE_DIR can put elsewhere) and run the same command again."
)
MACHINE = (
    f"{platform.system()} {platform.machine()},"
    f" {platform.python_implementation()} {platform.python_version()}"
)

# What pip, uv or the system say, and the sentence for it.
FAULTS = (
    (
        ("No space left on device", "os error 28)", "os error 112)", "Disk quota exceeded"),
        NO_ROOM,
    ),
    (
        ("invalid peer certificate", "CERTIFICATE_VERIFY_FAILED"),
        "The package index's certificate is not trusted here, as happens behind a proxy that reads"
        " traffic: set SSL_CERT_FILE to your organisation's certificates and run the same command"
        " again.",
    ),
    (
        (
            "error sending request",
            "Request failed after",
            "the network was disabled",
            "Network connectivity is disabled",
            "Failed to establish a new connection",
            "Temporary failure in name resolution",
            "Name or service not known",
            "operation timed out",
            "Read timed out",
        ),
        "The package index cannot be reached: connect to the network (behind a proxy or a mirror,"
        " set HTTPS_PROXY or UV_DEFAULT_INDEX) and run the same command again; what was downloaded"
        " is kept.",
    ),
    (
        ("Hash mismatch", "DO NOT MATCH THE HASHES"),
        "A downloaded package is not the one that requirements.txt locks: run the same command"
        " again, and if it stays so do not install from this network.",
    ),
    (
        ("no wheels with a matching", "doesn't have a source distribution or wheel"),
        f"The course's packages are not built for this machine ({MACHINE}): use 64-bit Linux,"
        " Windows or macOS on Apple silicon, with CPython.",
    ),
)


class Failure(Exception):
    """One sentence for the person at the keyboard: what is wrong and what to do."""

    half_done = False  # whether it left packages in .venv that are half there


def main() -> int:
    if sys.argv[1:]:
        say(str(__doc__).strip())
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    try:
        if VERSION not in SUPPORTED:
            return hand_over()
        install()
    except Failure as failure:
        say(str(failure))
        return 1
    except OSError as error:
        say(str(diagnosis(str(error))))
        return 1
    except KeyboardInterrupt:
        say("Interrupted: run the same command again; what was downloaded is kept.")
        return 130
    if "MAKELEVEL" not in os.environ:  # `make` goes on by itself
        start = PYTHON.with_suffix("").relative_to(ROOT)
        say(f"The course is installed. To start it, in {ROOT}: {start} -m grading lab")
    return 0


def hand_over() -> int:
    """Run this file with a Python that the course supports, where there is one."""
    commands = [[str(PYTHON)]] + [["python" + version] for version in SUPPORTED]
    if os.name == "nt":
        commands += [["py", "-" + version] for version in SUPPORTED]
    for command in commands:
        if version_of(command) in SUPPORTED:
            return subprocess.call([*command, str(ROOT / "install.py")])
    age = "old" if sys.version_info[:2] < (3, 11) else "new"
    raise Failure(
        f"Python {VERSION} is too {age}: the course needs Python 3.11, 3.12 or 3.13, and none is on"
        " PATH; install one, or name it with `make PYTHON=/path/to/python3.12`."
    )


def install() -> None:
    """Bring .venv to what requirements.txt and pyproject.toml say. Raises Failure."""
    if is_finished():
        if version_of([str(PYTHON)]) != VERSION:
            say(f"Note: .venv keeps a Python other than {VERSION}; `make distclean` starts anew.")
        return
    with one_at_a_time():
        if is_finished():
            return
        started = time.monotonic()
        fresh = not is_usable()
        if fresh:
            say(f"Installing into .venv: about {SIZE} GB, a minute or two on a fast line.")
            run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
            write_record(finished=False)
        else:
            say("Bringing .venv up to date.")
        get_uv()
        if fresh:
            check_room()
        install_packages()
        say(f"Installed in {time.monotonic() - started:.0f} s.")


def is_finished() -> bool:
    return RECORD.exists() and record() == goal()


def is_usable() -> bool:
    """Whether .venv can be updated as it stands.

    Not if its Python is gone or unsupported, if an installation into it was cut off (a package may
    be half there), or if the folder was moved (the scripts in it name the old place).
    """
    at = record()
    return (
        version_of([str(PYTHON)]) in SUPPORTED
        and at.get("finished", True) is True
        and at.get("folder", str(ROOT)) == str(ROOT)
    )


def record() -> "dict[str, object]":
    """What was last installed into .venv; empty where nothing is recorded."""
    try:
        return json.loads(RECORD.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:  # cut off while it was written
        return {"finished": False}


def goal() -> "dict[str, object]":
    """What the record says when the installation is finished."""
    import tomllib  # here, because a Python before 3.11 imports this file too

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = project["build-system"], project["project"], project["tool"]["setuptools"]
    lock = (ROOT / "requirements.txt").read_bytes() + json.dumps(parts, sort_keys=True).encode()
    return {
        "folder": str(ROOT),
        "python": version_of([str(PYTHON)]),
        "lock": hashlib.sha256(lock).hexdigest(),
        "finished": True,
    }


def write_record(finished: bool) -> None:
    RECORD.write_text(json.dumps({**goal(), "finished": finished}, indent=1), "utf-8")


@contextlib.contextmanager
def one_at_a_time():
    """Let a second run, in another terminal, wait for the first."""
    try:
        import fcntl
    except ImportError:  # Windows, which has no `make` to start two
        yield
        return
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / "install.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another installation is running: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file, or the end of the process, releases it


def get_uv() -> None:
    """Put the locked uv into .venv, with a uv that is on PATH or with Python's own pip."""
    block = []
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        if line.startswith("uv==") or (block and line.startswith("    --hash")):
            block.append(line.rstrip(" \\"))
    version = block[0].split("==")[1]
    if (answer([str(UV), "--version"]) or "").split()[1:2] == [version]:
        return
    if answer(["uv", "--version"]):
        command = ["uv", "pip", "install", "--python", str(PYTHON)]
    elif importlib.util.find_spec("ensurepip"):
        run([str(PYTHON), "-m", "ensurepip"])
        command = [str(PYTHON), "-m", "pip", "install"]
    else:
        fetch_uv(version, set(re.findall(r"--hash=sha256:(\w+)", " ".join(block))))
        return
    locked = VENV / "uv.txt"
    locked.write_text(" ".join(block), "utf-8")
    run([*command, "--no-deps", "--require-hashes", "-r", str(locked)])


def fetch_uv(version: str, hashes: "set[str]") -> None:
    """Put the locked uv into .venv without pip: its wheel, from the index that pip would ask."""
    index = index_url()
    if index is None:
        raise Failure(
            "This Python has neither pip nor uv, and no package index is named to fetch uv from:"
            " install pip (on Debian and Ubuntu `sudo apt install python3-venv`), or set"
            " PIP_INDEX_URL to your package index, and run the same command again."
        )
    page = index.rstrip("/") + "/uv/"
    for address, digest in links(page):
        name = address.rpartition("/")[2]
        if digest in hashes and fits_this_machine(name):
            content = fetched(address)
            if hashlib.sha256(content).hexdigest() != digest:
                raise diagnosis("Hash mismatch")
            unpack_uv(content)
            return
    raise Failure(f"{page} has no uv {version} for this machine ({MACHINE}): install uv yourself.")


def index_url() -> "str | None":
    """The package index that uv or pip would ask, from their settings; None where none is named."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name]
    home, shared = Path.home(), os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [
        Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull),
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf"),
        home / ".pip" / "pip.conf",
        *(Path(folder, "pip", "pip.conf") for folder in shared.split(":")),
        Path("/etc/pip.conf"),
    ]
    for file in files:
        settings = configparser.ConfigParser(interpolation=None)
        with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
            settings.read(str(file), "utf-8")
        for section in ("install", "global"):
            if settings.has_option(section, "index-url"):
                return settings.get(section, "index-url")
    return None


def links(page: str) -> "list[tuple[str, str]]":
    """(address, SHA-256) of each file on an index's page, in the simple form (PEP 503)."""
    text = fetched(page).decode("utf-8", "replace")
    found = re.findall(r"""<a\b[^>]*\bhref=["']([^"'#]+)#sha256=(\w+)["']""", text)
    return [(urllib.parse.urljoin(page, html.unescape(link)), digest) for link, digest in found]


def fetched(address: str) -> bytes:
    """What lies at an address. Raises Failure."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.read()
    except ValueError:
        raise Failure(f"{address} is no address of a package index: correct the setting.") from None
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            raise Failure(f"{address} answered {error.code} ({error.reason}).") from None
        said = "CERTIFICATE_VERIFY_FAILED" in str(error)
        raise diagnosis(str(error) if said else "Failed to establish a new connection") from None


def fits_this_machine(wheel: str) -> bool:
    """Whether a wheel of uv, by its name, is for this system, processor and C library."""
    machine = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    tag = wheel.rpartition("-")[2].replace("amd64", "x86_64").replace("arm64", "aarch64")
    musl = not platform.libc_ver()[0]
    kind = {"Linux": "musllinux" if musl else "manylinux", "Darwin": "macosx", "Windows": "win"}
    return tag.startswith(kind.get(platform.system(), "?")) and machine in tag


def unpack_uv(wheel: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        scripts = [name for name in archive.namelist() if ".data/scripts/uv" in name]
        for name in scripts:
            file = BIN / name.rpartition("/")[2]
            file.write_bytes(archive.read(name))
            file.chmod(0o755)


def check_room() -> None:
    """Refuse a first installation that the disk cannot hold. What uv has cached needs no room."""
    cache = Path(answer([str(UV), "cache", "dir"]) or VENV)
    folders = [VENV, next(folder for folder in (cache, *cache.parents) if folder.exists())]
    free = min(shutil.disk_usage(folder).free for folder in folders) / 1e9
    if free < ROOM:
        free += sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) / 1e9
    if free < ROOM:
        raise Failure(NO_ROOM)


def install_packages() -> None:
    before = RECORD.read_bytes() if RECORD.exists() else None
    write_record(finished=False)
    command = [str(UV), "pip", "install", "--python", str(PYTHON)]
    try:
        # Compiled now, or each process that may not write into .venv compiles torch for itself.
        run([*command, "--compile-bytecode", "--require-hashes", "-r", "requirements.txt"])
        run([*command, "--no-deps", "--no-build-isolation", "-e", "."])
    except Failure as failure:
        if not failure.half_done:  # what was installed before still works
            RECORD.write_bytes(before) if before is not None else RECORD.unlink()
        raise
    write_record(finished=True)


def run(command: "list[str]") -> None:
    """Run to the end, showing large downloads; raises the Failure that its output tells of."""
    process = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        show_download(lines)
    if process.wait() != 0:
        output = "".join(lines)
        failure = diagnosis(output)
        # uv downloads everything before it changes anything; it exits with 1 or 2 if not killed.
        changing = re.search("Failed to (un)?install", output)
        failure.half_done = process.returncode not in (1, 2) or changing is not None
        raise failure


def show_download(lines: "list[str]") -> None:
    """Say so if the last line tells that a large package is here; uv tells sizes at their start."""
    if not lines[-1].startswith(" Downloaded "):
        return
    output = "".join(lines)
    arrived = re.findall(r"^ Downloaded (\S+)$", output, re.MULTILINE)
    told = re.findall(r"^Downloading (\S+) \((\S+)([MG])iB\)$", output, re.MULTILINE)
    size = {name: float(number) * 2 ** (20 if unit == "M" else 30) for name, number, unit in told}
    if size.get(arrived[-1], 0) > 5e7:
        here = sum(size.get(name, 0) for name in arrived)
        say(f"  {here / 1e9:.1f} of {sum(size.values()) / 1e9:.1f} GB: {arrived[-1]} is here")


def diagnosis(output: str) -> Failure:
    """The Failure for what a tool or the system said."""
    for signs, sentence in FAULTS:
        if any(sign in output for sign in signs):
            return Failure(sentence)
    return Failure(
        f"{output[-2000:].strip()}\nThe installation stopped for the reason above: run the same"
        " command again, and if it stays so, delete the folder .venv first."
    )


def version_of(command: "list[str]") -> "str | None":
    """ "3.12" for a command that starts Python 3.12; None if it starts no Python."""
    return answer([*command, "-ISc", "import sys; print('{}.{}'.format(*sys.version_info))"])


def answer(command: "list[str]") -> "str | None":
    """What a command prints; None if it cannot be run or fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
