"""A notebook's side against a real board: killed, away, coming back; two notebooks; the queue."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grading.learner import member, sender
from grading.learner.outbox import Outbox
from grading.learner.wire import Refused, Unreachable, plain
from tests.workshop.classroom import Board, Learner, free_port, opened, wait

LAB, FIRST = "05_convolution", "output_size"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with opened(tmp_path / "workshop") as board:
        yield board


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """The learner's own files, in a folder of the test's."""
    monkeypatch.setenv("LAB_PROGRESS", str(tmp_path / "mine" / ".progress.jsonl"))
    monkeypatch.delenv(member.VARIABLE, raising=False)
    monkeypatch.setattr(sender, "_LONGEST", 0.2)
    return Outbox(tmp_path / "mine" / ".board.sqlite")


def attempts(board: Board) -> list[int]:
    """The number of each attempt that the board has, in its order."""
    with sqlite3.connect(board.folder / "board.sqlite") as base:
        rows = base.execute("SELECT attempt FROM events WHERE kind = 'check' ORDER BY number")
        return [int(one) for (one,) in rows]


def check(points: float = 0.0) -> None:
    member.checked(LAB, FIRST, points, 1.0, "k - 1")


def test_joining_says_what_is_sent_and_checks_arrive(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    member.join(board.address, board.code.lower().replace("-", " "), name="  Anna  Muster ")
    said = capsys.readouterr().out
    assert f"You have joined the board at {board.address} as Anna Muster." in said
    assert "none of your code, values or output" in said
    member.opened(LAB)
    check()
    check(0.5)
    member.hand("I don't see why")
    wait(lambda: board.picture()["hands"], "no hand arrives")
    (row,) = board.rows()
    assert (row["learner"], row["attempts"], row["points"]) == ("Anna Muster", 2, 0.5)
    assert row["misconception"] == "k - 1"
    member.hand("")
    wait(lambda: not board.picture()["hands"], "the hand stays up")


def test_nothing_is_lost_or_doubled_over_three_kills(board: Board, mine: Outbox) -> None:
    member.join(board.address, board.code, name="Anna")
    code, page = board.code, board.page
    for kill in range(3):
        for _ in range(10):
            check()
        if kill % 2:
            wait(lambda: len(attempts(board)) > 10, "nothing arrives")
        board.kill()
        for _ in range(10):
            check()
        board.start()
        assert (board.code, board.page) == (code, page)
    wait(lambda: not mine.waiting(), "events wait")
    assert attempts(board) == list(range(1, 61))
    assert board.rows()[0]["attempts"] == 60


def test_an_answer_that_is_lost_doubles_nothing(
    board: Board, mine: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board has kept the events, and the network goes before it can say so."""
    member.join(board.address, board.code, name="Anna")
    ask = sender.ask

    def lost(*about: object, **more: object) -> dict[str, object]:
        ask(*about, **more)  # type: ignore[arg-type]
        raise Unreachable("the network went")

    monkeypatch.setattr(sender, "ask", lost)
    check()
    wait(lambda: attempts(board), "nothing arrives")
    assert mine.waiting()
    monkeypatch.setattr(sender, "ask", ask)
    check()
    wait(lambda: not mine.waiting(), "events wait")
    assert attempts(board) == [1, 2]


def test_a_notebook_works_alike_with_the_board_down(
    mine: Outbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Joined while it is away, it has joined, with all that happened, once the board is there."""
    away = Board(tmp_path / "workshop", free_port())
    with opened(away.folder) as first:
        code = first.code
    member.join(away.address, code, name="Anna")
    assert "Work on: your notebook goes on trying" in capsys.readouterr().out
    for _ in range(5):
        check()
    assert capsys.readouterr().out == ""
    away.start()
    try:
        wait(lambda: not mine.waiting(), "events wait")
        assert attempts(away) == [1, 2, 3, 4, 5]
    finally:
        away.close()


def test_time_is_the_boards_where_a_clock_is_wrong(board: Board, mine: Outbox) -> None:
    """A clock that is years ahead, and one that was put back while the network was gone."""
    member.join(board.address, board.code, name="Anna")
    mine.add({"kind": "check", "lab": LAB, "exercise": FIRST, "points": 0.0})
    with sqlite3.connect(mine.file) as base:
        base.execute("UPDATE waiting SET queued = queued + 1e8")
    sender.deliver(mine)
    mine.add({"kind": "check", "lab": LAB, "exercise": FIRST, "points": 0.0})
    with sqlite3.connect(mine.file) as base:
        base.execute("UPDATE waiting SET queued = queued - 1e8")
    sender.deliver(mine)
    with sqlite3.connect(board.folder / "board.sqlite") as base:
        times = [at for (at,) in base.execute("SELECT at FROM events")]
        (joined,) = base.execute("SELECT joined FROM learners").fetchone()
    assert all(joined - 1 <= at <= time.time() + 1 for at in times)


def test_a_taken_name_and_a_wrong_code_are_told_at_once(
    board: Board, mine: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    Learner(board, "Anna").join()
    member.join(board.address, board.code, name="anna")
    assert "Somebody else here is called anna" in capsys.readouterr().out
    check()
    assert not mine.waiting()
    member.join(board.address, "AAA-AAA", name="Ben")
    assert "not the class's code" in capsys.readouterr().out
    member.join("no address:x", "AAA-AAA", name="Ben")
    assert "You have not joined the board" in capsys.readouterr().out
    member.join(board.address, board.code, name="Ben")
    assert "as Ben" in capsys.readouterr().out


def test_the_environment_joins_too(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(member.VARIABLE, f"{board.address} {board.code} Anna Muster")
    member.opened(LAB)
    member.opened(LAB)
    assert capsys.readouterr().out.count("none of your code, values or output") == 1
    wait(lambda: board.picture()["learners"], "nobody joins")
    assert board.picture()["learners"][0]["name"] == "Anna Muster"
    member.leave()
    member.opened(LAB)  # who has left is not joined again behind their back
    check()
    assert "joining" not in capsys.readouterr().out.lower()


def test_leaving_ends_it_and_deletes_on_request(
    board: Board, mine: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    member.leave()
    assert "You have joined no board" in capsys.readouterr().out
    member.join(board.address, board.code, name="Anna")
    check()
    wait(lambda: attempts(board), "nothing arrives")
    member.leave()
    assert "nothing more is sent" in capsys.readouterr().out
    check()
    assert not mine.waiting()
    assert len(attempts(board)) == 1
    member.join(board.address, board.code, name="Anna")  # the name is still hers
    assert "as Anna" in capsys.readouterr().out
    member.leave(delete=True)
    assert "has deleted what it was sent" in capsys.readouterr().out
    assert attempts(board) == []
    assert board.picture()["learners"] == []


def test_deleting_with_the_board_away_says_that_it_is_not_done(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    member.join(board.address, board.code, name="Anna")
    check()
    wait(lambda: attempts(board), "nothing arrives")
    board.kill()
    member.leave(delete=True)
    assert "not deleted yet" in capsys.readouterr().out
    board.start()
    member.leave(delete=True)
    assert "has deleted" in capsys.readouterr().out
    assert attempts(board) == []


def test_a_board_that_was_begun_anew_is_told_once(
    board: Board, mine: Outbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    member.join(board.address, board.code, name="Anna")
    board.kill()
    board.folder = tmp_path / "another"
    board.start()
    capsys.readouterr()
    check()
    wait(lambda: mine.membership().state == "refused", "it is not noticed")  # type: ignore[union-attr]
    check()
    check()
    assert capsys.readouterr().out.count("join again") == 1


def test_a_queue_that_cannot_be_written_breaks_no_check(
    board: Board, mine: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    member.join(board.address, board.code, name="Anna")
    member._senders.clear()  # as in a kernel that was started again, on a disk that lost something
    for file in mine.file.parent.glob(".board.sqlite*"):
        file.unlink()
    mine.file.write_bytes(b"no database" * 1000)
    capsys.readouterr()
    check()
    assert "The board was not told" in capsys.readouterr().out
    member.hand("I am lost")
    said = capsys.readouterr().out
    assert "The board was not told" in said
    assert "hand is up" not in said


def test_two_notebooks_share_one_queue(board: Board, mine: Outbox) -> None:
    member.join(board.address, board.code, name="Anna")
    other = Outbox(mine.file)
    for _ in range(5):
        check()
        other.add({"kind": "check", "lab": LAB, "exercise": FIRST, "points": 0.0})
        sender.deliver(other)
    wait(lambda: not mine.waiting(), "events wait")
    assert attempts(board) == list(range(1, 11))


def test_a_notebook_is_handed_in_with_a_receipt(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "05_convolution.ipynb"
    file.write_text(json.dumps({"cells": [], "metadata": {"lab": {"name": LAB}}}))
    member.hand_in(file)
    assert "You have joined no board" in capsys.readouterr().out
    member.join(board.address, board.code, name="Anna")
    member.hand_in(file)
    assert "Handed in: 05_convolution.ipynb" in capsys.readouterr().out
    there = board.folder / "submissions" / "Anna" / LAB / f"{LAB}.ipynb"
    assert there.read_bytes() == file.read_bytes()
    (receipt,) = (tmp_path / "mine" / "receipts").iterdir()

    assert "Anna handed in 05_convolution" in board.receipt(receipt)
    assert "is that notebook, byte for byte" in board.receipt(receipt, file)
    file.write_text(file.read_text() + " ")
    assert "is not the notebook" in board.receipt(receipt, file)
    forged = json.loads(receipt.read_text())
    forged["at"] = "2020-01-01 00:00:00 UTC"
    receipt.write_text(json.dumps(forged))
    assert "no receipt of this board" in board.receipt(receipt)


def test_a_kill_between_the_file_and_the_word_is_made_good(board: Board, tmp_path: Path) -> None:
    anna = Learner(board, "Anna")
    anna.join()
    anna.hand_in(LAB, b'{"cells": []}')
    folder = board.folder / "submissions" / "Anna" / LAB
    (folder / "timestamp.txt").unlink()
    (folder / f"{LAB}.ipynb").write_bytes(b"half")
    board.restart()
    assert (folder / f"{LAB}.ipynb").read_bytes() == b'{"cells": []}'
    assert (folder / "timestamp.txt").exists()


def test_what_cannot_be_handed_in_is_told(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    member.join(board.address, board.code, name="Anna")
    large, odd = tmp_path / "large.ipynb", tmp_path / "odd.ipynb"
    large.write_text(json.dumps({"cells": [], "padding": " " * (21 * 2**20)}))
    odd.write_text("{}")
    for file, why in (
        (large, "the board takes 20"),
        (odd, "is no notebook"),
        (tmp_path / "x", "cannot be read"),
    ):
        capsys.readouterr()
        member.hand_in(file)
        assert why in capsys.readouterr().out
    board.kill()
    odd.write_text('{"cells": []}')
    member.hand_in(odd)
    assert "Say hand_in() again later" in capsys.readouterr().out


def test_a_second_board_on_one_folder_is_refused(board: Board) -> None:
    second = Board(board.folder)
    with pytest.raises(AssertionError, match="did not open"):
        second.start()


@pytest.mark.parametrize(
    "typed", ["10.0.0.5:8300", " http://10.0.0.5:8300/ ", "http://10.0.0.5:8300#x"]
)
def test_an_address_is_taken_as_it_is_typed(typed: str) -> None:
    assert plain(typed) == "http://10.0.0.5:8300"


@pytest.mark.parametrize("typed", ["", "ftp://x", "http://", "http://x:port", "file:///etc/passwd"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"address|[Pp]ort"):
        plain(typed)


def test_a_refusal_is_a_sentence() -> None:
    assert Refused("No.", 429).again
    assert not Refused("No.", 403).again
