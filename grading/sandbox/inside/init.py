"""What runs first inside the sandbox: gives up what could be abused, then runs the kernel.

Started by `grading.sandbox`, never by hand, as process 1 of the sandbox; standard library only.

    python init.py session UID      one kernel, in the namespaces that bubblewrap made
    python init.py zygote UID ...   import these modules once, then fork a session, each in
                                    namespaces of its own, for every channel received
    python init.py probe UID        nothing, to see whether it can be done

File descriptor 0 is the channel to the outside, a socket that keeps messages apart. From outside:
the settings (JSON, with the submission as the descriptor of a tar file), then "go", "interrupt",
"cell limit". From inside: "hello", "ready", "busy", "idle", "exit CODE", "failed MESSAGE". Once
student code runs, what comes from inside is a claim; the outside relies on it for nothing.
"""

import ctypes
import fcntl
import functools
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules belong to the package

from grading.sandbox.inside.limits import Limits, sentence
from grading.sandbox.inside.seccomp import forbid_system_calls

ROOT = "/sandbox"  # the one writable file system
WORK, HOME, TEMPORARY, KERNEL = (f"{ROOT}/{name}" for name in ("work", "home", "tmp", "kernel"))
SOCKETS = f"{KERNEL}/k"  # the kernel's five sockets are SOCKETS-1 to SOCKETS-5
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}

_libc = ctypes.CDLL(None, use_errno=True)

# From linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h.
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x08000000, 0x10000000, 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
CAPABILITY_VERSION_3 = 0x20080522
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def main(mode: str, uid: int, *modules: str) -> NoReturn:
    if mode == "probe":
        lay_out(uid)
        give_up_privileges(uid)
        forbid_system_calls(gpu=False)
        os._exit(0)
    channel = socket.socket(fileno=os.dup(0))
    try:
        lay_out(uid)
        if mode == "zygote":
            zygote(channel, uid, modules)
        give_up_privileges(uid)
        end_with_parent()
        session(channel, *receive(channel))
    except BaseException as error:
        traceback.print_exc()
        channel.send(f"failed {type(error).__name__}: {error}".encode()[:4000])
        os._exit(1)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The session's settings and the descriptor of its submission, if it has one."""
    message, files, _, _ = socket.recv_fds(channel, 1 << 16, 1)
    if not message:
        os._exit(0)  # nobody wants this session any more
    return json.loads(message), files


def session(channel: socket.socket, settings: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Run one kernel to its end, as process 1 of namespaces that are already in place."""
    limits = Limits(**settings["limits"])
    for file in files:
        unpack(file)
    limit_resources(limits, settings["gpu"])
    os.sched_setaffinity(0, settings["processors"])
    _prctl(PR_SET_DUMPABLE, 0)  # the kernel has the same user: it must not write to this process
    channel.send(b"hello")
    if channel.recv(16) != b"go":
        os._exit(0)
    forbid_system_calls(gpu=settings["gpu"])
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    kernel = os.fork()
    if kernel == 0:
        run_kernel(channel, settings, limits)
    attend(channel, kernel)


def attend(channel: socket.socket, kernel: int) -> NoReturn:
    """Pass signals on to the kernel and bury the dead, until the kernel or the outside has gone.

    When this process ends, so does everything else in its PID namespace.
    """
    wake, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(alarm)
    while True:
        while (ended := _reap()) is not None:
            if ended[0] == kernel:
                channel.send(b"exit %d" % os.waitstatus_to_exitcode(ended[1]))
                os._exit(0)
        readable, _, _ = select.select([channel, wake], [], [])
        if wake in readable:
            os.read(wake, 1024)
        if channel in readable:
            message = channel.recv(64)
            if not message:
                os._exit(0)
            passed_on = {b"interrupt": signal.SIGINT, b"cell limit": signal.SIGUSR1}
            os.kill(kernel, passed_on[message])


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


# The kernel


def run_kernel(channel: socket.socket, settings: dict[str, Any], limits: Limits) -> NoReturn:
    """Run ipykernel on the sandbox's sockets; tells the outside when they are there."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _prctl(PR_SET_DUMPABLE, 1)
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # where the machine runs out of memory, this goes first
        os.setsid()
        os.chdir(WORK)
        os.environ.clear()
        os.environ.update(settings["env"])
        start_afresh()
        connection = f"{KERNEL}/connection.json"
        with open(connection, "w") as file:
            json.dump(
                {
                    **PORTS,
                    "transport": "ipc",
                    "ip": SOCKETS,
                    "key": settings["key"],
                    "signature_scheme": "hmac-sha256",
                },
                file,
            )
        sys.argv = ["kernel", "-f", connection, "--HistoryManager.hist_file=:memory:"]
        app = kernel_app()
        app.initialize(sys.argv[1:])
        show_figures(app.shell)
        report_cells(app.kernel, channel)
        explain_limits(app.shell, limits)
        channel.send(b"ready")
        app.start()
        code = 0
    except BaseException as error:
        channel.send(f"failed {type(error).__name__}: {error}".encode()[:4000])
    finally:
        os._exit(code)


def kernel_app() -> Any:
    """ipykernel's application, without the thread that passes each message of the shell on.

    It serves subshells, which nobody opens here, and each request would take twice as long.
    """
    from ipykernel.kernelapp import IPKernelApp

    class App(IPKernelApp):
        def init_control(self, context: Any) -> None:
            super().init_control(context)
            self.shell_channel_thread = None

    return App.instance()


def start_afresh() -> None:
    """Undo what a process shares with the one it was forked from and a fresh one would not.

    torch's generator has one fixed seed in every fresh process and has it here.
    """
    tempfile.tempdir = None
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules and "OMP_NUM_THREADS" in os.environ:  # it was read at the import
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def show_figures(shell: Any) -> None:
    """Make figures pictures: matplotlib's backend, imported before this shell, knows of none."""
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:
        inline.configure_inline_support(shell, "module://matplotlib_inline.backend_inline")


def report_cells(kernel: Any, channel: socket.socket) -> None:
    """Tell the outside when a request begins and ends, so that it can measure its time."""
    dispatch = kernel.dispatch_shell

    @functools.wraps(dispatch)
    async def dispatch_shell(*args: Any, **kwargs: Any) -> Any:
        channel.send(b"busy")
        try:
            return await dispatch(*args, **kwargs)
        finally:
            channel.send(b"idle")

    kernel.dispatch_shell = dispatch_shell


def explain_limits(shell: Any, limits: Limits) -> None:
    """Let an error that comes of a limit name the limit, in the notebook's own output."""
    over_time = False

    def end_cell(*_: object) -> None:
        nonlocal over_time
        over_time = True
        signal.raise_signal(signal.SIGINT)

    def show(shell: Any, kind: type, error: BaseException, tb: Any, tb_offset: Any = None) -> None:
        nonlocal over_time
        if over_time and isinstance(error, KeyboardInterrupt):
            error.args = (sentence("cell_seconds", limits.cell_seconds),)
            over_time = False
        elif limit := limit_behind(error):
            error.add_note(sentence(limit, getattr(limits, limit)))
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset, running_compiled_code=True)

    signal.signal(signal.SIGUSR1, end_cell)
    shell.set_custom_exc((OSError, MemoryError, RuntimeError, KeyboardInterrupt), show)


def limit_behind(error: BaseException) -> str | None:
    """The name of the limit that makes Python, NumPy or torch raise this error, if one does."""
    import errno

    if isinstance(error, OSError):
        return {
            errno.EFBIG: "file_size",
            errno.EMFILE: "open_files",
            errno.ENOSPC: "disk",
            errno.EAGAIN: "processes",
            errno.ENOMEM: "memory",
        }.get(error.errno or 0)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "memory"
    return "processes" if "can't start new thread" in str(error) else None


# Giving up


def lay_out(uid: int) -> None:
    """Make the folders of the writable file system, for the user who will run the kernel."""
    for folder in (ROOT, WORK, HOME, TEMPORARY, KERNEL):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.getuid() != uid:
            os.chown(folder, uid, uid)


def give_up_privileges(uid: int) -> None:
    """Become the ordinary user `uid`, without capabilities or a way to regain any."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    capability = 0
    while _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1  # until the last one; at once where this process may not (and has none)
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def end_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user undoes bubblewrap's own


def limit_resources(limits: Limits, gpu: bool) -> None:
    """Set the limits that the system keeps for each process (processes: for the sandbox's user).

    The sum over all processes is watched from outside.
    """
    settings = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_FSIZE: limits.file_size,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_CPU: int(limits.cpu_seconds) + 2,
    }
    if not gpu:  # the GPU's driver reserves far more address space than it uses
        settings[resource.RLIMIT_DATA] = inherited_memory() + limits.memory
    for kind, value in settings.items():
        resource.setrlimit(kind, (value, value))


def inherited_memory() -> int:
    """Bytes of data that this process has already, from the zygote if there is one."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def unpack(file: int) -> None:
    """Unpack the submission into the working folder."""
    import tarfile

    with os.fdopen(file, "rb") as stream, tarfile.open(fileobj=stream) as archive:
        # Filters came with Python 3.11.4; the archive is our own, of files and folders alone.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(WORK, filter="data")
        else:
            archive.extractall(WORK)


# The zygote


def zygote(control: socket.socket, uid: int, modules: Sequence[str]) -> NoReturn:
    """Import once, then fork a session for every channel that arrives; runs no student code.

    It holds no secret: its environment is the sandbox's, it has read only libraries.
    """
    if os.getuid() != uid:
        # bubblewrap, run by root, covers parts of /proc; over them no child could mount its own.
        _mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    give_up_privileges(uid)
    end_with_parent()
    hold(modules)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not message:
            os._exit(0)
        hold(message.decode().split()[1:])
        if os.fork() == 0:
            control.close()
            fork_session(socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])


def hold(modules: Sequence[str]) -> None:
    """Import modules, so that every session from now on has them."""
    if all(module in sys.modules for module in modules):
        return
    for module in modules:
        importlib.import_module(module)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a module started a thread when it was imported; fork would lose it")
    gc.collect()
    gc.freeze()  # so that the collector in a child does not copy what the parent imported


def fork_session(channel: socket.socket) -> NoReturn:
    """In a child of the zygote: enter fresh namespaces and run a session in them."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        settings, files = receive(channel)
        isolate(settings["limits"]["disk"])
        lay_out(os.getuid())
        give_up_privileges(os.getuid())
        session(channel, settings, files)
    except BaseException as error:
        channel.send(f"failed {type(error).__name__}: {error}".encode()[:4000])
        os._exit(1)


def isolate(disk: int) -> None:
    """Enter fresh namespaces, empty writable file systems and a loopback, as their process 1.

    The view of the files stays the zygote's, read-only; what is mounted here can be undone only
    with capabilities in the namespace, which the session gives up.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = (
        CLONE_NEWUSER
        | CLONE_NEWNS
        | CLONE_NEWPID
        | CLONE_NEWNET
        | CLONE_NEWIPC
        | CLONE_NEWUTS
        | CLONE_NEWCGROUP
    )
    _check(_libc.unshare(flags), "unshare")
    _prctl(PR_SET_DUMPABLE, 1)  # a change of user cleared it; without it the maps are not ours
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    if os.fork():
        os._exit(0)  # only a child is inside the new PID namespace
    quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount("proc", "/proc", quiet)
    _mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    _mount("tmpfs", ROOT, MS_NOSUID | MS_NODEV, f"size={disk},mode=0755")
    _mount("tmpfs", "/dev/shm", quiet, f"size={disk},mode=1777")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sH14x", b"lo", 0)
        (state,) = struct.unpack("16xH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, name))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", state | IFF_UP))


def _mount(kind: str, where: str, flags: int, options: str = "") -> None:
    result = _libc.mount(
        kind.encode(), where.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _check(result, f"mounting {where}")


def _prctl(option: int, argument: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
