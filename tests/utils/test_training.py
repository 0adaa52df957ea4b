"""Training as the labs use it: the loop, what it measures, its picture, sweeps and logs."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.notebooks import outputs_of
from utils import training
from utils.training.loop import Pair


@pytest.fixture
def data() -> Pair:
    """23 points in three classes, which a line tells apart."""
    y = torch.arange(23) % 3
    noise = torch.randn(23, 4, generator=torch.Generator().manual_seed(0))
    return F.one_hot(y, 4).float() * 3 + 0.5 * noise, y


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(4, 3)


def fitted(data: Pair, **changes: Any) -> tuple[nn.Module, training.History]:
    model = changes.pop("model", None) or linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=changes.pop("lr", 0.1))
    settings = {"epochs": 3, "batch_size": 5, **changes}
    return model, training.fit(model, optimizer, data, data, **settings)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# Batches and measuring


def test_an_epoch_of_batches_has_each_example_once_with_its_label(data: Pair) -> None:
    X, y = data
    batches = list(training.minibatches(X, y, 5, torch.Generator().manual_seed(1)))
    assert [len(batch) for batch, _ in batches] == [5, 5, 5, 5, 3]
    drawn, labels = (torch.cat(column) for column in zip(*batches, strict=True))
    at = [int((row == X).all(dim=1).nonzero()) for row in drawn]
    assert sorted(at) == list(range(23)) != at
    assert torch.equal(labels, y[at])


def test_batches_depend_on_their_generator_alone(data: Pair) -> None:
    before = torch.get_rng_state()
    one, same, other = (
        torch.cat([y for _, y in training.minibatches(*data, 5, torch.Generator().manual_seed(n))])
        for n in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("size", "labels"), [(0, 23), (5, 22)])
def test_batches_that_cannot_be_are_refused(data: Pair, size: int, labels: int) -> None:
    X, y = data
    with pytest.raises(ValueError, match="batch_size ≥ 1 and as many labels"):
        list(training.minibatches(X, y[:labels], size, torch.Generator()))


def test_a_score_does_not_depend_on_how_the_data_are_cut(data: Pair) -> None:
    model = linear()
    X, y = data
    loss = F.cross_entropy(model(X), y).item()
    accuracy = (model(X).argmax(dim=1) == y).float().mean().item()
    for size in (1, 5, 1000):
        assert training.evaluate(model, X, y, size) == pytest.approx((loss, accuracy), rel=1e-5)


def test_measuring_changes_nothing(data: Pair) -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), linear()).train()
    model[0].eval()
    seen: list[bool] = []
    model[2].register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert training.evaluate(model, *data) == training.evaluate(model, *data)
    assert [module.training for module in model] == [False, True, True]
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(seen)


def test_there_must_be_something_to_measure(data: Pair) -> None:
    with pytest.raises(ValueError, match="no examples"):
        training.evaluate(linear(), data[0][:0], data[1][:0])


# The loop


def test_training_learns_and_tells_how_it_went(data: Pair) -> None:
    model, history = fitted(data, epochs=20)
    assert [row.epoch for row in history.rows] == list(range(1, 21))
    assert history["train_loss"][-1] < 0.3 < history["train_loss"][0]
    assert history.last.held_out_accuracy == training.evaluate(model, *data).accuracy == 1.0
    assert history.last.lr == 0.1
    assert history.seconds == pytest.approx(sum(row.seconds for row in history.rows))
    assert history.ended == ""


def test_one_epoch_is_gradient_descent_over_the_batches(data: Pair) -> None:
    model, history = fitted(data, epochs=1, seed=3)
    same, total = linear(), 0.0
    for X, y in training.minibatches(*data, 5, torch.Generator().manual_seed(3)):
        same.zero_grad()
        loss = F.cross_entropy(same(X), y)
        loss.backward()
        with torch.no_grad():
            for parameter in same.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
        total += loss.item() * len(X)
    torch.testing.assert_close(weights(model), weights(same))
    assert history.last.train_loss == pytest.approx(total / 23, rel=1e-5)


def test_the_seed_decides(data: Pair) -> None:
    one, same, other = (weights(fitted(data, seed=n)[0]) for n in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_schedule_is_a_factor_on_each_groups_rate(data: Pair) -> None:
    model, asked = linear(), []

    def schedule(step: int, steps: int) -> float:
        asked.append((step, steps))
        return 1 / (step + 1)

    groups = [{"params": [model.weight], "lr": 0.3}, {"params": [model.bias], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    history = training.fit(model, optimizer, data, data, epochs=2, batch_size=5, schedule=schedule)
    assert asked == [(step, 10) for step in range(10)]
    assert history["lr"] == pytest.approx([0.3 / 5, 0.3 / 10])
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.1]


def test_only_training_batches_are_augmented_and_the_order_stays(data: Pair) -> None:
    drawn: list[int] = []

    def augment(X: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(len(X))
        torch.rand(len(X), generator=generator)
        return X

    plain, augmented = fitted(data)[0], fitted(data, augment=augment)[0]
    assert drawn == [5, 5, 5, 5, 3] * 3
    assert torch.equal(weights(plain), weights(augmented))


def test_a_loss_that_is_no_number_ends_training(
    data: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history = fitted((data[0] * 1e20, data[1]), lr=1e20)
    assert history.ended == "diverged"
    assert "the learning rate is too high" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(LookupError, match="diverged"):
        history.last  # noqa: B018


def interrupting(epoch: int) -> Callable[[int, int], float]:
    """A schedule that presses the stop button in the given epoch, of five steps each."""

    def schedule(step: int, steps: int) -> float:
        if step == 5 * epoch - 3:
            raise KeyboardInterrupt
        return 1.0

    return schedule


def test_an_interrupt_keeps_what_was_reached(
    data: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    model, history = fitted(data, schedule=interrupting(epoch=3))
    assert (len(history.rows), history.ended) == (2, "interrupted")
    assert "Interrupted in epoch 3" in capsys.readouterr().out
    assert not torch.equal(weights(model), weights(linear()))


def test_data_on_another_device_are_refused(data: Pair) -> None:
    with pytest.raises(ValueError, match="must be on one device, and are on cpu and meta"):
        fitted(data, model=linear().to("meta"))


# The picture


def test_the_picture_names_its_curves_and_axes(data: Pair) -> None:
    _, history = fitted(data, called="validation")
    fig = history.draw("Lines")
    left, right = fig.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "loss (nats)")
    assert right.get_ylabel() == "accuracy"
    names = {line.get_label() for line in right.get_lines()}
    assert {"training", "validation"} <= names
    assert "validation from" in history.alt
    plt.close(fig)


def test_a_history_without_a_whole_epoch_can_be_drawn() -> None:
    history = training.History()
    plt.close(history.draw())
    assert history.alt.strip()


def test_a_script_draws_one_picture_at_the_end(
    data: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history = fitted(data, live=training.Live("Lines", interval=0))
    assert capsys.readouterr().out == f"[figure] {history.alt}\n"
    assert plt.get_fignums() == []


def test_a_notebook_is_left_with_one_picture_that_was_redrawn() -> None:
    source = """
import torch
from utils import plots, training
drawn, bundle = [], plots.bundle
def counted(fig, **options):
    drawn.append(options["sharpness"])
    return bundle(fig, **options)
plots.bundle = counted
X, y = torch.randn(40, 4), torch.arange(40) % 3
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
live = training.Live(interval=0)
live._due = float("-inf")
history = training.fit(model, optimizer, (X, y), (X, y), epochs=3, batch_size=5, live=live)
print(drawn[0], drawn[-1], len(drawn) > 1)
"""
    [[shown, printed]] = outputs_of(source)
    assert printed.text == "1 2 True\n"
    assert shown.data["text/plain"].startswith("[figure] Two plots over 3 epochs.")
    assert 'alt="Two plots over 3 epochs.' in shown.data["text/html"]


# Sweeps

GRID = {"rate": [0.1, 0.2], "size": [8, 32, 128]}
RUNS = [{"rate": rate, "size": size} for rate in GRID["rate"] for size in GRID["size"]]


class Runs:
    """Notes its calls; presses the stop button in the call number `stop`."""

    def __init__(self, stop: int = 0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.stop = stop

    def __call__(self, rate: float, size: int) -> dict[str, float]:
        self.calls.append({"rate": rate, "size": size})
        if len(self.calls) == self.stop:
            raise KeyboardInterrupt
        return {"score": rate * size}


def test_a_sweep_runs_the_grid_in_order_and_keeps_a_table(tmp_path: Path) -> None:
    runs, table = Runs(), tmp_path / "new folder" / "runs.jsonl"
    rows = training.sweep(runs, GRID, table)
    assert runs.calls == RUNS
    assert [row["score"] for row in rows] == [run["rate"] * run["size"] for run in RUNS]
    assert rows == training.read_table(table)
    assert rows == [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert all(row["seconds"] >= 0 for row in rows)


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    table, first, second = tmp_path / "runs.jsonl", Runs(stop=4), Runs()
    with pytest.raises(KeyboardInterrupt):
        training.sweep(first, GRID, table)
    rows = training.sweep(second, GRID, table)
    assert second.calls == RUNS[3:]
    assert [{"rate": row["rate"], "size": row["size"]} for row in rows] == RUNS


def test_a_sweeps_progress_is_one_output_of_a_notebook(tmp_path: Path) -> None:
    source = f"""
from utils import training
from utils.training.loop import Pair
rows = training.sweep(lambda rate: {{"score": rate}}, {{"rate": [1, 2]}}, {str(tmp_path / "a")!r})
"""
    [[shown]] = outputs_of(source)
    assert "2/2" in shown.data["text/plain"]


def test_a_wider_grid_adds_its_new_runs_only(tmp_path: Path) -> None:
    table, runs = tmp_path / "runs.jsonl", Runs()
    training.sweep(Runs(), GRID, table)
    training.sweep(runs, {"rate": [0.2, 0.4], "size": [8]}, table)
    assert runs.calls == [{"rate": 0.4, "size": 8}]


def test_a_row_that_was_cut_short_is_run_again(tmp_path: Path) -> None:
    table, runs = tmp_path / "runs.jsonl", Runs()
    training.sweep(Runs(), GRID, table)
    table.write_text(table.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert len(training.read_table(table)) == 5
    training.sweep(runs, GRID, table)
    assert runs.calls == RUNS[5:]
    assert len(training.read_table(table)) == 6


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "runs.jsonl"
    table.write_text("rate,size\n", encoding="utf-8")
    with pytest.raises(ValueError, match="is not a table of runs"):
        training.read_table(table)


def test_an_interrupted_training_does_not_count_as_a_run(data: Pair, tmp_path: Path) -> None:
    def run(rate: float) -> dict[str, float]:
        _, history = fitted(data, lr=rate, schedule=interrupting(epoch=2))
        return {"accuracy": history.last.held_out_accuracy}

    with pytest.raises(KeyboardInterrupt):
        training.sweep(run, {"rate": [0.1]}, tmp_path / "runs.jsonl")
    assert training.read_table(tmp_path / "runs.jsonl") == []
    assert fitted(data, schedule=interrupting(epoch=2))[1].ended == "interrupted"


def test_a_heat_map_has_each_number_in_its_place() -> None:
    rows = [{**run, "score": run["rate"] * run["size"]} for run in RUNS[:5]]
    fig = training.heat_map(rows, x="size", y="rate", value="score", floor=1.0)
    ax, bar = fig.axes
    shown = ax.images[0].get_array()
    assert shown is not None
    cells = np.ma.getdata(shown)
    np.testing.assert_allclose(cells, [[0.8, 3.2, 12.8], [1.6, 6.4, math.nan]])
    assert sorted(text.get_text() for text in ax.texts) == sorted(
        f"{row['score']:.3f}" for row in rows
    )
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("size", "rate", "score")
    plt.close(fig)


# TensorBoard


def test_a_run_can_be_read_back_from_tensorboards_log(data: Pair, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, history = fitted(data, log=tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert {"loss/train", "loss/held_out", "accuracy/train", "accuracy/held_out"} <= set(
        events.Tags()["scalars"]
    )
    logged = events.Scalars("loss/held_out")
    assert [event.step for event in logged] == [1, 2, 3]
    assert [event.value for event in logged] == pytest.approx(history["held_out_loss"])


def test_without_tensorboard_a_sentence_says_what_is_missing(
    data: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="need the package `tensorboard`"):
        fitted(data, log=tmp_path / "run")
