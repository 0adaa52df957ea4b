"""Training of a character model: it learns, can be stopped and resumed, and keeps its best."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.training import memory_cells as text_units
from utils.training import text as text_training
from utils.training.text import CharLSTM, CheckpointError, TextHistory, train

CHARACTERS = "ab\n"
IDS = torch.tensor([0, 0, 1, 2] * 100)  # "aab\n" again and again


def batches(ids: Tensor = IDS, length: int = 10) -> Iterator[tuple[Tensor, Tensor]]:
    size = (len(ids) - 1) // 2
    x, y = ids[: 2 * size].view(2, size), ids[1 : 2 * size + 1].view(2, size)
    for k in range(0, size - length + 1, length):
        yield x[:, k : k + length], y[:, k : k + length]


def step(
    model: nn.Module, state: Any, x: Tensor, y: Tensor, optimizer: torch.optim.Optimizer
) -> tuple[float, Any]:
    scores, state = model(x, state)
    loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), tuple(part.detach() for part in state)


def fresh(seed: int = 0) -> tuple[CharLSTM, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = CharLSTM(symbols=3, units=8, layers=2)
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def run(path: Path, steps: int = 45, step: Any = step, **options: Any) -> tuple[CharLSTM, Any]:
    model, optimizer = options.pop("start", None) or fresh()
    options = {"style": "tiny", "characters": CHARACTERS, "looks": 5} | options
    history = train(model, optimizer, step, batches, IDS, steps=steps, checkpoint=path, **options)
    return model, history


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns_and_says_what_happened(tmp_path: Path) -> None:
    model, history = run(tmp_path / "c.pt", write=lambda: "sample", controls={"unigram": 1.5})
    assert len(history.bits) == 45
    assert history.seen[-1] == 45 * 20
    assert [seen for seen, _ in history.looks] == [0, 180, 360, 540, 720, 900]
    assert [text for _, text in history.samples] == ["sample"] * 6
    assert history.looks[0][1] > 1.4
    assert history.best < 0.5 * history.looks[0][1]
    assert history.best == text_training.held_out_bits(model, IDS)
    assert history.ended == ""
    assert history.seconds > 0
    assert "unigram 1.50" in history.alt


def test_each_pass_begins_with_no_state_and_goes_on_within(tmp_path: Path) -> None:
    states = []

    def noting(model: nn.Module, state: Any, *rest: Any) -> Any:
        states.append(state is None)
        return step(model, state, *rest)

    run(tmp_path / "c.pt", steps=40, step=noting)
    assert [i for i, none in enumerate(states) if none] == [0, 19, 38]


@pytest.mark.parametrize("interrupted_at", [9, 18, 19, 30, 44])
def test_interrupted_and_resumed_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, interrupted_at: int, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, undisturbed = run(tmp_path / "whole.pt")
    count = 0

    def interrupting(*given: Any) -> Any:
        nonlocal count
        count += 1
        if count == interrupted_at + 1:
            raise KeyboardInterrupt
        return step(*given)

    path = tmp_path / "c.pt"
    model, history = run(path, step=interrupting)
    assert history.ended == "interrupted"
    assert history.best == text_training.held_out_bits(model, IDS)  # its best weights so far
    assert f"Interrupted at step {interrupted_at} of 45" in capsys.readouterr().out
    model, history = run(path, start=fresh(seed=5), resume=True)
    assert history.ended == ""
    assert (history.bits, history.looks) == (undisturbed.bits, undisturbed.looks)
    assert same_weights(model, whole)


def test_resuming_what_is_finished_does_nothing(tmp_path: Path) -> None:
    first, one = run(tmp_path / "c.pt")
    again, other = run(tmp_path / "c.pt", start=fresh(seed=1), resume=True)
    assert same_weights(first, again)
    assert one.looks == other.looks


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path) -> None:
    def spoiling(model: nn.Module, state: Any, x: Tensor, y: Tensor, optimizer: Any) -> Any:
        loss, state = step(model, state, x, y, optimizer)
        if loss < 0.3:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(0)
        return loss, state

    model, history = run(tmp_path / "c.pt", steps=60, step=spoiling)
    assert history.best < history.looks[-1][1]
    assert text_training.held_out_bits(model, IDS) == history.best


def test_a_loss_that_is_not_finite_ends_it_with_the_best_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverging(*given: Any) -> Any:
        loss, state = step(*given)
        return (float("nan") if loss < 0.9 else loss), state

    model, history = run(tmp_path / "c.pt", step=diverging)
    assert history.ended == "diverged"
    assert "not finite" in capsys.readouterr().out
    assert text_training.held_out_bits(model, IDS) == history.best


def test_a_state_that_was_not_detached_is_told_at_the_first_step(tmp_path: Path) -> None:
    def forgetful(model: nn.Module, state: Any, x: Tensor, y: Tensor, optimizer: Any) -> Any:
        scores, state = model(x, state)
        return F.cross_entropy(scores.flatten(0, 1), y.flatten()), state

    with pytest.raises(ValueError, match=r"h\.detach\(\) and c\.detach\(\)"):
        run(tmp_path / "c.pt", step=forgetful)


def test_a_text_shorter_than_one_batch_is_refused(tmp_path: Path) -> None:
    model, optimizer = fresh()
    options: dict[str, Any] = {"style": "tiny", "characters": CHARACTERS}
    with pytest.raises(ValueError, match="shorter than one"):
        train(
            model,
            optimizer,
            step,
            lambda: iter([]),
            IDS,
            steps=3,
            checkpoint=tmp_path / "c.pt",
            **options,
        )


def test_the_schedule_scales_the_rate_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    rates = []

    def noting(model: nn.Module, state: Any, x: Tensor, y: Tensor, optimizer: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return step(model, state, x, y, optimizer)

    model, optimizer = fresh()
    run(
        tmp_path / "c.pt",
        steps=4,
        step=noting,
        start=(model, optimizer),
        schedule=lambda i, n: np.float64(1 - i / n),
    )
    assert rates == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    assert optimizer.param_groups[0]["lr"] == 0.01
    text_training.load_weights(model, tmp_path / "c.pt", CHARACTERS, "tiny")  # holds plain numbers


# Checkpoints


def test_a_checkpoint_gives_its_best_weights_to_a_model_of_its_sizes(tmp_path: Path) -> None:
    trained, history = run(tmp_path / "c.pt")
    model, _ = fresh(seed=9)
    assert text_training.load_weights(model, tmp_path / "c.pt", CHARACTERS, "tiny") == history.best
    assert same_weights(model, trained)


@pytest.mark.parametrize(
    ("characters", "words"),
    [
        ("ab\nß", "it has no 'ß'"),
        ("αβγδ", "it has no 'α' and lacks 3 more"),
        ("ab", "it has 1 more"),
        ("ba\n", "the same characters stand in another order"),
    ],
)
def test_another_vocabulary_is_refused_by_name(tmp_path: Path, characters: str, words: str) -> None:
    run(tmp_path / "c.pt")
    model = fresh()[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        text_training.load_weights(model, tmp_path / "c.pt", characters, "other")
    for part in ("'tiny' with 3 characters", f"'other' has {len(characters)}", words):
        assert part in str(error.value)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    with pytest.raises(CheckpointError, match="'other'"):
        run(tmp_path / "c.pt", resume=True, characters=characters, style="other")


class Boom:
    def __reduce__(self) -> Any:
        return os.system, ("echo ran > ran.txt",)


def test_a_file_that_would_run_something_is_refused_and_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": text_training.FORMAT, "best": Boom()}, tmp_path / "c.pt")
    (tmp_path / "d.pt").write_bytes(pickle.dumps(Boom()))
    for name in ("c.pt", "d.pt"):
        with pytest.raises(CheckpointError, match="more than weights"):
            text_training.load_weights(fresh()[0], tmp_path / name, CHARACTERS, "tiny")
    assert not (tmp_path / "ran.txt").exists()


def test_what_else_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    run(tmp_path / "c.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:3000])
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    for name, words in (
        ("none.pt", "is not there"),
        ("cut.pt", "is damaged"),
        ("other.pt", "is no checkpoint"),
    ):
        with pytest.raises(CheckpointError, match=words):
            text_training.load_weights(fresh()[0], tmp_path / name, CHARACTERS, "tiny")
    with pytest.raises(CheckpointError, match="other sizes"):
        text_training.load_weights(CharLSTM(3, units=4), tmp_path / "c.pt", CHARACTERS, "tiny")


# Measuring and writing


def test_bits_of_a_model_that_knows_nothing_are_those_of_a_guess() -> None:
    model = CharLSTM(symbols=8, units=4, layers=1)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
    for n in (2, 5, 33, 700):
        assert text_training.held_out_bits(model, torch.randint(8, (n,))) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="two characters"):
        text_training.held_out_bits(model, torch.tensor([1]))


def test_what_it_learned_it_writes(tmp_path: Path) -> None:
    model, _ = run(tmp_path / "c.pt", steps=150)
    ids = text_training.generate(model, IDS[:4], 8, lambda scores: scores.argmax(dim=1))
    assert list(ids) == [0, 0, 1, 2, 0, 0, 1, 2]


def test_the_picture_has_a_line_for_each_control() -> None:
    history = TextHistory(seen=[10, 20], bits=[2.0, 1.5], looks=[(0, 2.0), (20, 1.4)])
    history.controls = {"unigram": 3.0}
    fig = history.draw("a title")
    texts = [one.get_text() for one in fig.axes[0].texts]
    assert texts == ["unigram"]
    assert fig.axes[0].get_xlabel() == "characters seen, in thousands"


# Units


def test_a_cell_that_follows_a_feature_is_found() -> None:
    page = 'Say "yes (or no)"\nand go.\n' * 4
    depth = text_units.depth(page)
    cells = np.stack([np.sin(np.arange(len(page))), -depth, np.ones(len(page))], axis=1)
    ranked = text_units.rank(cells, depth)
    assert ranked[0] == (1, pytest.approx(-1.0))
    assert {cell for cell, _ in ranked} == {0, 1}  # the one that never changes follows nothing
    with pytest.raises(ValueError, match="a number for each of"):
        text_units.rank(cells, depth[1:])


def test_features_count_lines_and_brackets() -> None:
    assert text_units.place_in_line("ab\nc").tolist() == [0, 1, 2, 0]
    assert text_units.depth('a"(b)"c').tolist() == [0, 1, 2, 2, 1, 0, 0]
    assert text_units.depth("「『猫』」)").tolist() == [1, 2, 2, 1, 0, 0]


def test_cells_are_recorded_for_each_character_and_layer() -> None:
    model = CharLSTM(symbols=3, units=5, layers=2)
    cells = text_units.record(model, IDS[:7])
    assert cells.shape == (7, 10)
    _, (_, c) = model(IDS[None, :7])
    np.testing.assert_allclose(cells[-1], c.detach().flatten().numpy(), rtol=1e-4, atol=1e-6)


def test_a_text_is_shown_in_a_script_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text_units.show("a\nb猫", [0.0, 1.0, 0.0, 1.0])
    assert capsys.readouterr().out == "above the mean: ·⏎·猫\n"


def test_a_cell_of_ones_own_takes_the_place_of_the_layers_loop() -> None:
    def lstm_step(x, h, c, W, U, b):
        i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    model, own = CharLSTM(3, 8), CharLSTM(3, 8, cell=lstm_step)
    own.load_state_dict(model.state_dict())
    x = IDS[:24].view(2, 12)
    theirs, state = model(x)
    yours, mine = own(x)
    for one, other in zip((yours, *mine), (theirs, *state), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(own(x, mine)[0], model(x, state)[0])


def test_held_out_scores_have_the_mean_of_held_out_bits() -> None:
    model = CharLSTM(3, 8)
    scores, right = text_training.held_out_scores(model, IDS)
    bits = F.cross_entropy(scores, right).item() / np.log(2)
    assert bits == pytest.approx(text_training.held_out_bits(model, IDS), rel=1e-5)
