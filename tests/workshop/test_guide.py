"""The guide to a workshop: its own lines, from an open board to marks; its options and numbers."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from grading.course.workspace import START_PAGE
from grading.learner import member, notebook
from grading.workshop import handed, server
from tests.graded_course import CHECKS, LAB, RIGHT, SOURCE, bash, hand_in, write
from tests.needs import needs
from tests.workshop.classroom import ROOT, opened, wait

GUIDE = (ROOT / "docs" / "workshop.md").read_text(encoding="utf-8")
EXAMPLE, LEARNER = "01_perceptron", "Anna Muster"  # the guide's


def lines(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


def learners_line(name: str) -> ast.Call:
    """The guide's call of a function, as a learner would copy it."""
    calls = [node for text in lines("python") for node in ast.walk(ast.parse(text))]
    found = [one for one in calls if isinstance(one, ast.Call)]
    return next(one for one in found if isinstance(one.func, ast.Name) and one.func.id == name)


@needs("bwrap")
def test_the_guides_lines_lead_from_joining_to_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = tmp_path / "course"
    write(course / "solutions" / f"{LAB}.py", SOURCE)
    write(course / "grading" / "checks" / f"{LAB}.py", CHECKS)
    (course / "course.yml").write_text((ROOT / "course.yml").read_text(encoding="utf-8"))
    bash(course, "python -m grading release --course .")
    joins = (
        "from grading.check import hand_in, join\njoin('http://127.0.0.1:9', 'AAA', 'B'); hand_in()"
    )
    hand_in(course, "anna", {**RIGHT, "double_code": f"{joins}\n{RIGHT['double_code']}"})
    file = course / "handed_in" / "anna" / f"{LAB}.ipynb"
    monkeypatch.setenv("LAB_PROGRESS", str(tmp_path / "mine" / "progress.jsonl"))

    with opened(course / "workshop", "--course", str(course)) as board:
        join = learners_line("join")
        assert [ast.literal_eval(one.value) for one in join.keywords] == [LEARNER]
        member.join(board.address, board.code, name=LEARNER)
        learners_line("hand_in")
        member.hand_in(file)
        member.hand("I don't see why")
        wait(lambda: board.picture()["hands"], "no hand arrives")
        (receipt,) = (tmp_path / "mine" / "receipts").iterdir()
        command = "python -m grading receipt RECEIPT.json NOTEBOOK.ipynb"
        assert command in GUIDE
        command = command.replace("RECEIPT.json", str(receipt)).replace("NOTEBOOK.ipynb", str(file))
        assert "byte for byte" in bash(course, command)
        learners_line("leave")
        member.leave(delete=True)
    assert "The notebooks that you handed in stay there" in capsys.readouterr().out

    (grade,) = lines("sh")
    said = bash(course, grade.replace("autograde 01", "autograde 1 --course ."))
    assert "1 graded" in said
    result = json.loads((course / "results" / LEARNER / f"{LAB}.json").read_bytes())
    assert result["score"] == result["max_score"]  # though it joins, where it is graded
    assert "joined" not in json.dumps(result)
    folder = f"workshop/submissions/<name>/{EXAMPLE}/"
    for name in (f"{EXAMPLE}.ipynb", "timestamp.txt"):
        assert folder + name in GUIDE
        there = folder + name.replace(EXAMPLE, LAB)
        assert (course / there.replace("<name>", LEARNER).replace(EXAMPLE, LAB)).exists()


def test_the_guide_names_every_option_of_its_commands() -> None:
    for command in ("workshop", "hub", "receipt", "notes"):
        shown = subprocess.run(
            [sys.executable, "-m", "grading", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for option in set(re.findall(r"--[a-z][a-z-]+", shown.stdout)) - {"--help"}:
            assert option in GUIDE, f"{command} {option}"


def test_the_guides_numbers_are_those_of_the_code() -> None:
    assert f"at most {notebook.MOST_BYTES // 2**20} MB" in GUIDE
    assert f"together {handed.MOST_OF_ONE // 2**20} MB" in GUIDE
    assert f"{server.MOST_EVENTS:,} events, 5 a second" in GUIDE
    assert f"At most {server.MOST_LEARNERS} learners" in GUIDE
    assert f'{member.VARIABLE}="http' in GUIDE


def test_the_files_for_kubernetes_name_what_is_there() -> None:
    folder = ROOT / "docs" / "kubernetes"
    values = yaml.safe_load((folder / "values.yaml").read_text())
    seat = values["singleuser"]
    python, module, name = seat["cmd"]
    assert (python, module, name) == ("python", "-m", "grading.workshop.seat")
    assert importlib.util.find_spec(name)
    assert f'CMD ["{python}", "{module}", "{name}"]' in (folder / "Containerfile").read_text()
    assert seat["defaultUrl"] == f"/lab/tree/{START_PAGE}"
    _, board, service = yaml.safe_load_all((folder / "board.yaml").read_text())
    pod = board["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "{name}:{tag}".format(**seat["image"])
    address = container["args"][container["args"].index("--address") + 1]
    assert seat["extraEnv"][member.VARIABLE].split()[0] == address
    assert address == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    arguments = [*container["command"][3:], *container["args"], "--help"]
    assert subprocess.run([sys.executable, "-m", "grading", *arguments]).returncode == 0


def test_the_guide_tells_all_that_is_sent() -> None:
    said = " ".join(member.sent().split())
    for what in ("the lab, the exercise,", "which attempt it was", "the seconds since"):
        assert what in said
        assert what in " ".join(GUIDE.split())
