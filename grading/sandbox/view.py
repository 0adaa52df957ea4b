"""What a sandbox sees: bubblewrap's command line, and what stands in its way on this machine."""

import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from grading.sandbox.inside import seccomp
from grading.sandbox.inside.init import HOME, ROOT, TEMPORARY

# Of this package: what may stand beside student code, the door to it, and what runs first inside.
# Neither the checks nor the judge; nor sandbox/__init__, so that inside it is a mere folder.
MOUNTED = ("__init__.py", "check.py", "answer", "sandbox/inside")
_SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_LINKED = ("/bin", "/lib", "/lib64")
_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_GPU_DEVICES, _GPU_FILES = "nvidia*", ("/sys", "/usr/local/nvidia")
# matplotlib brings its own fonts, but asks for the system's, and a complaint is output.
_NO_FONTS = '<fontconfig><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n'
# What of the caller's environment a notebook may know.
_PASSED_ON = ("LAB_SCALE", "NBGRADER_EXECUTION", "NBGRADER_VALIDATING", "OMP_NUM_THREADS", "TZ")
_NEEDED = ("--size", "--perms", "--as-pid-1", "--ro-bind-data")
_ORDINARY_UID, _NOBODY, _FIRST_UID = 1000, 65534, 0x40000000
_CAP_SYS_ADMIN = 21
_sandboxes = itertools.count()


class SandboxUnavailable(RuntimeError):
    """There can be no sandbox on this machine; the message says why and how to get it."""


def command(
    mode: str, modules: Sequence[str], *, data: Path | None, gpu: bool, disk: int
) -> tuple[list[str], list[int]]:
    """The command that runs `init` under bubblewrap, and descriptors for it to inherit.

    Run by root, the sandbox is made by root and its process then becomes a user that nobody else
    is; run by an ordinary user, it is made in a user namespace and is that user outside, so the
    limit on processes counts for each sandbox alone in either case. Raises SandboxUnavailable.
    """
    uid = _uid()
    package = Path(__file__).parents[1]
    utils = package.parent / "utils"
    shown = [*_interpreter(), str(utils), *([str(data)] if data else [])]
    if (package.parent / "solutions").is_dir():  # a checkout of the course, not an installation
        _keep_apart(package.parent, shown)
    passwd = f"learner:x:{uid}:{uid}::{HOME}:/bin/sh\n"
    texts = {
        "/etc/passwd": passwd,
        "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "/etc/fonts/fonts.conf": _NO_FONTS,
    }
    descriptors = [_readable(text) for text in texts.values()]

    options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    options += ["--unshare-cgroup-try", "--die-with-parent", "--as-pid-1"]
    options += ["--hostname", "sandbox", "--chdir", "/", "--clearenv"]
    if not _is_root():
        options += ["--unshare-user", "--uid", str(uid), "--gid", str(uid)]
        if mode != "zygote" and "--disable-userns" in _help():
            options.append("--disable-userns")
    environment = _environment(data)
    if mode == "zygote":
        environment["OPENBLAS_NUM_THREADS"] = "1"  # no thread may run when it forks
    for name, value in environment.items():
        options += ["--setenv", name, value]
    options += ["--proc", "/proc", "--dev", "/dev"]
    options += ["--perms", "1777", "--size", str(disk), "--tmpfs", "/dev/shm"]
    options += _devices() if gpu else []
    options += ["--remount-ro", "/dev"]
    options += ["--perms", "0755", "--size", str(disk), "--tmpfs", ROOT]
    for path in _SYSTEM:
        options += _bind(path)
    for path in _LINKED:
        options += ["--symlink", os.readlink(path), path] if os.path.islink(path) else _bind(path)
    for path in (*_FILES, *shown, *(_GPU_FILES if gpu else ())):
        options += _bind(path)
    if not any(path.startswith("/tmp/") for path in [*shown, str(package)]):
        options += ["--symlink", TEMPORARY, "/tmp"]
    options += [*_parents(package / "x"), "--perms", "0755", "--tmpfs", str(package)]
    for name in MOUNTED:
        options += ["--ro-bind", str(package / name), str(package / name)]
    options += ["--remount-ro", str(package), *_parents("/etc/fonts/x")]
    for path, descriptor in zip(texts, descriptors, strict=True):
        options += ["--perms", "0444", "--ro-bind-data", str(descriptor), path]
    options += ["--remount-ro", "/"]
    script = str(package / "sandbox" / "inside" / "init.py")
    program = [sys.executable, script, mode, str(uid), *modules]
    return [_bubblewrap(), *options, "--", *program], descriptors


def _keep_apart(course: Path, shown: Iterable[str]) -> None:
    """Raises SandboxUnavailable if the course, with its solutions, lies in a folder shown."""
    for folder in shown:
        if course.resolve().is_relative_to(Path(folder).resolve()):
            raise SandboxUnavailable(
                f"The course in {course} lies inside {folder}, which submissions may read, and with"
                " it the solutions: move the course or that folder."
            )


def session_environment(data: Path | None, caller: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a kernel; of the caller's, only what a lab needs."""
    passed_on = {name: caller[name] for name in _PASSED_ON if name in caller}
    return _environment(data) | passed_on


@functools.cache
def problem() -> str | None:
    """What stands in the way of a sandbox here, and how to remove it, in one sentence."""
    if sys.platform != "linux" or not seccomp.supported():
        return (
            "The sandbox needs Linux on x86-64 or arm64: grade in a Linux virtual machine or on a"
            " Linux server."
        )
    if shutil.which("bwrap") is None:
        return (
            "The sandbox needs bubblewrap, which is not installed: `apt install bubblewrap`,"
            " `dnf install bubblewrap` or `conda install -c conda-forge bubblewrap`."
        )
    if missing := [option for option in _NEEDED if option not in _help()]:
        return (
            f"The sandbox needs bubblewrap 0.7 or newer; {_bubblewrap()} has no {missing[0]}:"
            " `conda install -c conda-forge bubblewrap`."
        )
    if os.geteuid() == 0 and not _is_root():
        return (
            "The sandbox cannot be made by a root without CAP_SYS_ADMIN (a container's): run as"
            " an ordinary user, or start the container with --cap-add SYS_ADMIN --security-opt"
            " seccomp=unconfined --security-opt apparmor=unconfined."
        )
    return _failure()


def _failure() -> str | None:
    """Make a sandbox for nothing, and say what it dies of."""
    try:
        options, descriptors = command("probe", (), data=None, gpu=False, disk=1 << 20)
    except SandboxUnavailable as error:
        return str(error)
    try:
        tried = subprocess.run(
            options,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "The sandbox needs bubblewrap, which did not answer within a minute: try it by hand."
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if tried.returncode == 0:
        return None
    return diagnosis(tried.stderr)


def said(stderr: bytes) -> str:
    """The end of what a program wrote, on one line."""
    return " ".join(stderr.decode(errors="replace").split())[-300:] or "nothing"


def diagnosis(stderr: bytes) -> str:
    """Why bubblewrap or the interpreter failed, and what to do, from what they wrote."""
    words = said(stderr)
    if re.search(r"execvp|can't open file|ModuleNotFoundError|PermissionError", words):
        return (
            f"The sandbox cannot run {sys.executable}: its user must be able to read the"
            f" interpreter and its packages (`chmod -R a+rX {sys.prefix}`); it said: {words}."
        )
    if "proc" in words and "mount" in words:
        return (
            "The sandbox cannot mount /proc, which this container masks: start the container with"
            f" --security-opt systempaths=unconfined; bubblewrap said: {words}."
        )
    return f"The sandbox cannot be made: {_remedy()}; bubblewrap said: {words}."


def _remedy() -> str:
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor keeps ordinary users from making namespaces; an administrator can allow it"
            " with `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return (
            "ordinary users may not make namespaces; an administrator can allow it with"
            " `sysctl -w kernel.unprivileged_userns_clone=1`"
        )
    if _sysctl("user/max_user_namespaces") == "0":
        return (
            "user namespaces are off; an administrator can allow them with"
            " `sysctl -w user.max_user_namespaces=10000`"
        )
    return (
        "namespaces are refused; a container needs --security-opt seccomp=unconfined --security-opt"
        " apparmor=unconfined --security-opt systempaths=unconfined"
    )


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except FileNotFoundError:
        return None


def _is_root() -> bool:
    """Whether bubblewrap can do without a user namespace: uid 0, with the capability for it."""
    if os.geteuid() != 0:
        return False
    found = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> _CAP_SYS_ADMIN & 1)


def _uid() -> int:
    """The user inside. Under root one that no other sandbox has, where there are so many."""
    if not _is_root():
        return _ORDINARY_UID
    own = _FIRST_UID + os.getpid() % 2**22 * 256 + next(_sandboxes) % 256
    mapped = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    exists = any(int(first) <= own < int(first) + int(count) for first, _, count in mapped)
    return own if exists else _NOBODY


@functools.cache
def _bubblewrap() -> str:
    return shutil.which("bwrap") or "bwrap"


@functools.cache
def _help() -> str:
    asked = subprocess.run([_bubblewrap(), "--help"], capture_output=True, text=True, check=False)
    return asked.stdout + asked.stderr


@functools.cache
def _interpreter() -> list[str]:
    """The folders that Python is in: the environment first, then the installation behind it."""
    linked = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    through = [
        os.path.dirname(os.path.dirname(os.path.abspath(step))) for step in _links(sys.executable)
    ]
    folders = [sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix), *through, linked]
    return list(dict.fromkeys(folder for folder in folders if folder not in ("/usr", "/")))


def _links(path: str) -> Iterable[str]:
    """The files that a symbolic link leads through, the last one not a link."""
    while os.path.islink(path):
        path = os.path.join(os.path.dirname(path), os.readlink(path))
        yield path


def _environment(data: Path | None) -> dict[str, str]:
    found = {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": HOME,
        "TMPDIR": TEMPORARY,
        "USER": "learner",
        "LOGNAME": "learner",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "TRITON_INTERPRET": "1",  # read when triton is imported, as torch._dynamo does
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{HOME}/matplotlib",
    }
    return found | ({"LAB_DATA": str(data)} if data else {})


def _devices() -> list[str]:
    found = sorted(Path("/dev").glob(_GPU_DEVICES))
    return [part for path in found for part in ("--dev-bind", str(path), str(path))]


def _bind(path: str) -> list[str]:
    """Show a path of this machine in the sandbox, read-only, if there is such a path."""
    return [*_parents(path), "--ro-bind", path, path] if os.path.exists(path) else []


def _parents(path: str | Path) -> list[str]:
    """bubblewrap, run by root, would keep others out of the folders it makes on the way."""
    folders = [str(folder) for folder in reversed(Path(path).parents)][1:]
    return [part for folder in folders for part in ("--perms", "0755", "--dir", folder)]


def _readable(text: str) -> int:
    """A descriptor to read a short text from."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return read
