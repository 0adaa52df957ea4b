"""What an attack got, from either grader."""

from dataclasses import dataclass

from tests.attacks import MAX_SCORE


@dataclass(frozen=True)
class Outcome:
    """score: None where the grader gave none; read: the secrets that were read, by name; harm: what
    was done to the instructor's world; note: what else is worth telling."""

    score: float | None
    read: tuple[str, ...] = ()
    harm: tuple[str, ...] = ()
    note: str = ""

    @property
    def succeeded(self) -> bool:
        return bool(self.score) or bool(self.read) or bool(self.harm)

    def __str__(self) -> str:
        marks = "no mark" if self.score is None else f"{self.score:g} of {MAX_SCORE:g}"
        read = f"read: {', '.join(self.read)}" if self.read else ""
        return "; ".join(filter(None, [marks, read, *self.harm, self.note]))
