"""Install the course into `.venv`: `python install.py`; every `make` target runs it first.

Standard library only, and no syntax newer than Python 3.6, so that an old Python reaches the
sentence which says that it is too old. A finished installation is recorded in
`.venv/course-install.json`; while that record fits, a run does nothing. The record also keeps
whether it is one without CUDA (--cpu), so that later runs leave it so.
"""

import argparse
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
# In GB: installed, wanted free, and downloaded. Measured on Linux, where PyPI's torch brings CUDA;
# guessed elsewhere.
SIZE, ROOM, LOAD = (7, 10, 3.5) if sys.platform == "linux" else (2, 3, 0.7)
CPU_SIZE, CPU_ROOM, CPU_LOAD = (2, 3, 0.7)
# What is for GPUs alone, and what has a build without them. PyPI's torch for Linux loads nearly all
# of NVIDIA's libraries when it is imported, GPU or not: they cannot just be left out.
FOR_GPUS, BUILT_FOR_CPUS = ("nvidia-", "cuda-", "triton=="), ("torch==", "torchvision==")
WHOLE = "whole.json"  # in a folder that --wheelhouse has filled

NO_ROOM = (
    f"The disk has too little room: free some (an installation takes about {ROOM} GB here and in"
    f" uv's cache, which UV_CACHE_DIR can put elsewhere; {CPU_ROOM} GB with --cpu) and run the same"
    " command again."
)
MACHINE = (
    f"{platform.system()} {platform.machine()},"
    f" {platform.python_implementation()} {platform.python_version()}"
)

# What pip, uv or the system say, and the sentence for it: the first that fits.
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
        ("/whl/cpu", "+cpu"),
        "PyTorch's builds for CPUs alone cannot be had from here: they lie on PyTorch's own index,"
        " not on PyPI. Name a folder or a page that has them in UV_FIND_LINKS (for --wheelhouse: an"
        " index that has them in PIP_EXTRA_INDEX_URL), or leave --cpu out.",
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
        "A package is not the one that requirements.txt locks: run the same command again, and if"
        " it stays so do not install from this network or folder.",
    ),
    (
        ("no wheels with a matching", "doesn't have a source distribution or wheel"),
        f"The course's packages are not built for this machine ({MACHINE}): use 64-bit Linux,"
        " Windows or macOS on Apple silicon, with CPython.",
    ),
    (
        ("in the provided package locations", "was invalid:", "Failed to download"),
        "A package is missing or damaged: run the same command again, or first fill the folder from"
        " which you install again, with `python install.py --wheelhouse DIR`; what is whole stays.",
    ),
)


class Failure(Exception):
    """One sentence for the person at the keyboard: what is wrong and what to do."""

    half_done = False  # whether it left packages in .venv that are half there


def main() -> int:
    options = arguments().parse_args()
    try:
        if VERSION not in SUPPORTED:
            return hand_over()
        if options.wheelhouse:
            fill(options.wheelhouse, options.cpu and sys.platform == "linux")
            return 0
        install(options.cpu and sys.platform == "linux", options.offline)
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


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).partition(":")[0] + ".")
    parser.add_argument(
        "--cpu",
        action="store_true",
        help=f"without CUDA and Triton: {CPU_SIZE} GB in place of {SIZE} on Linux (elsewhere there"
        " is nothing to leave out); `make distclean` goes back",
    )
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument(
        "--wheelhouse",
        metavar="DIR",
        type=Path,
        help="install nothing: fill DIR with all that machines like this one need for --offline",
    )
    folder.add_argument(
        "--offline",
        metavar="DIR",
        type=Path,
        help="without a network, from a folder that --wheelhouse has filled",
    )
    return parser


def hand_over() -> int:
    """Run this file with a Python that the course supports, where there is one."""
    commands = [[str(PYTHON)]] + [["python" + version] for version in SUPPORTED]
    if os.name == "nt":
        commands += [["py", "-" + version] for version in SUPPORTED]
    for command in commands:
        if version_of(command) in SUPPORTED:
            return subprocess.call([*command, str(ROOT / "install.py"), *sys.argv[1:]])
    age = "old" if sys.version_info[:2] < (3, 11) else "new"
    raise Failure(
        f"Python {VERSION} is too {age}: the course needs Python 3.11, 3.12 or 3.13, and none is on"
        " PATH; install one, or name it with `make PYTHON=/path/to/python3.12`."
    )


def install(cpu: bool, offline: "Path | None") -> None:
    """Bring .venv to what requirements.txt and pyproject.toml say. Raises Failure.

    cpu: without what is for GPUs, as it stays once installed so; offline: a folder with all of it.
    """
    cpu = cpu or record().get("cpu") is True
    if is_finished(cpu):
        if version_of([str(PYTHON)]) != VERSION:
            say(f"Note: .venv keeps a Python other than {VERSION}; `make distclean` starts anew.")
        return
    with one_at_a_time():
        if is_finished(cpu):
            return
        started = time.monotonic()
        fresh = not is_usable(cpu)
        wheels = wheelhouse(offline, cpu, VERSION if fresh else venv_version()) if offline else None
        if fresh:
            size = CPU_SIZE if cpu else SIZE
            say(f"Installing into .venv: about {size} GB, a minute or two on a fast line.")
            run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
            write_record(finished=False)
        else:
            say("Bringing .venv up to date.")
        get_uv(wheels)
        if fresh:
            check_room(CPU_ROOM if cpu else ROOM)
        install_packages(cpu, wheels)
        say(f"Installed in {time.monotonic() - started:.0f} s.")


def is_finished(cpu: bool) -> bool:
    return RECORD.exists() and record() == goal(cpu)


def is_usable(cpu: bool) -> bool:
    """Whether .venv can be updated as it stands.

    Not if its Python is gone or unsupported, if an installation into it was cut off (a package may
    be half there), if the folder was moved (the scripts in it name the old place), or if it has
    what is for GPUs and is to have it no longer.
    """
    at = record()
    return (
        venv_version() in SUPPORTED
        and at.get("finished", True) is True
        and at.get("folder", str(ROOT)) == str(ROOT)
        and (not at or at.get("cpu", False) is cpu)
    )


def record() -> "dict[str, object]":
    """What was last installed into .venv; empty where nothing is recorded."""
    try:
        return json.loads(RECORD.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:  # cut off while it was written
        return {"finished": False}


def goal(cpu: bool) -> "dict[str, object]":
    """What the record says when the installation is finished."""
    import tomllib  # here, because a Python before 3.11 imports this file too

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = project["build-system"], project["project"], project["tool"]["setuptools"]
    lock = (ROOT / "requirements.txt").read_bytes() + json.dumps(parts, sort_keys=True).encode()
    return {
        "folder": str(ROOT),
        "python": venv_version(),
        "cpu": cpu,
        "lock": hashlib.sha256(lock).hexdigest(),
        "finished": True,
    }


def write_record(finished: bool, cpu: bool = False) -> None:
    RECORD.write_text(json.dumps({**goal(cpu), "finished": finished}, indent=1), "utf-8")


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


def entries(*names: str) -> "list[str]":
    """What requirements.txt locks, a package with its hashes each: those that begin so, or all."""
    text = (ROOT / "requirements.txt").read_text("utf-8")
    found = re.findall(r"^\w.*(?:\n +--hash.*)*", text, re.MULTILINE)
    return [entry for entry in found if entry.startswith(names or "")]


def get_uv(wheels: "Path | None") -> None:
    """Put the locked uv into .venv: from a folder, or by a uv on PATH or Python's own pip."""
    (entry,) = entries("uv==")
    version = re.split("==| ", entry)[1]
    hashes = set(re.findall(r"--hash=sha256:(\w+)", entry))
    if (answer([str(UV), "--version"]) or "").split()[1:2] == [version]:
        return
    if wheels:
        for wheel in wheels.glob(f"uv-{version}-*.whl"):
            unpack_uv(wheel.read_bytes(), hashes)
            return
        raise diagnosis("not found in the provided package locations")
    if answer(["uv", "--version"]):
        command = ["uv", "pip", "install", "--python", str(PYTHON)]
    elif importlib.util.find_spec("ensurepip"):
        run([str(PYTHON), "-m", "ensurepip"])
        command = [str(PYTHON), "-m", "pip", "install"]
    else:
        fetch_uv(version, hashes)
        return
    locked = VENV / "uv.txt"
    locked.write_text(entry, "utf-8")
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
            unpack_uv(fetched(address), {digest})
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


def unpack_uv(wheel: bytes, hashes: "set[str]") -> None:
    """Put uv out of its wheel into .venv. Raises Failure for a wheel with none of these SHA-256."""
    if hashlib.sha256(wheel).hexdigest() not in hashes:
        raise diagnosis("Hash mismatch")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        scripts = [name for name in archive.namelist() if ".data/scripts/uv" in name]
        for name in scripts:
            file = BIN / name.rpartition("/")[2]
            file.write_bytes(archive.read(name))
            file.chmod(0o755)


def check_room(wanted: float) -> None:
    """Refuse a first installation that the disk cannot hold. What uv has cached needs no room."""
    cache = Path(answer([str(UV), "cache", "dir"]) or VENV)
    folders = [VENV, next(folder for folder in (cache, *cache.parents) if folder.exists())]
    free = min(shutil.disk_usage(folder).free for folder in folders) / 1e9
    if free < wanted:
        free += size_of(cache) / 1e9
    if free < wanted:
        raise Failure(NO_ROOM)


def size_of(folder: Path) -> int:
    """In bytes, of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def install_packages(cpu: bool, wheels: "Path | None") -> None:
    before = RECORD.read_bytes() if RECORD.exists() else None
    write_record(finished=False, cpu=cpu)
    command = [str(UV), "pip", "install", "--python", str(PYTHON)]
    if wheels:
        command += ["--offline", "--no-index", "--find-links", str(wheels)]
    # Compiled now, or each process that may not write into .venv compiles torch for itself.
    compiled = [*command, "--compile-bytecode"]
    try:
        if cpu:  # first: it may be that nobody here has them
            # uv knows where PyTorch has them; so told, it asks nobody else.
            known = wheels or os.environ.get("UV_FIND_LINKS")
            backend = [] if known else ["--torch-backend", "cpu"]
            run([*compiled, "--no-deps", *backend, *cpu_builds()])
        run([*compiled, "--require-hashes", "-r", lock(cpu)])
        run([*command, "--no-deps", "--no-build-isolation", "-e", "."])
    except Failure as failure:
        if not failure.half_done:  # what was installed before still works
            RECORD.write_bytes(before) if before is not None else RECORD.unlink()
        raise
    write_record(finished=True, cpu=cpu)


def lock(cpu: bool) -> str:
    """The file with what is installed with its hashes; of --cpu, without torch and torchvision."""
    if not cpu:
        return "requirements.txt"
    without = VENV / "cpu.txt"
    apart = entries(*FOR_GPUS, *BUILT_FOR_CPUS)
    without.write_text("\n".join(entry for entry in entries() if entry not in apart), "utf-8")
    return str(without)


def cpu_builds() -> "list[str]":
    """The builds without CUDA, of the locked versions; PyPI has none, so the lock has no hashes."""
    return [re.split(" |;", entry)[0] + "+cpu" for entry in entries(*BUILT_FOR_CPUS)]


def kind(cpu: bool, version: "str | None") -> str:
    """What the packages in a folder are for, such as linux-x86_64-3.12 or linux-x86_64-3.12-cpu."""
    system = f"{platform.system()}-{platform.machine()}-{version}".lower()
    return system + ("-cpu" if cpu else "")


def fill(folder: Path, cpu: bool) -> None:
    """Put into a folder all that an installation on a machine like this one downloads.

    Raises Failure. Cut off and started again it goes on: each large package is fetched by itself.
    """
    if not is_finished(record().get("cpu") is True):
        raise Failure("Install the course here first: run `python install.py`, then this again.")
    place = folder.resolve() / kind(cpu, venv_version())
    place.mkdir(parents=True, exist_ok=True)
    load = CPU_LOAD if cpu else LOAD
    lacks = load - size_of(place) / 1e9
    if shutil.disk_usage(str(place)).free / 1e9 < lacks:
        raise Failure(f"{folder} has too little room: {lacks:.1f} GB more are wanted there.")
    say(f"Filling {place}: about {load} GB in all.")
    with contextlib.suppress(FileNotFoundError):
        (place / WHOLE).unlink()
    download(place, cpu)
    (place / WHOLE).write_text(json.dumps(goal(cpu)["lock"]), "utf-8")
    here = size_of(place) / 1e9
    flag = " --cpu" if cpu else ""
    say(f"{here:.1f} GB are there. On a machine like this: python install.py{flag} --offline DIR")


def download(place: Path, cpu: bool) -> None:
    """Put every package into a folder, by the locked pip; what is there already stays."""
    one = VENV / "one.txt"
    one.write_text(entries("pip==")[0], "utf-8")
    install = [str(UV), "pip", "install", "--python", str(PYTHON)]
    run([*install, "--require-hashes", "--no-deps", "-r", str(one)])
    fetch = [str(PYTHON), "-m", "pip", "download", "--dest", str(place), "--no-deps"]
    fetch += ["--only-binary=:all:", "--no-cache-dir"]
    hashed = [*fetch, "--require-hashes", "-r"]
    if cpu:
        run([*fetch, *cpu_builds()])
    for entry in [] if cpu else entries(*BUILT_FOR_CPUS, *FOR_GPUS):
        one.write_text(entry, "utf-8")
        run([*hashed, str(one)])
    run([*hashed, lock(cpu)])


def wheelhouse(folder: Path, cpu: bool, version: "str | None") -> Path:
    """Where in a folder that was filled the packages for this machine are. Raises Failure."""
    name = kind(cpu, version)
    whole = folder.resolve() / name / WHOLE
    if not whole.exists():
        others = [one.parent.name for one in folder.glob("*/" + WHOLE)]
        there = f"for {', '.join(sorted(others))}" if others else "none"
        raise Failure(
            f"{folder} has no whole set of packages for {name}, but {there}: fill it on a machine"
            " like this one, with `python install.py --wheelhouse DIR`."
        )
    if json.loads(whole.read_text("utf-8")) != goal(cpu)["lock"]:
        raise Failure(
            f"{folder} was filled for another version of the course: fill it again from this one,"
            " with `python install.py --wheelhouse DIR`."
        )
    return whole.parent


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
    saved = re.match(r"Saved (.+\.whl)$", lines[-1].rstrip())  # by pip
    size_saved = (ROOT / saved[1]).stat().st_size if saved else 0
    if saved and size_saved > 5e7:
        say(f"  {size_saved / 1e9:.2f} GB: {Path(saved[1]).name}")
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


def venv_version() -> "str | None":
    return version_of([str(PYTHON)])


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
