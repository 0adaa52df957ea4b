"""The board's process: what it answers to notebooks, to the instructor's page, to anybody else.

A notebook shows its learner's token, the page the instructor's key, each in a header: no address
and no cookie has one, so no page can give one away. Nothing that was sent is ever put into a
page's markup.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from grading.answer.say import say
from grading.course.languages.speech import language
from grading.learner.notebook import MOST_BYTES
from grading.marking.handed_in import NAME, fault_of_name
from grading.workshop import export
from grading.workshop.handed import Handed, time_of
from grading.workshop.lessons import Lesson
from grading.workshop.limits import Limit
from grading.workshop.room import Room, without_names
from grading.workshop.store import Event, HandedIn, Learner, NameTaken, Store, Unavailable

MOST_LEARNERS = 500
MOST_EVENTS = 20_000  # of one learner
_MOST_PAGES = 20
_HEARTBEAT = 10.0  # seconds after which a page gets the picture anew, for the minutes in it
_PAUSE = 0.1  # seconds in which changes are collected
_NOTEBOOK = 20  # events that handing in a notebook counts as, for how fast one may be
_SMALL = 64 * 1024  # bytes of a request that is no notebook
_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}")
_PAGES = {"/": "join.html", "/board": "board.html"}


class Board:
    """All that the board knows, on disk and in memory."""

    def __init__(self, store: Store, handed: Handed, lessons: Mapping[str, Lesson]) -> None:
        self.store, self.handed = store, handed
        self.room = Room(lessons)
        self.address = ""  # as learners reach it
        self.seats = ""  # as they reach a hub, where there is one
        self.closed = False
        self.pages = set[asyncio.Event]()
        self.counts: dict[int, int] = {}  # events of each learner
        self.wrong_codes, self.sent, self.told = Limit(30, 0.5), Limit(300, 5.0), Limit(1, 0.1)
        for learner in store.learners():
            self.room.enter(learner)
        for event in store.events():
            self._take(event)
        for version in store.notebooks():
            self.room.take_notebook(version)

    @property
    def code(self) -> str:
        """The class's code as it is shown: QK7-M2P."""
        return f"{self.store.code[:3]}-{self.store.code[3:]}"

    def is_code(self, said: str) -> bool:
        """Whether somebody typed the class's code, however it was spaced."""
        known = re.sub(r"[\s-]", "", said).upper().encode("utf-8", "replace")
        return hmac.compare_digest(known, self.store.code.encode())

    def is_full(self) -> bool:
        return len(self.room.seats) >= MOST_LEARNERS

    def join(self, name: str, token: str) -> Learner:
        learner = self.store.join(name, token)
        self.room.enter(learner)
        self.changed()
        return learner

    def take(self, learner: Learner, events: list[Event]) -> None:
        """Keep events. Raises ValueError where one learner sends too many."""
        if self.counts.get(learner.id, 0) + len(events) > MOST_EVENTS:
            enough = "The board has had more from you than a class can send: it is enough."
            raise ValueError(enough)
        for event in self.store.add(events):
            self._take(event)
        self.changed()

    def hand_in(self, learner: Learner, lab: str, content: bytes) -> HandedIn:
        version = self.handed.keep(learner, lab, content, time.time())
        self.room.take_notebook(version)
        self.changed()
        return version

    def forget(self, learner: Learner) -> bool:
        """Delete what a learner sent; whether notebooks are there, which stay, as does the name."""
        kept = bool(self.room.seats[learner.id].handed_in)
        self.store.forget(learner.id, name=not kept)
        self.counts.pop(learner.id, None)
        if kept:
            self.room.clear(learner.id)
        else:
            self.room.leave(learner.id)
        self.changed()
        return kept

    def changed(self) -> None:
        for page in self.pages:
            page.set()

    async def close(self) -> None:
        """Let the pages go: they come back by themselves when the board is opened again."""
        self.closed = True
        self.changed()
        await asyncio.sleep(2 * _PAUSE)

    def _take(self, event: Event) -> None:
        self.counts[event.learner] = self.counts.get(event.learner, 0) + 1
        self.room.take(event)


class Refusal(HTTPError):
    """An answer other than yes, in a sentence for who asked."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(status)
        self.sentence = sentence


@stream_request_body
class Asked(RequestHandler):
    """A request: its body within limits, its answer in JSON, its errors as sentences."""

    most = _SMALL
    board: Board

    def initialize(self, board: Board) -> None:
        self.board = board

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Server", "board")

    def prepare(self) -> None:
        self.body = bytearray()
        if int(self.request.headers.get("Content-Length") or 0) > self.most:
            raise Refusal(self._too_long(), 413)

    def data_received(self, chunk: bytes) -> None:
        self.body += chunk
        if len(self.body) > self.most:
            raise Refusal(self._too_long(), 413)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        said = f"The board cannot answer this ({status_code})."
        self.finish({"error": error.sentence if isinstance(error, Refusal) else said})

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, Unavailable):  # notebooks send again, so it happens again
            if self.board.told.allows("database", time.monotonic()):
                print(value, file=sys.stderr)
        elif not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)

    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(bytes(self.body))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refusal("The board was sent something that it cannot read.")
        return found

    def learner(self) -> Learner:
        found = self.board.store.learner(self._bearer())
        if found is None:
            raise Refusal("The board does not know you (any more): join again.", 401)
        return found

    def instructor(self) -> None:
        """Raises HTTPError for anybody else."""
        if not hmac.compare_digest(self._bearer().encode(), self.board.store.key.encode()):
            raise Refusal("This is for the instructor's page: open its whole address again.", 401)

    def _bearer(self) -> str:
        return self.request.headers.get("Authorization", "").removeprefix("Bearer ")

    def _too_long(self) -> str:
        return f"That is more than the {self.most // 1024:,} kB that the board takes."


class Page(RequestHandler):
    """A page, which holds its script and its style and asks nobody else for anything."""

    def initialize(self, content: bytes) -> None:
        self.content = content

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Server", "board")

    def get(self) -> None:
        policy = {
            **dict.fromkeys(
                ("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"
            ),
            "connect-src": "'self'",
            "img-src": "data:",
            "script-src": _digests(self.content, b"script"),
            "style-src": _digests(self.content, b"style"),
        }
        rules = "; ".join(f"{what} {where}" for what, where in policy.items())
        self.set_header("Content-Security-Policy", rules)
        self.finish(self.content)


def page(name: str) -> bytes:
    """A page in the language that is spoken."""
    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    spoken = language(Path(__file__).parents[2]) or "en"
    return pages.get_template(name).render(say=say, language=spoken).encode()


class Join(Asked):
    def post(self) -> None:
        said, place = self.json(), self.request.remote_ip
        code, name, token = (str(said.get(key, "")) for key in ("code", "name", "token"))
        if not self.board.wrong_codes.allows(place, time.monotonic(), 0):
            raise Refusal("Too many wrong codes came from your machine: wait a minute.", 429)
        if not self.board.is_code(code):
            self.board.wrong_codes.allows(place, time.monotonic())
            raise Refusal("That is not the class's code: read it off the wall once more.", 403)
        if fault_of_name(name):
            raise Refusal(f"A name here has at most 100 characters: {NAME}.")
        if not _TOKEN.fullmatch(token):
            raise Refusal("A token is 43 letters, digits, - and _.")
        if self.board.is_full() and not self.board.store.learner(token):
            raise Refusal(f"The board is full: {MOST_LEARNERS} have joined.", 403)
        try:
            self.finish({"name": self.board.join(name, token).name})
        except NameTaken:
            taken = f"Somebody else here is called {name}: choose another name."
            raise Refusal(taken, 409) from None


class Events(Asked):
    def post(self) -> None:
        learner, sent, now = self.learner(), self.json().get("events"), time.time()
        if not isinstance(sent, list) or len(sent) > 100:
            raise Refusal("Events come in a list of at most 100.")
        if not self.board.sent.allows(learner.id, time.monotonic(), len(sent)):
            raise Refusal("That is faster than anybody works: wait a little.", 429)
        events, refused = [], []
        for one in sent:
            try:
                events.append(event_of(one, learner, now, self.board.room.lessons))
            except ValueError as error:
                refused.append(str(error))
        try:
            self.board.take(learner, events)
        except ValueError as error:
            raise Refusal(str(error), 403) from None
        self.finish({"kept": len(events), "refused": refused})


class Me(Asked):
    def delete(self) -> None:
        self.finish({"kept": self.board.forget(self.learner())})


class Notebook(Asked):
    most = MOST_BYTES

    def post(self, lab: str) -> None:
        learner = self.learner()
        if not self.board.sent.allows(learner.id, time.monotonic(), _NOTEBOOK):
            raise Refusal("You hand in faster than anybody works: wait a minute.", 429)
        if lab not in self.board.room.lessons:
            raise Refusal(f"This course has no lab that is called {lab[:60]!a}.")
        try:
            cells = json.loads(bytes(self.body))["cells"]
        except (ValueError, KeyError, TypeError, RecursionError):
            cells = None
        if not isinstance(cells, list):
            raise Refusal("This is no notebook.")
        try:
            version = self.board.hand_in(learner, lab, bytes(self.body))
        except ValueError as error:
            raise Refusal(str(error), 403) from None
        self.finish(self.board.handed.receipt(learner, version))


class Course(Asked):
    def get(self) -> None:
        self.instructor()
        board = self.board
        place = {"address": board.address, "seats": board.seats, "code": board.code}
        self.finish({**place, "labs": board.room.course()})


class Live(Asked):
    """The picture, again whenever it changes: server-sent events."""

    def prepare(self) -> None:
        super().prepare()
        self.change, self.gone = asyncio.Event(), False

    def on_connection_close(self) -> None:
        self.gone = True
        self.change.set()

    async def get(self) -> None:
        self.instructor()
        if len(self.board.pages) >= _MOST_PAGES:
            raise Refusal(f"{_MOST_PAGES} pages are open: close one.", 429)
        named = self.get_argument("names", "yes") != "no"
        self.set_header("Content-Type", "text/event-stream")
        self.board.pages.add(change := self.change)
        try:
            while not self.gone and not self.board.closed:
                change.clear()
                picture = self.board.room.picture(time.time())
                text = json.dumps(picture if named else without_names(picture))
                self.write(f"data: {text}\n\n")
                await self.flush()
                try:
                    await asyncio.wait_for(change.wait(), _HEARTBEAT)
                except TimeoutError:
                    continue
                await asyncio.sleep(_PAUSE)
        except StreamClosedError:
            self.gone = True
        finally:
            self.board.pages.discard(change)


class Lower(Asked):
    def post(self) -> None:
        self.instructor()
        learner, now = self.json().get("id"), time.time()
        if not isinstance(learner, int) or learner not in self.board.room.seats:
            raise Refusal("There is no such learner.", 404)
        name = hashlib.sha256(f"{learner} {now}".encode()).hexdigest()[:16]
        lowered = Event(learner, name, now, "lowered")
        self.board.take(self.board.room.seats[learner].learner, [lowered])
        self.finish({})


class Export(Asked):
    def get(self, kind: str) -> None:
        self.instructor()
        now = time.time()
        rows = list(export.rows(self.board.room, now))
        if kind == "csv":
            self.set_header("Content-Type", "text/csv; charset=utf-8")
            self.finish(export.as_csv(rows))
        else:
            self.finish({"at": time_of(now), "rows": rows})


class Nothing(Asked):
    def prepare(self) -> None:
        raise Refusal("The board has no such address.", 404)


def application(board: Board, under: str = "") -> Application:
    """What answers for a board. under: the beginning of each path, such as `/services/board`."""
    pages = [(under + path, Page, {"content": page(name)}) for path, name in _PAGES.items()]
    handlers: list[tuple[str, type[Asked]]] = [
        ("/api/join", Join),
        ("/api/events", Events),
        ("/api/me", Me),
        ("/api/notebook/(.*)", Notebook),
        ("/api/course", Course),
        ("/api/live", Live),
        ("/api/lower", Lower),
        ("/api/export.(csv|json)", Export),
    ]
    rules: list[Any] = [
        *pages,
        *((under + path, kind, {"board": board}) for path, kind in handlers),
    ]
    rules.append((".*", Nothing, {"board": board}))
    return Application(rules, log_function=lambda handler: None)


def event_of(sent: Any, learner: Learner, now: float, lessons: Mapping[str, Lesson]) -> Event:
    """What a notebook sent, each field looked at. Raises ValueError with a sentence."""
    if not isinstance(sent, dict):
        raise ValueError("An event is a JSON object.")
    kind, lab, exercise = (_text(sent, key, 80) for key in ("kind", "lab", "exercise"))
    if kind not in ("open", "check", "hand", "lowered"):
        raise ValueError("There is no such kind of event.")
    if kind in ("open", "check") and lab not in lessons:
        raise ValueError(f"This course has no lab that is called {lab!a}.")
    if kind == "check" and exercise not in lessons[lab].exercises:
        raise ValueError(f"Lab {lab} has no exercise that is called {exercise!a}.")
    if not _ID.fullmatch(_text(sent, "id", 16)):
        raise ValueError("An event is numbered with 16 hexadecimal digits.")
    # A clock may be wrong and a network gone for long: by the board's clock, since joining.
    ago = min(_number(sent, "ago", 1e9), max(0.0, now - learner.joined))
    return Event(
        learner.id,
        sent["id"],
        now - ago,
        kind,
        lab,
        exercise,
        _number(sent, "points", 1000.0),
        int(_number(sent, "attempt", 1e6)),
        min(_number(sent, "seconds", 1e9), max(0.0, now - ago - learner.joined) + 86_400),
        _text(sent, "misconception", 120),
        _text(sent, "text", 200),
    )


def _text(sent: Mapping[str, Any], key: str, most: int) -> str:
    value = sent.get(key, "")
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise ValueError(f"{key} is a text of at most {most} characters on one line.")
    return value.encode("utf-8", "replace").decode()


def _number(sent: Mapping[str, Any], key: str, most: float) -> float:
    value = sent.get(key, 0)
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= most:
        raise ValueError(f"{key} is a number from 0 to {most:g}.")
    return float(value)


def _digests(page: bytes, tag: bytes) -> str:
    """The digests of a page's scripts or styles, by which a browser knows them from others."""
    found = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), page, re.DOTALL)
    codes = [base64.b64encode(hashlib.sha256(one).digest()).decode() for one in found]
    return " ".join(f"'sha256-{code}'" for code in codes) or "'none'"
