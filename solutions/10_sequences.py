# %% [markdown]
# # 10 · Speech, prices, memory
# You will build a recogniser that hears strings of digits though nobody told it where a digit begins,
# windows on a market that cannot see tomorrow, and a network with a memory that fades.

# %% [markdown]
# This is what this lab's own recogniser heard after 200 steps of training, by a voice that it had never
# heard before. The digits follow each other without a mark between them, and nobody marked them for the
# training, either:
#
# ```text
# said  9 4          heard  9 4
# said  6 1 0        heard  6 1 0
# said  0            heard  1
# ```

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import itertools
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from grading.check import checks, progress
from utils import plots, settings
from utils.data import prices as markets
from utils.data import speech
from utils.figures import sequences as figures

# %%
Array, Mask = NDArray[np.float64], NDArray[np.bool_]
Item = tuple[Tensor, Tensor]  # a spectrogram (T, bands) and its labels (S,)
check = checks("10_sequences")
torch.manual_seed(0)

# %%
smoke = {"strings": 800, "units": 32, "layers": 1, "steps": 200}
smoke |= {"every": 6, "epochs": 4, "recalls": 400}
cpu = {"strings": 4000, "units": 64, "layers": 2, "steps": 1500}
cpu |= {"every": 3, "epochs": 12, "recalls": 3000}
sizes = settings.choose(scale, smoke=smoke, cpu=cpu)

# %% [markdown]
# **You will** write connectionist temporal classification and train a recogniser with it; measure its
# errors on new speakers; cut prices into windows that hold nothing of the future, and prove that they
# do not; and build fast weights, which are attention before it was called so.
#
# **Not in this lab:** words and language models, trading advice, transformers.
#
# **You need** lab 09: recurrent cells, states, backpropagation through time. 185 minutes. A CPU is
# enough: at scale `smoke` all cells together compute for less than a minute, at `cpu` for some
# minutes. Loudspeakers help.

# %% [markdown]
# ## 1 · A sound as a picture
# Recorded digits where the data root has them, otherwise the tones of a telephone's keys, each by
# several **speakers**. Two speakers are **held out**: no training hears them. A **string** is some
# digits one after another by one speaker, with pauses of any length.

# %%
spoken = speech.load()
held_out, seen = spoken.speakers[-2:], spoken.speakers[:-2]
print(f"trained on {', '.join(seen)}; held out {', '.join(held_out)}")
one_wave, one_string = speech.strings(spoken, held_out[:1], 1, (3, 3), seed=3)[0]
print(f"wave: {one_wave.shape} {one_wave.dtype}, {len(one_wave) / speech.RATE:.2f} s")
figures.listen(one_wave, speech.RATE)

# %% [markdown]
# Play it. A network gets a **spectrogram**: how loud each pitch is in each short stretch of time. A
# **frame** is a stretch of 32 ms, and frames begin every 20 ms. Pitches are put together into bands
# that are narrow where they are low and wide where they are high, as in the ear. Each spectrogram is
# brought to mean 0 in every band: that takes away much of the microphone and of the voice.

# %%
HOP = 160  # samples from frame to frame, 20 ms
edges = np.unique(np.geomspace(3, 128, 28).astype(int))  # of the bands, in steps of 31 Hz
BANDS = len(edges) - 1


def spectrogram(wave: NDArray[np.float32]) -> Tensor:
    """(T, BANDS) float32: the logarithm of the loudness, by frame and band."""
    window = torch.hann_window(256)
    loud = torch.stft(torch.from_numpy(wave), 256, HOP, window=window, return_complex=True).abs()
    bands = [loud[low:high].mean(dim=0) for low, high in itertools.pairwise(edges)]
    x = torch.log(torch.stack(bands, dim=1) + 1e-3)
    return (x - x.mean(dim=0)) / x.std()


one = spectrogram(one_wave)
fig = figures.sound(one_wave, one, HOP / speech.RATE)
plots.show(fig, alt="Above a wave with three loud stretches, below its bands: bright where loud.")
print(f"spectrogram: {tuple(one.shape)}; digits: {one_string.tolist()}")

# %% [markdown]
# *Above the wave, below its spectrogram.* Tens of frames, three digits, and no word about which frame
# belongs to which digit. To mark that by hand for hours of speech is dear, and often not even clear.
#
# ## 2 · From frames to a string
# So let the network say one **label** for each frame, and one more thing: the **blank**, "nothing new
# here". Such a list of labels, one a frame, is a **path**. To read it, a run of the same label counts
# once, and then the blanks are left out. Label 0 is the blank, and digit d has the label d + 1.

# %%
# A guess, before anything is written: with - for the blank, what does the path  a a - a  say?
check.predict("the path a a - a says", "", "a", "aa", "aaa")

# %% [markdown]
# ### Exercise 1 · Reading a path — 1 point, 15 minutes, ●○○
# `greedy_decode` takes the best label of each frame, and reads the path that they make. A batch has
# strings of different lengths: beyond a string's own length its frames are **padding**, which says
# nothing.
#
# <details><summary>Hint 1</summary>What is the label of the frame before? The first frame has none.
# </details>
#
# <details><summary>Hint 2</summary><code>itertools.groupby</code> without a key puts equal neighbours
# together.</details>


# %% nbgrader={"grade_id": "greedy_decode_code", "solution": true}
def collapse(path: Sequence[int]) -> list[int]:
    """The labels that a path says: each run of a label once, then without the blanks, 0.

    >>> collapse([0, 3, 3, 0, 0, 2])
    [3, 2]
    """
    ### BEGIN SOLUTION
    return [label for label, _ in itertools.groupby(path) if label != 0]
    ### END SOLUTION


def greedy_decode(log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
    """What the best path of each string says.

    log_probs: (T, N, K), for each frame, string and label; lengths: (N,) int64, how many frames of
    each string count.
    >>> greedy_decode(torch.tensor([[[0.1, 0.9]], [[0.7, 0.3]], [[0.2, 0.8]]]).log(), torch.tensor([3]))
    [[1, 1]]
    """
    ### BEGIN SOLUTION
    best = log_probs.argmax(dim=2).T.tolist()
    return [collapse(path[:n]) for path, n in zip(best, lengths.tolist(), strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "greedy_decode", "grade": true, "points": 1}
check("greedy_decode")

# %%
with check.needs("greedy_decode"):
    for path in ("aa-a", "aaaa", "-a-a", "a-bb", "abab", "----"):
        said = collapse([" -ab".index(sign) - 1 for sign in path])
        print(f"{path}  says  {''.join('-ab'[label] for label in said)!r}")
    answer = "a" * len(collapse([1, 1, 0, 1]))
    check.measured("the path a a - a says", answer)

# %% [markdown]
# A blank between two equal labels keeps them apart. Without it a double letter could not be written.
#
# ## 3 · How wrong is a string?
# Say "3 8 9", and "8 9 9" is heard: right labels, at other places. Count instead how many labels have to
# be put in, taken out or exchanged, at the least, to make one string of the other: the **edit
# distance**. The **label error rate** of many strings is the sum of their distances, divided by the
# number of labels that were *said*.

# %%
# A guess: can a label error rate be more than 1?
check.predict("a label error rate above 1", "", "never", "possible")

# %% [markdown]
# ### Exercise 2 · Label error rate — 1 point, 25 minutes, ●●○
# Trying all ways to edit takes for ever. **Dynamic programming** goes through the beginnings of both
# strings: the distance of two of them follows from those of shorter ones.
#
# <details><summary>Hint 1</summary>To make a string of i labels out of nothing, or nothing out of
# it, takes i edits.</details>
#
# <details><summary>Hint 2</summary>The last edit is one of three: a label put in, one taken out, one
# exchanged, or kept for nothing if the two are equal. What was the distance before each?</details>


# %% nbgrader={"grade_id": "label_error_rate_code", "solution": true}
def edit_distance(said: Sequence[int], heard: Sequence[int]) -> int:
    """The least number of labels to put in, take out or exchange to make one of the other.

    >>> edit_distance([3, 8, 9], [8, 9, 9])
    2
    """
    ### BEGIN SOLUTION
    row = list(range(len(heard) + 1))
    for i, label in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (label != other)))
    return row[-1]
    ### END SOLUTION


def label_error_rate(said: Sequence[Sequence[int]], heard: Sequence[Sequence[int]]) -> float:
    """All edits over all labels said. said, heard: as many strings, at least one label said.

    >>> label_error_rate([[3, 8, 9], [5]], [[8, 9, 9], [5]])
    0.5
    """
    ### BEGIN SOLUTION
    edits = sum(edit_distance(one, other) for one, other in zip(said, heard, strict=True))
    return edits / sum(map(len, said))
    ### END SOLUTION


# %% nbgrader={"grade_id": "label_error_rate", "grade": true, "points": 1}
check("label_error_rate")

# %%
with check.needs("label_error_rate"):
    said, heard = [3, 1, 4, 1, 5], [3, 4, 4, 1, 5, 5]
    table = [
        [edit_distance(said[:i], heard[:j]) for j in range(len(heard) + 1)]
        for i in range(len(said) + 1)
    ]
    fig = figures.edits(table, said, heard)
    plots.show(fig, alt="A table of distances: small along the diagonal, large away from it.")
    rate = label_error_rate([[7]], [[1, 2, 3]])
    print(f"7 was said, 1 2 3 heard: label error rate {rate:g}")
    check.measured("a label error rate above 1", "possible" if rate > 1 else "never")

# %% [markdown]
# *Your distance for all beginnings of two strings; the one of the whole strings is at the lower right.*
#
# ## 4 · All paths at once
# How shall the network learn, when nobody knows the path? The network gives each frame t a
# probability for each label. A path's probability is the product of its labels' ones. Many paths say
# the same string, and the string's probability is the **sum** over them. Learning makes that sum large
# for the string that was said: **connectionist temporal classification** (CTC; Graves and others 2006).

# %%
# A guess: is the string of the best path always the most probable string?
check.predict("the best path's string is the most probable", "", "always", "not always")

# %%
with check.needs("greedy_decode"):
    frames = torch.tensor([[0.6, 0.3, 0.1], [0.55, 0.4, 0.05], [0.6, 0.1, 0.3]])  # -, a, b
    strings_p: dict[str, float] = {}
    for path in itertools.product(range(3), repeat=len(frames)):
        p = math.prod(frames[t, label].item() for t, label in enumerate(path))
        said = "".join(" ab"[label] for label in collapse(path)) or "(nothing)"
        strings_p[said] = strings_p.get(said, 0.0) + p
    fig = figures.chances(strings_p)
    plots.show(
        fig, alt="Bars of probabilities of strings; that of the best path is not the longest."
    )
    best = "".join(" ab"[i] for i in greedy_decode(frames[:, None].log(), torch.tensor([3]))[0])
    most = max(strings_p, key=lambda said: strings_p[said])
    print(f"the best path says {best or '(nothing)'}; the most probable string is {most}")
    same = (best or "(nothing)") == most
    check.measured(
        "the best path's string is the most probable", "always" if same else "not always"
    )

# %% [markdown]
# *Three frames, three labels: all 27 paths, summed by what they say.* Greedy decoding is a shortcut.
# It is a good one once a trained network is sure of nearly every frame.
#
# A second of speech has 50 frames, and with 11 labels 11⁵⁰ paths. Again dynamic programming goes
# through them, frame by frame. Write the target with blanks around and between its labels: 3 8
# becomes `- 3 - 8 -`. A path that says the target goes through these **places** from left to right.
# It begins at the first blank or the first label and ends at the last label or the last blank.

# %% [markdown]
# From one frame to the next it stays where it is, or goes on by one place, or by two, over a blank, where
# the path still says the same target without that blank.
#
# The **forward variable** α(t, s) is the probability, summed over all beginnings of paths, to stand at
# place s in frame t. It follows from frame t − 1. Products of many probabilities get too small for a
# float, so α is kept as a logarithm, and sums are `logsumexp`.
#
# **By hand:** how many paths of 4 frames say "aa", with the labels a, b and the blank? Put the number
# into `paths_of_aa`.

# %% [markdown]
# ### Exercise 3 · The CTC loss — 2.5 points, 45 minutes, ●●●
# The loss is minus the logarithm of the target's probability, in nats. PyTorch's own CTC is not to be
# used. The gradient has to come back through it.
#
# <details><summary>Hint 1</summary>Keep log α of all places as one tensor. What is moved by one
# place, or by two, is the same tensor, shifted.</details>
#
# <details><summary>Hint 2</summary>The gradient of a logsumexp of nothing but −∞ is NaN. A very small
# number, such as −1e30, in its place has none.</details>
#
# <details><summary>Hint 3</summary>When is there no path at all? How many frames does a target
# need at the least?</details>

# %% nbgrader={"grade_id": "ctc_loss_by_hand", "solution": true}
paths_of_aa = None  # a whole number
### BEGIN SOLUTION
paths_of_aa = 5  # aa-a, a-aa, a--a, -a-a, a-a-
### END SOLUTION


# %% nbgrader={"grade_id": "ctc_loss_code", "solution": true}
def ctc_loss(log_probs: Tensor, target: Sequence[int]) -> Tensor:
    """−log of the probability that a path through all frames says the target: a number, as a tensor.

    log_probs: (T, K) float, T ≥ 1, logarithms of probabilities; label 0 is the blank. target: S ≥ 0
    labels from 1 to K − 1. Where no path of T frames says the target, the loss is ∞.
    >>> ctc_loss(torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log(), [1]).exp()  # 1 / (3 paths of 4)
    tensor(1.5625)
    """
    ### BEGIN SOLUTION
    repeats = sum(a == b for a, b in itertools.pairwise(target))
    if len(log_probs) < len(target) + repeats:
        return log_probs.new_tensor(torch.inf)
    places = torch.zeros(2 * len(target) + 1, dtype=torch.int64)
    places[1::2] = torch.as_tensor(target, dtype=torch.int64)
    skips = torch.zeros(len(places), dtype=torch.bool)
    skips[2:] = (places[2:] != 0) & (places[2:] != places[:-2])
    alpha = log_probs.new_full((len(places),), -1e30)
    alpha = torch.cat([log_probs[0, places[:2]], alpha[2:]])
    for frame in log_probs[1:]:
        one = F.pad(alpha, (1, 0), value=-1e30)[:-1]
        two = F.pad(alpha, (2, 0), value=-1e30)[: len(alpha)].masked_fill(~skips, -1e30)
        alpha = torch.logsumexp(torch.stack([alpha, one, two]), dim=0) + frame[places]
    return -torch.logsumexp(alpha[-2:], dim=0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "ctc_loss", "grade": true, "points": 2.5}
check("ctc_loss")

# %%
with check.needs("ctc_loss"):
    torch.manual_seed(1)
    scores = torch.randn(40, 11, requires_grad=True)
    for target in ([3, 8], [4, 4, 4], list(range(1, 11))):
        log_p = scores.log_softmax(dim=1)
        lengths = torch.tensor(40), torch.tensor(len(target))
        theirs = F.ctc_loss(log_p, torch.tensor(target), *lengths, reduction="sum")
        mine = ctc_loss(log_p, target)
        slopes = [torch.autograd.grad(one, scores, retain_graph=True)[0] for one in (mine, theirs)]
        apart = (slopes[0] - slopes[1]).abs().max()
        print(f"{target}: yours {mine:.4f}, PyTorch's {theirs:.4f}, gradients apart {apart:.0e}")


# %% [markdown]
# ## 5 · A network that listens
# A convolution over five frames that keeps every second one, so a label is said for 40 ms; recurrent
# layers that read forwards and backwards (a GRU is a lighter LSTM); and a score for each label. Deep
# Speech 2 (Amodei and others 2015) put
# **batch normalisation** (lab 06) between its recurrent layers, with mean and variance over all frames
# of all strings of a batch. Padding must not count there: else a string's result would depend on how
# long its neighbours are.


# %%
class SequenceNorm(nn.Module):
    """Batch normalisation over the frames that are no padding. x: (T, N, D); real: (T, N) bool."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(units)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[real] = self.norm(x[real])
        return out


# %%
class Recogniser(nn.Module):
    """Log-probabilities of labels (T', N, 11) for spectrograms (T, N, BANDS); T' = (T + 1) // 2."""

    def __init__(self, units: int, norm: bool) -> None:
        super().__init__()
        self.first = nn.Conv1d(BANDS, units, 5, stride=2, padding=2)
        widths = [units, *[2 * units] * sizes.layers]
        layers = [nn.GRU(width, units, bidirectional=True) for width in widths[:-1]]
        self.layers, self.last = nn.ModuleList(layers), nn.Linear(2 * units, 11)
        self.norms = nn.ModuleList(SequenceNorm(width) for width in widths) if norm else None

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x, real = self.first(x.permute(1, 2, 0)).permute(2, 0, 1), real[::2]
        x = torch.relu(self.norms[0](x, real) if self.norms else x) * real[..., None]
        for i, layer in enumerate(self.layers, 1):
            x = layer(x)[0] * real[..., None]
            x = self.norms[i](x, real) if self.norms else x
        return self.last(x).log_softmax(dim=2)


# %%
def items_of(speakers: Sequence[str], count: int, seed: int) -> list[Item]:
    made = speech.strings(spoken, speakers, count, (1, 3), seed=seed)
    return [(spectrogram(wave), torch.from_numpy(digits) + 1) for wave, digits in made]


def batch_of(items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
    """x (T, N, BANDS); which of it is no padding, (T, N); how many labels come out; the targets."""
    lengths = torch.tensor([len(x) for x, _ in items])
    x = pad_sequence([x for x, _ in items])
    real = torch.arange(len(x))[:, None] < lengths
    return x, real, (lengths + 1) // 2, [y.tolist() for _, y in items]


start = time.perf_counter()
train_items, new_items = items_of(seen, sizes.strings, 1), items_of(held_out, 100, 2)
frames = sum(len(x) for x, _ in train_items) / len(train_items)
print(f"{len(train_items)} strings to train on, {frames:.0f} frames each in the mean", end=", ")
print(f"{len(new_items)} by held-out speakers, made in {time.perf_counter() - start:.1f} s")

# %% [markdown]
# How long does a step take with your loss, and with PyTorch's? Yours goes through one string after
# another, and at every frame Python starts some operations, each of which leaves a node for backward.

# %%
Loss = Callable[[Tensor, Tensor, list[list[int]]], Tensor]


def library_loss(log_probs: Tensor, lengths: Tensor, labels: list[list[int]]) -> Tensor:
    flat = torch.tensor(list(itertools.chain(*labels)))
    counts = torch.tensor([len(string) for string in labels])
    return F.ctc_loss(log_probs, flat, lengths, counts, reduction="sum") / len(labels)


def your_loss(log_probs: Tensor, lengths: Tensor, labels: list[list[int]]) -> Tensor:
    rows = zip(log_probs.unbind(dim=1), lengths.tolist(), labels, strict=True)
    return torch.stack([ctc_loss(row[:n], string) for row, n, string in rows]).mean()


# %% [markdown]
# No two steps should hear the very same sound. So each step adds a hiss, makes each band of each string
# a little louder or softer, as another microphone would, and recorded voices become higher or lower by
# at most a band. With few speakers to train on, that is worth a lot on new ones.


# %%
def altered(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Spectrograms (T, N, BANDS) as if said again, elsewhere."""
    if spoken.name != "tones":  # a tone that is a band higher is another digit
        x = torch.roll(x, int(rng.integers(-1, 2)), dims=2)
    return x + 0.3 * torch.randn_like(x[:1]) + 0.2 * torch.randn_like(x)


def decoded(model: Recogniser, items: Sequence[Item]) -> tuple[list[list[int]], list[list[int]]]:
    """The labels that were said, and those that the model heard."""
    x, real, lengths, labels = batch_of(items)
    model.eval()
    with torch.no_grad():
        heard = greedy_decode(model(x, real), lengths)
    model.train()
    return labels, heard


# %%
def fit(model: Recogniser, loss_of: Loss, steps: range, rate: float = 1e-2) -> list[float]:
    """Train from one step to another; the losses. The rate warms up and then falls."""
    optimizer, losses = torch.optim.Adam(model.parameters(), rate), []
    for step in steps:
        rng = np.random.default_rng(step)
        pick = rng.integers(len(train_items), size=16)
        x, real, lengths, labels = batch_of([train_items[i] for i in pick])
        loss = loss_of(model(altered(x, rng), real), lengths, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        share = min(1, (step + 1) / 15) * 0.5 * (1 + math.cos(math.pi * step / sizes.steps))
        optimizer.param_groups[0]["lr"] = rate * share
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% [markdown]
# **Predict:** two networks with the same start and the same strings, one with batch normalisation and
# one without. Which one makes fewer errors on new speakers after these steps?

# %%
check.predict("fewer errors on new speakers", "", "with batch norm", "without", "about alike")

# %%
FIRST = 4  # steps with your own loss
models = {}
for name, norm in (("with batch norm", True), ("without", False)):
    torch.manual_seed(5)
    models[name] = Recogniser(sizes.units, norm)
first_loss, whose = library_loss, "PyTorch's loss"
with check.needs("ctc_loss"):
    x, real, lengths, labels = batch_of(train_items[:3])
    log_p = models["without"](x, real)
    both = [loss_of(log_p, lengths, labels) for loss_of in (your_loss, library_loss)]
    slopes = torch.autograd.grad(both[0], log_p)[0]
    if torch.isclose(*both, rtol=1e-3) and slopes.isfinite().all():
        first_loss, whose = your_loss, "your loss"
print(f"the first {FIRST} steps go by {whose}")

# %%
for name, model in models.items():
    start = time.perf_counter()
    losses = fit(model, first_loss, range(FIRST))
    taken = (time.perf_counter() - start) / FIRST
    print(f"{name}: {whose}, {losses[0]:.2f} → {losses[-1]:.2f} nats, {taken:.2f} s a step")

# %%
curves: dict[str, list[float]] = {name: [] for name in models}
marks = np.linspace(FIRST, sizes.steps, 6).astype(int).tolist()
seconds = 0.0
for name, model in models.items():
    start = time.perf_counter()
    for first, end in itertools.pairwise(marks):
        fit(model, library_loss, range(first, end))
        with check.needs("greedy_decode", "label_error_rate"):
            curves[name].append(label_error_rate(*decoded(model, new_items)))
    seconds = time.perf_counter() - start
print(f"PyTorch's loss: {seconds / (sizes.steps - FIRST):.2f} s a step")

# %% [markdown]
# How good is no learning at all? Two **controls**. One says for each string the commonest string of the
# training set. The other takes what the recogniser heard and gives it to *another* string: it has the
# right lengths and the right digits, at the wrong sounds.

# %% tags=["headline"]
said_new: list[list[int]] = []
heard_new: list[list[int]] = []
with check.needs("greedy_decode", "label_error_rate"):
    said_new, heard_new = decoded(models["with batch norm"], new_items)
    known = [tuple(y.tolist()) for _, y in train_items]
    commonest = list(max(known, key=known.count))
    controls = {
        "the commonest string": label_error_rate(said_new, [commonest] * len(said_new)),
        "heard elsewhere": label_error_rate(said_new, heard_new[1:] + heard_new[:1]),
    }
    fig = figures.learning(marks[1:], curves, controls, "label error rate, new speakers")
    plots.show(fig, alt="Error falls with training below both controls, faster with batch norm.")
    errors = {name: curve[-1] for name, curve in curves.items()}
    print(f"{spoken.name}, speakers never heard before, after {sizes.steps} steps:", end=" ")
    print("; ".join(f"label error rate {one:.2f} {name}" for name, one in errors.items()))
    print("controls:", "; ".join(f"{one:.2f} {name}" for name, one in controls.items()))
    gap = errors["without"] - errors["with batch norm"]
    answer = "about alike" if abs(gap) < 0.02 else "with batch norm" if gap > 0 else "without"
    check.measured("fewer errors on new speakers", answer)

# %% [markdown]
# *Label error rate on speakers who were held out, over steps; dotted are the controls.* Lab 06 saw
# batch normalisation speed up deep convolution networks. Deep Speech 2 saw it in recurrent ones, the
# more so the deeper they were. One run of each is no proof: section 9 says how to run more.

# %%
with check.needs("greedy_decode", "label_error_rate"):
    for string, other in list(zip(said_new, heard_new, strict=True))[:6]:
        listed = [" ".join(str(label - 1) for label in one) for one in (string, other)]
        print(f"said  {listed[0]:<10} heard  {listed[1]:<12} edits {edit_distance(string, other)}")

# %% [markdown]
# Now the picture that CTC gives away. The gradient of your loss by log p(t, k) is *minus the
# probability that frame t says k*, given that the whole path says the target. That is an
# **alignment**, and nobody ever told the network one.

# %%
with check.needs("ctc_loss"):
    model = models["with batch norm"].eval()
    labels = (one_string + 1).tolist()
    with torch.no_grad():
        x = spectrogram(one_wave)[:, None]
        log_p = model(x, torch.ones(x.shape[:2], dtype=torch.bool))[:, 0]
    model.train()
    log_p.requires_grad_()
    ctc_loss(log_p, labels).backward()
    rows = [0, *dict.fromkeys(labels)]
    share = -log_p.grad[:, rows]
    names = ["blank", *(str(label - 1) for label in rows[1:])]
    fig = figures.alignment(x[:, 0], share, names, HOP / speech.RATE)
    plots.show(fig, alt="Below the spectrogram each digit has a short stretch; blanks lie between.")
    print(f"in each frame these probabilities sum to {share.sum(dim=1).min():.4f} at the least")

# %% [markdown]
# *Above the spectrogram, below your alignment of the digits that were said.* A trained network says
# blank nearly everywhere and each digit in a short spike, often late, once it has heard enough: one
# frame is enough to say it. Play the sound of section 1 again and follow.

# %% [markdown]
# ## 6 · Windows that cannot see tomorrow
# Prices are a sequence, too, and the easiest place to fool oneself. A **leak** is anything in an
# example that was not known on its day. A network finds a leak sooner than a pattern, and looks
# brilliant until the first day of real use.

# %%
market = markets.load()
fig = figures.market(market.days, market.close, market.name)
plots.show(fig, alt="Closing prices on a logarithmic axis, over the years.")
print(f"close: {market.close.shape} {market.close.dtype}, a price for each trading day")

# %% [markdown]
# A **window** is L days in a row. Prices of 1950 and 2018 differ a hundredfold, so windows are made
# **scale-free**: take logarithms, take off each window's *own* mean, divide by its *own* standard
# deviation. Mean and deviation of the whole series would tell a window of 1950 about 2018.
#
# Days that are trained on end before those that are tested begin. A window that lies across the **cut**
# has days on both sides, so it belongs to neither.

# %%
# A guess: 1,000 windows of 40 days, one begins each day. How many lie across the cut?
check.predict("windows across the cut", "", "none", "1", "39", "40")

# %% [markdown]
# ### Exercise 4 · Windows — 1.5 points, 25 minutes, ●●○
# The days of a series are numbered from 0. `cut` is the first day of the test.
#
# <details><summary>Hint 1</summary>A window that begins on day d has the days d to d + L − 1.</details>
#
# <details><summary>Hint 2</summary><code>keepdims=True</code> keeps a row's mean as a column. Where
# all prices of a window are equal, dividing by the deviation makes NaN.</details>


# %% nbgrader={"grade_id": "windows_code", "solution": true}
def windows(prices: Array, length: int, every: int = 1) -> Array:
    """All whole windows of so many days, one beginning every so many days from day 0 on: (M, L).

    prices: (N,), N ≥ length; left as they are.
    >>> windows(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2, every=2)
    array([[1., 2.],
           [3., 4.]])
    """
    ### BEGIN SOLUTION
    starts = np.arange(0, len(prices) - length + 1, every)
    return prices[starts[:, None] + np.arange(length)]
    ### END SOLUTION


def normalise(rows: Array) -> Array:
    """Windows of prices (M, L) made scale-free, see above; one whose prices are all equal is 0.

    >>> normalise(np.array([[1.0, 1.0, 10.0, 10.0], [7.0, 7.0, 7.0, 7.0]]))
    array([[-1., -1.,  1.,  1.],
           [ 0.,  0.,  0.,  0.]])
    """
    ### BEGIN SOLUTION
    logs = np.log(rows)
    logs = logs - logs.mean(axis=1, keepdims=True)
    spread = logs.std(axis=1, keepdims=True)
    flat = np.ptp(rows, axis=1, keepdims=True) == 0
    return np.where(flat, 0.0, logs / np.where(flat, 1.0, spread))
    ### END SOLUTION


def split_by_time(starts: NDArray[np.int64], length: int, cut: int) -> tuple[Mask, Mask]:
    """Which windows to train on, and which to test on: two arrays of bool, (M,) each.

    starts: (M,), the day on which each window begins, in any order.
    """
    ### BEGIN SOLUTION
    return starts + length <= cut, starts >= cut
    ### END SOLUTION


# %% nbgrader={"grade_id": "windows", "grade": true, "points": 1.5}
check("windows")

# %%
LENGTH = 40  # days
with check.needs("windows"):
    rows = windows(market.close, LENGTH, every=len(market.close) // 6)
    fig = figures.two_ways(rows, normalise(rows))
    plots.show(fig, alt="Left, prices at very different heights; right, all around 0.")
    first = np.arange(1000)
    train, test = split_by_time(first, LENGTH, 500)
    print(
        f"{train.sum()} to train on, {test.sum()} to test on, {(~(train | test)).sum()} on neither"
    )
    check.measured("windows across the cut", str((~(train | test)).sum()))

# %% [markdown]
# *Six of your windows, as prices and scale-free.*
#
# How does one know that nothing leaks? Reading code finds some leaks. Here is a test that needs no
# reading: **change the future, and see whether the past's features change.** A **feature** here is a
# function that takes the prices (N,) and gives a number for each day (N,), such as "the mean of the
# last three prices". The number of day t may use the prices up to day t. If it changes when the price
# of day t + 2 does, it looks two days ahead, at least.

# %%
# A guess: each day's price divided by the highest price of the series. Does it look ahead?
check.predict("price over the series' highest price looks ahead", "", "yes", "no")

# %% [markdown]
# ### Exercise 5 · The leak test — 1.25 points, 25 minutes, ●●○
# A feature may have NaN on days for which it has no number yet. Some features do not move when a price
# rises a little, others not when it falls: a highest price, a lowest one.
#
# <details><summary>Hint 1</summary>Compute the feature once as it is. Then change the price of one day,
# compute again, and look at the earliest day that moved.</details>
#
# <details><summary>Hint 2</summary>NaN is not equal to NaN:
# <code>np.isclose(…, equal_nan=True)</code>.</details>
#
# <details><summary>Hint 3</summary>How far must a price rise to be the highest of all for certain,
# and how far must it fall to be the lowest?</details>


# %% nbgrader={"grade_id": "days_ahead_code", "solution": true}
def days_ahead(feature: Callable[[Array], Array], prices: Array) -> int:
    """How many days ahead a feature looks at the most, on any day of these prices; 0: never.

    feature: takes (N,) prices, all above 0, and gives (N,) numbers, some of which may be NaN.
    prices: (N,), left as they are.
    >>> days_ahead(lambda p: np.append(p[1:], np.nan), np.array([1.0, 2.0, 3.0]))  # tomorrow's price
    1
    """
    ### BEGIN SOLUTION
    before, most = feature(prices.copy()), 0
    for day in range(len(prices)):
        for price in (prices.min() / 3, 3 * prices.max()):
            changed = prices.copy()
            changed[day] = price
            same = np.isclose(feature(changed), before, rtol=1e-9, atol=0, equal_nan=True)
            most = max(most, day - int(np.argmin(same))) if not same.all() else most
    return most
    ### END SOLUTION


# %% nbgrader={"grade_id": "days_ahead", "grade": true, "points": 1.25}
check("days_ahead")


# %%
def trailing_mean(p: Array) -> Array:
    return np.array([p[max(0, t - 4) : t + 1].mean() for t in range(len(p))])


def centred_mean(p: Array) -> Array:
    return np.array([p[max(0, t - 2) : t + 3].mean() for t in range(len(p))])


features: dict[str, Callable[[Array], Array]] = {
    "mean of the last 5 days": trailing_mean,
    "mean of 5 days, centred": centred_mean,
    "over the highest so far": lambda p: p / np.maximum.accumulate(p),
    "over the highest of all": lambda p: p / p.max(),
    "z-score of the series": lambda p: (p - p.mean()) / p.std(),
}
some_days = market.close[:30]
fig = figures.leaks(features, some_days)
plots.show(fig, alt="Which day's number moves with which day's price: right of the line is a leak.")

# %% [markdown]
# *Each row is a day's number, each column a day's price; dark where the one moves with the other. Right
# of the orange line lies the future.*

# %%
with check.needs("days_ahead", "windows"):
    own = lambda p: np.append(np.full(9, np.nan), normalise(windows(p, 10))[:, -1])  # noqa: E731
    for name, feature in {**features, "your windows of 10 days": own}.items():
        print(f"{name:<26} looks {days_ahead(feature, some_days):>2} days ahead")
    ahead = days_ahead(features["over the highest of all"], some_days)
    check.measured("price over the series' highest price looks ahead", "yes" if ahead else "no")

# %% [markdown]
# ## 7 · What a chart shows, and what it does not
# Chartists name shapes: **head and shoulders**, three tops of which the middle one is the highest;
# **double top**, two equal ones. We draw such shapes into real windows, so that there *is* something
# to find, and ask a recurrent network which is which on years that it never saw.

# %%
with check.needs("windows"):
    starts = np.arange(0, len(market.close) - LENGTH + 1, sizes.every)
    plain = windows(market.close, LENGTH, sizes.every)
    drawn, kinds = markets.plant(plain, seed=1)
    fig = figures.patterns(normalise(drawn), kinds, markets.PATTERNS)
    plots.show(
        fig, alt="Nine scale-free windows: three plain, three with three tops, three with two."
    )


# %%
class Chartist(nn.Module):
    """Scores (M, classes) for windows (M, L): a GRU, the mean of its states and the last one."""

    def __init__(self, classes: int, units: int = 24) -> None:
        super().__init__()
        self.gru = nn.GRU(2, units, batch_first=True)
        self.last = nn.Linear(2 * units, classes)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([x, F.pad(x[:, 1:] - x[:, :-1], (1, 0)) * 3], dim=2)  # level and step
        states = self.gru(both)[0]
        return self.last(torch.cat([states.mean(dim=1), states[:, -1]], dim=1))


# %%
def gru_accuracy(x: Array, y: NDArray[np.int64], train: Mask, test: Mask) -> float:
    """Train a Chartist on some rows; its accuracy on others."""
    torch.manual_seed(0)
    model = Chartist(int(y.max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    inputs, labels = torch.tensor(x[train]).float(), torch.tensor(y[train])
    for _ in range(sizes.epochs):
        for rows in torch.randperm(len(inputs)).split(32):
            loss = F.cross_entropy(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        right = model(torch.tensor(x[test]).float()).argmax(dim=1).numpy() == y[test]
    return float(right.mean())


def linear_accuracy(x: Array, y: NDArray[np.int64], train: Mask, test: Mask) -> float:
    return float(LogisticRegression(max_iter=500).fit(x[train], y[train]).score(x[test], y[test]))


# %% [markdown]
# **Predict:** and now without any drawing: from the same 40 days, will the price be higher 20 days
# later? Does the network beat the rule "always say what was more frequent" by more than two
# hundredths?

# %%
check.predict("the network knows the direction of the next 20 days", "", "yes", "no")

# %%
AHEAD = 20
with check.needs("windows"):
    cut = int(0.8 * len(market.close))
    train, test = split_by_time(starts, LENGTH, cut)
    shuffled = kinds.copy()
    shuffled[train] = np.random.default_rng(0).permutation(kinds[train])
    x = normalise(drawn)
    found = {
        "GRU": gru_accuracy(x, kinds, train, test),
        "logistic regression": linear_accuracy(x, kinds, train, test),
        "GRU, labels shuffled": gru_accuracy(x, shuffled, train, test),
        "most frequent": np.bincount(kinds[test]).max() / test.sum(),
    }
    days_of = f"{market.days[cut]} to {market.days[-1]}"
    print(f"drawn patterns, {test.sum()} windows of {days_of}:")
    for name, share in found.items():
        print(f"{name:>22} {share:.2f}")

# %%
with check.needs("windows"):
    known = starts + LENGTH + AHEAD <= len(market.close)  # days that have a 20 days later
    ends = starts[known] + LENGTH - 1
    rises = (market.close[ends + AHEAD] > market.close[ends]).astype(np.int64)
    train, test = split_by_time(starts[known], LENGTH + AHEAD, cut)  # the answer's days count, too
    x, usual = normalise(plain[known]), int(rises[train].mean() > 0.5)
    future = {
        "GRU": gru_accuracy(x, rises, train, test),
        "logistic regression": linear_accuracy(x, rises, train, test),
        "more frequent": float((rises[test] == usual).mean()),
    }
    fig = figures.accuracies({"which pattern was drawn": found, "higher in 20 days": future})
    plots.show(
        fig, alt="Patterns: the GRU far above its controls. Direction: no bar above its own."
    )
    print("higher 20 days later:", ", ".join(f"{name} {one:.2f}" for name, one in future.items()))
    gain = future["GRU"] - future["more frequent"]
    answer = "yes" if gain > 0.02 else "no"
    check.measured("the network knows the direction of the next 20 days", answer)

# %% [markdown]
# *Accuracy on the held-out years. Left, which shape was drawn; right, whether the price rose.* A network
# sees shapes well, and trained on shuffled labels it knows nothing: so the first figure is no leak.
# About the future the same network, on the same kind of windows, is no better than a rule without any
# input. That a shape can be *recognised* says nothing about whether it *predicts*.
#
# Overlapping windows are not independent: a gain of a hundredth or two on some hundred windows is
# chance. Lo, Mamaysky and Wang (2000) tested shapes on 31 years of US stocks, and found some information
# in several, which “may have some practical value”.

# %% [markdown]
# ## 8 · A memory that fades
# An LSTM has to keep all that it knows in its state, H numbers. **Fast weights** (Ba and others 2016) are
# a matrix A, (H, H), that is written anew at every step and fades:
#
# $$A_t = \lambda A_{t-1} + \eta\, h_t h_t^\top$$
#
# $\lambda$ is the **decay**, $\eta$ the **rate**.

# %% [markdown]
# The next state is found in an **inner loop**: a first
# state, then S times a better one, to which the memory adds what it knows of states like this:
#
# $$z = W h_t + C x_t + b \qquad h^{(0)} = f(z) \qquad h^{(s+1)} = f(\mathrm{LN}(z + A_t h^{(s)}))$$
#
# $f$ is tanh here: states that have nothing in common then have a product near 0. (Ba and others took
# ReLU, and many more iterations than we have time for.) $\mathrm{LN}$ is **layer normalisation**: each
# row's mean is taken off, and it is divided by its standard deviation, so that A cannot blow the state
# up.

# %% [markdown]
# ### Exercise 6 · A step with fast weights — 1.75 points, 30 minutes, ●●○
# Rows are sequences, and each has a memory A of its own. Of the layer normalisation there is
# `F.layer_norm`, without weights here. The step is trained through.
#
# <details><summary>Hint 1</summary>Which state is written into A: the one that came in, or the new
# one? Look at the index t.</details>
#
# <details><summary>Hint 2</summary>Of a batch: <code>h[:, :, None]</code> is (N, H, 1), and
# <code>@</code> multiplies the last two axes of each member of a batch.</details>

# %%
# A guess: one state was stored; how strong is it in A after 20 more steps, at a decay of 0.9?
check.predict("left of a state after 20 steps", "", "a half", "an eighth", "a thousandth")


# %% nbgrader={"grade_id": "fast_weights_step_code", "solution": true}
def fast_weights_step(
    x: Tensor,
    h: Tensor,
    A: Tensor,
    slow: tuple[Tensor, Tensor, Tensor],
    decay: float,
    rate: float,
    inner: int = 1,
) -> tuple[Tensor, Tensor]:
    """The next state (N, H), and the memory (N, H, H) that it was found with.

    x: (N, D); h: (N, H) and A: (N, H, H) of the step before, left as they are; slow: W (H, H),
    C (H, D), b (H,); inner: S ≥ 0 rounds of the inner loop.
    """
    ### BEGIN SOLUTION
    W, C, b = slow
    A = decay * A + rate * h[:, :, None] * h[:, None, :]
    z = h @ W.T + x @ C.T + b
    new = torch.tanh(z)
    for _ in range(inner):
        new = torch.tanh(F.layer_norm(z + (A @ new[:, :, None])[:, :, 0], new.shape[1:]))
    return new, A
    ### END SOLUTION


# %% nbgrader={"grade_id": "fast_weights_step", "grade": true, "points": 1.75}
check("fast_weights_step")

# %%
with check.needs("fast_weights_step"):
    nothing = (torch.zeros(12, 12), torch.zeros(12, 1), torch.zeros(12))
    state, memory, left = torch.rand(1, 12), torch.zeros(1, 12, 12), {}
    for decay in (0.5, 0.9, 0.97):
        h, A, left[f"decay {decay}"] = state, memory, []
        for _ in range(40):
            h, A = fast_weights_step(torch.zeros(1, 1), h, A, nothing, decay, 1.0, inner=0)
            left[f"decay {decay}"].append(A.norm().item() / (state.norm() ** 2).item())
    fig = figures.fading(left)
    plots.show(fig, alt="A stored state fades: at once with decay 0.5, slowly with 0.97.")
    after = left["decay 0.9"][20]
    print(f"at a decay of 0.9, {after:.3f} is left after 20 steps")
    names = {0.5: "a half", 0.125: "an eighth", 0.001: "a thousandth"}
    nearest = min(names, key=lambda share: abs(math.log(max(after, 1e-9) / share)))
    check.measured("left of a state after 20 steps", names[nearest])

# %% [markdown]
# *How much of one stored state is left in your memory, by steps.*
#
# Now multiply such a matrix by a **query** q, and look at what comes out:
#
# $$A_t\, q = \eta \sum_{\tau \le t} \lambda^{t-\tau}\, h_\tau\, (h_\tau \cdot q)$$
#
# Each past state comes back as strongly as it resembles the query. That is **attention** to the past,
# with $h_\tau$ as both key and value. The matrix need not exist.

# %% [markdown]
# ### Exercise 7 · The same without a matrix — 1 point, 20 minutes, ●●○
# `attend_to_past` is $A_t q$ from the states themselves. `softmax_attention` is what later became usual:
# no decay, and the weights of the states are a softmax over $h_\tau \cdot q / \sqrt H$. PyTorch's
# own attention is not to be used.
#
# <details><summary>Hint 1</summary>First one number for each past state, (N, t). Then a sum of states
# with these weights.</details>
#
# <details><summary>Hint 2</summary>The last state, in place t − 1, is the newest: it has not faded.
# </details>


# %% nbgrader={"grade_id": "attend_to_past_code", "solution": true}
def attend_to_past(past: Tensor, query: Tensor, decay: float, rate: float) -> Tensor:
    """A q (N, H) for the memory A that the past states made, oldest first, from a memory of zeros.

    past: (N, t, H), t ≥ 1; query: (N, H).
    >>> attend_to_past(torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), torch.tensor([[1.0, 1.0]]), 0.5, 1.0)
    tensor([[0.5000, 4.0000]])
    """
    ### BEGIN SOLUTION
    ages = torch.arange(past.shape[1] - 1, -1, -1, dtype=past.dtype)
    weights = rate * decay**ages * (past @ query[:, :, None])[:, :, 0]
    return (weights[:, None] @ past)[:, 0]
    ### END SOLUTION


def softmax_attention(past: Tensor, query: Tensor) -> Tensor:
    """The past states (N, t, H), weighted by the softmax of their resemblance to query (N, H)."""
    ### BEGIN SOLUTION
    scores = (past @ query[:, :, None])[:, :, 0] / math.sqrt(past.shape[2])
    return (scores.softmax(dim=1)[:, None] @ past)[:, 0]
    ### END SOLUTION


# %% nbgrader={"grade_id": "attend_to_past", "grade": true, "points": 1}
check("attend_to_past")

# %%
with check.needs("fast_weights_step", "attend_to_past"):
    torch.manual_seed(3)
    slow = (0.3 * torch.randn(20, 20), torch.randn(20, 4), torch.zeros(20))
    h, A, past = torch.rand(5, 20), torch.zeros(5, 20, 20), []
    for x in torch.randn(9, 5, 4):
        past.append(h)
        h, A = fast_weights_step(x, h, A, slow, 0.9, 0.5)
    states, query = torch.stack(past, dim=1), torch.randn(5, 20)
    by_matrix = (A @ query[:, :, None])[:, :, 0]
    apart = (by_matrix - attend_to_past(states, query, 0.9, 0.5)).abs().max()
    print(f"A q with the matrix and without: {apart:.0e} apart")
    theirs = F.scaled_dot_product_attention(query[:, None], states, states)[:, 0]
    apart = (softmax_attention(states, query) - theirs).abs().max()
    print(f"softmax attention, yours and PyTorch's: {apart:.0e} apart")

# %% [markdown]
# **Associative retrieval**, the paper's test: `c9k8j3f1??c` has pairs of a letter and a digit, then a
# mark, then one of the letters. The answer is that letter's digit, 9 here. Nothing can be learned by
# heart: all pairs are drawn anew each time. An LSTM of the same size gets as many iterations.
#
# **Predict:** after these iterations, which one answers more often right?

# %%
check.predict("right more often", "", "fast weights", "LSTM", "about alike")
PAIRS, H = 4, 50
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789?"


def retrieval(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences (count, 2 PAIRS + 3) of places in ALPHABET, and the digits that answer them."""
    draw = torch.Generator().manual_seed(seed)
    keys = torch.rand(count, 26, generator=draw).argsort(dim=1)[:, :PAIRS]
    digits = torch.randint(10, (count, PAIRS), generator=draw)
    asked = torch.randint(PAIRS, (count, 1), generator=draw)
    pairs = torch.stack([keys, digits + 26], dim=2).flatten(1)
    mark = torch.full((count, 2), 36)
    return torch.cat([pairs, mark, keys.gather(1, asked)], 1), digits.gather(1, asked)[:, 0]


x, y = retrieval(3, 0)
for row, digit in zip(x.tolist(), y.tolist(), strict=True):
    print("".join(ALPHABET[i] for i in row), "→", digit)


# %%
class Recall(nn.Module):
    """Scores of ten digits for sequences (N, T): an LSTM or fast weights, then two layers."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.lstm = nn.LSTM(37, H, batch_first=True) if kind == "LSTM" else None
        self.W = nn.Parameter(0.5 * torch.eye(H))
        self.C, self.b = nn.Parameter(torch.randn(H, 37)), nn.Parameter(torch.zeros(H))
        self.last = nn.Sequential(nn.Linear(H, 100), nn.ReLU(), nn.Linear(100, 10))

    def forward(self, x: Tensor) -> Tensor:
        inputs = F.one_hot(x, 37).float()
        if self.lstm is not None:
            return self.last(self.lstm(inputs)[0][:, -1])
        return self.last(without_matrix(self, inputs)[-1])


# %%
DECAY, RATE = 0.95, 0.1


def with_matrix(model: Recall, inputs: Tensor) -> list[Tensor]:
    """The states (N, H) after each input (N, T, 37), by your fast_weights_step."""
    h, A = torch.zeros(len(inputs), H), torch.zeros(len(inputs), H, H)
    states = []
    for x in inputs.unbind(dim=1):
        h, A = fast_weights_step(x, h, A, (model.W, model.C, model.b), DECAY, RATE)
        states.append(h)
    return states


def without_matrix(model: Recall, inputs: Tensor) -> list[Tensor]:
    """The same states, by your attend_to_past: each is kept, and nothing is written into A."""
    states = [torch.zeros(len(inputs), H)]
    for x in inputs.unbind(dim=1):
        z = states[-1] @ model.W.T + x @ model.C.T + model.b
        answer = attend_to_past(torch.stack(states, dim=1), torch.tanh(z), DECAY, RATE)
        states.append(torch.tanh(F.layer_norm(z + answer, (H,))))
    return states[1:]


# %% [markdown]
# Eleven states of 50 numbers are less than a matrix of 2,500, so for sequences as short as these the
# way without a matrix is the cheaper one. First both ways once, then the training, by the cheaper.

# %%
with check.needs("fast_weights_step", "attend_to_past"):
    inputs, model, times = F.one_hot(retrieval(128, 4)[0], 37).float(), Recall("fast weights"), {}
    ends = []
    for name, way in (("with the matrix", with_matrix), ("without", without_matrix)):
        start = time.perf_counter()
        ends.append(way(model, inputs)[-1])
        ends[-1].sum().backward()
        times[name] = time.perf_counter() - start
    apart = (ends[0] - ends[1]).abs().max()
    print(", ".join(f"{name} {1000 * taken:.0f} ms" for name, taken in times.items()), end="; ")
    print(f"the last states are {apart:.0e} apart")


# %%
def train_recall(kind: str, rate: float) -> tuple[Recall, list[float]]:
    """A trained network, and its accuracy on new sequences ten times on the way."""
    model, accuracies = Recall(kind), []
    optimizer = torch.optim.Adam(model.parameters(), rate)
    new_x, new_y = retrieval(1000, 10**6)
    for step in range(sizes.recalls):
        x, y = retrieval(64, step)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        fall = 0.55 + 0.45 * math.cos(math.pi * step / sizes.recalls)
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 20) * fall
        optimizer.step()
        if (step + 1) % (sizes.recalls // 10) == 0:
            with torch.no_grad():
                right = model(new_x).argmax(dim=1) == new_y
            accuracies.append(right.float().mean().item())
    return model, accuracies


# %% tags=["headline"]
fast: Recall | None = None
with check.needs("attend_to_past"):
    fast, accuracies = train_recall("fast weights", 1e-2)
    recalls = {"fast weights": accuracies, "LSTM": train_recall("LSTM", 1e-2)[1]}
    marks = np.linspace(0, sizes.recalls, 11)[1:].tolist()
    controls = {"any of the digits there": 1 / PAIRS, "any digit": 0.1}
    fig = figures.learning(marks, recalls, controls, "share answered right")
    plots.show(fig, alt="Fast weights climb far above the LSTM, which stays near its controls.")
    ends = {name: curve[-1] for name, curve in recalls.items()}
    print(f"{PAIRS} pairs, {H} units, {sizes.recalls} iterations:", end=" ")
    print(f"fast weights {ends['fast weights']:.2f} right (target 0.70)", end=", ")
    print(f"LSTM {ends['LSTM']:.2f} (control 0.45)")
    gap = ends["fast weights"] - ends["LSTM"]
    answer = "about alike" if abs(gap) < 0.05 else "fast weights" if gap > 0 else "LSTM"
    check.measured("right more often", answer)

# %% [markdown]
# *Share of new sequences answered right, over iterations.* Whoever knows only which digits were there
# gets one in four right. The LSTM has learned little more than that. It can learn the task, with more units and
# many more iterations; the fast weights have a place to put the pairs from the start. The line's 0.70
# is what the fast weights should reach at the least, and 0.45 what the LSTM should stay below.
#
# What does the last step attend to? The weight of each past state is η λ^(t−τ) (h_τ · q).

# %%
if fast is not None:
    x, y = retrieval(6, 77)
    with torch.no_grad():
        states = without_matrix(fast, F.one_hot(x, 37).float())
        past = torch.stack(states[:-1], dim=1)  # (N, 10, H)
        z = states[-2] @ fast.W.T + fast.C.T[x[:, -1]] + fast.b
        query, length = torch.tanh(z), past.shape[1]
        marked = torch.zeros(len(x), length)
        for place in range(length):  # what one state alone brings back, as the memory has it
            alone = torch.zeros_like(past)
            alone[:, place] = past[:, place]
            brought = attend_to_past(alone, query, DECAY, RATE)
            marked[:, place] = brought.norm(dim=1) / past[:, place].norm(dim=1).clamp_min(1e-9)
    letters = [[ALPHABET[i] for i in row] for row in x.tolist()]
    fig = figures.attention(marked, letters, y.tolist())
    plots.show(fig, alt="In each row the brightest places are near the letter that was asked for.")

# %% [markdown]
# *A row is a sequence; bright is a state that weighs much in your attention at the last step, whatever
# the sign; the letter that was asked for and its digit are framed.* The state at a digit holds traces of
# the letter before it: that is how a pair comes into one state.

# %% [markdown]
# ## 9 · Experiments
# Nothing here is graded.
#
# - `scale = "cpu"`: some minutes. Where does the label error rate end, and is the gap between the two
#   networks still there? Other seeds in `torch.manual_seed(5)`: how far apart are five runs?
# - Hold out other speakers. Is one of them harder to understand than the rest?
# - `sizes.layers = 3`: which of the two networks still learns?
# - Longer pauses between digits: `speech.strings(…, pause=(0.2, 0.5))` in section 1 and in `items_of`; by
#   default they last up to 0.2 s. Where do the spikes go?

# %% [markdown]
# - Draw smaller shapes: `markets.plant(plain, seed=1, height=2)`, or 1; it is 4 by default. When do
#   the GRU and the logistic regression lose them? When does your eye?
# - Leave `LENGTH` out of `split_by_time`, so that windows lie across the cut. How much better does
#   *everything* get?
# - Associative retrieval with `PAIRS = 8`, with `H = 20`, without the layer normalisation in
#   `without_matrix`. For `inner` 0 or 3 give it to `fast_weights_step` in `with_matrix`, and let
#   `Recall` use that one: it takes longer.

# %%
if fast is not None:
    for decay in (1.0, 0.95, 0.7, 0.4):
        DECAY = decay
        with torch.no_grad():
            x, y = retrieval(1000, 5)
            share = (fast(x).argmax(dim=1) == y).float().mean()
        print(f"trained at 0.95, asked at a decay of {decay}: {share:.2f} right")
    DECAY = 0.95

# %% [markdown]
# ## 10 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `greedy_decode` | best-path decoding; `torchaudio.models.decoder.ctc_decoder` searches beams with a language model |
# | `label_error_rate` | word error rate, with words for labels; edit distance is Levenshtein's |
# | `ctc_loss` | `nn.CTCLoss`, `F.ctc_loss` |
# | `windows` | `np.lib.stride_tricks.sliding_window_view`, `Tensor.unfold` |
# | `split_by_time` | `sklearn.model_selection.TimeSeriesSplit(gap=…)`; purging |
# | `fast_weights_step` | linear attention's recurrent form |
# | `softmax_attention` | `F.scaled_dot_product_attention` |

# %%
with check.needs("windows", "ctc_loss"):
    view = np.lib.stride_tricks.sliding_window_view(market.close, LENGTH)[::7]
    same = np.array_equal(view, windows(market.close, LENGTH, 7))
    print(f"windows as NumPy's: {same}")
    log_p = torch.randn(30, 5).log_softmax(dim=1)
    theirs = nn.CTCLoss(reduction="sum")(log_p, torch.tensor([1, 1, 4]), (30,), (3,))
    print(f"CTC: yours {ctc_loss(log_p, [1, 1, 4]):.5f}, nn.CTCLoss {theirs:.5f}")

# %% [markdown]
# By default `nn.CTCLoss` divides each loss by the length of its target before it takes the mean. And where a
# target does not fit into its frames the loss is infinite and the gradient NaN, which ends a training
# in one step; `zero_infinity=True` leaves such strings out.

# %% [markdown]
# ## 11 · Further
# - Graves, Fernández, Gomez, Schmidhuber (2006), *Connectionist temporal classification*, ICML,
#   [10.1145/1143844.1143891](https://doi.org/10.1145/1143844.1143891): phonemes of TIMIT, a label error
#   rate of 30.5 %, where a hybrid with a hidden Markov model had 33.8 %.
# - Amodei and others (2015), *Deep Speech 2*, [arXiv:1512.02595](https://arxiv.org/abs/1512.02595):
#   batch normalisation over sequences, for English and Mandarin with thousands of hours.
# - Jackson and others, *Free Spoken Digit Dataset*,
#   [github.com/Jakobovski](https://github.com/Jakobovski/free-spoken-digit-dataset), CC BY-SA 4.0.

# %% [markdown]
# - Lo, Mamaysky, Wang (2000), *Foundations of technical analysis*, Journal of Finance 55,
#   [10.1111/0022-1082.00265](https://doi.org/10.1111/0022-1082.00265).
# - Bollerslev (1986), *Generalized autoregressive conditional heteroskedasticity*, Journal of
#   Econometrics 31, [10.1016/0304-4076(86)90063-1](https://doi.org/10.1016/0304-4076(86)90063-1): how the
#   random walk of this lab gets its calm and wild times.
# - Ba, Hinton, Mnih, Leibo, Ionescu (2016), *Using fast weights to attend to the recent past*,
#   [arXiv:1610.06258](https://arxiv.org/abs/1610.06258): section 8's step, and its test, associative
#   retrieval.
# - Ba, Kiros, Hinton (2016), *Layer normalization*,
#   [arXiv:1607.06450](https://arxiv.org/abs/1607.06450).

# %% [markdown]
# - Schmidhuber (1992), *Learning to control fast-weight memories*, Neural Computation 4,
#   [10.1162/neco.1992.4.1.131](https://doi.org/10.1162/neco.1992.4.1.131); Schlag, Irie, Schmidhuber
#   (2021), *Linear transformers are secretly fast weight programmers*,
#   [arXiv:2102.11174](https://arxiv.org/abs/2102.11174): section 8's equality, a quarter of a century
#   apart.
# - Vaswani and others (2017), *Attention is all you need*,
#   [arXiv:1706.03762](https://arxiv.org/abs/1706.03762): the softmax form, and no recurrence at all.
#
# **Next:** lab 11 asks what a GPU is good at.

# %%
progress()
