"""What a board keeps, in SQLite and in PostgreSQL alike; a server that goes away and comes back."""

import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from grading.__main__ import main
from grading.course.files import CourseError
from grading.learner.wire import Unreachable
from grading.workshop.store import Event, HandedIn, NameTaken, Store, Unavailable
from tests import postgres
from tests.needs import needs
from tests.workshop.classroom import Learner, opened, wait

LAB, EXERCISE = "05_convolution", "output_size"
SOCKET = ".s.PGSQL.5432"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.served() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def db(request: pytest.FixtureRequest) -> str | None:
    """What `--db` says for each kind."""
    if request.param == "sqlite":
        return None
    server: postgres.Server = request.getfixturevalue("server")
    return server.url(server.new_database())


@contextmanager
def store_of(folder: Path, db: str | None) -> Iterator[Store]:
    store = Store(folder, db)
    try:
        yield store
    finally:
        store.close()


def check(learner: int, number: int) -> Event:
    about = (LAB, EXERCISE, 1 / 3, number, 0.1 * number, "k − 1", "is it (k, k)?")
    return Event(learner, f"{number:016x}", 1_790_000_000.123456 + number, "check", *about)


def numbers(store: Store) -> list[int]:
    return [event.attempt for event in store.events()]


def test_all_is_there_when_it_is_opened_again(tmp_path: Path, db: str | None) -> None:
    with store_of(tmp_path, db) as store:
        kept = (store.code, store.key, store.secret)
        learners = [store.join(name, secrets.token_hex()) for name in ("Anna Muster", "東 あずさ")]
        events = [check(learners[i % 2].id, i) for i in (3, 1, 2)]
        assert store.add(events) == events
        versions = [HandedIn(learners[0].id, LAB, f"{i:064x}", 20_000_000 + i, 0.5) for i in (2, 1)]
        for one in versions:
            store.hand_in(one)
    with store_of(tmp_path, db) as store:
        assert (store.code, store.key, store.secret) == kept
        assert store.learners() == learners
        assert list(store.events()) == events
        assert store.notebooks() == versions


def test_an_event_is_kept_once_and_a_batch_whole(tmp_path: Path, db: str | None) -> None:
    def broken() -> Iterator[Event]:
        yield check(1, 9)
        raise RuntimeError

    with store_of(tmp_path, db) as store:
        first, second = check(1, 1), check(1, 2)
        assert store.add([first, first]) == [first]
        assert store.add([first, second]) == [second]
        assert store.add([check(2, 1)]) == [check(2, 1)]  # another's, of the same number
        with pytest.raises(RuntimeError):
            store.add(broken())
        assert numbers(store) == [1, 2, 1]


def test_a_name_is_one_persons_until_they_are_forgotten(tmp_path: Path, db: str | None) -> None:
    mine, other = secrets.token_hex(), secrets.token_hex()
    with store_of(tmp_path, db) as store:
        anna = store.join("Anna", mine)
        assert store.join("ANNA", mine) == store.learner(mine) == anna
        for name, token in (("ａnna", other), ("Ben", mine)):
            with pytest.raises(NameTaken):
                store.join(name, token)
        assert store.learner(other) is None
        store.add([check(anna.id, 1)])
        store.forget(anna.id, name=False)
        assert (numbers(store), store.learners()) == ([], [anna])
        store.forget(anna.id, name=True)
        assert store.learner(mine) is None
        assert store.join("Anna", other).id != anna.id


def test_a_board_is_read_beside_its_process_and_never_made_by_reading(
    tmp_path: Path, db: str | None
) -> None:
    with pytest.raises(CourseError, match="There is no board in"):
        Store(tmp_path / "nothing", db, serving=False)
    assert not (tmp_path / "nothing").exists()
    with store_of(tmp_path, db) as store:
        store.add([check(1, 1)])
        reader = Store(tmp_path, db, serving=False)
        assert (numbers(reader), reader.code) == ([1], store.code)
        reader.close()


@needs("postgres")
def test_one_database_has_one_board(tmp_path: Path, server: postgres.Server) -> None:
    db = server.url(server.new_database())
    with store_of(tmp_path, db), pytest.raises(CourseError, match="Another board is running on"):
        Store(tmp_path / "another", db)
    with store_of(tmp_path / "another", db):
        pass


@needs("postgres")
def test_a_server_that_was_gone_is_found_again(tmp_path: Path, server: postgres.Server) -> None:
    with store_of(tmp_path, server.url(server.new_database())) as store:
        store.add([check(1, 1)])
        server.kill()
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"The board's database postgresql:.* fails: "):
                store.add([check(1, 2)])
        server.start()
        assert store.add([check(1, 1), check(1, 2)]) == [check(1, 2)]
        server.kill()
        server.start()  # and nobody asked in between
        assert numbers(store) == [1, 2]


@needs("postgres")
def test_an_answer_that_is_lost_loses_and_doubles_nothing(
    tmp_path: Path, server: postgres.Server
) -> None:
    """The server has kept the event, and the network goes before it can say so."""
    first, second = check(1, 1), check(1, 2)
    database = server.new_database()
    with (
        relayed(server) as relay,
        store_of(tmp_path, server.url(database, relay.folder)) as store,
    ):
        relay.cut = True
        with pytest.raises(Unavailable):
            store.add([first])
        assert not relay.cut
        reader = Store(tmp_path, server.url(database), serving=False)
        wait(lambda: numbers(reader) == [1], "the server has not kept it")
        reader.close()
        assert sent_again(store, [first, first, second]) == [first, second]
        assert store.add([first]) == []
        assert numbers(store) == [1, 2]


@needs("postgres")
def test_a_class_goes_on_over_kills_of_the_server_and_of_the_board(
    tmp_path: Path, server: postgres.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    db, folder = server.url(server.new_database()), tmp_path / "class"
    with opened(folder, "--db", db) as board:
        code = board.code
        anna = Learner(board, "Anna")
        anna.join()
        anna.check(LAB, EXERCISE, 0.0, "k - 1")
        receipt = anna.hand_in(LAB, b'{"cells": []}')
        server.kill()
        with pytest.raises(Unreachable):
            anna.check(LAB, EXERCISE, 0.0)
        server.start()
        anna.check(LAB, EXERCISE, 0.5)
        board.restart()
        assert board.code == code
        anna.check(LAB, EXERCISE, 0.0)
        (row,) = board.rows()
        assert (row["attempts"], row["points"], row["state"]) == (3, 0.5, "partly")
        assert row["handed in"] == receipt["at"]
        file = tmp_path / "receipt.json"
        file.write_text(str(receipt).replace("'", '"'))
        assert main(["receipt", str(file), "--db", db, "--folder", str(tmp_path / "x")]) == 0
        assert "It is the newest version" in capsys.readouterr().out
        assert main(["notes", "05", "--db", db]) == 0
        assert "What learners of this class were told" in capsys.readouterr().out
    assert not (folder / "board.sqlite").exists()
    elsewhere = ["workshop", "--db", db, "--folder", str(tmp_path / "elsewhere"), "--port", "0"]
    assert main(elsewhere) == 2
    assert "name the folder of this class by --folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["workshop", "hub"])
@pytest.mark.parametrize(
    ("db", "said"),
    [
        ("monday", "--db takes a PostgreSQL database"),
        ("sqlite:///x", "--db takes a PostgreSQL database"),
        ("postgresql://127.0.0.1:9/x", "The board's database postgresql://127.0.0.1:9/x fails: "),
    ],
)
def test_a_database_that_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, db: str, said: str
) -> None:
    assert main([command, "--db", db, "--folder", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1


def test_a_password_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = ["--db", "postgresql://me:geheim@127.0.0.1:9/x", "--folder", str(tmp_path)]
    assert main(["workshop", *db]) == 2
    assert "geheim" not in capsys.readouterr().err
    assert main(["hub", *db]) == 2  # a seat could read it in the list of processes
    assert "put it into ~/.pgpass" in capsys.readouterr().err


def test_a_missing_driver_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(CourseError, match="PostgreSQL needs its driver"):
        Store(tmp_path, "postgresql://127.0.0.1:9/x")


class Relay:
    """Passes on what a board and a server say to each other. cut: after the next COMMIT the server
    hears no more, and the board, which gets no answer, neither."""

    def __init__(self, server: postgres.Server) -> None:
        self.cut, self._server = False, server
        self.folder = server.folder / "relay"
        self.folder.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / SOCKET))
        self.listener.listen()

    def serve(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                board, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server.folder / SOCKET))
                for pair in ((board, server), (server, board)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self.cut and b"COMMIT" in data:
                    self.cut = False
                    source.shutdown(socket.SHUT_RDWR)
                    sink.sendall(data)
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def relayed(server: postgres.Server) -> Iterator[Relay]:
    relay = Relay(server)
    threading.Thread(target=relay.serve, daemon=True).start()
    yield relay
    relay.listener.shutdown(socket.SHUT_RDWR)
    relay.listener.close()


def sent_again(store: Store, events: list[Event]) -> list[Event]:
    """What is new of events that are sent until they are kept, as a notebook does."""

    def kept() -> list[list[Event]]:
        with suppress(Unavailable):
            return [store.add(events)]
        return []

    (new,) = wait(kept, "the events are not kept")
    return new
