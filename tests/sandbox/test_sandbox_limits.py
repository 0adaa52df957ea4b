"""What ends a sandbox, or a call in it, and what is left; its use by the kernel's name."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from grading import sandbox
from grading.sandbox import MB, Limits, launch
from grading.sandbox.inside.limits import sentence
from tests.needs import needs
from tests.sandbox.sandboxes import NAMESPACE, PATIENCE, Namespace, Open, run, until

pytest_plugins = ("tests.sandbox.fixtures",)
pytestmark = needs("bwrap")
ROOT = Path(__file__).parents[2]


# Limits


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"memory": 700 * MB}, "x = bytearray(2 * 2**30)"),
        ({"file_size": MB}, "open('x', 'wb').write(bytes(2 * 2**20))"),
        ({"disk": 2 * MB}, "for n in range(9): open(str(n), 'wb').write(bytes(2**20))"),
        ({"open_files": 64}, "files = [open('/dev/null') for _ in range(99)]"),
        (
            {"processes": 40},
            "import threading, time\nfor _ in range(60):\n"
            "  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        ),
        ({"processes": 40}, "import os, time\nfor _ in range(60):\n  os.fork() or time.sleep(60)"),
        ({"cell_seconds": 1}, "import time; time.sleep(60)"),
        ({"cell_seconds": 1}, "while True: pass"),
    ],
)
def test_limits_that_leave_the_kernel(
    open_sandbox: Open, limits: dict[str, Any], code: str
) -> None:
    """The student's own call fails, with an error that names the limit."""
    kernel = open_sandbox(Limits(**limits))
    answer = run(kernel, code)
    ((name, value),) = limits.items()
    assert sentence(name, value) in answer.error
    assert run(kernel, "print(6 * 7)").ok().endswith("42")
    assert kernel.stopped_by is None


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (
            {"memory": 700 * MB},
            "import os, time\nfor _ in range(3): os.fork()\n"
            "x = bytearray(200 * 2**20); time.sleep(60)",
        ),
        ({"disk": MB}, "for n in range(900): open(str(n), 'w')\nimport time; time.sleep(60)"),
        ({"output": MB}, "while True: print('x' * 1000)"),
        ({"output": MB}, "import os\nwhile True: os.write(1, b'x' * 1000)"),
        ({"cpu_seconds": 2}, "while True: pass"),
        (
            {"cpu_seconds": 2},
            "import os\nos.fork(); os.fork()\nwhile True: pass",
        ),
        (
            {"cell_seconds": 1},
            "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\nwhile True: pass",
        ),
        ({"wall_seconds": 2}, "import time; time.sleep(60)"),
        ({"idle_seconds": 2}, "import time; time.sleep(60)"),
        (
            {"idle_seconds": 2},
            "import subprocess; subprocess.run(['sleep', '60'])",
        ),
    ],
)
def test_limits_that_end_the_kernel(open_sandbox: Open, limits: dict[str, Any], code: str) -> None:
    kernel = open_sandbox(Limits(**limits))
    assert not run(kernel, code).alive
    ((name, value),) = limits.items()
    assert kernel.stopped_by is not None
    assert kernel.stopped_by.limit == name
    assert kernel.reason() == sentence(name, value)


def test_work_is_not_idle(open_sandbox: Open) -> None:
    kernel = open_sandbox(Limits(idle_seconds=1))
    run(kernel, "import time\nend = time.time() + 3\nwhile time.time() < end: pass").ok()
    run(
        kernel,
        "import subprocess, sys\n"
        "work = 'import time; end = time.time() + 2\\nwhile time.time() < end: pass'\n"
        "assert subprocess.run([sys.executable, '-c', work]).returncode == 0",
    ).ok()
    time.sleep(2)  # between cells it may wait
    assert run(kernel, "1 + 1").ok() == "2"


def test_a_cell_has_its_time_though_its_neighbours_take_the_processors(open_sandbox: Open) -> None:
    """What counts is the time in which it could compute, up to four times of it on the clock."""
    kernel = open_sandbox(Limits(cell_seconds=3))
    spin = [sys.executable, "-c", "while True: pass"]
    neighbours = [subprocess.Popen(spin) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        work = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass"
        run(kernel, work).ok()
        assert kernel.starved_seconds > 0
        answer = run(kernel, "while True: pass")
        assert sentence("cell_seconds", 3) in answer.error
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def test_raw_flood_on_the_output_socket_is_counted(open_sandbox: Open) -> None:
    """Output that bypasses the kernel's own code, and is no message, counts as well."""
    kernel = open_sandbox(Limits(output=MB))
    garbage = "[b'x' * 100_000]"
    kernel.client.execute(
        f"while True: get_ipython().kernel.iopub_socket.send_multipart({garbage})"
    )
    until(lambda: not kernel.alive())
    assert kernel.stopped_by is not None
    assert kernel.stopped_by.limit == "output"


@pytest.mark.parametrize("limits", [{"processes": 3}, {"open_files": 12}, {"disk": 1}])
def test_too_little_to_start_with(open_sandbox: Open, limits: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="The sandboxed kernel did not start: "):
        open_sandbox(Limits(**limits))


def test_sentences_name_the_limit_and_its_size() -> None:
    said = sentence("memory", 1536 * MB)
    assert said == "The sandbox's limit on memory, 1.5 GB for all processes together, was reached."
    assert "300 seconds" in sentence("cell_seconds", 300)
    assert "256 MB" in sentence("file_size", 256 * MB)
    assert ", 64, " in sentence("open_files", 64)


# Its end


def test_interrupt_reaches_the_kernel_and_only_the_kernel(open_sandbox: Open) -> None:
    kernel = open_sandbox()
    run(kernel, "import subprocess; other = subprocess.Popen(['sleep', '60'])").ok()
    endless = "print('busy', flush=True)\nwhile True: pass"
    request = kernel.client.execute(endless, stop_on_error=False)  # or it aborts the next, too
    until(lambda: kernel.client.get_iopub_msg(timeout=PATIENCE)["content"].get("text") == "busy\n")
    kernel.interrupt()
    reply = kernel.client.get_shell_msg(timeout=PATIENCE)
    while reply["parent_header"]["msg_id"] != request:
        reply = kernel.client.get_shell_msg(timeout=PATIENCE)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(kernel, "other.poll() is None").ok() == "True"


def test_nothing_outlives_it(open_sandbox: Open) -> None:
    kernel = open_sandbox()
    daemon = (
        "import subprocess; p = subprocess.Popen('setsid sleep 600 & setsid sleep 600', shell=True)"
    )
    with Namespace(run(kernel, NAMESPACE).ok()) as namespace:
        run(kernel, daemon).ok()
        until(lambda: len(namespace.members()) >= 4)
        kernel.close()
        assert namespace.members() == []
    assert not os.path.exists(os.path.dirname(kernel.client.ip))


def test_fork_bomb(open_sandbox: Open) -> None:
    kernel = open_sandbox(Limits(processes=60, cell_seconds=2))
    bomb = "while True:\n  try: os.fork()\n  except OSError: pass"
    with Namespace(run(kernel, NAMESPACE).ok()) as namespace:
        run(kernel, bomb)
        until(lambda: not kernel.alive())
        assert kernel.stopped_by is not None
        assert kernel.stopped_by.limit in ("cell_seconds", "processes")
        assert namespace.members() == []


def test_processes_that_fill_the_sandbox_end_it_only_after_an_interrupt(open_sandbox: Open) -> None:
    kernel = open_sandbox(Limits(processes=60))
    fill = """
    import os, time
    while True:
        try:
            if not os.fork(): time.sleep(600)
        except OSError:
            break
    print('full')
    """
    kernel.interrupt()
    run(kernel, "import time; time.sleep(1)")  # meets the interrupt, if it is on its way still
    assert run(kernel, "print(1)").ok() == "1"  # few processes: an interrupt alone ends nothing
    run(kernel, fill)
    until(lambda: not kernel.alive())
    assert kernel.stopped_by is not None
    assert kernel.stopped_by.limit == "processes"
    patient = open_sandbox(Limits(processes=60))
    assert run(patient, fill).ok() == "full"
    assert run(patient, "import time; time.sleep(1); print(1)").ok() == "1"
    patient.interrupt()
    until(lambda: not patient.alive())
    assert patient.stopped_by is not None
    assert patient.stopped_by.limit == "processes"


def test_what_one_starts_leaves_room_for_another(open_sandbox: Open) -> None:
    """The limit on processes is each sandbox's own."""
    one, other = open_sandbox(Limits(processes=60)), open_sandbox(Limits(processes=60))
    fill = """
    import os, time
    try:
        while os.fork(): pass
        time.sleep(60)
    except OSError:
        print('full')
    """
    assert run(one, fill).ok() == "full"
    twenty = "import subprocess; subprocess.call('true' + ' | true' * 20, shell=True)"
    assert run(other, twenty).ok() == "0"


TABLES = """
import mmap
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
areas = [mmap.mmap(-1, 2**30, prot=mmap.PROT_READ, flags=private) for _ in range(400)]
for area in areas:
    for start in range(0, 2**30, 2**21):
        area[start]
"""
SOCKETS = "import socket, time; many = [socket.socketpair() for _ in range(450)]; time.sleep(60)"


@pytest.mark.parametrize("code", [TABLES, SOCKETS])
def test_memory_that_is_in_no_process_counts(open_sandbox: Open, code: str) -> None:
    """Page tables and sockets hold it."""
    kernel = open_sandbox(Limits(memory=300 * MB))
    assert not run(kernel, code).alive
    assert kernel.stopped_by is not None
    assert kernel.stopped_by.limit == "memory"


def test_kernel_that_ends_itself(open_sandbox: Open) -> None:
    kernel = open_sandbox()
    assert not run(kernel, "import os; os._exit(3)").alive
    assert kernel.stopped_by is None
    assert kernel.reason() == ""


def test_forged_messages_to_the_outside(open_sandbox: Open) -> None:
    """The channel that tells of cells is within reach: what it says must break nothing outside."""
    kernel = open_sandbox(Limits(cell_seconds=1, output=MB))
    find = """
    import os, socket, stat, threading, time
    channels = [n for n in map(int, os.listdir('/proc/self/fd'))
                if os.path.exists(f'/proc/self/fd/{n}') and stat.S_ISSOCK(os.fstat(n).st_mode)]
    channels = [socket.socket(fileno=os.dup(n)) for n in channels]
    channel, = [c for c in channels if c.type == socket.SOCK_SEQPACKET]
    for message in (b'exit nonsense', b'hello', b'ready', b'failed', b'x' * 4000):
        channel.send(message)
    socket.send_fds(channel, [b'busy'], [0, 1, 2])
    """
    before = len(os.listdir("/proc/self/fd"))
    assert run(kernel, find).alive
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not run(kernel, "while True: channel.send(b'idle')").alive
    assert kernel.stopped_by is not None
    kernel.close()


@pytest.mark.parametrize("last", ["b'exit nonsense'", "b'exit 99999999999'", "b''"])
def test_forged_last_words(open_sandbox: Open, last: str) -> None:
    kernel = open_sandbox()
    forge = f"""
    import os, socket, stat
    for n in range(3, 99):
        try:
            if stat.S_ISSOCK(os.fstat(n).st_mode):
                found = socket.socket(fileno=n)
                if found.type == socket.SOCK_SEQPACKET:
                    found.send({last})
        except OSError: pass
    os._exit(0)
    """
    assert not run(kernel, forge).alive
    assert kernel.stopped_by is None


LAUNCHER = """
import sys, time
from grading import sandbox
from grading.sandbox import launch
launch.PRELOADED = ("ipykernel.kernelapp",)
kernel = sandbox.open_kernel(fast=sys.argv[1] == "True")
kernel.client.execute("open('/sandbox/work/x', 'w').write('x'); import time; time.sleep(600)")
print(kernel._session._first, kernel.client.ip, flush=True)
time.sleep(600)
"""


def test_launcher_killed(forked: bool) -> None:
    """What a killed program leaves is one folder with sockets, which the next one removes."""
    command = [sys.executable, "-c", LAUNCHER, str(forked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as launcher:
        assert launcher.stdout is not None
        descriptor, ip = launcher.stdout.readline().split()
        described = Path(f"/proc/{launcher.pid}/fdinfo/{descriptor}").read_text()
        found = re.search(r"^Pid:\s*(\d+)", described, re.MULTILINE)
        assert found is not None
        with Namespace(os.readlink(f"/proc/{found[1]}/ns/pid")) as namespace:
            launcher.kill()
            until(lambda: namespace.members() == [])
    assert os.path.exists(os.path.dirname(ip))
    launch.sweep()
    assert not os.path.exists(os.path.dirname(ip))


# By the kernel's name


@pytest.fixture
def by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a submission, where Jupyter knows the sandbox's kernel."""
    sandbox.install_kernelspec(tmp_path / "prefix")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "beside.txt").write_text("beside")
    cell = nbformat.v4.new_code_cell("import os; print(os.getcwd(), os.listdir())")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), submission / "lab.ipynb")
    return submission


def execute(folder: Path, source: str) -> str:
    """What a one-cell notebook prints that nbclient runs in a folder."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="p2p-sandbox", resources=resources).execute()
    return "".join(output.text for output in notebook.cells[0].outputs)


def test_nbclient_by_name(by_name: Path) -> None:
    printed = execute(by_name, "import os; print(os.getcwd(), os.listdir())")
    assert printed.startswith("/sandbox/work")
    assert "beside.txt" in printed


def test_new_files_come_back_and_harm_nothing(by_name: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (by_name / "link").symlink_to(tmp_path / "elsewhere")
    leave = """
    import os
    os.makedirs('figures'); os.makedirs('link')
    open('figures/loss.txt', 'w').write('0.1')
    open('link/planted', 'w').write('x')
    open('beside.txt', 'w').write('overwritten')
    os.symlink('/etc/passwd', 'passwd')
    os.mkfifo('pipe')
    open('closed', 'w').close(); os.chmod('closed', 0)
    for n in range(40):
        os.truncate(os.open(f'hole{n}', os.O_CREAT | os.O_WRONLY), 200 * 2**20)
    for n in range(30): os.makedirs('d' * 200); os.chdir('d' * 200)
    """
    execute(by_name, textwrap.dedent(leave))
    assert (by_name / "figures" / "loss.txt").read_text() == "0.1"
    assert (by_name / "beside.txt").read_text() == "beside"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (by_name / "passwd").exists()
    assert not (by_name / "pipe").exists()
    assert len(list(by_name.glob("hole*"))) <= 2  # the usual limit on files is 512 MB


def test_papermill_by_name(by_name: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--kernel",
        "p2p-sandbox",
        "lab.ipynb",
        "out.ipynb",
    ]
    subprocess.run(command, cwd=by_name, check=True, capture_output=True)
    printed = nbformat.read(by_name / "out.ipynb", 4).cells[0].outputs[0].text
    assert printed == "/sandbox/work []\n"  # papermill says nothing of a folder: it gets none


def test_restart_and_limits_by_name(by_name: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = KernelManager(kernel_name="p2p-sandbox")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    client.execute_interactive("x = 1", timeout=PATIENCE)
    provisioner: Any = manager.provisioner
    provisioner.limits = {"wall_seconds": 5}
    manager.restart_kernel()
    client.wait_for_ready(timeout=PATIENCE)
    reply: Any = client.execute_interactive("x", timeout=PATIENCE, output_hook=lambda _: None)
    assert reply["content"]["ename"] == "NameError"
    until(lambda: not manager.is_alive())
    client.stop_channels()
    assert provisioner.stopped_by.limit == "wall_seconds"
    assert "the time of a whole notebook, 5 seconds" in caplog.text
    manager.shutdown_kernel()


def test_nbgrader_by_name(by_name: Path, tmp_path: Path) -> None:
    def cell(source: str, **metadata: Any) -> Any:
        usual = {"grade": False, "solution": False, "locked": False, "schema_version": 3}
        return nbformat.v4.new_code_cell(source, metadata={"nbgrader": {**usual, **metadata}})

    cells = [
        cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", grade_id="x", solution=True),
        cell(
            "import os\nassert os.getcwd() == '/sandbox/work'",
            grade_id="t",
            grade=True,
            locked=True,
            points=2,
        ),
    ]
    course = tmp_path / "course"
    (course / "source" / "ps1").mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), course / "source" / "ps1" / "p.ipynb")

    def nbgrader(*arguments: str) -> None:
        command = [sys.executable, "-m", "nbgrader", *arguments]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it calls alembic
        done = subprocess.run(
            command,
            cwd=course,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path},
        )
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment", "ps1", "--ClearSolutions.code_stub={'python': 'x = 0'}")
    shutil.copytree(course / "release" / "ps1", course / "submitted" / "ann" / "ps1")
    nbgrader("autograde", "ps1", "--Execute.kernel_name=p2p-sandbox")
    nbgrader("export")
    assert ",ann,," in (course / "grades.csv").read_text()
    assert ",2.0,2.0" in (course / "grades.csv").read_text()
