"""Ranks as a notebook uses them: results, output, failures, ends; simulated ranks; torchrun."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
import torch
import torch.distributed as dist
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from grading.sandbox import open_kernel
from grading.sandbox.sockets import own_sockets
from tests.needs import needs
from tests.sandbox.sandboxes import run as run_sandboxed
from utils import ranks
from utils.ranks.simulated import simulate

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # seconds, of a test that waits for a busy machine to import torch


@pytest.fixture(scope="module", autouse=True)
def _end_ranks() -> Iterator[None]:
    yield
    ranks.stop()


def total(x: float) -> float:
    t = torch.tensor([x * (dist.get_rank() + 1)])
    dist.all_reduce(t)
    return t.item()


def pids() -> int:
    return os.getpid()


# What it returns and shows


def test_every_rank_runs_the_function_and_its_results_come_by_rank() -> None:
    assert ranks.run(total, 3, 2.0) == [12.0, 12.0, 12.0]
    assert ranks.run(dist.get_rank, 4) == [0, 1, 2, 3]
    assert ranks.run(total, 1, 2.0) == [2.0]


def test_ranks_stay_for_the_next_call() -> None:
    assert ranks.run(pids, 2) == ranks.run(pids, 2)


def test_a_call_finds_no_message_of_an_earlier_one() -> None:
    def leave_one() -> None:
        if dist.get_rank() == 0:
            dist.isend(torch.ones(1), 1)

    def take_one() -> float:
        x = torch.zeros(1)
        if dist.get_rank() == 0:
            dist.send(torch.full((1,), 2.0), 1)
        else:
            dist.recv(x, 0)
        return x.item()

    ranks.run(leave_one, 2)
    assert ranks.run(take_one, 2) == [0.0, 2.0]


def test_tensors_and_classes_of_the_notebook_travel() -> None:
    class Pair:
        def __init__(self, a: torch.Tensor) -> None:
            self.a = a

    big = torch.arange(300_000.0)

    def double(pair: Pair) -> Pair:
        return Pair(pair.a * 2 + big[1])

    assert [one.a.tolist() for one in ranks.run(double, 2, Pair(torch.ones(2)))] == [[3.0, 3.0]] * 2
    assert ranks.run(lambda: big, 2)[1].equal(big)


def test_every_call_begins_with_the_same_random_numbers() -> None:
    def draw() -> list[float]:
        return torch.rand(2).tolist()

    first = ranks.run(draw, 2)
    assert first[0] == first[1]
    assert ranks.run(draw, 2) == first


def test_output_is_shown_with_its_rank(capsys: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        print("one\ntwo", end="")
        print("three", file=sys.stderr)

    ranks.run(speak, 2)
    said = capsys.readouterr().out.splitlines()
    for rank in (0, 1):
        mine = [line for line in said if line.startswith(f"rank {rank}: ")]
        assert mine == [f"rank {rank}: one", f"rank {rank}: twothree"]


def test_output_comes_while_the_ranks_still_run() -> None:
    def speak(file: str) -> bool:
        print("go on")
        deadline = time.monotonic() + 30
        while not Path(file).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return Path(file).exists()

    class Answering:
        """A notebook's output, in which somebody answers what is printed."""

        def write(self, text: str) -> int:
            if "go on" in text:
                Path(file).touch()
            return len(text)

        def flush(self) -> None: ...

    import contextlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/answered"
        with contextlib.redirect_stdout(Answering()):  # type: ignore[type-var]
            assert ranks.run(speak, 1, file) == [True]


def test_ranks_share_the_cores_and_say_what_they_use() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    plan = ranks.plan(2 * cores, device="cpu")
    assert (plan.backend, plan.threads, set(plan.devices)) == ("gloo", 1, {"cpu"})
    assert f"{2 * cores} ranks" in str(plan)
    assert ranks.run(torch.get_num_threads, 2 * cores, device="cpu") == [1] * (2 * cores)
    assert ranks.run(lambda: ranks.device().type, 1, device="cpu") == ["cpu"]


def test_send_and_receive() -> None:
    def pass_on() -> list[float]:
        rank, x = dist.get_rank(), torch.zeros(2)
        if rank == 0:
            ranks.send(torch.ones(2), 1, tag=3)
        else:
            ranks.recv(x, 0, tag=3)
        return x.tolist()

    assert ranks.run(pass_on, 2)[1] == [1.0, 1.0]


# What goes wrong


def failing(divisor: int) -> None:
    x = torch.zeros(1)
    if dist.get_rank() == 1:
        print(1 / divisor)
    dist.recv(x, 1)


def test_the_first_failure_is_told_and_where_the_others_wait() -> None:
    with pytest.raises(ranks.RankError) as caught:
        ranks.run(failing, 3, 0)
    text = str(caught.value)
    assert text.startswith("Rank 1 failed: ZeroDivisionError: division by zero\n  in `failing`")
    assert "print(1 / divisor)" in text
    for rank in (0, 2):
        assert f"Rank {rank} waits in recv for rank 1, which failed: `failing`, line" in text
    assert "closed by peer" not in text
    assert (caught.value.rank, caught.value.reason) == (1, "raised")


def test_the_ranks_are_ready_again_after_each_kind_of_failure() -> None:
    def die() -> None:
        if dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()

    def leave() -> None:
        sys.exit(3)

    for function, says in ((die, "killed by signal"), (leave, "SystemExit: 3")):
        with pytest.raises(ranks.RankError, match=says):
            ranks.run(function, 2)
        assert ranks.run(total, 2, 1.0) == [3.0, 3.0]


def test_a_rank_that_was_killed_between_two_calls_is_replaced() -> None:
    before = ranks.run(pids, 2)
    os.kill(before[1], signal.SIGKILL)
    time.sleep(0.5)
    assert ranks.run(total, 2, 1.0) == [3.0, 3.0]


def test_a_deadlock_is_found_and_explained() -> None:
    def never() -> None:
        if dist.get_rank() < 2:
            dist.recv(torch.zeros(1), 2)

    with pytest.raises(ranks.RankError) as caught:
        ranks.run(never, 3, timeout=120)
    assert caught.value.reason == "deadlock"
    for rank in (0, 1):
        assert f"Rank {rank} waits in recv for rank 2, which has ended: `never`" in str(
            caught.value
        )


def test_a_rank_that_sleeps_is_no_deadlock() -> None:
    def slow() -> None:
        if dist.get_rank() == 0:
            time.sleep(8)
        dist.barrier()

    ranks.run(slow, 2)


def test_the_time_limit() -> None:
    def endless() -> None:
        while dist.get_rank() == 0:
            pass
        work = dist.irecv(torch.zeros(1), 0)
        assert work is not None
        work.wait()

    with pytest.raises(ranks.RankError) as caught:
        ranks.run(endless, 2, timeout=2)
    text = str(caught.value)
    assert "after 2 s, the time limit" in text
    assert "Rank 0 was running: `endless`" in text
    assert "Rank 1 waits: `endless`" in text
    assert "work.wait()" in text
    assert caught.value.reason == "time limit"


def test_an_unwritten_exercise_stays_not_implemented() -> None:
    def stub() -> None:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        ranks.run(stub, 2)


def test_what_cannot_travel_is_told_in_either_direction() -> None:
    lock = sys._getframe()
    with pytest.raises(TypeError, match="cannot be sent to the ranks"):
        ranks.run(lambda: lock, 2)
    with pytest.raises(ranks.RankError, match="cannot be sent to the notebook"):
        ranks.run(sys._getframe, 2)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="at least 1 rank"):
        ranks.run(total, 0, 1.0)
    with pytest.raises(ValueError, match="device is 'cpu'"):
        ranks.run(total, 1, 1.0, device="gpu")


# In a notebook

NOTEBOOK = """
import os, torch, torch.distributed as dist
from utils import ranks

def step(x):
    return 1 / x

def train(x):
    if dist.get_rank() == 1:
        step(x)
    dist.recv(torch.zeros(1), 1)

def mine():
    return os.getpid()

print("first", ranks.run(dist.get_rank, 2, timeout=200))
try:
    ranks.run(train, 2, 0)
except ranks.RankError as error:
    print(error)
print("pids", *ranks.run(mine, 2))
"""
EXPLAINED = """Rank 1 failed: ZeroDivisionError: division by zero
  in `step`, line 5 of its cell:  return 1 / x
  called from `train`, line 9 of its cell:  step(x)
Rank 0 waits in recv for rank 1, which failed: `train`, line 10 of its cell:  dist.recv(torch"""


def printed(client: BlockingKernelClient, code: str) -> str:
    request, text = client.execute(code), ""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=5)
        except Empty:
            continue
        if message["parent_header"].get("msg_id") != request:
            continue
        content: dict[str, Any] = message["content"]
        if message["msg_type"] == "stream":
            text += content["text"]
        elif message["msg_type"] == "error":
            text += "\n".join(content["traceback"])
        elif content.get("execution_state") == "idle":
            return text
    raise AssertionError(f"no end; so far: {text}")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def manager() -> Iterator[KernelManager]:
    with own_sockets() as sockets:
        yield KernelManager(kernel_name="python3", **sockets)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_functions_of_a_notebook_and_ranks_that_end_with_it(manager: KernelManager) -> None:
    manager.start_kernel(cwd=str(ROOT))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        said = printed(client, NOTEBOOK.strip("\n"))
        assert "first [0, 1]" in said
        assert EXPLAINED in said
        (line,) = (line for line in said.splitlines() if line.startswith("pids"))
        ours = [int(pid) for pid in line.split()[1:]]
        assert not any(map(gone, ours))
        (kernel,) = printed(client, "print(os.getpid())").split()
        os.kill(int(kernel), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not all(map(gone, ours)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert all(map(gone, ours))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@needs("bwrap")
def test_in_the_grading_sandbox() -> None:
    kernel = open_kernel()
    try:
        answer = run_sandboxed(kernel, NOTEBOOK.strip("\n"))
        assert "first [0, 1]" in answer.ok()
        assert EXPLAINED in answer.text
    finally:
        kernel.close()


def test_the_notebook_is_never_forked() -> None:
    """A kernel whose torch has computed on several threads: its fork would hang."""
    code = """
        import torch
        torch.set_num_threads(2)
        torch.ones(900, 900) @ torch.ones(900, 900)
        from utils import ranks
        print(ranks.run(lambda: (torch.ones(300, 300) @ torch.ones(300, 300))[0, 0].item(), 2))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert out.stdout.strip() == "[300.0, 300.0]"


# torchrun


def test_two_machines_under_torchrun(tmp_path: Path) -> None:
    """Two agents, as on two machines, that meet at a port of the loopback."""
    (tmp_path / "job.py").write_text(
        "import torch, torch.distributed as dist\n"
        "def total(x, name):\n"
        "    t = torch.tensor([x * (dist.get_rank() + 1)])\n"
        "    dist.all_reduce(t)\n"
        "    return t.item(), name\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    agents = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nnodes",
                "2",
                "--node-rank",
                node,
                "--nproc-per-node",
                "2",
                "--master-addr",
                "127.0.0.1",
                "--master-port",
                port,
                "-m",
                "utils.ranks",
                "job.py",
                "total",
                "2.0",
                "Ada",
            ],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for node in ("0", "1")
    ]
    try:
        said = [agent.communicate(timeout=PATIENCE)[0] for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
    lines = sorted(line for text in said for line in text.splitlines() if line.startswith("rank "))
    assert lines == [f"rank {rank}: (20.0, 'Ada')" for rank in range(4)], said


# Simulated ranks


def exchange(net: Any, n: int) -> float:
    rank, x = net.get_rank(), torch.zeros(n)
    request = net.isend(torch.full((n,), rank + 1.0), 1 - rank)
    net.recv(x, 1 - rank)
    request.wait()
    return x[0].item()


def test_simulated_ranks_do_what_real_ones_do() -> None:
    assert simulate(exchange, 2, 3).results == ranks.run(exchange, 2, dist, 3) == [2.0, 1.0]


def test_messages_are_recorded_on_a_clock() -> None:
    found = simulate(exchange, 2, 3, latency=1.0, bandwidth=4.0)
    assert [(m.source, m.target, m.nbytes, m.received) for m in found.messages] == [
        (0, 1, 12, True),
        (1, 0, 12, True),
    ]
    assert found.seconds == 4.0  # both ways at the same time

    def one_after_another(net: Any) -> None:
        x = torch.zeros(3)
        for here, there in ((0, 1), (1, 0)):
            if net.get_rank() == here:
                net.send(x, there)
            else:
                net.recv(x, here)

    assert simulate(one_after_another, 2, latency=1.0, bandwidth=4.0).seconds == 8.0


def test_one_rank_receives_one_message_at_a_time() -> None:
    def collect(net: Any) -> None:
        x = torch.zeros(4)
        if net.get_rank() > 0:
            net.send(x, 0)
        for other in range(1, net.get_world_size()) if net.get_rank() == 0 else ():
            net.recv(x, other)

    assert simulate(collect, 4, bandwidth=16.0).seconds == 3.0


def test_simulated_all_reduce_counts_and_sums() -> None:
    def reduce(net: Any) -> list[float]:
        x = torch.tensor([1.0, net.get_rank()])
        net.all_reduce(x)
        work = net.all_reduce(x, async_op=True)
        work.wait()
        net.barrier()
        return x.tolist()

    found = simulate(reduce, 3)
    assert found.results == [[9.0, 9.0]] * 3
    assert found.reductions == [2, 2, 0]


@pytest.mark.parametrize(
    ("send", "says"),
    [
        ("net.send(x, 1 - rank); net.recv(x, 1 - rank)", "Rank 0 waits in send for rank 1"),
        ("net.recv(x, 0) if rank else None", "for rank 0, which has ended"),
        ("net.all_reduce(x) if rank else None", "Rank 1 waits in all_reduce"),
        ("net.recv(x[:1], 0) if rank else net.send(x, 1)", "receives into (1,) float32"),
        ("net.send(x, 2)", "there is no rank 2; there are 2"),
        ("net.send(x, rank)", "need no message"),
        ("net.send([1.0], 1)", "takes a tensor, not list"),
        ("net.all_reduce(x[:rank + 1])", "rank 0 gives (1,) float32, rank 1 (2,) float32"),
        (
            "r = net.isend(x, 1 - rank); x += 1; net.recv(1 * x, 1 - rank)",
            "while it was being sent",
        ),
    ],
)
def test_simulated_ranks_explain_what_is_wrong(send: str, says: str) -> None:
    names: dict[str, Any] = {"torch": torch}
    exec(f"def job(net):\n    rank, x = net.get_rank(), torch.zeros(2)\n    {send}", names)
    with pytest.raises(ranks.RankError) as caught:
        simulate(names["job"], 2)
    assert says in str(caught.value)


def test_a_simulated_stub_is_not_implemented() -> None:
    def stub(net: Any) -> None:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        simulate(stub, 2)
