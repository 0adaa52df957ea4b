"""What can be wrong with an answer, in words a learner can act on."""

from dataclasses import dataclass

from grading.answer.say import Say
from grading.answer.width import padded

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

    def lines(self, practice: bool = True, say: Say = str) -> list[str]:
        """The fault as lines of text, in English or what `say` makes of it; without `practice`,
        nothing that holds a value."""
        shown = [say(self.message)]
        if practice:
            guess = "" if self.diagnosis else self.guess
            detail = " ".join(say(one) for one in (self.detail, guess) if one)
            shown += [detail, say(self.given), *self._comparison(say)]
        return [line for line in [*shown, say(self.diagnosis)] if line]

    def _comparison(self, say: Say) -> list[str]:
        ours, theirs = say("expected"), say("yours")
        expected, got = say(self.expected), say(self.got)
        if len(expected) + len(got) > 64 or "\n" in expected + got:
            return (
                [f"{padded(ours, 8)}  {expected}", f"{padded(theirs, 8)}  {got}"]
                if expected
                else []
            )
        pairs = [(ours, expected), (theirs, got)]
        return ["   ".join(f"{whose} {value}" for whose, value in pairs if value)]
