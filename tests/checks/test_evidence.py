"""What a student's process makes up earns nothing: every exercise of every lab against a liar.

The liar's process answers the judge's requests as it likes. It knows the lab, and may know what a
right notebook answered to *other* inputs; it does not know how to compute the answer to these.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from grading.answer import exercise, render
from grading.answer.codec import decode, encode
from grading.answer.exercise import Result
from grading.check import Notebook
from tests.labs import LABS, SEEDS, answered, reference

EXERCISES = [(lab, name) for lab in LABS for name in exercise.load(lab)]
NOTHING: dict[str, Any] = {
    "an empty list": [],
    "an empty tuple": (),
    "an empty dict": {},
    "an empty string": "",
    "None": None,
    "True": True,
    "zero": 0,
    "NaN": float("nan"),
    "an empty array": np.zeros(0),
    "a list of empty lists": [[], [], []],
}


class Recorder(Notebook):
    """A notebook whose replies are kept, by what was asked for."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__(namespace)
        self.replies: dict[str, list[bytes]] = defaultdict(list)

    def answer(self, request: bytes) -> bytes:
        reply = super().answer(request)
        self.replies[asked_for(request)].append(reply)
        return reply


class Liar(Notebook):
    """Answers calls and probes with what was right for other inputs; has no value to show."""

    def __init__(self, replies: dict[str, list[bytes]]) -> None:
        super().__init__({})
        self.replies: dict[str, Iterator[bytes]] = {k: iter(v) for k, v in replies.items()}

    def answer(self, request: bytes) -> bytes:
        asked = asked_for(request)
        if asked.startswith("get "):
            return super().answer(request)
        return next(self.replies.get(asked, iter(())), encode({"value": 0.0, "mutated": []}))

    def uses(self, name: str, forbidden: Any) -> list[str]:
        return []


class Silent(Liar):
    """Answers every call and probe with the same empty thing."""

    def __init__(self, nothing: object) -> None:
        super().__init__({})
        self.nothing = nothing

    def answer(self, request: bytes) -> bytes:
        if asked_for(request).startswith("get "):
            return super().answer(request)
        return encode({"value": self.nothing, "mutated": []})


def asked_for(request: bytes) -> str:
    asked = decode(request)
    name = asked.get("name") or ".".join(map(str, asked.get("path", [])))
    return f"{asked['do']} {name}"


def judged(lab: str, name: str, transport: Notebook, seed: int) -> Result:
    return exercise.run(exercise.load(lab)[name], transport, np.random.default_rng(seed))


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_what_was_right_for_other_inputs_earns_nothing(lab: str, name: str) -> None:
    recorder = Recorder(dict(reference(lab)))
    judged(lab, name, recorder, seed=1)
    for seed in range(2, 2 + SEEDS):
        result = judged(lab, name, Liar(recorder.replies), seed)
        assert result.score == 0, render.text(result)


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_reporting_nothing_earns_nothing(lab: str, name: str, nothing: str) -> None:
    result = judged(lab, name, Silent(NOTHING[nothing]), seed=2)
    assert result.score == 0, render.text(result)
    kinds = {part.fault.kind for part in result.parts if part.fault is not None}
    assert "check" not in kinds, render.text(result)


_ELSEWHERE = """
class ShardedAdam(ShardedAdam):
    def __init__(self, *args, **kwargs):
        self.state = {}
        super().__init__(*args, **kwargs)

    m = property(lambda self: self.state["m"].clone(), lambda self, new: self.state.update(m=new))
    v = property(lambda self: self.state["v"].clone(), lambda self, new: self.state.update(v=new))
"""


def test_adams_moments_that_are_shown_and_not_used_are_no_state() -> None:
    lab, name = "13_model_parallel", "shard_optimizer"
    for seed in range(SEEDS):
        result = judged(lab, name, Notebook(answered(lab, _ELSEWHERE)), seed)
        assert [part.fault is None for part in result.parts] == [True, True, True, False]
