"""The board over HTTP, as notebooks and the instructor's page use it."""

import csv
import http.client
import io
import json
import os
import secrets
from collections.abc import Iterator

import pytest

from grading.learner.wire import Refused, Unreachable, ask
from grading.marking.handed_in import handed_in
from tests.workshop.classroom import Board, Learner, opened, wait

LAB, FIRST, SECOND = "05_convolution", "output_size", "conv2d_loops"
NOTEBOOK = json.dumps({"cells": [], "metadata": {"lab": {"name": LAB}}}).encode()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with opened(tmp_path_factory.mktemp("workshop")) as board:
        yield board


def joined(board: Board, name: str) -> Learner:
    learner = Learner(board, name)
    learner.join()
    return learner


def cells(board: Board, learner: Learner) -> dict[str, dict[str, object]]:
    (row,) = [one for one in board.picture()["learners"] if one["name"] == learner.name]
    return row["labs"].get(LAB, {})


def test_the_board_shows_who_is_where(board: Board) -> None:
    anna = joined(board, "Anna")
    anna.send({"kind": "open", "lab": LAB})
    assert cells(board, anna)[FIRST]["state"] == "begun"
    anna.check(LAB, FIRST, 0.0)
    anna.check(LAB, FIRST, 0.5)
    assert cells(board, anna)[FIRST]["state"] == "partly"
    assert cells(board, anna)[FIRST]["attempts"] == 2
    anna.check(LAB, FIRST, 1.0)
    assert cells(board, anna)[FIRST]["state"] == "done"
    assert cells(board, anna)[SECOND]["here"]


def test_who_is_longer_at_an_exercise_than_it_should_take_is_marked(board: Board) -> None:
    """The minutes are the board's own: here its file says that somebody joined two hours ago."""
    wrong, late = joined(board, "Wrong clock"), joined(board, "Late")
    board.age(late, 7200)
    for one in (wrong, late):
        one.send({"kind": "open", "lab": LAB, "ago": 1e9})
    assert not cells(board, wrong)[FIRST]["slow"]  # joined just now
    assert cells(board, late)[FIRST]["slow"]
    assert cells(board, late)[FIRST]["minutes"] == 120


def test_the_commonest_misconceptions_are_counted_by_name(board: Board) -> None:
    ben, chiara = joined(board, "Ben"), joined(board, "Chiara")
    for one in (ben, chiara):
        one.check(LAB, FIRST, 0.0, "k - 1")
    ben.check(LAB, SECOND, 0.0, "what the board has never heard of")
    wait(lambda: board.picture()["misconceptions"], "the tables are not read")
    found = board.picture()["misconceptions"][LAB]
    assert [(one["name"], one["count"]) for one in found[FIRST]] == [("k - 1", 2)]
    assert found[FIRST][0]["says"].startswith("That is one place too many")
    assert SECOND not in found
    ben.check(LAB, FIRST, 1.0)
    assert board.picture()["misconceptions"][LAB][FIRST][0]["count"] == 1


def test_hands_are_shown_in_order_and_go_down(board: Board) -> None:
    first, second = joined(board, "First hand"), joined(board, "Second hand")
    second.send({"kind": "hand", "text": "is it (k, k)?"})
    first.send({"kind": "hand", "text": "my kernel died"})
    second.send({"kind": "hand", "text": "or (k,)?"})
    hands = board.picture()["hands"]
    assert [one["text"] for one in hands] == ["or (k,)?", "my kernel died"]
    board.ask("/api/lower", "POST", body={"id": hands[0]["id"]})
    first.send({"kind": "lowered"})
    assert board.picture()["hands"] == []


def test_the_projector_view_has_no_names(board: Board) -> None:
    someone = joined(board, "Unmistakable")
    someone.check(LAB, FIRST, 1.0)
    someone.send({"kind": "hand", "text": "private words"})
    assert "Unmistakable" in json.dumps(board.picture())
    public = board.picture(names=False)
    assert "Unmistakable" not in json.dumps(public)
    assert "private words" not in json.dumps(public)
    assert public["labs"][LAB]["exercises"][FIRST]["done"] >= 1
    someone.send({"kind": "lowered"})


def test_what_is_sent_twice_counts_once(board: Board) -> None:
    dora = joined(board, "Dora")
    event = {"kind": "check", "lab": LAB, "exercise": FIRST, "points": 0.0, "id": "0" * 16}
    for _ in range(3):
        dora.send(event, event)
    assert cells(board, dora)[FIRST]["attempts"] == 1


def test_thirty_checks_in_one_second_all_count(board: Board) -> None:
    quick = joined(board, "Quick")
    for _ in range(30):
        quick.check(LAB, FIRST, 0.0)
    assert cells(board, quick)[FIRST]["attempts"] == 30


def test_a_name_belongs_to_who_took_it_first(board: Board) -> None:
    emil = joined(board, "Emil")
    emil.join()  # again, as after an answer that was lost
    for name in ("Emil", "EMIL", "Ｅmil"):
        with pytest.raises(Refused, match="Somebody else here is called"):
            Learner(board, name).join()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../anna", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "<b>x</b>", "x" * 101],
)
def test_a_name_that_is_none_is_refused(board: Board, name: str) -> None:
    with pytest.raises(Refused, match="A name here has at most 100 characters"):
        Learner(board, name).join()


def test_ten_megabytes_in_a_name_are_refused(board: Board) -> None:
    with pytest.raises((Refused, Unreachable)):
        Learner(board, "x" * 10_000_000).join()
    joined(board, "After the flood")


def test_a_wrong_code_is_refused(board: Board) -> None:
    wrong = {"code": "AAA-AAA", "name": "Guess", "token": secrets.token_urlsafe(32)}
    with pytest.raises(Refused, match="not the class's code"):
        ask(board.address, "POST", "/api/join", body=wrong)


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "../../key"])
def test_nobody_else_is_let_in(board: Board, token: str) -> None:
    stranger = Learner(board, "Stranger", token)
    for path, method in (
        ("/api/events", "POST"),
        ("/api/me", "DELETE"),
        (f"/api/notebook/{LAB}", "POST"),
    ):
        with pytest.raises(Refused, match="join again"):
            stranger.ask(path, method, content=NOTEBOOK)
    for path in ("/api/course", "/api/live", "/api/export.csv", "/api/export.json"):
        with pytest.raises(Refused, match="for the instructor"):
            stranger.ask(path, "GET")
    with pytest.raises(Refused, match="for the instructor"):
        stranger.ask("/api/lower", body={"id": 1})


BAD = {
    "no object": 3,
    "a path for a lab": {"kind": "check", "lab": "../../etc", "exercise": FIRST},
    "an exercise of another lab": {"kind": "check", "lab": LAB, "exercise": "neuron"},
    "a kind": {"kind": "drop table", "lab": LAB},
    "not a number": {"kind": "check", "lab": LAB, "exercise": FIRST, "points": float("nan")},
    "points without end": {"kind": "check", "lab": LAB, "exercise": FIRST, "points": 1e300},
    "below nothing": {"kind": "check", "lab": LAB, "exercise": FIRST, "points": -1},
    "truth": {"kind": "check", "lab": LAB, "exercise": FIRST, "points": True},
    "a list for a text": {"kind": "hand", "text": ["x"]},
    "a long text": {"kind": "hand", "text": "x" * 201},
    "lines": {"kind": "hand", "text": "a\nb\x1b[31m"},
    "an unfit number": {"kind": "hand", "text": "x", "id": "' OR 1=1"},
}


@pytest.mark.parametrize("event", BAD.values(), ids=BAD.keys())
def test_what_no_notebook_sends_is_refused_alone(board: Board, event: object) -> None:
    name = f"Odd {secrets.token_hex(4)}"
    odd = joined(board, name)
    fine = {"kind": "open", "lab": LAB, "id": secrets.token_hex(8)}
    said = odd.ask("/api/events", body={"events": [event, fine]})
    assert said["kept"] == 1
    assert len(said["refused"]) == 1
    assert said["refused"][0].endswith(".")


def test_a_flood_is_refused_and_the_board_goes_on(board: Board) -> None:
    flood = joined(board, "Flood")
    for _ in range(3):
        flood.send(*[{"kind": "open", "lab": LAB}] * 100)
    with pytest.raises(Refused, match="faster than anybody works"):
        flood.send(*[{"kind": "open", "lab": LAB}] * 100)
    joined(board, "Beside the flood").check(LAB, FIRST, 1.0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b"\xff\xfe", b'{"events": 3}'])
def test_what_is_no_request_is_refused(board: Board, body: bytes) -> None:
    odd = joined(board, f"Bytes {secrets.token_hex(4)}")
    with pytest.raises(Refused):
        odd.ask("/api/events", content=body)


def test_nothing_but_the_join_page_and_the_board_is_served(board: Board) -> None:
    for path in ("/../board.sqlite", "/board.sqlite", "/static/x", "/api", "/submissions/"):
        with pytest.raises(Refused, match="no such address"):
            ask(board.address, "GET", path)


@pytest.mark.parametrize("path", ["/", "/board"])
def test_a_page_may_ask_nobody_else(board: Board, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", board.port)
    connection.request("GET", path)
    response = connection.getresponse()
    page, policy = response.read().decode(), response.headers["Content-Security-Policy"]
    connection.close()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in page.replace("http://…", "")
    assert "https:" not in page
    assert board.code not in page
    assert board.key not in page


def test_a_notebook_lands_where_autograde_reads_it(board: Board) -> None:
    anna = joined(board, "Hannah")
    receipt = anna.hand_in(LAB, NOTEBOOK)
    newer = json.dumps({"cells": [{"cell_type": "code"}], "metadata": {}}).encode()
    later = anna.hand_in(LAB, newer)
    assert receipt["digest"] != later["digest"]
    (one,) = [
        one
        for one in handed_in(board.folder / "submissions", LAB).submissions
        if one.student == "Hannah"
    ]
    assert one.content() == newer
    assert one.timestamp().decode() == later["at"]
    versions = board.folder / "versions" / "Hannah" / LAB
    assert {file.read_bytes() for file in versions.iterdir()} == {NOTEBOOK, newer}
    (row,) = [one for one in board.picture()["learners"] if one["name"] == "Hannah"]
    assert LAB in row["handed_in"]


@pytest.mark.parametrize(
    "lab", ["../05_convolution", "..%2f..%2fx", "nothing", "05_convolution/x", ""]
)
def test_a_lab_that_is_none_takes_no_notebook(board: Board, lab: str) -> None:
    odd = joined(board, f"Path {secrets.token_hex(4)}")
    with pytest.raises(Refused):
        odd.hand_in(lab, NOTEBOOK)
    assert not (board.folder / "submissions" / odd.name).exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"no notebook", b'{"cells": 3}'])
def test_what_is_no_notebook_is_not_taken(board: Board, content: bytes) -> None:
    odd = joined(board, f"None {secrets.token_hex(4)}")
    with pytest.raises(Refused, match="no notebook"):
        odd.hand_in(LAB, content)


def test_a_notebook_that_is_too_long_is_refused_and_the_board_goes_on(board: Board) -> None:
    odd = joined(board, "Much")
    with pytest.raises((Refused, Unreachable)):
        odd.hand_in(LAB, b" " * (21 * 2**20))
    odd.hand_in(LAB, NOTEBOOK)


def test_who_leaves_is_forgotten_but_for_the_notebooks(board: Board) -> None:
    gone, kept = joined(board, "Gone"), joined(board, "Kept")
    for one in (gone, kept):
        one.check(LAB, FIRST, 0.0)
    kept.hand_in(LAB, NOTEBOOK)
    assert gone.ask("/api/me", "DELETE") == {"kept": False}
    assert kept.ask("/api/me", "DELETE") == {"kept": True}
    rows = {row["learner"]: row for row in board.rows()}
    assert "Gone" not in rows
    assert "exercise" not in rows["Kept"]
    joined(board, "Gone")
    with pytest.raises(Refused, match="Somebody else"):
        joined(board, "Kept")


def test_the_exports_say_the_same(board: Board) -> None:
    formula = joined(board, "Formula")
    formula.check(LAB, FIRST, 0.0, "=1+1")
    connection = http.client.HTTPConnection("127.0.0.1", board.port)
    connection.request("GET", "/api/export.csv", headers={"Authorization": f"Bearer {board.key}"})
    text = connection.getresponse().read().decode("utf-8-sig")
    connection.close()
    table = [row for row in csv.DictReader(io.StringIO(text)) if row["learner"] == "Formula"]
    rows = [row for row in board.rows() if row["learner"] == "Formula"]
    assert [row["exercise"] for row in table] == [row["exercise"] for row in rows] == [FIRST]
    assert table[0]["misconception"] == "'=1+1"


def test_the_folder_is_the_instructors_alone(board: Board) -> None:
    assert os.stat(board.folder / "board.sqlite").st_mode & 0o077 == 0
    joined(board, "Private").hand_in(LAB, NOTEBOOK)
    for name in ("submissions", "versions"):
        assert os.stat(board.folder / name).st_mode & 0o077 == 0
