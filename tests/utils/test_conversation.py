"""A rank's program step by step, and runs whose stash is known."""

import threading
import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from utils.pipeline.conversation import Conversation, Event, Other, stage_program
from utils.pipeline.saved import saved_by


def adding(other: Other) -> Event:
    (x,) = other.ask(("recv",))
    other.note(("module",), (), 3)
    other.ask(("send",), (x + 1,))
    return ("end",), (), 0


def test_a_program_stands_still_at_each_message_and_tells_what_came_before_it() -> None:
    talk = Conversation(adding)
    assert talk.step() == [(("recv",), (), 0)]
    noted, (what, (sent,), _) = talk.step((torch.tensor(2.0),))
    assert noted == (("module",), (), 3)
    assert what == ("send",)
    assert sent.item() == 3.0
    assert talk.step() == [(("end",), (), 0)]
    talk.end()


def test_what_a_program_raises_is_raised_by_the_step() -> None:
    def failing(other: Other) -> Event:
        raise KeyError("stash")

    with pytest.raises(KeyError, match="stash"):
        Conversation(failing).step()


def test_a_conversation_that_is_left_leaves_no_thread() -> None:
    def endless(other: Other) -> Event:
        other.ask(("recv",))
        while True:
            pass

    before = threading.active_count()
    waiting = Conversation(adding)
    waiting.step()
    waiting.end()
    looping = Conversation(endless)
    looping.step()
    looping._replies.put(())  # into its loop, for whose end nobody waits
    looping.end()
    assert threading.active_count() == before


def test_a_stage_multiplies_with_one_factor_after_another_forward_and_backward() -> None:
    def forward_and_back(actions, module, send, recv, inputs, loss) -> float:  # type: ignore[no-untyped-def]
        value = loss(0, module(inputs[0]))
        value.backward()
        return value.item()

    weight, x = torch.eye(2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    setting = {
        "rank": 0,
        "ranks": 1,
        "actions": [("F", 0), ("B", 0)],
        "weight": weight,
        "before": 0 * weight,
        "several": False,
        "factors": torch.tensor([[2.0], [3.0], [5.0]], dtype=torch.float64),
        "losses": torch.tensor([7.0]),
        "slopes": [(x,)],
        "inputs": [x],
        "times": 1,
    }
    talk = Conversation(stage_program(forward_and_back, setting))
    steps = talk.step()
    assert [what[0] for what, *_ in steps] == [
        "module",
        "loss",
        "loss backward",
        "backward",
        "end",
    ]
    tanh = torch.tanh(x)
    torch.testing.assert_close(steps[1][1][0], 3 * tanh)
    loss, gradient = steps[-1][1]
    assert loss.item() == 7.0
    torch.testing.assert_close(gradient, x.T @ (5 * (1 - tanh**2)))


@pytest.mark.parametrize(
    ("steps", "most"),
    [
        ([("tanh", 0, 6, 4), ("backward", 0)], 96),
        ([("tanh", 0, 6, 4), ("drop", 0), ("tanh", 1, 2, 4)], 96),
        ([("tanh", 0, 6, 4), ("again", 0), ("tanh", 1, 2, 4)], 128),
        ([("square", 0, 6, 4)], 96),
        ([("slices", 0, 6, 4)], 96),
        ([("linear", 0, 6, 4)], 192 + 64),
    ],
)
def test_runs_save_what_their_steps_say(steps: Sequence[tuple], most: int) -> None:  # type: ignore[type-arg]
    weight = torch.rand(4, 4, requires_grad=True)
    found = [0]

    class Held:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor.detach()

    alive: weakref.WeakSet[Held] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Held:
        kept = Held(tensor)
        alive.add(kept)
        storages = {h.tensor.untyped_storage().data_ptr(): h.tensor for h in alive}
        found.append(sum(t.untyped_storage().nbytes() for t in storages.values()))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        saved_by(steps, weight)()
    assert max(found) == most
