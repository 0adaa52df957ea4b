"""What can be wrong with an answer, in words a learner can act on."""

from dataclasses import dataclass

# The kinds that end an exercise at once: trying the next part would only say the same again.
# (A value that is not filled in is no such thing: the next one may be.)
FINAL = frozenset(
    {"missing", "not done", "waits", "signature", "time limit", "dead", "library call"}
)

# The kinds that say that something is still to be done: the answer itself, or what it stands on.
UNWRITTEN = frozenset({"not done", "no value"})
UNDONE = UNWRITTEN | {"missing", "waits"}


@dataclass
class Fault(Exception):
    """One thing that is wrong with an answer.

    kind: missing, not done, waits (for another answer, not done), no value, signature, exception,
        time limit, dead, library call, type, shape, dtype, value, or check (the check itself could
        not go on).
    message, diagnosis: name the fault and the misconception behind it, in words that hold for any
        input, so that graded feedback can show them.
    detail, given, expected, got: show the practice inputs and values; the learner's notebook only.
    guess: what the values look like, shown in the notebook where there is no diagnosis.
    """

    kind: str
    message: str
    diagnosis: str = ""
    detail: str = ""
    given: str = ""
    expected: str = ""
    got: str = ""
    guess: str = ""

    def __str__(self) -> str:
        return self.message

    def lines(self, practice: bool = True) -> list[str]:
        """The fault as lines of text; without `practice`, nothing that holds a value."""
        shown = [self.message]
        if practice:
            guess = "" if self.diagnosis else self.guess
            detail = " ".join(filter(None, [self.detail, guess]))
            shown += [detail, self.given, *self._comparison()]
        return [line for line in [*shown, self.diagnosis] if line]

    def _comparison(self) -> list[str]:
        if len(self.expected) + len(self.got) > 64 or "\n" in self.expected + self.got:
            return [f"expected  {self.expected}", f"yours     {self.got}"] if self.expected else []
        return [
            "   ".join(
                filter(
                    None,
                    [
                        self.expected and f"expected {self.expected}",
                        self.got and f"yours {self.got}",
                    ],
                )
            )
        ]
