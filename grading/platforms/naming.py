"""Whom a path in a platform's zip of submissions names.

Moodle (mod/assign/classes/downloader.php; a folder for each student, or files alone):

    Anna Muster_1234567_assignsubmission_file/01_perceptron.ipynb    (up to 4.0 with one more `_`)
    Anna Muster_1234567_assignsubmission_file_01_perceptron.ipynb
    Participant_1234567_assignsubmission_file_/01_perceptron.ipynb   (blind marking)

Canvas (lib/content_zipper.rb; last name first, in small letters, without blanks and signs):

    musteranna_4711_890123_01_perceptron.ipynb
    musteranna_LATE_4711_890123_01_perceptron-1.ipynb                (its second upload)
    anon_x7Kq2_890123_01_perceptron.ipynb                            (anonymous grading)

The first number is the student's; in Moodle another one for each assignment. Canvas's second is the
file's, and grows with time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from grading.platforms.roster import CANVAS, MOODLE

_MOODLE = re.compile(r"(?P<name>.*)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)")
_CANVAS = re.compile(r"(?P<name>.+?)(?P<late>_LATE)?_(?P<number>\d+)_(?P<order>\d+)_(?P<file>.+)")
_ANONYMOUS = re.compile(r"(LATE_)?anon_\w+?_\d+_.+")
_BLIND = "Moodle hides the names (blind marking): give its grading worksheet as the roster"
_HIDDEN = "Canvas hides the names: turn off anonymous grading and download it again"
_COPY = re.compile(r".*?(?:\((\d+)\)|-(\d+))\.ipynb", re.IGNORECASE)


@dataclass(frozen=True)
class Sender:
    """Whom a platform's file is from. late: so the platform says; order: grows with time, where
    the platform numbers its files; file: what the student called it; hidden: why there is no name.
    """

    platform: str
    name: str
    number: str
    file: str
    late: bool = False
    order: int = 0
    hidden: str = ""


def sender(parts: Sequence[str]) -> Sender | None:
    """Whom the parts of a path name in a platform's way, if they do."""
    for part in parts:
        if found := _MOODLE.fullmatch(part):
            hidden = _BLIND if found["name"] == "Participant" else ""
            file = found["file"] or parts[-1]
            return Sender(MOODLE, found["name"], found["number"], file, hidden=hidden)
    if _ANONYMOUS.fullmatch(parts[-1]):
        return Sender(CANVAS, "", "", parts[-1], hidden=_HIDDEN)
    if found := _CANVAS.fullmatch(parts[-1]):
        late, order = bool(found["late"]), int(found["order"])
        return Sender(CANVAS, found["name"], found["number"], found["file"], late, order)
    return None


def copy_number(file: str) -> int:
    """The 2 of `01_perceptron (2).ipynb` and `01_perceptron-2.ipynb`; 0 where there is none."""
    found = _COPY.fullmatch(file)
    return int(found[1] or found[2]) if found else 0
