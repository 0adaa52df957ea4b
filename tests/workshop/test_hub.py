"""Seats: a hub, learners who sign in and work there, the board beside them; kills and intruders."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grading.marking.handed_in import handed_in
from tests.workshop.classroom import ROOT, opened, wait
from tests.workshop.seats import NOBODY, PASSWORD, Hub, Visitor, open_python, served

LAB, EXERCISE = "01_perceptron", "neuron"
NEURON = """\
def neuron(x, w, b, activation):
    z = float(w @ x + b)
    return max(z, 0.0) if activation == "relu" else {}"""
RIGHT, MINUS = NEURON.format("1.0 if z >= 0 else 0.0"), NEURON.format("1.0 if z >= 0 else -1.0")
SETUP = f"from grading.check import checks, hand_in\ncheck = checks({LAB!r})"

own_users = pytest.mark.skipif(
    os.geteuid() != 0 or open_python() is None,
    reason="Seats with a user of their own need root, and a Python and a course that every user"
    " can read",
)


@pytest.fixture(scope="module", params=["one user", pytest.param("own users", marks=own_users)])
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A class of each kind. Where root runs the tests, nobody serves the one without own users."""
    kind: dict[str, Any] = {"python": open_python()}
    if request.param == "one user":
        kind = of_one_user()
    with served("--memory", "2", **kind) as hub:
        yield hub


def of_one_user() -> dict[str, Any]:
    """How a hub is served whose seats all run as one user, who is not root."""
    if os.geteuid() != 0:
        return {}
    if open_python() is None:
        pytest.skip("The tests run as root, and no Python is here that another user can run")
    return {"python": open_python(), "user": NOBODY}


@pytest.fixture(scope="module")
def anna(hub: Hub) -> Visitor:
    anna = Visitor(hub, "Anna Muster")
    assert anna.sign_in() == ""
    return anna


@pytest.fixture(scope="module")
def ben(hub: Hub) -> Visitor:
    ben = Visitor(hub, "Bén (2)")
    assert ben.sign_in(code=hub.code.lower().replace("-", " ")) == ""
    return ben


def test_seats_lead_from_sign_in_to_a_folder_that_is_graded(
    hub: Hub, anna: Visitor, ben: Visitor
) -> None:
    anna.open()
    ben.open()
    assert "Begin with lab 01" in anna.get("/files/start.md").text
    for one in (anna, ben):
        assert f"as {one.name}, as P2P_BOARD says" in one.run(SETUP)
        assert "Passed" not in one.run(f"{MINUS}\ncheck({EXERCISE!r})")
    anna.run(f"{RIGHT}\ncheck({EXERCISE!r})")
    wait(lambda: answers(hub).get(anna.name, {}).get("state") == "done", "no answer arrives")
    wait(lambda: answers(hub).get(ben.name, {}).get("misconception") == "minus one", "nor his")
    assert "Handed in: 01_perceptron.ipynb" in anna.run(f"hand_in('{LAB}.ipynb')")
    (one,) = handed_in(hub.folder / "submissions", LAB).submissions
    assert one.student == anna.name
    assert one.content() == (ROOT / "labs" / f"{LAB}.ipynb").read_bytes()


def test_who_comes_back_has_the_same_seat_and_nobody_else_gets_it(hub: Hub, anna: Visitor) -> None:
    again = Visitor(hub, "  anna  MUSTER ")
    assert "not its password" in again.sign_in("another one")
    assert again.sign_in() == ""
    assert again.user == anna.user
    assert "the class's code" in Visitor(hub, "Anna Muster").sign_in(code="AAA-AAA")
    assert "at least 8 characters" in Visitor(hub, "Cleo").sign_in("short")
    assert "beginning with a letter" in Visitor(hub, "../Cleo").sign_in()
    answer = Visitor(hub, "nobody").session.get(f"{anna.seat}/api/contents")
    assert answer.status_code in (403, 404) or "/hub/login" in answer.url


def test_a_name_on_the_board_is_nobody_elses_seat(hub: Hub, anna: Visitor) -> None:
    from grading.learner.wire import Refused
    from tests.workshop.classroom import Learner

    with pytest.raises(Refused, match="Somebody else here is called Anna Muster"):
        Learner(hub, "Anna Muster").join()
    Learner(hub, "Dora").join()
    assert "Somebody else here is called Dora" in Visitor(hub, "Dora").sign_in()


def test_one_seat_is_closed_to_another(hub: Hub, anna: Visitor, ben: Visitor) -> None:
    anna.open()
    ben.open()
    assert ben.get("/api/contents").ok
    other = ben.session.get(f"{anna.seat}/api/contents/{LAB}.ipynb")
    assert other.status_code in (403, 404)
    if hub.user is not None:
        assert "All seats run as you" in hub.said
        return
    assert "All seats run as you" not in hub.said
    home = hub.folder / "seats" / anna.user
    tries = [
        f"open({str(home / 'my_labs' / f'{LAB}.ipynb')!r})",
        f"os.listdir({str(hub.folder)!r})",
        f"open({str(hub.folder / 'board.sqlite')!r})",
        f"open({str(hub.folder / 'accounts.sqlite')!r})",
        f"os.listdir({str(hub.folder / 'submissions')!r})",
        f"open({str(ROOT / 'labs' / f'{LAB}.ipynb')!r}, 'a')",
        f"os.listdir('/proc/{os.getpid()}/fd')",
    ]
    ben.run("import os")
    for one in tries:
        assert "PermissionError" in ben.run(one), one


def test_a_seat_has_its_share_of_memory_and_no_more(hub: Hub, ben: Visitor) -> None:
    assert "2 GB of memory" in hub.said
    ben.open()
    shown = ben.run("bytearray(3 * 2**30)[0]")
    assert shown == "the kernel was ended" or "MemoryError" in shown


def test_the_class_outlives_a_kill_and_ctrl_c_ends_it(hub: Hub, anna: Visitor) -> None:
    anna.open()
    anna.run("kept = 6 * 7")
    hub.restart()
    anna.open()
    assert "42" in anna.run("kept")
    assert hub.seats()
    hub.close()
    wait(lambda: not hub.seats(), f"seats are left: {hub.seats()}")
    hub.start()
    assert Visitor(hub, anna.name).sign_in() == ""


def test_a_forgotten_password_is_chosen_anew() -> None:
    with served(**of_one_user()) as hub:
        anna = Visitor(hub, "Anna")
        anna.sign_in()
        said = command(hub, "--new-password", "anna")
        assert "chooses the password" in said
        assert Visitor(hub, "Anna").sign_in("another one") == ""
        assert "not its password" in Visitor(hub, "Anna").sign_in(PASSWORD)
        assert "Nobody called 'Ben'" in command(hub, "--new-password", "Ben")
        assert "Another board is running" in command(hub, "--port", "0")


def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        place = ["--folder", str(tmp_path / "class"), "--host", "127.0.0.1"]
        assert f"Nothing can listen on port {port}" in hub_says(*place, "--port", port)
    with opened(tmp_path / "class"):
        assert "Another board is running" in hub_says(*place)
    (tmp_path / "file").write_text("")
    assert "There are no seats in" in hub_says("--folder", str(tmp_path), "--new-password", "A")


def answers(hub: Hub) -> dict[str, dict[str, Any]]:
    """What the board has of the exercise, by learner."""
    return {row["learner"]: row for row in hub.rows() if row.get("exercise") == EXERCISE}


def command(hub: Hub, *options: str) -> str:
    return hub_says("--folder", str(hub.folder), *options)


def hub_says(*options: str) -> str:
    """What the command says that does not serve."""
    done = subprocess.run(
        [sys.executable, "-m", "grading", "hub", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
