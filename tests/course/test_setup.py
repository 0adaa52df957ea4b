"""Set-up, through its doors: `make`, `python install.py`, `.ci/run`, environment.yml.

Installing for real takes gigabytes, so most of these tests put a stand-in for uv on PATH, which
writes down how it was called; the messages that it repeats are uv's own, recorded.
"""

import ast
import hashlib
import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make") or "make"
BASH = shutil.which("bash") or "bash"
UV_VERSION = "1.2.3"
# Starts install.py, named in argv[1], in a Python that was changed by the statement before it.
CHANGED = (
    "import importlib.util, runpy, shutil, sys; {}; "
    "runpy.run_path(sys.argv.pop(1), None, '__main__')"
)

UV = f"""#!/bin/sh
case "$*" in
  --version) echo "uv {UV_VERSION}"; exit;;
  "cache dir") echo "$HOME"; exit;;
esac
echo "$*" >> uv.log
case "$*" in
  *uv.txt) /bin/cp "$0" .venv/bin/uv;;
  *) [ -z "$UV_SAYS" ] || {{ echo "$UV_SAYS"; exit 2; }};;
esac
"""

NO_NETWORK = """error: Request failed after 3 retries in 4.7s
  cause: Failed to fetch: http://localhost/simple/uri-template/
  cause: client error (Connect)
  cause: dns error"""
DISK_FULL = """error: Failed to install: numpy-2.4.6.whl (numpy==2.4.6)
  cause: Failed to copy to `.venv/lib/python3.11/site-packages/numpy.libs/libgfortran.so`
  cause: failed to copy file: No space left on device (os error 28)"""
NO_BUILD = """error: No solution found when resolving dependencies
  cause: Because torch==2.14.1 has no wheels with a matching platform tag and you require
  torch==2.14.1, we can conclude that your requirements are unsatisfiable."""


class Course:
    """A copy of what set-up consists of, with an empty home and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "the course"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for new in (self.folder, self.bin, self.home):
            new.mkdir()
        for name in ("install.py", "Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        self.lock = self.folder / "requirements.txt"
        self.lock.write_text(
            f"uv=={UV_VERSION} \\\n    --hash=sha256:{0:064}\n    # via the course\n"
        )
        self.log = self.folder / "uv.log"

    def command(self, name: str, script: str) -> None:
        """Put a shell script on PATH."""
        file = self.bin / name
        file.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def old_python(self) -> str:
        """A script that is Python 3.6 as far as install.py can tell."""
        changed = CHANGED.format('sys.version_info = (3, 6, 15, "final", 0)')
        return f'exec {shlex.join([sys.executable, "-c", changed])} "$@"'

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.home), **variables}
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=100
        )

    def install(
        self, changed: str = "pass", *options: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CHANGED.format(changed), "install.py", *options]
        return self.run(*command, **variables)

    def uv_calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


@pytest.fixture
def installed(course: Course) -> Course:
    course.command("uv", UV)
    done = course.install()
    assert done.returncode == 0, done.stderr
    return course


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed run says last; the lines before may only say what it was doing."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    *before, last = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    doing = ("Installing into .venv", "Bringing .venv", "Filling ")
    assert all(line.startswith(doing) for line in before)
    return last


# Python


def test_install_parses_under_python_3_6() -> None:
    tree = ast.parse((ROOT / "install.py").read_text("utf-8"), feature_version=(3, 7))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "__future__" not in modules, "`annotations` came with 3.7"
    walrus = [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]
    assert not walrus


def test_an_old_python_is_told_in_one_sentence(course: Course) -> None:
    course.command("python3", course.old_python())
    message = one_sentence(course.run(MAKE, "lab"))
    assert message.startswith("Python 3.6 is too old: the course needs Python 3.11, 3.12 or 3.13")
    assert "PYTHON=" in message


def test_a_python_newer_than_the_lock_is_told_so(course: Course) -> None:
    done = course.install('sys.version_info = (3, 99, 0, "final", 0)')
    assert one_sentence(done).startswith("Python 3.99 is too new")


def test_an_old_python_hands_over_to_a_good_one_on_path(course: Course) -> None:
    course.command("python3", course.old_python())
    course.command("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    course.command("python3.12", 'case "$1" in -ISc) echo 3.12;; *) echo "took over: $*";; esac')
    done = course.run(MAKE, "install")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"took over: {course.folder / 'install.py'}"


def test_no_python_at_all_is_told_in_one_sentence(course: Course) -> None:
    message = one_sentence(course.run(MAKE, "test"))
    assert message.startswith("python3 was not found: install Python 3.11, 3.12 or 3.13")


# Installing


def test_installs_the_lock_with_its_hashes_and_the_course_itself(installed: Course) -> None:
    bootstrap, lock, itself = installed.uv_calls()
    assert "--require-hashes" in bootstrap
    assert "--require-hashes -r requirements.txt" in lock
    assert "--no-deps" in itself
    assert itself.endswith("-e .")
    locked = (installed.folder / ".venv/uv.txt").read_text()
    assert locked == f"uv=={UV_VERSION} \\\n    --hash=sha256:{0:064}"


def test_a_second_run_does_nothing(installed: Course) -> None:
    before = installed.uv_calls()
    done = installed.run(MAKE, "install", f"PYTHON={sys.executable}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert installed.uv_calls() == before


def test_asking_for_another_python_says_how_to_get_it(installed: Course) -> None:
    other = 12 if sys.version_info[1] == 11 else 11
    done = installed.install(f'sys.version_info = (3, {other}, 0, "final", 0)')
    assert done.returncode == 0
    assert f"Note: .venv keeps a Python other than 3.{other}; `make distclean`" in done.stderr


@pytest.mark.parametrize("file", ["requirements.txt", "pyproject.toml"])
def test_a_changed_lock_is_brought_up_to_date(installed: Course, file: str) -> None:
    path = installed.folder / file
    path.write_text(path.read_text().replace("numpy>=2.1", "numpy>=2.2") + "# changed\n")
    assert installed.install().returncode == 0
    calls = installed.uv_calls()
    assert len(calls) == 5, "the lock and the course, and uv only if it is another"
    assert installed.install().returncode == 0
    assert installed.uv_calls() == calls


def test_a_changed_linter_setting_is_no_reason_to_install(installed: Course) -> None:
    before = installed.uv_calls()
    path = installed.folder / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 100", "line-length = 99"))
    assert installed.install().returncode == 0
    assert installed.uv_calls() == before


def test_an_update_that_cannot_download_leaves_the_installation(installed: Course) -> None:
    lock = installed.lock.read_text()
    installed.lock.write_text(lock + "numpy==3.0\n")
    message = one_sentence(installed.install(UV_SAYS=NO_NETWORK))
    assert message.startswith("The package index cannot be reached")
    installed.lock.write_text(lock)
    before = installed.uv_calls()
    assert installed.install().returncode == 0
    assert installed.uv_calls() == before


@pytest.mark.parametrize("how", ["cut off", "python gone", "moved", "record cut off"])
def test_a_broken_environment_is_made_anew(installed: Course, how: str) -> None:
    venv = installed.folder / ".venv"
    (venv / "half a package").touch()
    record = venv / "course-install.json"
    if how == "cut off":
        record.write_text(record.read_text().replace("true", "false"))
    elif how == "record cut off":
        record.write_text(record.read_text()[:20])
    elif how == "python gone":
        (venv / "bin/python").unlink()
        (venv / "bin/python").symlink_to("/nowhere/python")
    else:
        installed.folder = installed.folder.rename(installed.folder.with_name("elsewhere"))
        venv = installed.folder / ".venv"
    done = installed.install()
    assert done.returncode == 0, done.stderr
    assert not (venv / "half a package").exists()


def test_an_installation_that_failed_halfway_is_made_anew(installed: Course) -> None:
    installed.lock.write_text(installed.lock.read_text() + "numpy==3.0\n")
    assert one_sentence(installed.install(UV_SAYS=DISK_FULL)).startswith(
        "The disk has too little room"
    )
    half = installed.folder / ".venv/half a package"
    half.touch()
    assert installed.install().returncode == 0
    assert not half.exists()


def test_an_environment_of_ones_own_is_kept(course: Course) -> None:
    course.command("uv", UV)
    own = course.folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", own], check=True)
    (own / "a package of one's own").touch()
    assert one_sentence(course.install(UV_SAYS=NO_NETWORK)).startswith("The package index")
    assert course.install().returncode == 0
    assert (own / "a package of one's own").exists()


# Without what is for GPUs

LINUX = "sys.platform = 'linux'"
FOR_GPUS = f"""torch==2.14.1 \\
    --hash=sha256:{1:064}
    # via the course
torchvision==0.29.2 \\
    --hash=sha256:{2:064}
triton==3.8.0 ; sys_platform == 'linux' \\
    --hash=sha256:{3:064}
nvidia-cublas==13.1 ; sys_platform == 'linux' \\
    --hash=sha256:{4:064} \\
    --hash=sha256:{5:064}
numpy==2.4.6 \\
    --hash=sha256:{6:064}
"""
NO_CPU_BUILD = """error: Request failed after 3 retries in 4.7s
  cause: Failed to fetch: https://localhost/whl/cpu/torch/"""


@pytest.fixture
def small(course: Course) -> Course:
    """A course with a lock in which something is for GPUs, installed with --cpu."""
    course.command("uv", UV)
    course.lock.write_text(course.lock.read_text() + FOR_GPUS)
    done = course.install(LINUX, "--cpu")
    assert done.returncode == 0, done.stderr
    return course


def test_cpu_takes_pytorchs_builds_and_leaves_out_what_is_for_gpus(small: Course) -> None:
    _, torch, rest, itself = small.uv_calls()
    assert torch.endswith("--torch-backend cpu torch==2.14.1+cpu torchvision==0.29.2+cpu")
    assert "--no-deps" in torch
    assert "--require-hashes -r" in rest
    assert rest.endswith("cpu.txt")
    locked = (small.folder / ".venv/cpu.txt").read_text()
    assert re.findall(r"^\w\S*", locked, re.MULTILINE) == [f"uv=={UV_VERSION}", "numpy==2.4.6"]
    assert locked.count("--hash") == 2
    assert itself.endswith("-e .")


def test_a_later_run_leaves_a_cpu_installation_as_it_is(small: Course) -> None:
    before = small.uv_calls()
    assert small.install(LINUX).returncode == 0
    assert small.uv_calls() == before
    small.lock.write_text(small.lock.read_text() + "# changed\n")
    assert small.install(LINUX).returncode == 0
    updated = [call for call in small.uv_calls()[len(before) :] if "-e ." not in call]
    assert [call.rpartition("/")[2].rpartition(" ")[2] for call in updated] == [
        "torchvision==0.29.2+cpu",
        "cpu.txt",
    ]


def test_cpu_makes_a_whole_installation_anew(installed: Course) -> None:
    kept = installed.folder / ".venv/nvidia"
    kept.touch()
    assert installed.install(LINUX, "--cpu").returncode == 0
    assert not kept.exists()


def test_cpu_changes_nothing_where_nothing_is_for_gpus(course: Course) -> None:
    course.command("uv", UV)
    elsewhere = "import urllib.request; sys.platform = 'darwin'"
    assert course.install(elsewhere, "--cpu").returncode == 0
    assert "--require-hashes -r requirements.txt" in course.uv_calls()[1]


def test_where_no_cpu_build_can_be_had_the_whole_is_installed_next(course: Course) -> None:
    course.command("uv", UV)
    course.lock.write_text(course.lock.read_text() + FOR_GPUS)
    message = one_sentence(course.install(LINUX, "--cpu", UV_SAYS=NO_CPU_BUILD))
    assert message.startswith("PyTorch's builds for CPUs alone cannot be had from here")
    assert message.endswith("or leave --cpu out.")
    assert course.install(LINUX).returncode == 0
    assert "--require-hashes -r requirements.txt" in course.uv_calls()[-2]


# What can go wrong


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (NO_NETWORK, "The package index cannot be reached: connect to the network"),
        (DISK_FULL, "The disk has too little room"),
        (NO_BUILD, "The course's packages are not built for this machine"),
        ("error: Hash mismatch for `numpy==2.4.6`", "A package is not the one"),
        ("invalid peer certificate: UnknownIssuer", "The package index's certificate is not"),
    ],
)
def test_a_foreseen_failure_is_one_sentence(course: Course, says: str, told: str) -> None:
    course.command("uv", UV)
    assert one_sentence(course.install(UV_SAYS=says)).startswith(told)


def test_an_unforeseen_failure_shows_what_uv_said(course: Course) -> None:
    course.command("uv", UV)
    done = course.install(UV_SAYS="error: the moon is in the wrong quarter")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *_, said, told = done.stderr.splitlines()
    assert said == "error: the moon is in the wrong quarter"
    assert told.startswith("The installation stopped for the reason above: run the same command")


def test_the_real_uv_without_a_network(course: Course) -> None:
    (course.bin / "uv").symlink_to(Path(sysconfig.get_path("scripts")) / "uv")
    shutil.copy(ROOT / "requirements.txt", course.lock)
    with socket.socket() as unused:  # bound but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        done = course.install(UV_DEFAULT_INDEX=index, UV_HTTP_RETRIES="0")
    assert one_sentence(done).startswith("The package index cannot be reached")


def test_a_disk_too_small_is_told_before_anything_is_downloaded(course: Course) -> None:
    course.command("uv", UV)
    done = course.install("shutil.disk_usage = lambda _: shutil._ntuple_diskusage(9e9, 8e9, 1e9)")
    assert one_sentence(done).startswith("The disk has too little room")
    assert len(course.uv_calls()) == 1, "only uv itself"


NO_PIP = "importlib.util.find_spec = lambda *_: None"


def test_a_python_without_pip_uv_and_index_gets_the_remedy(course: Course) -> None:
    message = one_sentence(course.install(NO_PIP, XDG_CONFIG_DIRS="/nowhere", PIP_CONFIG_FILE=""))
    assert "neither pip nor uv" in message
    assert "sudo apt install python3-venv" in message
    assert "PIP_INDEX_URL" in message


class Index:
    """A package index on this machine, with one wheel of uv for every system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "simple" / "uv"
        self.folder.mkdir(parents=True)
        handler = partial(QuietHandler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def offer(self, content: bytes, claimed: str = "") -> str:
        """Puts a wheel on the page, for each kind of machine; returns its SHA-256."""
        digest = claimed or hashlib.sha256(content).hexdigest()
        kinds = ("manylinux_2_17", "musllinux_1_1", "macosx_11_0", "win")
        names = [f"uv-1.2.3-py3-none-{k}_{m}.whl" for k in kinds for m in ("x86_64", "aarch64")]
        for name in names:
            (self.folder / name).write_bytes(content)
        links = [f'<a href="{name}#sha256={digest}">{name}</a>' for name in names]
        (self.folder / "index.html").write_text("\n".join(links))
        return digest


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    served = Index(tmp_path / "index")
    yield served
    served.server.shutdown()


def wheel_of_uv() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"uv-{UV_VERSION}.data/scripts/uv", UV)
    return content.getvalue()


@pytest.mark.parametrize("told", ["environment", "pip.conf"])
def test_a_python_without_pip_fetches_the_locked_uv_itself(
    course: Course, index: Index, told: str
) -> None:
    digest = index.offer(wheel_of_uv())
    course.lock.write_text(f"uv=={UV_VERSION} \\\n    --hash=sha256:{digest}\n")
    variables = {"PIP_INDEX_URL": index.url} if told == "environment" else {}
    if told == "pip.conf":
        (course.home / ".config" / "pip").mkdir(parents=True)
        (course.home / ".config/pip/pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
    done = course.install(NO_PIP, **variables)
    assert done.returncode == 0, done.stderr
    lock, itself = course.uv_calls()
    assert "--require-hashes -r requirements.txt" in lock
    assert itself.endswith("-e .")


def test_a_wheel_that_is_not_the_locked_one_is_refused(course: Course, index: Index) -> None:
    message = one_sentence(course.install(NO_PIP, PIP_INDEX_URL=f"{index.url}/else"))
    assert "answered 404" in message
    index.offer(wheel_of_uv())
    assert "has no uv" in one_sentence(course.install(NO_PIP, PIP_INDEX_URL=index.url))
    index.offer(wheel_of_uv(), claimed=f"{0:064}")
    message = one_sentence(course.install(NO_PIP, PIP_INDEX_URL=index.url))
    assert "not the one that requirements.txt locks" in message


# Without a network

# The real uv, but for the course itself, whose build wants the real setuptools.
REAL_UV = """#!/bin/sh
case "$*" in *"-e .") exit 0;; *) exec {} "$@";; esac
"""


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Put a wheel for every machine into an index's folder; its entry in a lock."""
    about = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    listed = "".join(f"{one},,\n" for one in [*files, f"{about}/RECORD"])
    file = folder / name / f"{name}-{version}-py3-none-any.whl"
    file.parent.mkdir(parents=True)
    with zipfile.ZipFile(file, "w") as archive:
        for one, text in {**files, f"{about}/RECORD": listed}.items():
            archive.writestr(one, text)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    page = file.parent / "index.html"
    page.write_text(f'<a href="{file.name}#sha256={digest}">{file.name}</a>')
    return f"{name}=={version} \\\n    --hash=sha256:{digest}\n"


def pip_in_a_wheel() -> dict[str, str]:
    """This environment's pip."""
    folder = Path(sysconfig.get_path("purelib"))
    files = [file for file in (folder / "pip").rglob("*") if file.suffix in (".py", ".pem", ".txt")]
    return {str(file.relative_to(folder)): file.read_text("utf-8") for file in files}


@pytest.fixture
def served_course(course: Course, index: Index) -> tuple[Course, dict[str, str]]:
    """A course whose lock an index on this machine has, installed; and the settings for that."""
    real = Path(sysconfig.get_path("scripts")) / "uv"
    version = subprocess.check_output([real, "--version"], text=True).split()[1]
    simple = index.folder.parent
    shutil.rmtree(index.folder)
    course.command("uv", REAL_UV.format(shlex.quote(str(real))))
    script = {f"uv-{version}.data/scripts/uv": (course.bin / "uv").read_text()}
    entries = [
        wheel(simple, "uv", version, script),
        wheel(simple, "pip", "99.0", pip_in_a_wheel()),
        wheel(simple, "torch", "2.14.1", {"torch/__init__.py": "cuda = True"}),
        wheel(simple, "networkx", "3.6", {"networkx/__init__.py": ""}),
    ]
    course.lock.write_text("".join(entries))
    settings = {"UV_DEFAULT_INDEX": index.url, "PIP_INDEX_URL": index.url}
    done = course.install(**settings)
    assert done.returncode == 0, done.stderr
    return course, settings


def test_a_folder_filled_here_installs_there_without_a_network(
    served_course: tuple[Course, dict[str, str]], tmp_path: Path
) -> None:
    teacher, settings = served_course
    stick = tmp_path / "a stick"
    filled = teacher.install("pass", "--wheelhouse", str(stick), **settings)
    assert filled.returncode == 0, filled.stderr
    assert "python install.py --offline DIR" in filled.stderr
    (place,) = stick.iterdir()
    assert len(list(place.glob("*.whl"))) == 4

    (tmp_path / "room").mkdir()
    seat = Course(tmp_path / "room")
    seat.lock.write_text(teacher.lock.read_text())
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    offline = ("pass", "--offline", str(stick))
    (torch,) = place.glob("torch-*.whl")
    content = torch.read_bytes()
    for damaged in (content[:-100], content.replace(b"cuda = True", b"cuda = None")):
        torch.write_bytes(damaged)
        message = one_sentence(seat.install(*offline, **nowhere))
        assert message.startswith("A package is missing or damaged: run the same command again, or")
    wheel(tmp_path / "troy", "torch", "2.14.1", {"torch/__init__.py": "horse = True"})
    torch.write_bytes((tmp_path / "troy/torch" / torch.name).read_bytes())
    message = one_sentence(seat.install(*offline, **nowhere))
    assert message.startswith("A package is not the one that requirements.txt locks")
    torch.unlink()
    assert "is missing or damaged" in one_sentence(seat.install(*offline, **nowhere))
    torch.write_bytes(content)
    done = seat.install(*offline, **nowhere)
    assert done.returncode == 0, done.stderr
    python = seat.folder / ".venv/bin/python"
    assert seat.run(python, "-c", "import networkx, torch; torch.cuda").returncode == 0

    torch.unlink()
    again = teacher.install("pass", "--wheelhouse", str(stick), **settings)
    assert again.returncode == 0, again.stderr
    assert torch.read_bytes() == content


def test_cpu_goes_with_a_folder(
    served_course: tuple[Course, dict[str, str]], tmp_path: Path
) -> None:
    teacher, settings = served_course
    stick = str(tmp_path / "stick")
    message = one_sentence(teacher.install(LINUX, "--cpu", "--wheelhouse", stick, **settings))
    assert message.startswith("PyTorch's builds for CPUs alone cannot be had from here")
    wheel(tmp_path / "own", "torch", "2.14.1+cpu", {"torch/__init__.py": "cuda = None"})
    settings["PIP_FIND_LINKS"] = str(tmp_path / "own/torch")
    filled = teacher.install(LINUX, "--cpu", "--wheelhouse", stick, **settings)
    assert filled.returncode == 0, filled.stderr
    assert "python install.py --cpu --offline DIR" in filled.stderr

    (tmp_path / "room").mkdir()
    seat = Course(tmp_path / "room")
    seat.lock.write_text(teacher.lock.read_text())
    assert "-cpu:" in one_sentence(seat.install(LINUX, "--offline", stick))
    done = seat.install(LINUX, "--cpu", "--offline", stick, UV_DEFAULT_INDEX="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    script = "import networkx, torch; assert torch.cuda is None"
    assert seat.run(seat.folder / ".venv/bin/python", "-c", script).returncode == 0


def test_a_folder_that_does_not_fit_is_told_before_anything_is_done(
    course: Course, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    for_another = stick / "plan9-vax-3.12"
    for_another.mkdir(parents=True)
    (for_another / "whole.json").write_text("{}")
    message = one_sentence(course.install("pass", "--offline", str(stick)))
    assert message.endswith("with `python install.py --wheelhouse DIR`.")
    assert "but for plan9-vax-3.12" in message
    assert "but none" in one_sentence(course.install("pass", "--offline", str(tmp_path)))
    fits = re.search(r"for (\S+), but", message)
    assert fits is not None
    for_another.rename(stick / fits[1])
    message = one_sentence(course.install("pass", "--offline", str(stick)))
    assert "was filled for another version of the course" in message
    assert not (course.folder / ".venv").exists()


def test_a_wheelhouse_is_filled_by_a_finished_installation(course: Course, tmp_path: Path) -> None:
    message = one_sentence(course.install("pass", "--wheelhouse", str(tmp_path / "stick")))
    assert message.startswith("Install the course here first")
    assert not (tmp_path / "stick").exists()


def test_a_stick_too_small_is_told_first(installed: Course, tmp_path: Path) -> None:
    small = "shutil.disk_usage = lambda _: shutil._ntuple_diskusage(9e8, 8e8, 1e8)"
    message = one_sentence(installed.install(small, "--wheelhouse", str(tmp_path)))
    assert "has too little room" in message
    assert not list(tmp_path.rglob("*.whl"))


def test_an_index_that_is_not_there_is_told(course: Course) -> None:
    message = one_sentence(course.install(NO_PIP, PIP_INDEX_URL="http://127.0.0.1:9/simple"))
    assert message.startswith("The package index cannot be reached")


def test_help_installs_nothing(course: Course) -> None:
    done = course.run(sys.executable, "install.py", "--help")
    assert done.returncode == 0
    assert "--wheelhouse DIR" in done.stdout
    assert not (course.folder / ".venv").exists()


def test_clean_never_deletes_the_learners_work(installed: Course) -> None:
    work = installed.folder / "my_labs/01_perceptron.ipynb"
    checkpoint = installed.folder / "my_labs/.ipynb_checkpoints/01_perceptron-checkpoint.ipynb"
    made = installed.folder / "build/executed/01_perceptron.ipynb"
    cache = installed.folder / "grading/__pycache__/check.pyc"
    for file in (work, checkpoint, made, cache):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    tools = os.environ["PATH"]
    assert installed.run(MAKE, "clean", PATH=tools).returncode == 0
    assert not made.exists()
    assert not cache.exists()
    assert (installed.folder / ".venv/bin/python").exists()
    assert installed.run(MAKE, "distclean", PATH=tools).returncode == 0
    assert not (installed.folder / ".venv").exists()
    assert work.read_text() == checkpoint.read_text() == "mine"


def test_help_is_the_default_and_lists_every_target(course: Course) -> None:
    done = course.run(MAKE, PATH=os.environ["PATH"])
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert re.findall(r"^make (\w+) +\S", done.stdout, re.MULTILINE) == phony[1].split()


# Versions


def pins(lines: list[str], python: str) -> dict[str, str]:
    """Package -> the version that these requirement lines pin for this Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found = [Requirement(line.rstrip(" \\")) for line in lines]
    return {
        pin.name: next(iter(pin.specifier)).version
        for pin in found
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def locked(python: str) -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    return pins([line for line in lines if re.match(r"[a-z0-9].*==", line)], python)


def direct(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    return [Requirement(text) for group in lists for text in group]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_has_every_dependency(python: str) -> None:
    versions = locked(python)
    wanted = direct("cluster", "test")
    missing = [str(r) for r in wanted if versions.get(r.name, "0") not in r.specifier]
    assert not missing, f"requirements.txt lacks {missing} for Python {python}: run `make lock`"


def test_conda_gets_the_versions_of_the_lock() -> None:
    text = (ROOT / "environment.yml").read_text("utf-8")
    python = re.search(r"python=(\S+)", text)
    assert python is not None
    versions = locked(python[1])
    listed = pins(re.findall(r"^ +- (\S+==.*)$", text, re.MULTILINE), python[1])
    assert listed == {r.name: versions[r.name] for r in direct()}, "run `make lock`"


# Tests and continuous integration


def test_ci_runs_the_readmes_test_command_and_fails_with_it(course: Course) -> None:
    shutil.copytree(ROOT / ".ci", course.folder / ".ci")
    (course.bin / "dirname").symlink_to(shutil.which("dirname") or "dirname")
    course.command("id", "echo 1000")
    course.command("make", 'echo "make $*"; exit 7')
    done = course.run(BASH, ".ci/run")
    assert done.returncode == 7
    not_installed, command = done.stdout.splitlines()
    assert not_installed.startswith("Not installed: chromium")
    assert command == "make test"


def pytest_on(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run a test file under the course's conftest.py, in a process of its own."""
    tests = folder / "tests"
    tests.mkdir()
    for name in ("__init__.py", "conftest.py", "needs.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    (tests / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", tests]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)


SKIPPED = """
import tests.needs
tests.needs.PROBES["tea"] = ((("no-such-kettle", "--version"),), "there is no kettle")

@tests.needs.needs("tea")
def test_one(): pass

@tests.needs.needs("tea")
def test_two(): pass
"""


def test_a_run_that_checked_nothing_fails(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, SKIPPED)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout


def test_the_last_lines_say_what_did_not_run(tmp_path: Path) -> None:
    own = """
def test_three(tmp_path_factory):
    import os
    assert os.environ["LAB_PROGRESS"].startswith(str(tmp_path_factory.getbasetemp()))
"""
    done = pytest_on(tmp_path, SKIPPED + own)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "Not run here: 2 tests: there is no kettle"
