"""Programs of several ranks: jobs, files, kills at random moments, records."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.labs import ROOT, reference
from utils import program, ranks
from utils.program import Job
from utils.ranks.carried import Carried
from utils.ranks.meshed import meshed

KILLS = 20


def job(**more: Any) -> Job:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (20,), generator=generator)
    usual = {"data": 2, "pipeline": 2, "microbatches": 2, "steps": 6, "every": 2, "batch": 8}
    small = {"width": 3, "depth": 5, "classes": 3}
    return Job(images, labels, **{**usual, **small, **more})


def test_stages_are_the_whole_network_in_order() -> None:
    whole = list(job(pipeline=1).stage(0).parameters())
    parts = [p for stage in range(3) for p in job(pipeline=3).stage(stage).parameters()]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert [len(job(pipeline=3).stage(stage)) for stage in range(3)] == [2, 2, 1]


def test_the_same_generator_draws_the_same_batch() -> None:
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    (X, y), (again, same) = job().draw(one), job().draw(other)
    assert torch.equal(X, again)
    assert torch.equal(y, same)
    assert not torch.equal(job().draw(one)[0], X)


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(ValueError, match="A batch of 8 is not shared out evenly: 3 replicas"):
        job(data=3)


@pytest.fixture(scope="module")
def train() -> Callable[..., Any]:
    return reference("17_capstone")["train"]


def ended(found: list[Any]) -> list[Tensor]:
    return [weight for (_, weights), _ in found for weight in weights]


def test_killed_at_random_moments_it_ends_with_the_same_bits(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    found = ranks.run(program.run_until, 4, train, job(), str(folder), 0, 0, device="cpu")
    undisturbed, moments = ended(found), max(count for _, count in found)
    choice, kills = random.Random(17), 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        victim, moment = choice.randrange(4), choice.randint(1, moments)
        with pytest.raises(ranks.RankError) as caught:
            ranks.run(program.run_until, 4, train, job(), str(folder), victim, moment, device="cpu")
        kills += caught.value.reason == "died"
        found = ranks.run(program.run_until, 4, train, job(), str(folder), 0, 0, device="cpu")
        same = [torch.equal(a, b) for a, b in zip(undisturbed, ended(found), strict=True)]
        assert all(same), f"killed rank {victim} at moment {moment} of {moments}"
    assert kills == KILLS


def test_a_doomed_rank_is_killed_at_its_draw(train: Callable[..., Any], tmp_path: Path) -> None:
    doomed = program.Doomed(**vars(job()), victim=2, draws=5)
    with pytest.raises(ranks.RankError, match="Rank 2 was killed") as caught:
        ranks.run(train, 4, torch.distributed, doomed, str(tmp_path), device="cpu")
    assert (caught.value.rank, caught.value.reason) == (2, "died")
    assert {name.partition("-")[0] for name in program.files(tmp_path)} == {"step2", "step4"}


def test_snapshots_show_what_a_kill_leaves(tmp_path: Path) -> None:
    def act() -> None:
        with (tmp_path / "a").open("w") as file:
            file.write("one")
        (tmp_path / "a").rename(tmp_path / "b")

    found = program.snapshots(str(tmp_path), act)
    assert found == [{}, {"a": b""}, {"a": b"one"}, {"b": b"one"}]
    program.put(tmp_path / "other", {"c/d": b"two"})
    assert program.files(tmp_path / "other") == {"c/d": b"two"}


def test_a_run_is_recorded_by_the_last_rank(train: Callable[..., Any], tmp_path: Path) -> None:
    given = job(steps=3)
    losses = ranks.run(program.run, 4, train, given, str(tmp_path), device="cpu")
    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["data"], record["pipeline"], record["steps"]) == (2, 2, 3)
    assert record["losses"][-1] == losses[-1]
    assert record["seconds"] > 0
    assert losses[0] is None


PROGRAM = """
import math as maths
import torch
from torch import nn
from utils.program import Job, write
LIMIT = 3
def half(x):
    return maths.floor(x / 2)
def train(dist, job, folder):
    def inner(): return half(LIMIT)
    return [float(inner())] * job.steps, [nn.Linear(1, 1).weight.detach()]
if __name__ == "__main__":
    write({path!r}, train)
"""


def test_a_written_program_stands_alone_under_torchrun(tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.py"
    notebook.write_text(PROGRAM.format(path=str(tmp_path / "train.py")))
    subprocess.run([sys.executable, str(notebook)], cwd=ROOT, check=True, env=environment())
    torch.save(job(), tmp_path / "job.pt")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "utils.ranks", str(tmp_path / "train.py"), "main"]
    command += [str(tmp_path / "job.pt"), str(tmp_path / "run"), "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == ["rank 0: 1.0", "rank 1: 1.0"], done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_what_has_no_source_is_refused(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec("def train(dist, job, folder): return [], []", names)
    with pytest.raises(ValueError, match="The source of train is not known: run its cell again"):
        program.write(tmp_path / "train.py", names["train"])


def told(fn: Callable[[Any], Any], size: int) -> list[list[tuple[Any, ...]]]:
    talk = Carried(meshed(fn), size)
    talk.end()
    return talk.report


def test_a_meshed_rank_tells_its_groups() -> None:
    def act(dist: Any) -> None:
        made = [dist.new_group([1, 0]), dist.new_group([2])]
        dist.all_reduce(torch.ones(1), group=made[0] if dist.get_rank() < 2 else made[1])

    for rank, report in enumerate(told(act, 3)):
        words = [act[1] for act in report if act[0] == "tell"]
        members = [0, 1] if rank < 2 else [2]
        made = [["new_group", [0, 1]], ["new_group", [2]]]
        assert words == [*made, ["group", members, 1 + (rank == 2)]]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda dist: dist.new_group([0, 5]), "are not different ranks of 2"),
        (lambda dist: dist.new_group([0, 0]), "are not different ranks of 2"),
        (lambda dist: dist.all_reduce(torch.ones(1), group=[0, 1]), "what new_group returned"),
        (
            lambda dist: dist.all_reduce(torch.ones(1), group=dist.new_group([1])),
            "Rank 0 is not in the group of ranks",
        ),
    ],
)
def test_a_group_that_is_none_is_refused(act: Callable[[Any], Any], says: str) -> None:
    talk = Carried(meshed(act), 2)
    try:
        assert says in talk.words()
    finally:
        talk.end()
