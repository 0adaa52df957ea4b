"""Result files, DIR/<student>/NN_name.json: written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from grading.course.files import CourseError, write_atomically


def result_file(results: Path, student: str, lab: str) -> Path:
    return results / student / f"{lab}.json"


def write_result(file: Path, result: dict[str, Any]) -> None:
    """Write a result whole or not at all. Raises CourseError where that is not possible."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        write_atomically(file, text.encode("utf-8", "replace"))
        for leftover in file.parent.glob(f".{file.name}.*"):  # of a process that was killed
            leftover.unlink()
    except OSError as error:
        raise CourseError(
            f"{file} cannot be written ({error.strerror}): put that right and give the same command"
            " again; the results that are there are whole, and are kept."
        ) from None


def read_result(file: Path) -> dict[str, Any] | None:
    """The result that is there, if it is whole."""
    try:
        result = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and "inputs" in result else None


def load(results: Path, lab: str) -> list[dict[str, Any]]:
    """The results of a lab, by student. Raises CourseError if there is none."""
    files = sorted(results.glob(f"*/{lab}.json"))
    found = [result for file in files if (result := read_result(file)) is not None]
    if not found:
        raise CourseError(
            f"There are no results in {results}/<student>/{lab}.json:"
            " run `python -m grading autograde` first."
        )
    return found
