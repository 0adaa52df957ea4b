"""What a board keeps in its database: learners, events, notebooks, and its own secrets.

The database is one SQLite file in the board's folder, or one of a PostgreSQL server. Nothing is
answered before it is on the disk. An event is kept once, by the number that its notebook drew for
it; the order of arrival is the order of events.
"""

import hashlib
import secrets
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.event import listens_for
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from grading.course.files import CourseError

_TABLES = sa.MetaData()
_SETTINGS = sa.Table(
    "settings",
    _TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text),
)
_LEARNERS = sa.Table(
    "learners",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("folded", sa.Text, unique=True),
    sa.Column("token", sa.LargeBinary, unique=True),
    sa.Column("joined", sa.Double),
    sqlite_autoincrement=True,  # the number of somebody forgotten is not given again
)
_EVENTS = sa.Table(
    "events",
    _TABLES,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("learner", sa.Integer),
    sa.Column("id", sa.Text),
    sa.Column("at", sa.Double),
    sa.Column("kind", sa.Text),
    sa.Column("lab", sa.Text),
    sa.Column("exercise", sa.Text),
    sa.Column("points", sa.Double),
    sa.Column("attempt", sa.Integer),
    sa.Column("seconds", sa.Double),
    sa.Column("misconception", sa.Text),
    sa.Column("text", sa.Text),
    sa.UniqueConstraint("learner", "id"),
    sqlite_autoincrement=True,
)
_NOTEBOOKS = sa.Table(
    "notebooks",
    _TABLES,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("learner", sa.Integer),
    sa.Column("lab", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("bytes", sa.Integer),
    sa.Column("at", sa.Double),
    sqlite_autoincrement=True,
)
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is taken for another
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_PATIENCE = 10  # seconds until a server that has gone is given up, or by a server its board
_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": 1.0},
    "postgresql": {"connect_timeout": _PATIENCE, "tcp_user_timeout": _PATIENCE * 1000},
}
# What each connection begins with.
_BEGIN = {
    "sqlite": ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"),
    "postgresql": (
        "SET synchronous_commit = on",
        f"SET tcp_keepalives_idle = {_PATIENCE}",
        f"SET tcp_keepalives_interval = {_PATIENCE}",
        "SET tcp_keepalives_count = 1",
    ),
}
_LOCK = "SELECT pg_try_advisory_lock(8300)"  # holds in its database, as long as the connection


@dataclass(frozen=True)
class Learner:
    id: int
    name: str
    joined: float


@dataclass(frozen=True)
class Event:
    """One thing that happened. kind: open, check, hand, lowered; at: the board's time; attempt and
    seconds (since the lab was opened): as the notebook counts them."""

    learner: int
    id: str
    at: float
    kind: str
    lab: str = ""
    exercise: str = ""
    points: float = 0.0
    attempt: int = 0
    seconds: float = 0.0
    misconception: str = ""
    text: str = ""


@dataclass(frozen=True)
class HandedIn:
    """One version of a notebook; digest: SHA-256 of its bytes."""

    learner: int
    lab: str
    digest: str
    bytes: int
    at: float


T = TypeVar("T", Learner, Event, HandedIn)


class NameTaken(Exception):
    """Somebody else has this name."""


class Unavailable(Exception):
    """The database did not take it, or could not say so; the message is a sentence."""


class Store:
    """The file `board.sqlite` in a folder, or the PostgreSQL database at the URL `db`.

    serving: for the one process that serves the board, and makes what is missing; otherwise it is
    read, beside that one. Raises CourseError; each method raises Unavailable.
    """

    def __init__(self, folder: Path, db: str | None = None, *, serving: bool = True) -> None:
        file = folder / "board.sqlite"
        url = url_of(db) if db else sa.URL.create("sqlite", database=str(file))
        self._place = url.set(drivername="postgresql").render_as_string() if db else str(file)
        self._serving = serving
        self._unsure = set[tuple[int, str]]()  # events of which nobody knows whether they are kept
        if serving:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if db is None:
                file.touch(mode=0o600)
        self._engine = self._engine_of(url)
        try:
            if not (serving or (self._has_tables() if db else file.exists())):
                raise CourseError(
                    f"There is no board in {self._place}: name the class's folder by --folder, or"
                    " its database by --db."
                )
            with self._transaction() as base:
                _TABLES.create_all(base)
            self.code = self._setting("code", "".join(secrets.choice(_LETTERS) for _ in range(6)))
            self.key = self._setting("key", secrets.token_urlsafe(24))
            self.secret = self._setting("secret", secrets.token_hex(32)).encode()
        except Unavailable as error:
            raise CourseError(str(error)) from None

    def close(self) -> None:
        self._engine.dispose()

    def join(self, name: str, token: str) -> Learner:
        """The learner of this name and token, new or from before. Raises NameTaken."""
        known = self.learner(token)
        if known is not None and folded(known.name) == folded(name):
            return known
        row = {"name": name, "folded": folded(name), "token": _digest(token), "joined": time.time()}
        try:
            with self._transaction() as base:
                base.execute(sa.insert(_LEARNERS).values(row))
        except IntegrityError:
            raise NameTaken(name) from None
        learner = self.learner(token)
        assert learner is not None
        return learner

    def learner(self, token: str) -> Learner | None:
        """Whose token this is. What is compared are digests, so time tells nothing of a token."""
        found = list(self._rows(Learner, _LEARNERS, _LEARNERS.c.token == _digest(token)))
        return found[0] if found else None

    def learners(self) -> list[Learner]:
        return list(self._rows(Learner, _LEARNERS))

    def add(self, events: Iterable[Event]) -> list[Event]:
        """Keep events, all or none; returns those that were not there before.

        One that was sent before, when the database could not say whether it kept it, is as new.
        """
        new, unsure = list[Event](), self._unsure.copy()
        try:
            with self._transaction() as base:
                for event in events:
                    done = base.execute(self._or_ignore(_EVENTS), vars(event))
                    if done.rowcount or (event.learner, event.id) in unsure:
                        new.append(event)
                    unsure.discard((event.learner, event.id))
        except Unavailable:
            self._unsure.update((event.learner, event.id) for event in new)
            raise
        self._unsure = unsure
        return new

    def events(self) -> Iterator[Event]:
        return self._rows(Event, _EVENTS)

    def hand_in(self, version: HandedIn) -> None:
        with self._transaction() as base:
            base.execute(sa.insert(_NOTEBOOKS).values(vars(version)))

    def notebooks(self) -> list[HandedIn]:
        """Every version, in the order in which they came."""
        return list(self._rows(HandedIn, _NOTEBOOKS))

    def forget(self, learner: int, *, name: bool) -> None:
        """Delete a learner's events; `name`: and the learner, so that the name is free again."""
        with self._transaction() as base:
            base.execute(sa.delete(_EVENTS).where(_EVENTS.c.learner == learner))
            if name:
                base.execute(sa.delete(_LEARNERS).where(_LEARNERS.c.id == learner))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """All or none of what is done in it. Raises Unavailable, and IntegrityError."""
        try:
            with self._engine.begin() as base:
                yield base
        except IntegrityError:
            raise
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0].rstrip(".") or type(error.orig).__name__
            raise Unavailable(f"The board's database {self._place} fails: {reason}.") from None

    def _rows(self, kind: type[T], table: sa.Table, *where: sa.ColumnElement[bool]) -> Iterator[T]:
        """The rows of a table as what they are, in the order in which they came."""
        wanted = [table.c[field.name] for field in fields(kind)]
        with self._transaction() as base:
            order = next(iter(table.primary_key))
            for row in base.execute(sa.select(*wanted).where(*where).order_by(order)):
                yield kind(*row)

    def _or_ignore(self, table: sa.Table) -> Any:
        """What inserts a row that is not there yet; its rowcount says so."""
        insert = _INSERT[self._engine.dialect.name](table).on_conflict_do_nothing()
        return insert.execution_options(preserve_rowcount=True)

    def _setting(self, key: str, new: str) -> str:
        with self._transaction() as base:
            base.execute(self._or_ignore(_SETTINGS).values(key=key, value=new))
            wanted = sa.select(_SETTINGS.c.value).where(_SETTINGS.c.key == key)
            return base.execute(wanted).scalar_one()

    def _has_tables(self) -> bool:
        with self._transaction() as base:
            return sa.inspect(base).has_table(_SETTINGS.name)

    def _engine_of(self, url: sa.URL) -> sa.Engine:
        """With one connection at most, which a board's lock goes with."""
        kind = url.get_backend_name()
        try:
            engine = sa.create_engine(
                url,
                connect_args=_OPTIONS[kind],
                pool_size=1,
                max_overflow=0,
                pool_pre_ping=True,  # a server that was started again is connected to again
            )
        except ModuleNotFoundError:
            raise CourseError(
                "PostgreSQL needs its driver, which is not installed here: `python install.py`"
                " installs it, and so does `pip install 'psycopg[binary]'`."
            ) from None

        @listens_for(engine, "connect")
        def begin(connection: Any, _: object) -> None:
            for statement in _BEGIN[kind]:
                connection.execute(statement)
            if kind == "postgresql" and self._serving:
                (alone,) = connection.execute(_LOCK).fetchone()
                if not alone:
                    raise Unavailable(f"Another board is running on {self._place}.")
            connection.commit()

        return engine


def url_of(db: str) -> sa.URL:
    """A PostgreSQL database's URL with the driver that the course locks. Raises CourseError."""
    with suppress(ArgumentError):
        url = sa.make_url(db)
        if url.get_backend_name() in ("postgres", "postgresql"):
            return url.set(drivername="postgresql+psycopg")
    raise CourseError("--db takes a PostgreSQL database, like postgresql://user@host/monday.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def folded(name: str) -> str:
    """Names that look alike, or are one folder on some disks, are one name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
