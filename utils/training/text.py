"""Training a network that predicts the next character, watched, interruptible and resumable.

    model = CharLSTM(symbols=65)
    history = train(model, optimizer, step, batches, held_out, steps=1000, characters=..., ...)
    text = generate(model, ids, 500, choose)

Bits per character are the mean of −log₂ p, p being what the model gave to the character that came:
cross-entropy in bits. Ids are int64, one number a character.
"""

import html
import math
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from utils import plots
from utils.training.live import Live
from utils.training.modes import evaluation_mode
from utils.training.rates import Diverged, Rates, Schedule, require_finite

State = tuple[Tensor, Tensor]
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
Step = Callable[[nn.Module, State | None, Tensor, Tensor, torch.optim.Optimizer], tuple[Any, State]]
Choose = Callable[[Tensor], Tensor]
Cell = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

FORMAT = "character model 1"


class CheckpointError(Exception):
    """A checkpoint that cannot be used. The message says what is wrong and what to do."""


class CharLSTM(nn.Module):
    """Scores of the next character: an embedding, LSTM layers, and a linear layer of their sum.

    symbols: characters in the vocabulary, V. units: of each layer, H. inputs: of the embedding.
    All layers speak to the output, as in Graves (2013, arXiv:1308.0850); forget gates begin with a
    bias of 1 (Gers and others 2000), the matrices U orthogonal.
    cell: (x, h, c, W, U, b) → (h, c), one step of a layer for a batch, in place of PyTorch's; the
    weights, and their names, are the same.
    """

    def __init__(
        self,
        symbols: int,
        units: int = 128,
        layers: int = 2,
        inputs: int = 32,
        cell: Cell | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell
        widths = [inputs, *[units] * (layers - 1)]
        self.embedding = nn.Embedding(symbols, inputs)
        self.layers = nn.ModuleList(nn.LSTM(width, units, batch_first=True) for width in widths)
        self.output = nn.Linear(units, symbols)
        for name, weight in self.layers.named_parameters():
            for number, gate in enumerate(weight.detach().chunk(4)):  # i, f, g, o
                if "weight_hh" in name:
                    nn.init.orthogonal_(gate)
                elif "weight_ih" in name:
                    nn.init.xavier_uniform_(gate)
                else:
                    nn.init.constant_(gate, float(number == 1 and "bias_ih" in name))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scores (B, T, V) and the state after x: (B, T) int64.

        state: (h, c), each (layers, B, H), as the last call returned it; None starts with zeros.
        """
        out, outs, after = self.embedding(x), [], []
        for n, layer in enumerate(self.layers):
            before = None if state is None else (state[0][n : n + 1], state[1][n : n + 1])
            out, new = layer(out, before) if self.cell is None else self._steps(layer, out, before)
            outs.append(out)
            after.append(new)
        h, c = (torch.cat(parts) for parts in zip(*after, strict=True))
        return self.output(sum(outs)), (h, c)

    def _steps(self, layer: Any, inputs: Tensor, before: State | None) -> tuple[Tensor, State]:
        """What the layer does, step by step, with the cell that was given."""
        assert self.cell is not None
        W, U, b = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0 + layer.bias_hh_l0
        zero = inputs.new_zeros(len(inputs), U.shape[1])
        h, c = (zero, zero) if before is None else (before[0][0], before[1][0])
        out = []
        for x in inputs.unbind(1):
            h, c = self.cell(x, h, c, W, U, b)
            out.append(h)
        return torch.stack(out, 1), (h[None], c[None])


@torch.no_grad()
def held_out_bits(model: nn.Module, ids: Tensor, streams: int = 32, length: int = 256) -> float:
    """Bits per character of the model on a text: (N,) int64, on the model's device.

    The text is read as so many parts side by side, each from its beginning to its end. Raises
    ValueError for a text of fewer than two characters.
    """
    nats, count = 0.0, 0
    for scores, right in _scored(model, ids, streams, length):
        nats += F.cross_entropy(scores, right, reduction="sum").item()
        count += len(right)
    return nats / count / math.log(2)


@torch.no_grad()
def held_out_scores(
    model: nn.Module, ids: Tensor, streams: int = 32, length: int = 256
) -> tuple[Tensor, Tensor]:
    """The scores (N, V) of the model on a text, and the ids (N,) that came.

    Read as `held_out_bits` reads it, whose mean they have; in another order than the text's.
    """
    scores, right = zip(*_scored(model, ids, streams, length), strict=True)
    return torch.cat(scores), torch.cat(right)


def _scored(
    model: nn.Module, ids: Tensor, streams: int, length: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (M, V) and the ids (M,) that came, chunk by chunk."""
    streams = min(streams, len(ids) - 1)
    if streams < 1:
        raise ValueError("Bits per character need a text of at least two characters.")
    size = (len(ids) - 1) // streams
    x = ids[: streams * size].view(streams, size)
    y = ids[1 : streams * size + 1].view(streams, size)
    state = None
    with evaluation_mode(model):
        for part, right in zip(x.split(length, 1), y.split(length, 1), strict=True):
            scores, state = model(part, state)
            yield scores.flatten(0, 1), right.flatten()


@torch.no_grad()
def generate(model: nn.Module, ids: Tensor, length: int, choose: Choose) -> Iterator[int]:
    """The ids of `length` further characters after ids: (N,), N ≥ 1, one by one.

    choose: takes the scores (1, V) of the next character and returns its id (1,).
    """
    state: State | None = None
    x = ids.view(1, -1)
    with evaluation_mode(model):
        for _ in range(length):
            scores, state = model(x, state)
            x = choose(scores[:, -1]).view(1, 1)
            yield int(x)


@dataclass
class TextHistory:
    """What a training went through.

    seen, bits: characters trained on and the running training loss in bits per character, step by
    step; looks: (characters seen, held-out bits); samples: (characters seen, text written then);
    controls: name → bits per character, drawn as lines; ended: "" if it ran to its end, otherwise
    "interrupted" or "diverged"; seconds: of training.
    """

    seen: list[int] = field(default_factory=list)
    bits: list[float] = field(default_factory=list)
    looks: list[tuple[int, float]] = field(default_factory=list)
    samples: list[tuple[int, str]] = field(default_factory=list)
    controls: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    ended: str = ""

    @property
    def best(self) -> float:
        """The fewest held-out bits per character so far."""
        return min((bits for _, bits in self.looks), default=math.inf)

    @property
    def alt(self) -> str:
        """Alternative text of the picture."""
        if not self.looks:
            return "Bits per character, before the first look at the held-out text."
        lines = ", ".join(f"{name} {bits:.2f}" for name, bits in self.controls.items())
        return (
            "Bits per character over characters seen. On held-out text from "
            f"{self.looks[0][1]:.2f} to {self.looks[-1][1]:.2f}"
            + (f"; for comparison: {lines}." if lines else ".")
        )

    def draw(self, title: str = "") -> Figure:
        """Bits per character over characters seen, in training and on held-out text."""
        fig, ax = plt.subplots(figsize=(7.2, 3.4))
        if self.seen:
            thousands = [n / 1000 for n in self.seen]
            ax.plot(thousands, self.bits, "-", color=plots.GREY, linewidth=1)
        for name, bits in self.controls.items():
            ax.axhline(bits, color=plots.VERMILLION, linestyle=":", linewidth=1.5)
            ax.annotate(
                name,
                (1, bits),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
        if self.looks:
            where, bits = zip(*self.looks, strict=True)
            label = "held-out text"
            ax.plot([n / 1000 for n in where], bits, "o-", color=plots.BLUE, label=label)
        ax.plot([], [], "-", color=plots.GREY, linewidth=1, label="training text, smoothed")
        ax.set(xlabel="characters seen, in thousands", ylabel="bits per character", title=title)
        ax.set_ylim(bottom=0)
        ax.legend(loc="lower left")
        return fig


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Step,
    batches: Batches,
    held_out: Tensor,
    *,
    steps: int,
    style: str,
    characters: str,
    checkpoint: str | Path,
    schedule: Schedule | None = None,
    looks: int = 8,
    write: Callable[[], str] | None = None,
    controls: Mapping[str, float] | None = None,
    resume: bool = False,
) -> TextHistory:
    """Train the model in place, its best weights on the held-out text being kept.

    step: (model, state, x, y, optimizer) → (loss in nats, next state), one step of truncated
    backpropagation through time. batches: makes the batches (x, y) of one pass over the text, on
    the model's device; with each pass the state starts at None. held_out: (N,) ids.
    steps: of all passes together. style, characters: the vocabulary's name and its characters.
    schedule: (step, steps) → factor of each learning rate, as in `utils.training.fit`.
    looks: how often, evenly, the held-out text is measured, a sample written (`write`) and
    everything saved to `checkpoint`; a look at the untrained model comes first.
    resume: go on from the checkpoint, with exactly the steps that were still to come.

    Interrupted (Ctrl-C, or JupyterLab's stop button) or diverged, it says so and returns; the model
    has its best weights then, as at the end. Raises CheckpointError where there is nothing to
    resume or the checkpoint has another vocabulary, ValueError where `step` returns a state that
    was not detached.
    """
    run = _Run(model, optimizer, step, steps, style, characters, Path(checkpoint), schedule)
    run.history.controls = dict(controls or {})
    if resume:
        run.load()
    board = _Board(style)
    with run.rates.restored():
        try:
            if run.done == 0 and not run.history.looks:
                run.look(held_out, write)
            every = max(1, steps // looks)
            for x, y in run.rest_of(batches):
                run.step_on(x, y)
                if run.done % every == 0 or run.done == steps:
                    run.look(held_out, write)
                    board.say(run.history, run.time_left())
                board.update(run.history, run.time_left())
        except Diverged:
            run.history.ended = "diverged"
            print(
                "Training ended: the loss is not finite. Try a lower learning rate or a lower clip."
            )
        except KeyboardInterrupt:
            run.history.ended = "interrupted"
            print(
                f"Interrupted at step {run.done} of {steps}. The model has its best weights so far "
                f"({run.history.best:.2f} bits per character); with resume=True training goes on "
                f"from {checkpoint}."
            )
        finally:
            run.restore_best()
            board.finish(run.history)
    return run.history


def load_weights(model: nn.Module, checkpoint: str | Path, characters: str, style: str) -> float:
    """Give the model the best weights of a checkpoint; returns their held-out bits per character.

    The file is read as weights only, so nothing in it can run. Raises CheckpointError if it is
    missing, is no checkpoint of `train`, or has another vocabulary or other sizes.
    """
    saved = _read(Path(checkpoint), characters, style)
    _put(model, saved["best"], Path(checkpoint))
    return min(bits for _, bits in saved["history"]["looks"])


@dataclass
class _Run:
    """The state of one training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: Step
    steps: int
    style: str
    characters: str
    path: Path
    schedule: Schedule | None
    history: TextHistory = field(default_factory=TextHistory)
    done: int = 0
    state: State | None = None

    def __post_init__(self) -> None:
        self.rates = Rates(self.optimizer, self.schedule)
        self.best: dict[str, Tensor] = _copy(self.model.state_dict())
        self.started = self.looked = time.perf_counter()
        self.begun_at = 0

    def rest_of(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of all passes, from step `done` on."""
        position = 0
        while self.done < self.steps:
            begins = True
            for batch in batches():
                if position == self.done:
                    if begins:
                        self.state = None
                    yield batch
                    if self.done == self.steps:
                        return
                position, begins = position + 1, False
            if begins:
                raise ValueError("There are no batches: the text is shorter than one.")

    def step_on(self, x: Tensor, y: Tensor) -> None:
        self.model.train()
        self.rates.set(self.done, self.steps)
        loss, self.state = self.step(self.model, self.state, x, y, self.optimizer)
        _require_detached(self.state)
        bits = float(loss) / math.log(2)
        require_finite(bits)
        self.done += 1
        history = self.history
        before = history.bits[-1] if history.bits else bits
        weight = max(0.03, 1 / (len(history.bits) + 1))  # a running mean, over some 30 steps
        history.bits.append(before + weight * (bits - before))
        history.seen.append((history.seen[-1] if history.seen else 0) + x.numel())

    def look(self, held_out: Tensor, write: Callable[[], str] | None) -> None:
        seen = self.history.seen[-1] if self.history.seen else 0
        bits = held_out_bits(self.model, held_out)
        if bits < self.history.best:
            self.best = _copy(self.model.state_dict())
        self.history.looks.append((seen, bits))
        if write is not None:
            self.history.samples.append((seen, write()))
        now = time.perf_counter()
        self.history.seconds += now - self.looked
        self.looked = now
        self.save()

    def save(self) -> None:
        """Write everything into one file, in one step."""
        content = {
            "format": FORMAT,
            "style": self.style,
            "characters": self.characters,
            "best": self.best,
            "last": _copy(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "state": self.state,
            "done": self.done,
            "history": asdict(self.history),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
            torch.save(content, file)
        os.replace(file.name, self.path)

    def load(self) -> None:
        saved = _read(self.path, self.characters, self.style)
        _put(self.model, saved["last"], self.path)
        self.optimizer.load_state_dict(saved["optimizer"])
        device = next(self.model.parameters()).device
        self.best, self.done = saved["best"], saved["done"]
        state = saved["state"]
        self.state = None if state is None else (state[0].to(device), state[1].to(device))
        self.history = TextHistory(**{**saved["history"], "controls": self.history.controls})
        self.history.ended = ""
        self.begun_at = self.done

    def restore_best(self) -> None:
        self.model.load_state_dict(self.best)

    def time_left(self) -> float:
        """Seconds, by the pace of this run."""
        paced = self.done - self.begun_at
        spent = time.perf_counter() - self.started
        return spent / paced * (self.steps - self.done) if paced else math.inf


def _require_detached(state: Any) -> None:
    if any(isinstance(part, Tensor) and part.requires_grad for part in state or ()):
        raise ValueError(
            "The state that the step returned still hangs on the graph of its chunk: return "
            "h.detach() and c.detach(), or each step goes back through all chunks before it."
        )


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def _put(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} holds a network of other sizes: make the model with the sizes it was trained "
            "with."
        ) from error


def _read(path: Path, characters: str, style: str) -> dict[str, Any]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is not there: train first.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than weights, so it is not read: train anew."
        ) from error
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of this training: train anew.")
    if saved["characters"] != characters:
        raise CheckpointError(_other_vocabulary(path, saved, characters, style))
    return saved


def _other_vocabulary(path: Path, saved: Mapping[str, Any], characters: str, style: str) -> str:
    theirs = saved["characters"]
    new = sorted(set(characters) - set(theirs))
    if sorted(theirs) == sorted(characters):
        what = "the same characters stand in another order"
    elif new:
        what = f"it has no {new[0]!r}" + (f" and lacks {len(new) - 1:,} more" if new[1:] else "")
    else:
        what = f"it has {len(theirs) - len(characters):,} more"
    return (
        f"{path} was trained on {saved['style']!r} with {len(theirs):,} characters, and the "
        f"vocabulary of {style!r} has {len(characters):,}: {what}. Take the text that it was "
        "trained on, or train anew."
    )


class _Board:
    """What is seen of a training: the curves, redrawn in place, and below them what it writes."""

    def __init__(self, style: str) -> None:
        self.live = Live(style)
        self._slot = plots.Slot()

    def update(self, history: TextHistory, left: float) -> None:
        self.live.title = f"{_clock(left)} left" if math.isfinite(left) else ""
        self.live.update(history)

    def say(self, history: TextHistory, left: float) -> None:
        """The newest sample, in place of the one before."""
        seen, bits = history.looks[-1]
        head = f"{seen:>11,} characters seen   {bits:.2f} bits per character   {_clock(left)} left"
        if plots.in_notebook():
            sample = history.samples[-1][1] if history.samples else ""
            self._display(f"{head}\n\n{sample}")
        else:
            print(head)

    def finish(self, history: TextHistory) -> None:
        self.live.title = ""
        self.live.finish(history)
        if plots.in_notebook() and self._slot.shown:
            self._display(f"{history.best:.2f} bits per character, {_clock(history.seconds)}")

    def _display(self, text: str) -> None:
        body = f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>'
        self._slot.show({"text/plain": text, "text/html": body})


def _clock(seconds: float) -> str:
    """Minutes and seconds, such as 1:07."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02}"
