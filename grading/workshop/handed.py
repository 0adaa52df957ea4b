"""The notebooks that a class handed in, on disk, and the receipts for them.

    submissions/<name>/NN_lab/NN_lab.ipynb, timestamp.txt     the newest; `autograde` reads these
    versions/<name>/NN_lab/<digest>.ipynb                     every version

A receipt says who handed in what and when, with a mark that only the board's secret makes.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grading.answer.say import say
from grading.course.files import CourseError, write_atomically
from grading.workshop.store import HandedIn, Learner, Store

MOST_OF_ONE = 200 * 2**20  # of all versions of a learner


class Handed:
    """The folders, beside the board's own file."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._versions: dict[int, dict[str, int]] = {}  # of each learner: bytes by digest
        for one in store.notebooks():
            self._count(one)

    @property
    def submissions(self) -> Path:
        return self._folder / "submissions"

    def keep(self, learner: Learner, lab: str, content: bytes, now: float) -> HandedIn:
        """Keep a version; the newest one is what will be graded. Raises ValueError."""
        if sum(self._versions.get(learner.id, {}).values()) + len(content) > MOST_OF_ONE:
            most = MOST_OF_ONE // 2**20
            enough = (
                f"you have handed in {most} MB by now, which is all that the board keeps of one"
                " learner: tell your instructor."
            )
            raise ValueError(enough)
        version = HandedIn(learner.id, lab, hashlib.sha256(content).hexdigest(), len(content), now)
        # The version first: what the board says it has, it has, whenever it is killed.
        write_atomically(self._version(learner, version), content, private=True)
        self._store.hand_in(version)
        self._count(version)
        self._put(learner, version, content)
        return version

    def restore(self) -> None:
        """Put the newest versions where they belong, should a kill have come in between. Raises
        CourseError where one is missing."""
        for name in ("submissions", "versions"):
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        names = {one.id: one for one in self._store.learners()}
        newest = {(one.learner, one.lab): one for one in self._store.notebooks()}
        for version in newest.values():
            learner = names[version.learner]
            file = self._submission(learner, version.lab)
            there = file.read_bytes() if file.exists() else b""
            stamp = file.with_name("timestamp.txt")
            if (
                hashlib.sha256(there).hexdigest() != version.digest
                or not stamp.exists()
                or stamp.read_text() != time_of(version.at)
            ):
                self._put(learner, version, self._kept(learner, version))

    def receipt(self, learner: Learner, version: HandedIn) -> dict[str, Any]:
        said = {
            "name": learner.name,
            "lab": version.lab,
            "digest": version.digest,
            "bytes": version.bytes,
            "at": time_of(version.at),
        }
        return {**said, "mark": _mark(self._store.secret, said)}

    def verify(self, receipt: Mapping[str, Any]) -> str:
        """What a receipt proves, in a sentence. Raises CourseError where it proves nothing."""
        said = {key: receipt.get(key) for key in ("name", "lab", "digest", "bytes", "at")}
        mark = str(receipt.get("mark", "")).encode()
        if not hmac.compare_digest(mark, _mark(self._store.secret, said).encode()):
            raise CourseError("This is no receipt of this board, or it was changed.")
        names = {one.id: one.name for one in self._store.learners()}
        versions = [
            one
            for one in self._store.notebooks()
            if names[one.learner] == said["name"] and one.lab == said["lab"]
        ]
        newest = bool(versions) and versions[-1].digest == said["digest"]
        name, lab, size, at = said["name"], said["lab"], f"{said['bytes']:,}", said["at"]
        which = "It is the newest version" if newest else "A newer version came since"
        return " ".join(
            [
                say(f"{name} handed in {lab} ({size} bytes) at {at}."),
                say(f"{which}; {len(versions)} in all."),
            ]
        )

    def _kept(self, learner: Learner, version: HandedIn) -> bytes:
        file = self._version(learner, version)
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise CourseError(
                f"{file} was handed in and is not there: name the folder of this class by --folder,"
                " or put the file back."
            ) from None

    def _put(self, learner: Learner, version: HandedIn, content: bytes) -> None:
        file = self._submission(learner, version.lab)
        write_atomically(file, content, private=True)
        write_atomically(file.with_name("timestamp.txt"), time_of(version.at).encode())

    def _submission(self, learner: Learner, lab: str) -> Path:
        return self.submissions / learner.name / lab / f"{lab}.ipynb"

    def _version(self, learner: Learner, version: HandedIn) -> Path:
        folder = self._folder / "versions" / learner.name / version.lab
        return folder / f"{version.digest}.ipynb"

    def _count(self, version: HandedIn) -> None:
        self._versions.setdefault(version.learner, {})[version.digest] = version.bytes


def time_of(seconds: float) -> str:
    """As nbgrader's timestamp.txt has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def receipt(folder: Path, db: str | None, file: Path, notebook: Path | None) -> int:
    """Verify a receipt against the board in a folder, or in its database, and a notebook against
    the receipt; the exit code. Raises CourseError."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        content = notebook.read_bytes() if notebook else None
    except (OSError, ValueError) as error:
        raise CourseError(f"{file} cannot be read as a receipt ({error}).") from None
    if not isinstance(said, dict):
        raise CourseError(f"{file} is no receipt.")
    with closing(Store(folder, db, serving=False)) as store:
        print(Handed(folder, store).verify(said))
    if content is not None and hashlib.sha256(content).hexdigest() != said["digest"]:
        raise CourseError(f"{notebook} is not the notebook that was handed in.")
    if content is not None:
        print(say(f"{notebook} is that notebook, byte for byte."))
    return 0


def _mark(secret: bytes, said: Mapping[str, Any]) -> str:
    text = json.dumps(said, sort_keys=True, ensure_ascii=True)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
