"""Training a classifier, watched: batches, evaluation, the loop, logs.

    history = training.fit(model, optimizer, (X, y), (test_X, test_y), epochs=5, batch_size=64,
                           live=training.Live("LeNet"))
    print(f"{history.last.held_out_accuracy:.2%}")

Data are pairs of tensors: X (N, …) float32 and y (N,) int64, whole on one device, the model's.
The loss is cross-entropy, in nats, of the scores (N, classes) that the model returns.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.training.modes import evaluation_mode, in_sweep
from utils.training.rates import Diverged, Rates, Schedule, require_finite

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

    from utils.training.live import Live


Pair = tuple[Tensor, Tensor]

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

    def draw(self, title: str = "") -> "Figure":
        """Loss and accuracy by epoch, side by side; grey dots are single batches' losses."""
        import matplotlib.pyplot as plt  # here: who only trains needs nothing that draws
        from matplotlib.ticker import MaxNLocator

        from utils import plots

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
    with _writer(log) as writer, loop.rates.restored():
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
        except Diverged as error:
            history.ended = "diverged"
            print(
                f"Training ended in epoch {len(history.rows) + 1}: {error}. Most often the learning"
                " rate is too high; try a tenth of it. The weights are spoilt: make the model anew."
            )
        except KeyboardInterrupt:
            if in_sweep.get():
                raise
            history.ended = "interrupted"
            print(f"Interrupted in epoch {len(history.rows) + 1}: the weights reached are kept.")
        finally:
            if live is not None:
                live.finish(history)
    return history


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
        self.rates = Rates(self.optimizer, self.schedule)

    def epoch(self, epoch: int, orders: torch.Generator, draws: torch.Generator) -> Score:
        """One pass over the training data; its mean loss and accuracy."""
        X, y = self.train
        self.model.train()
        loss_sum = right = torch.zeros((), device=X.device)
        look = max(1, self.per_epoch // LOOKS_PER_EPOCH)
        for step, (batch, labels) in enumerate(minibatches(X, y, self.batch_size, orders)):
            self.rates.set((epoch - 1) * self.per_epoch + step, self.epochs * self.per_epoch)
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
        require_finite(mean)
        return Score(mean, right.item() / len(X))

    def _look(self, epoch: int, step: int, loss: float) -> None:
        require_finite(loss)
        self.history.batches.append((epoch - 1 + (step + 1) / self.per_epoch, loss))
        if self.live is not None:
            self.live.update(self.history)


def _require_one_device(model: nn.Module, *pairs: Pair) -> None:
    devices = {tensor.device for pair in pairs for tensor in pair}
    devices |= {parameter.device for parameter in model.parameters()}
    if len(devices) > 1:
        listed = " and ".join(sorted(str(device) for device in devices))
        raise ValueError(
            f"Model, training and test data must be on one device, and are on {listed}: "
            "move them with .to(device)."
        )


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
