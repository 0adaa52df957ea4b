"""Training a classifier, watched: batches, evaluation, the loop, live curves, sweeps, logs.

    history = training.fit(model, optimizer, (X, y), (test_X, test_y), epochs=5, batch_size=64,
                           live=training.Live("LeNet"))
    print(f"{history.last.held_out_accuracy:.2%}")

Data are pairs of tensors: X (N, …) float32 and y (N,) int64, whole on one device, the model's.
The loss is cross-entropy, in nats, of the scores (N, classes) that the model returns.
"""

import json
import math
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from utils import plots

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Pair = tuple[Tensor, Tensor]
Schedule = Callable[[int, int], float]
Augment = Callable[[Tensor, torch.Generator], Tensor]

LOOKS_PER_EPOCH = 25  # how often in an epoch the loss is read; on a GPU each time waits for it


class Score(NamedTuple):
    """How well a model does: mean cross-entropy (nats), and the share it gets right (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Row:
    """One epoch. The training figures are running means over its batches, the weights moving."""

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    held_out_loss: float
    held_out_accuracy: float
    lr: float  # of the first parameter group, in the epoch's last step
    seconds: float  # of training and evaluation


@dataclass
class History:
    """What a training went through, epoch by epoch.

    rows: one for each whole epoch; batches: (epochs done, loss) of some batches, for the picture;
    ended: "" after all epochs, else "interrupted" or "diverged"; called: what the picture calls
    the data that are not trained on ("validation", where the test set is kept for later).
    """

    rows: list[Row] = field(default_factory=list)
    batches: list[tuple[float, float]] = field(default_factory=list)
    ended: str = ""
    called: str = "test"

    def __getitem__(self, name: str) -> list[float]:
        """One column, such as `history["held_out_loss"]`: a value for each epoch."""
        return [getattr(row, name) for row in self.rows]

    @property
    def last(self) -> Row:
        """The last whole epoch. Raises LookupError if there is none."""
        if not self.rows:
            why = f": training {self.ended or 'has not begun'}"
            raise LookupError(f"There is no whole epoch to look at{why}.")
        return self.rows[-1]

    @property
    def seconds(self) -> float:
        """Of all whole epochs."""
        return sum(self["seconds"])

    @property
    def alt(self) -> str:
        """Alternative text of the picture."""
        if not self.rows:
            return "Loss and accuracy, before the first epoch has ended."
        first, last = self.rows[0], self.rows[-1]
        return (
            f"Two plots over {len(self.rows)} epochs. Loss: training from {first.train_loss:.3g} to"
            f" {last.train_loss:.3g}, {self.called} from {first.held_out_loss:.3g} to"
            f" {last.held_out_loss:.3g}. Accuracy, {self.called}: from"
            f" {first.held_out_accuracy:.1%} to {last.held_out_accuracy:.1%}."
        )

    def draw(self, title: str = "") -> Figure:
        """Loss and accuracy by epoch, side by side; grey dots are single batches' losses."""
        fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
        if self.batches:
            where, losses = zip(*self.batches, strict=True)
            left.plot(where, losses, ".", color=plots.GREY, alpha=0.5, markersize=3, zorder=1)
        epochs = self["epoch"]
        loss = {"training": self["train_loss"], self.called: self["held_out_loss"]}
        accuracy = {"training": self["train_accuracy"], self.called: self["held_out_accuracy"]}
        losses = [loss for _, loss in self.batches]
        highest = max([*self["train_loss"], *self["held_out_loss"], *losses], default=1.0)
        left.set_ylim(0, 1.05 * highest)  # before the curves, whose names find their places by it
        for ax, series, name in ((left, loss, "loss (nats)"), (right, accuracy, "accuracy")):
            plots.curves(ax, series if self.rows else {}, "epoch", name, x=epochs)
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        right.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        fig.suptitle(title)
        return fig


def minibatches(
    X: Tensor, y: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: every example once, in an order drawn from generator; the last batch may be short.

    X: (N, …), y: (N,), on one device, where the batches are too. generator: on the CPU, so that the
    order is the same on every device.
    """
    if batch_size < 1 or len(X) != len(y):
        raise ValueError(
            f"minibatches needs batch_size ≥ 1 and as many labels as examples, not batch_size "
            f"{batch_size}, {len(X)} examples and {len(y)} labels."
        )
    order = torch.randperm(len(X), generator=generator).to(X.device)
    for batch in order.split(batch_size):
        yield X[batch], y[batch]


def evaluate(model: nn.Module, X: Tensor, y: Tensor, batch_size: int = 1000) -> Score:
    """The model's mean loss and accuracy on (X, y), in evaluation mode and without gradients.

    The mode of every module is as before afterwards. Raises ValueError if there are no examples.
    """
    if len(X) == 0:
        raise ValueError("There are no examples to evaluate the model on.")
    loss = right = torch.zeros((), device=X.device)
    with evaluation_mode(model), torch.no_grad():
        for batch, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
            scores = model(batch)
            loss = loss + F.cross_entropy(scores, labels, reduction="sum")
            right = right + (scores.argmax(dim=1) == labels).sum()
    return Score(loss.item() / len(X), right.item() / len(X))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode within the block; afterwards each module in the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: Pair,
    held_out: Pair,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    schedule: Schedule | None = None,
    augment: Augment | None = None,
    live: "Live | None" = None,
    log: str | Path | None = None,
    called: str = "test",
) -> History:
    """Train the model in place by mini-batches; returns what happened, epoch by epoch.

    train, held_out: (X, y), on the model's device.
    seed: of the order of examples and of what `augment` draws. Initial weights and dropout come
        from torch's global generator: `torch.manual_seed` before the model is made sets those.
    schedule: (step, steps) → factor, for step 0, …, steps − 1 (steps: of all epochs together); each
        parameter group's learning rate is the one it came with, times the factor. As
        `torch.optim.lr_scheduler.LambdaLR` has it. At the end the rates are as they came.
    augment: (X, generator) → X, for each training batch; X is on its device, generator on the CPU.
    live: draws loss and accuracy while this runs. log: a folder for TensorBoard's log of the run.
    called: what pictures call the data held out ("validation", say).

    A loss that is no longer finite ends training with a printed sentence, and so does Ctrl-C (or
    JupyterLab's stop button): the weights reached stay, and `History.ended` says why. Within a
    `sweep` Ctrl-C is passed on, so that it ends the queue.
    Raises ValueError where data and model are on different devices.
    """
    _require_one_device(model, train, held_out)
    history = History(called=called)
    loop = _Loop(model, optimizer, train, epochs, batch_size, schedule, augment, history, live)
    orders, draws = (torch.Generator().manual_seed(n) for n in (seed, seed + 2**32))
    with _writer(log) as writer, loop.rates_restored():
        try:
            for epoch in range(1, epochs + 1):
                start = time.perf_counter()
                running = loop.epoch(epoch, orders, draws)
                score = evaluate(model, *held_out)
                lr, seconds = optimizer.param_groups[0]["lr"], time.perf_counter() - start
                history.rows.append(Row(epoch, *running, *score, lr, seconds))
                _write(writer, history.last)
                if live is not None:
                    live.update(history)
        except _Diverged as error:
            history.ended = "diverged"
            print(error)
        except KeyboardInterrupt:
            if _in_sweep.get():
                raise
            history.ended = "interrupted"
            print(f"Interrupted in epoch {len(history.rows) + 1}: the weights reached are kept.")
        finally:
            if live is not None:
                live.finish(history)
    return history


class _Diverged(Exception):
    """The loss is infinite or not a number."""


@dataclass
class _Loop:
    """The training half of `fit`."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: Pair
    epochs: int
    batch_size: int
    schedule: Schedule | None
    augment: Augment | None
    history: History
    live: "Live | None"

    def __post_init__(self) -> None:
        self.per_epoch = -(-len(self.train[0]) // self.batch_size)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def epoch(self, epoch: int, orders: torch.Generator, draws: torch.Generator) -> Score:
        """One pass over the training data; its mean loss and accuracy."""
        X, y = self.train
        self.model.train()
        loss_sum = right = torch.zeros((), device=X.device)
        look = max(1, self.per_epoch // LOOKS_PER_EPOCH)
        for step, (batch, labels) in enumerate(minibatches(X, y, self.batch_size, orders)):
            self._set_rates((epoch - 1) * self.per_epoch + step)
            if self.augment is not None:
                batch = self.augment(batch, draws)
            scores = self.model(batch)
            loss = F.cross_entropy(scores, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss_sum = loss_sum + loss.detach() * len(labels)
            right = right + (scores.argmax(dim=1) == labels).sum()
            if step % look == 0:
                self._look(epoch, step, loss.item())
        mean = loss_sum.item() / len(X)
        _require_finite(mean, epoch)
        return Score(mean, right.item() / len(X))

    def _look(self, epoch: int, step: int, loss: float) -> None:
        _require_finite(loss, epoch)
        self.history.batches.append((epoch - 1 + (step + 1) / self.per_epoch, loss))
        if self.live is not None:
            self.live.update(self.history)

    def _set_rates(self, step: int) -> None:
        if self.schedule is not None:
            factor = self.schedule(step, self.epochs * self.per_epoch)
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * factor

    @contextmanager
    def rates_restored(self) -> Iterator[None]:
        try:
            yield
        finally:
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate


def _require_one_device(model: nn.Module, *pairs: Pair) -> None:
    devices = {tensor.device for pair in pairs for tensor in pair}
    devices |= {parameter.device for parameter in model.parameters()}
    if len(devices) > 1:
        listed = " and ".join(sorted(str(device) for device in devices))
        raise ValueError(
            f"Model, training and test data must be on one device, and are on {listed}: "
            "move them with .to(device)."
        )


def _require_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise _Diverged(
            f"Training ended in epoch {epoch}: the loss is {loss}. Most often the learning rate is "
            "too high; try a tenth of it. The weights are spoilt: make the model anew."
        )


class Drawn(Protocol):
    """What `Live` draws: a `History`, or another record of a training."""

    @property
    def alt(self) -> str: ...

    def draw(self, title: str = "") -> Figure: ...


class Live:
    """A picture of a training's curves that is redrawn in its place while it goes on.

    In a notebook: at most once in `interval` seconds, and never for more than a tenth of the time;
    what is left in the end is one picture with alternative text, also under papermill and on pages
    made from the notebook. In a script: `plots.show` at the end. One Live draws one training.
    """

    def __init__(self, title: str = "", *, interval: float = 1.0) -> None:
        self.title = title
        self.interval = interval  # seconds
        self._id = uuid.uuid4().hex
        self._shown = False
        self._due = 0.0  # not to be redrawn before, on time.perf_counter's clock

    def update(self, history: Drawn) -> None:
        """Redraw, if it is a notebook's and it is time."""
        start = time.perf_counter()
        if start >= self._due and plots.in_notebook():
            self._display(history, sharpness=1)
            now = time.perf_counter()
            self._due = now + max(self.interval, 9 * (now - start))

    def finish(self, history: Drawn) -> None:
        """Draw the last picture, which stays."""
        if plots.in_notebook():
            self._display(history, sharpness=plots.SHARPNESS)
        else:
            plots.show(history.draw(self.title), alt=history.alt)

    def _display(self, history: Drawn, sharpness: int) -> None:
        from IPython.display import display, update_display

        fig = history.draw(self.title)
        shown = plots.bundle(fig, alt=history.alt, sharpness=sharpness)
        plt.close(fig)
        show = update_display if self._shown else display
        show(shown, raw=True, display_id=self._id)
        self._shown = True


# Sweeps

_in_sweep: ContextVar[bool] = ContextVar("in_sweep", default=False)


def sweep(
    run: Callable[..., Mapping[str, float]],
    grid: Mapping[str, Sequence[Any]],
    table: str | Path,
) -> list[dict[str, Any]]:
    """Run every combination of the grid's settings, as a queue with a progress bar.

    run: called with one value of each setting by name; returns the run's results, numbers by name.
    grid: setting → its values (numbers or strings); the last setting changes fastest.
    table: a file of JSON lines, one for each finished run, appended when it finishes. A run that is
        in it is not run again, so an interrupted sweep goes on where it was. It cannot know that
        the code of `run` has changed: then delete the file.
    Returns settings, results and seconds of every run of the grid, in the grid's order.
    """
    path, names = Path(table), list(grid)
    _mend(path)
    done = {_key(row, names): row for row in read_table(path) if row.keys() >= set(names)}
    queue = [dict(zip(names, values, strict=True)) for values in product(*grid.values())]
    waiting = [settings for settings in queue if _key(settings, names) not in done]
    if len(waiting) < len(queue):
        print(f"{len(queue) - len(waiting)} of {len(queue)} runs are in {path.name} already.")
    token = _in_sweep.set(True)
    try:
        for settings in bar(waiting):
            start = time.perf_counter()
            results = run(**settings)
            row = {**settings, **results, "seconds": round(time.perf_counter() - start, 3)}
            append_row(path, row)
            done[_key(settings, names)] = row
    finally:
        _in_sweep.reset(token)
    return [done[_key(settings, names)] for settings in queue]


def bar(queue: Sequence[Any]) -> Iterable[Any]:
    """The queue, with a progress bar that says how many are done and how long the rest will take.

    In a notebook the bar is one output, redrawn in its place, also under papermill.
    """
    from tqdm import tqdm

    # Not to stderr: what is written there looks like a fault in a notebook.
    file = _Line() if plots.in_notebook() else sys.stdout
    return tqdm(queue, unit="run", ncols=80, file=file, disable=not queue)


class _Line:
    """A text file of which a notebook shows the last line that was written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._shown = False

    def write(self, text: str) -> None:
        from IPython.display import display, update_display

        if text.strip():
            show = update_display if self._shown else display
            show({"text/plain": text.strip()}, raw=True, display_id=self._id)
            self._shown = True

    def flush(self) -> None:
        """Nothing is held back."""


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a sweep's table; none if there is no such file.

    A last line that was cut short by an interrupt is left out. Raises ValueError for any other line
    that is not JSON.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a whole line ends in a newline
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a table of runs ({error}): move it away.") from error


def append_row(path: str | Path, row: Mapping[str, Any]) -> None:
    """Add one line to a table of runs, and make the table and its folder if there is none yet."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def heat_map(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, value: str, *, floor: float | None = None
) -> Figure:
    """The results of a sweep as a grid of numbers on colour, light for large ones.

    x, y: the settings along the axes, in the order in which their values come up in rows; value:
    the result that is shown. A combination without a row is left empty.
    floor: values below it have its colour, so that one failed run does not make all others alike.
    """
    xs, ys = (list(dict.fromkeys(row[name] for row in rows)) for name in (x, y))
    cells = np.full((len(ys), len(xs)), np.nan)
    for row in rows:
        cells[ys.index(row[y]), xs.index(row[x])] = row[value]
    fig, ax = plt.subplots(figsize=(1.6 + 0.9 * len(xs), 1.2 + 0.5 * len(ys)))
    image = ax.imshow(cells, cmap="cividis", aspect="auto", origin="lower", vmin=floor)
    middle = sum(image.get_clim()) / 2
    for i, j in zip(*np.nonzero(np.isfinite(cells)), strict=True):
        ink = "white" if cells[i, j] < middle else "black"
        ax.text(j, i, f"{cells[i, j]:.3f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(xs)), [f"{one:g}" if isinstance(one, float) else one for one in xs])
    ax.set_yticks(range(len(ys)), [f"{one:g}" if isinstance(one, float) else one for one in ys])
    ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    ax.grid(False)
    below = "neither" if floor is None else "min"
    fig.colorbar(image, label=value.replace("_", " "), extend=below)
    return fig


def _key(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The settings of a run as text: numbers as JSON writes them."""
    return json.dumps([row[name] for name in names])


def _mend(path: Path) -> None:
    """Take a last line off that was cut short, or the next run's would be added to it."""
    if path.exists():
        whole, newline, _ = path.read_text(encoding="utf-8").rpartition("\n")
        path.write_text(whole + newline, encoding="utf-8")


# TensorBoard


@contextmanager
def _writer(folder: str | Path | None) -> "Iterator[SummaryWriter | None]":
    if folder is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoard's logs need the package `tensorboard`: install it, or leave out `log`."
        ) from error
    with SummaryWriter(str(folder)) as writer:
        yield writer


def _write(writer: "SummaryWriter | None", row: Row) -> None:
    if writer is not None:
        for tag, value in (
            ("loss/train", row.train_loss),
            ("loss/held_out", row.held_out_loss),
            ("accuracy/train", row.train_accuracy),
            ("accuracy/held_out", row.held_out_accuracy),
            ("learning_rate", row.lr),
        ):
            writer.add_scalar(tag, value, row.epoch)
