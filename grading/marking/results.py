"""Result files, DIR/<student>/NN_name.json: written whole or not at all, and signed.

The signature is keyed with the course's secret, so a result that was changed, or is another
student's, another lab's or another course's, is not taken for one.
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from grading.course.files import CourseError, write_atomically


class Results:
    """The results of one lab in one folder. refused: why a file that is there was not taken."""

    def __init__(self, folder: Path, lab: str, secret: bytes) -> None:
        self.folder, self.lab, self.secret = folder, lab, secret
        self.refused: dict[str, str] = {}

    def file(self, student: str) -> Path:
        return self.folder / student / f"{self.lab}.json"

    def write(self, student: str, result: dict[str, Any]) -> None:
        """Raises CourseError where that is not possible; what was there stays."""
        file = self.file(student)
        signed = {**result, "signature": self._signature(result)}
        text = json.dumps(signed, indent=1, ensure_ascii=False, allow_nan=False)
        try:
            write_atomically(file, text.encode("utf-8", "replace"), private=True)
            for leftover in file.parent.glob(f".{file.name}.*"):  # of a process that was killed
                leftover.unlink()
        except OSError as error:
            raise self._unwritable(file, error) from None

    def require_writable(self) -> None:
        """Raises CourseError where no result could be written, before anything is graded."""
        file = self.folder / ".writable"
        try:
            write_atomically(file, b"", private=True)
            file.unlink()
        except OSError as error:
            raise self._unwritable(file, error) from None

    def read(self, student: str) -> dict[str, Any] | None:
        """The result that is there, if it is whole and this course's; else `refused` says why."""
        try:
            result = json.loads(self.file(student).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            self.refused[student] = "its result file is cut off or damaged"
            return None
        fault = self._fault(student, result)
        if fault:
            self.refused[student] = fault
            return None
        self.refused.pop(student, None)
        return {key: value for key, value in result.items() if key != "signature"}

    def all(self) -> list[dict[str, Any]]:
        """The results of the lab, by student. Raises CourseError if there is none."""
        students = sorted(file.parent.name for file in self.folder.glob(f"*/{self.lab}.json"))
        found = [result for one in students if (result := self.read(one)) is not None]
        if not found:
            why = "".join(f"\n  {who}: {fault}" for who, fault in self.refused.items())
            raise CourseError(
                f"There are no results in {self.folder}/<student>/{self.lab}.json:"
                f" run `python -m grading autograde` first.{why}"
            )
        return found

    def _fault(self, student: str, result: Any) -> str:
        if not isinstance(result, dict) or "signature" not in result:
            return "its result file is not signed: run `python -m grading autograde` again"
        signature = str(result["signature"])
        content = {key: value for key, value in result.items() if key != "signature"}
        if not hmac.compare_digest(signature, self._signature(content)):
            return (
                "its result file was changed, or made with another course's secret (course/secret):"
                " run `python -m grading autograde` again"
            )
        whose = result.get("student"), result.get("lab")
        if whose != (student, self.lab):
            return f"its result file is that of {whose[0]!a} in lab {whose[1]}"
        return ""

    def _signature(self, result: dict[str, Any]) -> str:
        # As JSON has it: a tuple comes back as a list.
        text = json.dumps(json.loads(json.dumps(result)), sort_keys=True)
        return hmac.new(self.secret, b"result/" + text.encode(), hashlib.sha256).hexdigest()

    def _unwritable(self, file: Path, error: OSError) -> CourseError:
        return CourseError(
            f"{file} cannot be written ({error.strerror}): put that right and give the same command"
            " again; the results that are there are whole, and are kept."
        )
