"""What a submission can and cannot see and do in the sandbox; what there is where there is none.

Everything that isolates is tested for both ways to start a kernel, afresh and forked.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grading import sandbox
from grading.sandbox import (
    MB,
    Limits,
    SandboxUnavailable,
    borrow_zygote,
    launch,
    lend_zygote,
    open_kernel,
    view,
)
from tests.needs import needs
from tests.sandbox.sandboxes import NAMESPACE, REAL_PRELOADED, Inside, Open, run

pytest_plugins = ("tests.sandbox.fixtures",)
pytestmark = needs("bwrap")
ROOT = Path(__file__).parents[2]


# Who it is


def test_it_is_nobody_and_can_become_nobody_else(inside: Inside) -> None:
    status = dict(re.findall(r"(\w+):\t(.*)", inside("print(open('/proc/self/status').read())")))
    assert "0" not in (status["Uid"] + status["Gid"]).split()
    assert status["Groups"].strip() in ("", status["Gid"].split()[0], "65534")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    code = "import os\ntry: os.setuid(0)\nexcept OSError as error: print(error.strerror)"
    assert inside(code) in ("Operation not permitted", "Invalid argument")  # there is no user 0


def test_its_namespaces_are_its_own(inside: Inside) -> None:
    for kind in ("pid", "net", "mnt", "ipc", "uts"):
        assert inside(f"import os; print(os.readlink('/proc/self/ns/{kind}'))") != os.readlink(
            f"/proc/self/ns/{kind}"
        )
    assert inside("import os; print(os.uname().nodename)") == "sandbox"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("libc.unshare(0x10000000)", "EPERM"),  # a user namespace, with every capability in it
        ("libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)", "EPERM"),  # the same by clone
        ("libc.syscall(435, 0, 0)", "ENOSYS"),  # by clone3
        ("libc.mount(b'tmpfs', b'/sandbox', b'tmpfs', 0, None)", "EPERM"),
        ("libc.ptrace(16, 1, 0, 0)", "EPERM"),
        ("libc.syscall(310, 1, 0, 0, 0, 0, 0)", "EPERM"),  # reading another process's memory
        ("libc.memfd_create(b'hidden', 0)", "EPERM"),  # memory that no process is charged with
        ("libc.shmget(0, 4096, 0o1600)", "EPERM"),
        ("libc.socket(40, 1, 0)", "EAFNOSUPPORT"),  # vsock, which leads to the hypervisor
        ("libc.socket(17, 3, 0)", "EAFNOSUPPORT"),  # raw packets
        ("libc.syscall(425, 8, 0)", "EPERM"),  # io_uring
        ("libc.syscall(250, 0, 0)", "EPERM"),  # keys
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86-64's")
def test_forbidden_system_calls(inside: Inside, call: str, error: str) -> None:
    printed = inside(
        f"""
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        print({call}, errno.errorcode[ctypes.get_errno()])
        """
    )
    assert printed == f"-1 {error}"


def test_it_cannot_touch_its_first_process(inside: Inside) -> None:
    for file, mode in (("mem", "r+b"), ("environ", "rb"), ("maps", "rb")):
        code = f"try: open('/proc/1/{file}', '{mode}').read()\nexcept OSError as e: print('no')"
        assert inside(code) == "no"
    assert inside("import os, signal; os.kill(1, signal.SIGKILL); print('still here')")


# What it sees


def test_files(inside: Inside) -> None:
    visible = json.loads(
        inside(
            f"""
            import json, os
            seen = lambda path: sorted(os.listdir(path)) if os.path.isdir(path) else []
            print(json.dumps([seen({str(ROOT)!r}), seen({str(ROOT / "grading")!r}), seen('/'),
                              seen('/sandbox/work'), seen('/root'), seen('/home'), seen('/etc')]))
            """
        )
    )
    root, grading, top, work, home, homes, etc = visible
    assert set(root) <= {"grading", "utils", ".venv"}
    assert "checks" not in grading
    assert not [name for name in grading if name.startswith(("judge", "session", "kernels"))]
    assert not {"solutions", "var", "mnt", "opt", "srv", "sys", "boot"} & set(top)
    assert work == []
    assert ".ssh" not in home
    assert not homes or "home" in sys.base_prefix + str(ROOT)
    assert not {"shadow", "ssh", "ssl", "resolv.conf"} & set(etc)


def test_what_a_lab_imports_can_be_imported(inside: Inside) -> None:
    assert inside(
        "import utils.settings; from grading.check import checks; print(checks('01').lab)"
    )


def test_only_the_working_folders_can_be_written(inside: Inside) -> None:
    refused = inside(
        f"""
        import os
        for folder in ('/', '/etc', '/usr/bin', '/dev', {sys.prefix!r}, {sys.base_prefix!r},
                       {str(ROOT)!r}, {str(ROOT / "utils")!r}, {str(ROOT / "grading")!r}):
            try: open(os.path.join(folder, 'x'), 'w')
            except OSError as error: print(error.strerror)
        """
    ).splitlines()
    assert len(refused) == 9
    assert set(refused) <= {"Read-only file system", "Permission denied"}
    writable = "for f in ('.', '/sandbox/tmp', '/dev/shm'): open(f + '/mine', 'w')\nprint('done')"
    assert inside(writable) == "done"


def test_environment(open_sandbox: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "hidden-treasure")
    monkeypatch.setenv("LAB_SCALE", "smoke")
    kernel = open_sandbox()
    printed = run(
        kernel,
        """
        import glob, os
        print(dict(os.environ))
        for file in glob.glob('/proc/*/environ'):
            try: print(open(file).read())
            except PermissionError: pass
        """,
    ).ok()
    assert "hidden-treasure" not in printed
    assert "API_TOKEN" not in printed
    assert "'LAB_SCALE': 'smoke'" in printed
    assert "'GLOO_SOCKET_IFNAME': 'lo'" in printed


def test_data_can_be_read_and_not_written(open_sandbox: Open, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "digits.txt").write_text("3 1 4")
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent.name.startswith("pytest"):
            parent.chmod(0o755)
    kernel = open_sandbox(data=tmp_path)
    code = "import os; data = os.environ['LAB_DATA']; print(open(data + '/digits.txt').read())"
    assert run(kernel, code).ok() == "3 1 4"
    assert "Read-only" in run(kernel, "open(data + '/new', 'w')").error


def test_submission_is_copied_without_its_links(open_sandbox: Open, tmp_path: Path) -> None:
    secret, work = tmp_path / "secret", tmp_path / "submission"
    secret.write_text("hidden-treasure")
    (work / "folder").mkdir(parents=True)
    (work / "folder" / "helper.py").write_text("answer = 42\n")
    (work / "link").symlink_to(secret)
    (work / "everything").symlink_to("/")
    os.mkfifo(work / "pipe")
    kernel = open_sandbox(files=work)
    listed = "import os; print(sorted(os.path.join(d, f) for d, _, fs in os.walk('.') for f in fs))"
    assert run(kernel, listed).ok() == "['./folder/helper.py']"
    assert run(kernel, "from folder.helper import answer; print(answer)").ok() == "42"
    link = f"os.symlink({str(secret)!r}, 'mine'); print(open('mine').read())"
    assert "FileNotFoundError" in run(kernel, link).error
    assert (work / "folder" / "helper.py").read_text() == "answer = 42\n"


def test_too_large_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2 * MB))
    with pytest.raises(ValueError, match="is it the folder of one submission"):
        open_kernel(Limits(disk=MB), files=tmp_path)


# The network


def test_network(inside: Inside) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside, socket.socket(socket.AF_UNIX) as local:
        name = f"\0p2p-test-{os.getpid()}"
        local.bind(name)
        local.listen()
        printed = inside(
            f"""
            import socket, threading
            for target in (('127.0.0.1', {outside.getsockname()[1]}), ('8.8.8.8', 53)):
                try: socket.create_connection(target, timeout=5)
                except OSError as error: print(error.strerror)
            try: socket.socket(socket.AF_UNIX).connect({name!r})
            except OSError as error: print(error.strerror)
            print([name for _, name in socket.if_nameindex()])
            server = socket.create_server(('127.0.0.1', 0))
            socket.create_connection(server.getsockname()).sendall(b'loopback works')
            print(server.accept()[0].recv(100).decode(), socket.gethostbyname('localhost'))
            """
        )
    refused, unreachable, unknown, interfaces, loopback = printed.splitlines()
    assert (refused, unreachable) == ("Connection refused", "Network is unreachable")
    assert unknown == "Connection refused"
    assert interfaces == "['lo']"
    assert loopback == "loopback works 127.0.0.1"


def test_sandboxes_do_not_see_one_another(open_sandbox: Open) -> None:
    one, other = open_sandbox(), open_sandbox()
    port = run(
        one,
        """
        import os, pty, socket
        for folder in ('/sandbox/work', '/sandbox/tmp', '/dev/shm'):
            open(folder + '/mine', 'w').write('hidden-treasure')
        terminal = pty.openpty()
        server = socket.create_server(('127.0.0.1', 0))
        local = socket.socket(socket.AF_UNIX); local.bind('\\0mine'); local.listen()
        print(server.getsockname()[1])
        """,
    ).ok()
    printed = run(
        other,
        f"""
        import glob, os, socket
        places = ('/sandbox/*/mine', '/dev/shm/*', '/dev/pts/[0-9]*')
        print([found for place in places for found in glob.glob(place)])
        print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))
        for family, target in ((2, ('127.0.0.1', {port})), (socket.AF_UNIX, '\\0mine')):
            try: socket.socket(family).connect(target)
            except OSError as error: print(error.strerror)
        """,
    ).ok()
    assert printed.splitlines() == ["[]", "[1, 2]", "Connection refused", "Connection refused"]
    assert run(one, NAMESPACE).ok() != run(other, NAMESPACE).ok()


def test_its_sockets_lead_no_client_elsewhere(open_sandbox: Open, tmp_path: Path) -> None:
    kernel = open_sandbox()
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(tmp_path / "host"))
        host.listen()
        host.settimeout(2)
        swap = f"""
        import os
        for n in range(1, 6):
            os.unlink(f'/sandbox/kernel/k-{{n}}')
            os.symlink({str(tmp_path / "host")!r}, f'/sandbox/kernel/k-{{n}}')
        print('swapped')
        """
        assert run(kernel, swap).ok() == "swapped"
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(f"{kernel.client.ip}-1")
            with pytest.raises(TimeoutError):
                host.accept()


def test_socket_paths_are_short(
    open_sandbox: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("long" * 25)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    assert len(open_sandbox().client.ip) < 60


# The zygote


@pytest.mark.usefixtures("light_zygote")
def test_forks_share_nothing() -> None:
    one, other = open_kernel(fast=True), open_kernel(fast=True)
    try:
        draw = "import random, numpy; print(random.random(), numpy.random.rand())"
        assert run(one, draw).ok() != run(other, draw).ok()
        run(one, "import sys, numpy; numpy.pi = 3; sys.modules['torch'] = 'forged'").ok()
        see = "import sys, numpy; print(numpy.pi == 3, 'torch' in sys.modules)"
        assert run(other, see).ok() == "False False"
    finally:
        one.close()
        other.close()


def test_zygote_imports_what_labs_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PRELOADED", REAL_PRELOADED)
    kernel = open_kernel(fast=True, environment={"OMP_NUM_THREADS": "1"})
    try:
        assert "forked" in kernel.isolation
        printed = run(kernel, TWO_RANKS).ok()
        assert printed.splitlines() == ["['torch', 'matplotlib.pyplot']", "1", "3.0"]
    finally:
        kernel.close()


@pytest.mark.usefixtures("light_zygote")
def test_what_one_kernel_wants_imported_later_ones_have() -> None:
    look = "import sys; print([name for name in ('wave', 'colorsys') if name in sys.modules])"
    for wanted, had in ((), "[]"), (("wave",), "['wave']"), ((), "['wave']"):
        kernel = open_kernel(fast=True, imports=wanted)
        try:
            assert run(kernel, look).ok() == had
        finally:
            kernel.close()


TWO_RANKS = """
import os, sys
print([name for name in ('torch', 'matplotlib.pyplot') if name in sys.modules])
import torch
import torch.distributed as dist
print(torch.get_num_threads())
child = os.fork()
rank = 0 if child else 1
dist.init_process_group("gloo", init_method="file:///sandbox/tmp/store", rank=rank, world_size=2)
total = torch.ones(2, 2) @ torch.tensor([[rank + 1.0], [0.0]])
dist.all_reduce(total)
if not child:
    os._exit(0)
os.waitpid(child, 0)
print(total[0].item())
"""


@pytest.mark.usefixtures("light_zygote")
@pytest.mark.parametrize("lent", [True, False])
def test_one_zygote_serves_several_processes(monkeypatch: pytest.MonkeyPatch, lent: bool) -> None:
    """Another process's supervisor is one of its own; where none is lent, it starts a zygote."""
    own = lend_zygote(1) if lent else socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0]
    started = list[str]()
    launched = launch.launch
    open_kernel(fast=True).close()  # so that the lender has started what it starts
    monkeypatch.setattr(launch, "_supervisor", launch.Supervisor())
    monkeypatch.setattr(
        launch, "launch", lambda mode, *a: started.append(mode) or launched(mode, *a)
    )
    borrow_zygote(own)
    here = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, here[-1:])
    try:
        kernel = open_kernel(fast=True)
        assert "forked from a zygote" in kernel.isolation
        assert started == ([] if lent else ["zygote"])
        assert run(kernel, "import os; print(os.sched_getaffinity(0))").ok() == f"{{{here[-1]}}}"
        kernel.close()
    finally:
        os.sched_setaffinity(0, here)


@pytest.mark.usefixtures("light_zygote")
def test_a_zygote_is_lent_with_what_its_kernels_will_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lender = launch.Supervisor()
    monkeypatch.setattr(launch, "_supervisor", lender)
    own = lend_zygote(1, imports=["wave"])
    monkeypatch.setattr(launch, "_supervisor", launch.Supervisor())
    borrow_zygote(own)
    with closing(open_kernel(fast=True)) as kernel:
        assert "forked from a zygote" in kernel.isolation
        assert run(kernel, "import sys; print('wave' in sys.modules)").ok() == "True"


def test_zygote_that_cannot_fork_safely_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launch, "PRELOADED", ("no_such_module",))
    kernel = open_kernel(fast=True)
    assert "started afresh (no zygote: ModuleNotFoundError" in kernel.isolation
    assert run(kernel, "print(6 * 7)").ok() == "42"
    kernel.close()


# Where it cannot be had


def fake_bubblewrap(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bubblewrap that answers as the script says, in place of the real one."""
    (folder / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def _forget() -> Iterator[None]:
    caches = (view.problem, view._help, view._bubblewrap)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


HELP = 'case "$1" in --help) echo "--size --perms --as-pid-1 --ro-bind-data"; exit;; esac'


@pytest.mark.usefixtures("_forget")
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, r"bubblewrap, which is not installed: `apt install bubblewrap`"),
        ('echo "--perms --as-pid-1"', r"needs bubblewrap 0.7 or newer; \S+ has no --size"),
        (f"{HELP}; echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "uid map"),
        (f'{HELP}; echo "bwrap: Can\'t mount proc on /newroot/proc" >&2; exit 1', "masks"),
        (f"{HELP}; echo 'bwrap: execvp python: Permission denied' >&2; exit 1", "chmod -R a"),
    ],
)
def test_problems_have_a_remedy(
    script: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        fake_bubblewrap(tmp_path, script, monkeypatch)
    problem = sandbox.probe()
    assert problem is not None
    assert re.search(sentence, str(problem))
    assert "\n" not in str(problem)
    with pytest.raises(SandboxUnavailable, match=re.escape(str(problem))):
        open_kernel()


def test_the_solutions_are_never_shown() -> None:
    with pytest.raises(SandboxUnavailable, match="and with it the solutions"):
        open_kernel(data=ROOT)
    with pytest.raises(SandboxUnavailable, match="no folder /nowhere"):
        open_kernel(data=Path("/nowhere"))


# As somebody else


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tests as another user")
def test_as_an_ordinary_user() -> None:
    """The tests of who it is, what it sees, its end and two limits, run by an ordinary user."""
    base = Path(sys.base_prefix)
    closed = [folder for folder in reversed(base.parents) if not folder.stat().st_mode & 1]
    options = [
        part for folder in closed[:1] for part in ("--perms", "0755", "--tmpfs", str(folder))
    ]
    chosen = "nobody or namespaces or forbidden or files or written or one_another or outlives"
    command = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        *options,
        *view._bind(str(base)),
        "--",
        "setpriv",
        "--reuid=12345",
        "--regid=12345",
        "--clear-groups",
        "env",
        "HOME=/nonexistent",
        "LOGNAME=ordinary",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/sandbox/test_sandbox.py",
        "tests/sandbox/test_sandbox_limits.py",
        "-k",
        f"({chosen} or environment or killed or (leave and memory)) and not ordinary",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
