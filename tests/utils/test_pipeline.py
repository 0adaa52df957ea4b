"""Messages between neighbours, and torch's engine: what they bring, and what they refuse."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from utils import ranks
from utils.pipeline import published, schedules, trace
from utils.pipeline.delay import Delay
from utils.pipeline.engine import Engine
from utils.pipeline.link import Link
from utils.ranks import RankError
from utils.ranks.simulated import simulate

PATIENCE = 240.0  # seconds, on a busy machine
ONE_F_ONE_B = schedules.parse("F0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3")


@pytest.fixture(scope="module", autouse=True)
def _end_ranks() -> Iterator[None]:
    yield
    ranks.stop()


# Links, on simulated ranks and on processes


def exchange(dist: Any = torch.distributed) -> list[Tensor]:
    """Rank 0 sends two messages, and rank 1 asks for the second one first."""
    link = Link(dist)
    if link.rank == 0:
        link.send("next", ("F", 0), (torch.arange(6).reshape(2, 3), torch.tensor(2.5)))
        link.send("next", ("F", 1), (torch.ones(2, dtype=torch.float64).t(),))
        got = list(link.recv("next", ("B", 0)))
    else:
        got = [*link.recv("previous", ("F", 1)), *link.recv("previous", ("F", 0))]
        link.send("previous", ("B", 0), (torch.zeros(0, 3), torch.tensor([True])))
    link.finish()
    return got


@pytest.mark.parametrize(
    "run",
    [
        lambda: simulate(exchange, 2).results,
        lambda: ranks.run(exchange, 2, timeout=PATIENCE, device="cpu"),
    ],
    ids=["simulated", "processes"],
)
def test_tensors_arrive_as_they_were_in_any_order_asked_for(
    run: Callable[[], list[list[Tensor]]],
) -> None:
    first, second = run()
    assert [tuple(one.shape) for one in first] == [(0, 3), (1,)]
    assert [one.dtype for one in second] == [torch.float64, torch.int64, torch.float32]
    assert torch.equal(second[1], torch.arange(6).reshape(2, 3))
    assert second[2].item() == 2.5
    assert not any(one.requires_grad for one in second)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (torch.zeros(2), "a tuple of tensors"),
        ((None,), "value 0 is None"),
        ((torch.zeros(2, requires_grad=True) * 2,), "send its detach"),
    ],
)
def test_what_is_no_data_is_not_sent(values: Any, says: str) -> None:
    def send(dist: Any) -> None:
        if dist.get_rank() == 0:
            Link(dist).send("next", ("F", 0), values)

    with pytest.raises(RankError, match=says):
        simulate(send, 2)


@pytest.mark.parametrize(
    ("to", "label", "says"),
    [
        ("previous", ("F", 0), "Rank 0 is the first"),
        ("left", ("F", 0), '"previous" or "next"'),
        ("next", "F0", "labelled with an action"),
    ],
)
def test_a_message_needs_a_neighbour_and_a_label(to: str, label: Any, says: str) -> None:
    def send(dist: Any) -> None:
        if dist.get_rank() == 0:
            Link(dist).send(to, label, (torch.zeros(1),))

    with pytest.raises(RankError, match=says):
        simulate(send, 2)


def test_a_wrong_label_is_a_deadlock_and_the_unread_message_can_be_named() -> None:
    links: dict[int, Link] = {}

    def mixed_up(dist: Any) -> None:
        link = links[dist.get_rank()] = Link(dist)
        if link.rank == 0:
            link.send("next", ("F", 1), (torch.zeros(1),))
            link.finish()
        else:
            link.recv("previous", ("F", 0))

    with pytest.raises(RankError) as caught:
        simulate(mixed_up, 2)
    assert caught.value.reason == "deadlock"
    assert links[1].waiting() == "F1 from the previous rank"


# Stages that only wait


def test_a_delay_hands_on_values_and_gradients_and_notes_what_it_did() -> None:
    recorder = trace.Recorder(0)
    delay = Delay(0.0, 0.0, recorder)
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    first, second = delay(x), delay(x)
    assert torch.equal(first, x)
    (5 * second).sum().backward()
    assert torch.equal(x.grad, torch.tensor([5.0, 5.0]))  # type: ignore[arg-type]
    assert [(span.kind, span.microbatch) for span in recorder.spans] == [
        ("F", 0),
        ("F", 1),
        ("B", 1),
    ]


def test_a_delay_in_two_parts_notes_each_when_it_is_asked_for() -> None:
    recorder = trace.Recorder(0)
    delay = Delay(0.0, 0.0, recorder, parts=True, stage=3)
    x = torch.tensor([2.0], requires_grad=True)
    y = delay(x)
    (dx,) = torch.autograd.grad(y, x, torch.tensor([5.0]), retain_graph=True)
    (dw,) = torch.autograd.grad(y, delay.weight, torch.tensor([5.0]))
    assert (dx.item(), dw.item()) == (5.0, 10.0)
    assert [span.label for span in recorder.spans] == ["3F0", "3I0", "3W0"]


# torch's engine


def network(width: int = 6) -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Tanh()),
        nn.Sequential(nn.Linear(width, 3)),
    ]


def batch(count: int = 16) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, 4), torch.randint(3, (count,))


def trained(
    schedule: Any, X: Tensor | None, y: Tensor | None
) -> tuple[Any, list[Tensor], list[Tensor]]:
    engine = Engine(schedule, network(), torch.zeros(4, 4), cross_entropy, microbatches=4)
    loss = engine.step(X, y)
    module = engine.module
    return loss, [p.grad for p in module.parameters()], list(module.buffers())  # type: ignore[misc]


SPLIT = published.zero_bubble(2, 4)


@pytest.mark.parametrize(
    "schedule",
    ["gpipe", "1f1b", ONE_F_ONE_B, SPLIT],
    ids=["gpipe", "1f1b", "own", "backward in two parts"],
)
def test_the_engine_equals_one_process_with_running_means(schedule: Any) -> None:
    X, y = batch()
    parts = ranks.run(trained, 2, schedule, X, y, timeout=PATIENCE, device="cpu")
    alone, total = nn.Sequential(*network()), 0.0
    for inputs, targets in zip(X.chunk(4), y.chunk(4), strict=True):
        loss = cross_entropy(alone(inputs), targets) / 4
        loss.backward()
        total += loss.item()
    assert parts[0][0] is None
    assert parts[1][0] == pytest.approx(total)
    for mine, theirs in zip(
        [g for part in parts for g in part[1]], alone.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs.grad)
    for mine, theirs in zip([b for part in parts for b in part[2]], alone.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs)


THERE_AND_BACK = "\n".join(
    " ".join(word.format(m) for m in range(4) for word in words.split())
    for words in ("0F{0} 3F{0} 3B{0} 0B{0}", "1F{0} 2F{0} 2I{0} 2W{0} 1B{0}")
)


@pytest.mark.parametrize(
    "schedule",
    [published.interleaved(2, 4, 2), schedules.parse(THERE_AND_BACK)],
    ids=["interleaved", "there and back"],
)
def test_ranks_with_several_stages_equal_one_process(schedule: Any) -> None:
    def four() -> list[nn.Module]:
        torch.manual_seed(0)
        return [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(4)]

    def several(X: Tensor | None, y: Tensor | None) -> tuple[float | None, list[Tensor | None]]:
        engine = Engine(schedule, four(), torch.zeros(4, 4), cross_entropy)
        return engine.step(X, y), [p.grad for p in engine.module.parameters()]

    X, y = batch()
    parts = ranks.run(several, 2, X, y, timeout=PATIENCE, device="cpu")
    alone = nn.Sequential(*four())
    loss = cross_entropy(alone(X), y)
    loss.backward()
    assert [value for value, _ in parts if value is not None] == [pytest.approx(loss.item())]
    for (_, gradients), held in zip(parts, schedules.placement(schedule), strict=True):
        theirs = [p.grad for stage in held for p in alone[stage].parameters()]
        torch.testing.assert_close(gradients, theirs)


@pytest.mark.parametrize(
    ("change", "rank", "says"),
    [
        (lambda X, y: (X[:10], y), 0, "is it the short last batch"),
        (lambda X, y: (torch.cat([X, X[:2]]), y), 0, "cannot share evenly"),
        (lambda X, y: (None, y), 0, "no input"),
        (lambda X, y: (X, None), 1, "no target"),
        (lambda X, y: (X, y[:8]), 1, "The target has 8 examples"),
        (lambda X, y: (X[:, :3], y), 0, "the first stage takes"),
    ],
    ids=["short", "uneven", "no input", "no target", "few targets", "shape"],
)
def test_a_batch_that_does_not_fit_is_one_error_on_its_rank(
    change: Callable[..., tuple[Any, Any]], rank: int, says: str
) -> None:
    with pytest.raises(RankError, match=says) as caught:
        ranks.run(trained, 2, "gpipe", *change(*batch()), timeout=PATIENCE, device="cpu")
    assert caught.value.rank == rank


def test_ranks_that_disagree_on_micro_batches_are_told_so() -> None:
    def disagree() -> None:
        count = 4 if torch.distributed.get_rank() == 0 else 2
        X, y = batch()
        Engine("gpipe", network(), X[:4], cross_entropy, microbatches=count).step(X, y)

    with pytest.raises(RankError, match="Rank 1 has 2 micro-batches where rank 0 has 4") as caught:
        ranks.run(disagree, 2, timeout=PATIENCE, device="cpu")
    assert caught.value.rank == 1


def test_stages_that_do_not_fit_and_schedules_that_cannot_run_are_refused() -> None:
    def misfit() -> None:
        first, last = network(width=6)[0], network(width=5)[1]
        Engine("gpipe", [first, last], torch.zeros(4, 4), cross_entropy, microbatches=4)

    def wrong_order() -> None:
        schedule = schedules.parse("F0 B0\nB0 F0")
        Engine(schedule, network(), torch.zeros(4, 4), cross_entropy)

    with pytest.raises(RankError, match="Stage 1 cannot take what stage 0 gives"):
        ranks.run(misfit, 2, timeout=PATIENCE, device="cpu")
    with pytest.raises(RankError, match="rank 1, step 0: backward of micro-batch 0 before its"):
        ranks.run(wrong_order, 2, timeout=PATIENCE, device="cpu")
