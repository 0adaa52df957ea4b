"""Who may take a seat: a name, the class's code, and a password, chosen at the first sign-in.

One SQLite file beside the board's. Who opens an account joins the board with it, so that a name is
one person's on both; the token for it is made of the board's secret and the name, and kept nowhere.
"""

import base64
import hashlib
import hmac
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from grading.course.files import CourseError
from grading.marking.handed_in import NAME, fault_of_name
from grading.workshop.limits import Limit
from grading.workshop.server import Board
from grading.workshop.store import NameTaken, Unavailable, folded

SHORTEST = 8  # characters of a password
_LONGEST = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, folded TEXT UNIQUE, password BLOB);
"""


class NotSignedIn(Exception):
    """The message is a sentence for the person who wants to sign in."""


@dataclass(frozen=True)
class Account:
    """user: the name of the seat, and of the system's user where each seat has its own."""

    user: str
    name: str
    token: str


class Accounts:
    """The accounts in a class's folder. Raises CourseError where their file cannot be used."""

    def __init__(self, folder: Path, board: Board) -> None:
        self.board = board
        self._base = _opened(folder)
        self._wrong_passwords = Limit(20, 0.2)  # by account: a seat could feign any address
        # Two classes on one machine have different system users.
        self._prefix = f"p2p-{self._setting('prefix', secrets.token_hex(2))}-"

    def close(self) -> None:
        self._base.close()

    def sign_in(self, name: str, code: str, password: str, place: str) -> Account:
        """The account of a person, new or from before. place: the address that asks.

        Takes a tenth of a second, as guessing passwords shall. Raises NotSignedIn.
        """
        name = " ".join(name.split())
        self._check_code(code, place)
        if fault_of_name(name):
            raise NotSignedIn(f"A name here has at most 100 characters: {NAME}.")
        row = self._base.execute(
            "SELECT id, name, password FROM accounts WHERE folded = ?", (folded(name),)
        ).fetchone()
        if row is None:
            return self._open(name, _digest_of_new(password))
        number, name, known = row
        if known is None:  # the instructor has had it forgotten
            self._set_password(number, _digest_of_new(password))
        else:
            self._check_password(number, password, known)
        return self._account(number, name)

    def of(self, user: str) -> Account:
        """The account whose seat has this name."""
        number = int(user.removeprefix(self._prefix))
        (name,) = self._base.execute("SELECT name FROM accounts WHERE id = ?", (number,)).fetchone()
        return self._account(number, name)

    def _check_code(self, code: str, place: str) -> None:
        limit, now = self.board.wrong_codes, time.monotonic()
        if not limit.allows(place, now, 0):
            raise NotSignedIn("Too many wrong codes came from your machine: wait a minute.")
        if not self.board.is_code(code):
            limit.allows(place, now)
            raise NotSignedIn("That is not the class's code: read it off the wall once more.")

    def _check_password(self, number: int, password: str, known: bytes) -> None:
        limit, now = self._wrong_passwords, time.monotonic()
        if not limit.allows(number, now, 0):
            raise NotSignedIn("Too many wrong passwords came for this name: wait a minute.")
        if not _is_password(password, known):
            limit.allows(number, now)
            raise NotSignedIn(
                "This name is taken, and that is not its password. If it is yours, type the"
                " password that you chose; if not, choose another name."
            )

    def _open(self, name: str, password: bytes) -> Account:
        if self.board.is_full():
            raise NotSignedIn("The class is full.")
        taken = f"Somebody else here is called {name}: choose another name."
        try:
            with self._base:
                done = self._base.execute(
                    "INSERT INTO accounts (name, folded, password) VALUES (?, ?, ?)",
                    (name, folded(name), password),
                )
                account = self._account(int(done.lastrowid or 0), name)
                self.board.join(name, account.token)  # or the account is not opened either
        except (NameTaken, sqlite3.IntegrityError):
            raise NotSignedIn(taken) from None
        except Unavailable:
            raise NotSignedIn("The board does not answer: try again in a minute.") from None
        return account

    def _account(self, number: int, name: str) -> Account:
        mark = hmac.new(self.board.store.secret, f"seat of {folded(name)}".encode(), hashlib.sha256)
        token = base64.urlsafe_b64encode(mark.digest()).decode().rstrip("=")
        return Account(f"{self._prefix}{number}", name, token)

    def _set_password(self, number: int, password: bytes | None) -> None:
        with self._base:
            self._base.execute("UPDATE accounts SET password = ? WHERE id = ?", (password, number))

    def _setting(self, key: str, new: str) -> str:
        with self._base:
            self._base.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, new))
        (value,) = self._base.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return value


def forget_password(folder: Path, name: str) -> None:
    """Have the next sign-in under a name choose a new password. Raises CourseError."""
    base = _opened(folder, new=False)
    try:
        with base:
            done = base.execute(
                "UPDATE accounts SET password = NULL WHERE folded = ?", (folded(name),)
            )
    finally:
        base.close()
    if not done.rowcount:
        raise CourseError(f"Nobody called {name!a} has a seat in the class in {folder}.")


def _opened(folder: Path, *, new: bool = True) -> sqlite3.Connection:
    file = folder / "accounts.sqlite"
    if not new and not file.exists():
        raise CourseError(f"There are no seats in {folder}: name the class's folder by --folder.")
    try:
        file.touch(mode=0o600)
        base = sqlite3.connect(file, timeout=1.0)
        base.execute("PRAGMA journal_mode=WAL")
        base.executescript(_SCHEMA)
    except (OSError, sqlite3.DatabaseError) as error:
        raise CourseError(f"{file} cannot be used for the class's accounts: {error}.") from None
    return base


def _digest_of_new(password: str) -> bytes:
    """Raises NotSignedIn where it is not fit to be one."""
    if not SHORTEST <= len(password) <= _LONGEST:
        raise NotSignedIn(
            f"You sign in for the first time: choose a password of at least {SHORTEST} characters."
        )
    salt = secrets.token_bytes(16)
    return salt + _digest(password, salt)


def _is_password(password: str, known: bytes) -> bool:
    return len(password) <= _LONGEST and hmac.compare_digest(
        _digest(password, known[:16]), known[16:]
    )


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=2**14, r=8, p=1)
