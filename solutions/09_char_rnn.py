# %% [markdown]
# # 09 · Networks that write
# You will build a network that reads a text one character at a time and learns to say what comes
# next. Asked again and again, it writes: in Shakespeare's manner, in Tolstoy's or Sōseki's, as a
# president speaks, or as Python looks. Nothing in it knows what a word is.

# %% [markdown]
# This is what this lab's own network wrote before it had read anything, after 256,000 characters of
# Shakespeare, and after 1.5 million:
#
# ```text
# dJ-nuv:mgwIqwuqyVmKYlhrAWH!LnhJYep-kr;jRTJr
# XxHpdqPruwSSQ
#
# And greais,
# And my strange of the much with sing
# And whatilly, though it spary halk of their to shall your though
#
# MARIANA:
# I means not,
# My hand, death; for as is not seized; and unto a son all our grace,
# And to me made you recreading the daughter.
# ```

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine
style = ""  # a style or a file's path, see section 1; empty: shakespeare where it is, else english

# %%
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from grading.check import checks, progress
from utils import plots, settings
from utils.data import text
from utils.device import best_device
from utils.figures import char_rnn as figures
from utils.training import memory_cells
from utils.training import text as text_training

# %%
State = tuple[Tensor, Tensor]  # (h, c)
check = checks("09_char_rnn")
device = best_device()
torch.manual_seed(0)
sizes = settings.choose(
    scale,
    smoke={"steps": 2600, "units": 128, "streams": 40, "length": 16, "rate": 0.01},
    cpu={"steps": 8000, "units": 128, "streams": 32, "length": 32, "rate": 0.008},
    gpu={"steps": 8000, "units": 512, "streams": 128, "length": 64, "rate": 0.004},
)

# %% [markdown]
# **You will** write the two classical recurrent cells; feed them a text as streams whose memory is
# carried over; train through time without going back through all of it; sample with a temperature;
# and measure the result in bits per character, against models that only count.
#
# **Not in this lab:** words, attention, and networks large enough to make sense.
#
# **You need** labs 02 to 04: softmax and cross-entropy, graphs and `backward`, a training loop in
# PyTorch. 150 minutes. A CPU is enough: at scale `smoke` all cells together compute for one to two
# minutes, at `cpu` for some minutes. A graphics card is used where there is one.

# %% [markdown]
# ## 1 · A text as numbers
# Six **styles** wait behind one door. `english` and `python` come with Python itself; the others lie
# in the data root (`python -m utils.data.text` lists what is there and where to get it). Any UTF-8 file
# of your own is a style, too: `text.corpus("my_letters.txt")`.

# %%
corpus = text.corpus(style)
print("-" * 70)
print(corpus.train[:400])

# %% [markdown]
# The last tenth is **held out**: no training sees it, and results below are measured on it.
#
# A network takes numbers. The **vocabulary** is the list of all different characters, in the order of
# their code points; a character's **id** is its place in that list. The order must depend on nothing
# but the text. Python's `set` has another order at each start, and a network that was trained with
# one order reads gibberish with another.

# %% [markdown]
# ### Exercise 1 · Vocabulary — 1 point, 15 minutes, ●○○
# A character here is a **code point**, one member of a Python string: `"猫"` and `"𝄞"` as much as
# `"e"`. What the eye takes for one may be two: an emoji with a skin tone, an e with an accent after
# it. They are left as they are.
#
# <details><summary>Hint 1</summary>Which of Python's types holds each thing once, and what puts
# things in order?</details>
#
# <details><summary>Hint 2</summary>Looking a character up in a string takes longer the longer the
# string is. A dictionary from character to id does not. It also tells which character it does not
# know.</details>
#
# <details><summary>Hint 3</summary>A member of a tensor is a tensor itself, not a number.</details>

# %%
# A guess, before anything is written: how many bytes does 猫 take in UTF-8?
check.predict("bytes of 猫", "", "one", "two", "three")


# %% nbgrader={"grade_id": "Vocabulary_code", "solution": true}
class Vocabulary:
    """The characters of a text, each once, by code point, and their ids.

    >>> of_hello = Vocabulary("hello")
    >>> of_hello.characters, of_hello.encode("hole"), of_hello.decode(torch.tensor([1, 3, 2, 0]))
    ('ehlo', tensor([1, 3, 2, 0]), 'hole')
    """

    def __init__(self, text: str) -> None:
        ### BEGIN SOLUTION
        self.characters = "".join(sorted(set(text)))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        ### END SOLUTION

    def encode(self, text: str) -> Tensor:
        """The ids (N,) int64 of the text's characters, N ≥ 1. Raises ValueError for a character that
        is not in the vocabulary; the message shows it."""
        ### BEGIN SOLUTION
        unknown = set(text) - self.ids.keys()
        if unknown:
            raise ValueError(f"not in the vocabulary: {sorted(unknown)}")
        return torch.tensor([self.ids[character] for character in text], dtype=torch.int64)
        ### END SOLUTION

    def decode(self, ids: Tensor) -> str:
        """The text with the ids (N,) int64."""
        ### BEGIN SOLUTION
        return "".join(self.characters[i] for i in ids.tolist())
        ### END SOLUTION


# %% nbgrader={"grade_id": "Vocabulary", "grade": true, "points": 1}
check("Vocabulary")

# %%
with check.needs("Vocabulary"):
    line = "the cat · 吾輩は猫である · 𝄞 · 👍🏽"
    of_line = Vocabulary(line)
    numbers = of_line.encode(line)
    print(
        f"{len(line)} characters, {len(of_line.characters)} different, {len(line.encode())} bytes"
    )
    for character, i in zip(line, numbers.tolist(), strict=True):
        print(f"{character} {i}", end="   ")
    print(f"\nand back: {of_line.decode(numbers)}")
    print(
        f"👍🏽 has the ids {of_line.encode('👍🏽').tolist()}; in UTF-8 {len('👍🏽'.encode())} bytes"
    )
    check.measured("bytes of 猫", {1: "one", 2: "two", 3: "three"}[len("猫".encode())])

# %% [markdown]
# The thumb and its colour are two characters. A vocabulary of bytes would do, too, and never meet an
# unknown one; but a network that reads bytes has to learn first which of them belong together.

# %% [markdown]
# ## 2 · How surprising is a text?
# A model gives each possible next character a probability. The one that really comes had probability
# $p$: the **surprise** is $-\log_2 p$ **bits**. Certain: 0 bits. One of two equally likely: 1 bit. The
# mean over a text is its **bits per character** under that model. It is cross-entropy (lab 02) with
# a logarithm to the base 2, and also the size to which the model could compress the text.

# %% [markdown]
# The simplest models count. A **unigram** model knows how frequent each character is; a **bigram**
# model, how frequent it is after each character. Longer contexts go by the same recipe. A tenth is
# added to every count (**smoothing**), so that nothing has probability 0.

# %%
codes, everything = np.unique(
    np.frombuffer(corpus.text.encode("utf-32-le"), dtype=np.uint32), return_inverse=True
)
train_ids, held_ids = np.split(everything, [len(corpus.train)])  # (N,) int64 each
V = len(codes)


def grams(ids: np.ndarray, order: int) -> np.ndarray:
    """Each character with the `order` before it, written as one number with digits of base V."""
    parts = [ids[i : len(ids) - order + i] for i in range(order + 1)]
    return sum(part.astype(np.int64) * V ** (order - i) for i, part in enumerate(parts))


def lookup(table: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The counts of the wanted numbers, 0 for those that are not in the table."""
    place = np.searchsorted(table, wanted).clip(max=len(table) - 1)
    return np.where(table[place] == wanted, counts[place], 0)


# %%
def counted_bits(order: int, ids: np.ndarray) -> float:
    """Bits per character of ids under what was counted in train_ids, with so much context."""
    with_next = np.unique(grams(train_ids, order), return_counts=True)
    without = np.unique(grams(train_ids, order) // V, return_counts=True)
    wanted = grams(ids, order)
    p = (lookup(*with_next, wanted) + 0.1) / (lookup(*without, wanted // V) + 0.1 * V)
    return float(-np.log2(p).mean())


# %%
orders = range(6 if V < 1000 else 5)  # V⁶ has to fit into 64 bits
bits_of_counts = {
    "held-out text": [counted_bits(order, held_ids) for order in orders],
    "training text": [counted_bits(order, train_ids[:200_000]) for order in orders],
}
unigram, bigram = bits_of_counts["held-out text"][:2]
fig = figures.bits_by_context(bits_of_counts)
plots.show(fig, alt="Bits fall with the first characters of context; held out they rise again.")
print(f"a guess among {V}: {np.log2(V):.2f}   unigram {unigram:.2f}   bigram {bigram:.2f} bits")
for name, bits_of_text in bits_of_counts.items():
    print(f"{name}: {'  '.join(f'{bits:.2f}' for bits in bits_of_text)}")

# %% [markdown]
# *Bits per character over characters of context.* A little context helps on both texts. Then the
# held-out curve turns: of the sequences that come there, most were never counted, and the smoothing
# spreads its tenths over everything. With thousands of different characters, as in Japanese, it does
# so even on training text. A table cannot see that two contexts are alike.
#
# The two numbers to beat, `unigram` and `bigram`, are the **controls** of this lab.

# %% [markdown]
# ## 3 · A network with a memory
# A **recurrent network** keeps a **state** $h$, a vector of H numbers, and renews it with each
# character. With $x$ the vector that stands for the character:
#
# $$h' = \tanh(W x + U h + b)$$
#
# The same $W$, $U$ and $b$ at each step: what it learned about a comma in one place holds in all.

# %% [markdown]
# ### Exercise 2 · A recurrent step — 1 point, 15 minutes, ●○○
# For a batch: B texts are read side by side, one character of each. Rows are texts. Here and in
# exercise 3 PyTorch's own recurrent layers (`nn.RNNCell`, `nn.LSTM` and the like) are not to be used.
# The step is trained through: gradients have to find their way back to everything that went in.
#
# <details><summary>Hint 1</summary>The formula is for columns, our batch has rows:
# <code>W x</code> becomes <code>x @ W.T</code>.</details>

# %%
# A guess: if U = 0, how far back does the state reach?
check.predict("how far back with U = 0", "", "one character", "some", "the whole text")


# %% nbgrader={"grade_id": "rnn_step_code", "solution": true}
def rnn_step(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """The next state (B, H) of a recurrent network.

    x: (B, D) inputs; h: (B, H) states; W: (H, D), U: (H, H), b: (H,). Nothing is changed in place.
    >>> one, two = torch.ones(1, 1), torch.full((1, 1), 2.0)
    >>> rnn_step(x=two, h=one, W=one, U=-one, b=torch.zeros(1))
    tensor([[0.7616]])
    """
    ### BEGIN SOLUTION
    return torch.tanh(x @ W.T + h @ U.T + b)
    ### END SOLUTION


# %% nbgrader={"grade_id": "rnn_step", "grade": true, "points": 1}
check("rnn_step")

# %%
with check.needs("rnn_step"):
    torch.manual_seed(2)
    drawn_W, drawn_U = torch.randn(24, 8), torch.randn(24, 24) * 0.15
    five = torch.randn(40, 1, 8) * (torch.arange(40) < 5)[:, None, None]  # then only silence
    runs = {}
    for name, factor in (("U as drawn", 1), ("U = 0", 0)):
        state, runs[name] = torch.zeros(1, 24), []
        for inputs in five:
            state = rnn_step(inputs, state, drawn_W, factor * drawn_U, torch.zeros(24))
            runs[name].append(state[0])
    fig = figures.states(runs)
    plots.show(
        fig, alt="24 units over 40 steps: strong for five steps, then fading; with U = 0 gone."
    )
    at_once = max(state.abs().max().item() for state in runs["U = 0"][5:]) == 0
    check.measured("how far back with U = 0", "one character" if at_once else "some")

# %% [markdown]
# *Your state, a row for each unit.* Five characters came in, then nothing: the state forgets them
# within some steps, and with $U = 0$ at once. Training has the same trouble backwards, as in lab 02:
# each step that a gradient goes back multiplies it by $U$ and a slope of tanh. It vanishes.

# %% [markdown]
# ## 4 · A memory that lasts
# A **long short-term memory** (LSTM, Hochreiter and Schmidhuber 1997) adds a second state, the
# **cell** $c$, that is not pushed through a matrix. Four vectors come from x and h:
#
# $$\begin{pmatrix} a_i\\ a_f\\ a_g\\ a_o \end{pmatrix} = W x + U h + b$$
#
# $i, f, o$ are sigmoids of their $a$, **gates** between 0 and 1; $g = \tanh a_g$ is the candidate:
#
# $$c' = f \odot c + i \odot g \qquad h' = o \odot \tanh c'$$
#
# $f$ is the **forget gate** (Gers and others 2000), $i$ the input gate, $o$ the output gate; $\odot$
# multiplies number by number.

# %%
torch.manual_seed(0)
cells = {"RNN": nn.RNNCell(64, 64), "LSTM": nn.LSTMCell(64, 64), "LSTM, b = 3": nn.LSTMCell(64, 64)}
cells["LSTM, b = 3"].bias_ih.data[64:128] = 3.0  # of the forget gate
fig = figures.reach(cells)
plots.show(fig, alt="Log axis: the RNN falls fastest; an LSTM with open forget gates stays high.")
print(f"sigmoid(3) = {torch.sigmoid(torch.tensor(3.0)):.2f}: a forget gate that is open")

# %% [markdown]
# *How strongly the last state answers to the state so many steps before: the length of a gradient, on
# a logarithmic axis. Thin and dotted: what comes along $c$ alone.*
#
# In the RNN each step back multiplies by a matrix and a slope: almost a straight line down. An LSTM
# has two ways back. Along $c$ each step multiplies by the forget gate, a number for each unit that
# the network can learn to hold near 1. The other way goes through the gates, by $h$ and $U$. Where
# the forget gates stay open, many such ways add up, and the whole can even grow.

# %% [markdown]
# ### Exercise 3 · An LSTM step — 2 points, 30 minutes, ●●○
# The gates stand one below the other in `W`, `U` and `b`, H rows each, **in PyTorch's order: i, f, g,
# o**. Then the same weights give the same text in your cell and in `nn.LSTM`.
# (Other libraries have other orders; a network moved between them with the wrong one runs and writes
# nonsense.)

# %% [markdown]
# **By hand:** a cell's forget gate is 0.9 and its input gate 0. What share of `c` is left after 20
# steps? Put it into `share_left`, to two digits.
#
# <details><summary>Hint 1</summary>One product with all of <code>W</code> and one with all of
# <code>U</code> give all four at once; <code>chunk(4, dim=1)</code> takes them apart.</details>
#
# <details><summary>Hint 2</summary>The new h looks at the new c.</details>

# %% nbgrader={"grade_id": "lstm_step_by_hand", "solution": true}
share_left = None  # a number between 0 and 1
### BEGIN SOLUTION
share_left = 0.12  # 0.9 ** 20
### END SOLUTION


# %% nbgrader={"grade_id": "lstm_step_code", "solution": true}
def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """The next (h, c) of an LSTM, each (B, H).

    x: (B, D) inputs; h, c: (B, H) states; W: (4H, D), U: (4H, H), b: (4H,), gates in the order
    i, f, g, o. Nothing is changed in place.
    >>> zero, b = torch.zeros(1, 1), torch.tensor([0.0, 9.0, 0.0, 9.0])
    >>> lstm_step(zero, zero, torch.ones(1, 1), torch.zeros(4, 1), torch.zeros(4, 1), b)
    (tensor([[0.7614]]), tensor([[0.9999]]))
    """
    ### BEGIN SOLUTION
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
    ### END SOLUTION


# %% nbgrader={"grade_id": "lstm_step", "grade": true, "points": 2}
check("lstm_step")

# %%
with check.needs("lstm_step"):
    theirs = nn.LSTM(8, 32)
    bias = theirs.bias_ih_l0 + theirs.bias_hh_l0
    sequence, h, c = torch.randn(50, 4, 8), torch.zeros(4, 32), torch.zeros(4, 32)  # (T, B, D)
    for x in sequence:
        h, c = lstm_step(x, h, c, theirs.weight_ih_l0, theirs.weight_hh_l0, bias)
    last = theirs(sequence)[0][-1]
    print(f"after 50 steps, yours and nn.LSTM differ by {(h - last).abs().max():.0e}", end=", ")
    for result in (h, last):
        result.sum().backward(inputs=[theirs.weight_hh_l0])
        if result is h:
            mine = theirs.weight_hh_l0.grad.clone()
            theirs.zero_grad()
    print(f"their gradients for U by {(mine - theirs.weight_hh_l0.grad).abs().max():.0e}")

# %% [markdown]
# ## 5 · A stream, not a heap
# In lab 04 the batches were a shuffled heap. A text has an order, and the state is only worth
# something if the next batch goes on where this one stopped.

# %% [markdown]
# So the text is cut into B long parts, one for each row of the batch. Each batch is the next T
# characters of every part, its next **chunk**: `x: (B, T)`. What should be predicted is always the
# character after: `y: (B, T)`, the same parts read one place further on.
#
# <pre>
# to be or not to be that    part 0:  to be or not
#                            part 1:   to be that
# B = 2, T = 4               batch 0  x "to b", " to "     y "o be", "to b"
#                            batch 1  x "e or", "be t"     y " or ", "e th"
# </pre>

# %% [markdown]
# ### Exercise 4 · Batches that go on — 1.5 points, 20 minutes, ●●○
# For N ids, a part has S = (N − 1) // B characters: one is left over at the end as the last thing to
# be predicted. The end of a part that does not fill a chunk of T is left out. A text too short for
# one chunk has no batches.
#
# <details><summary>Hint 1</summary><code>ids[: B * S].view(B, S)</code> has the parts as rows. Which
# slice of <code>ids</code> has what they should predict?</details>
#
# <details><summary>Hint 2</summary>A function with <code>yield</code> in it makes one batch at a
# time. Batch k has the columns from k·T on.</details>

# %%
# A guess: after how many batches does the next x begin with what the last column of y has?
check.predict("where the next x begins as y ended", "", "nowhere", "some", "everywhere")


# %% nbgrader={"grade_id": "stream_batches_code", "solution": true}
def stream_batches(ids: Tensor, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches (x, y) of one pass over a text, each (B, T) int64; row b goes on with row b.

    ids: (N,) int64; batch_size: B parts of (N − 1) // B characters each; length: T.
    >>> [x.tolist() for x, y in stream_batches(torch.arange(14), 2, 3)]
    [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]
    >>> [y.tolist() for x, y in stream_batches(torch.arange(14), 2, 3)]
    [[[1, 2, 3], [7, 8, 9]], [[4, 5, 6], [10, 11, 12]]]
    """
    ### BEGIN SOLUTION
    size = (len(ids) - 1) // batch_size
    x = ids[: batch_size * size].view(batch_size, size)
    y = ids[1 : batch_size * size + 1].view(batch_size, size)
    for start in range(0, size - length + 1, length):
        yield x[:, start : start + length], y[:, start : start + length]
    ### END SOLUTION


# %% nbgrader={"grade_id": "stream_batches", "grade": true, "points": 1.5}
check("stream_batches")

# %%
with check.needs("stream_batches"):
    pairs = list(stream_batches(torch.arange(1201), 6, 25))
    fig = figures.streams([x for x, _ in pairs], 25)
    plots.show(fig, alt="Six rows; in each, the place in the text rises evenly over all batches.")
    on = [torch.equal(y[:, -1], x[:, 0]) for (_, y), (x, _) in pairwise(pairs)]
    where = "everywhere" if all(on) else "some" if any(on) else "nowhere"
    check.measured("where the next x begins as y ended", where)

# %% [markdown]
# *Your batches side by side, white lines between them.* Along each row the place in the text must rise
# evenly, over every line. A jump is a place where the state would remember another page.
#
# ## 6 · Choosing the next character
# The network gives a score (logit) to each character. Always taking the best one is a bad writer: it
# says the same thing for ever. So we draw at random, with the probabilities of softmax, after two
# changes. A **temperature** $\tau$ divides the scores:
#
# $$p_k = \frac{e^{s_k/\tau}}{\sum_j e^{s_j/\tau}}$$
#
# and **top-k** lets only the k best take part.

# %% [markdown]
# ### Exercise 5 · Sampling — 1.5 points, 20 minutes, ●●○
# Temperature 0 means: the best character, for certain. `top_k=None` means: all take part. Each call
# draws anew.
#
# <details><summary>Hint 1</summary><code>torch.multinomial(p, 1)</code> draws one index for each row
# of probabilities.</details>
#
# <details><summary>Hint 2</summary>Whoever may not take part needs probability 0. Which score gives
# that? (Not 0.) <code>scores.topk(k, dim=1)</code> has the k best values and their places.</details>

# %%
# A guess: which temperature makes the text wilder?
check.predict("the wilder temperature", "", "0.5", "2")


# %% nbgrader={"grade_id": "sample_code", "solution": true}
def sample(scores: Tensor, temperature: float = 1.0, top_k: int | None = None) -> Tensor:
    """One id for each row of scores, drawn at random: (B,) int64.

    scores: (B, V), left as they were. temperature: ≥ 0; 0 takes the best score of each row.
    top_k: only the k best scores of a row take part; from 1 to V.
    >>> sample(torch.tensor([[0.0, 9.0, 1.0], [5.0, 0.0, 4.0]]), temperature=0)
    tensor([1, 0])
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return scores.argmax(dim=1)
    if top_k is not None:
        smallest = scores.topk(top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < smallest, -torch.inf)
    return torch.multinomial(torch.softmax(scores / temperature, dim=1), 1)[:, 0]
    ### END SOLUTION


# %% nbgrader={"grade_id": "sample", "grade": true, "points": 1.5}
check("sample")

# %%
with check.needs("sample"):
    frequent = np.bincount(train_ids).argmax()
    follow = np.bincount(train_ids[1:][train_ids[:-1] == frequent], None, V)
    logits = torch.tensor(np.log(follow + 0.1)).expand(5000, V)  # of what comes after it
    best = logits[0].argsort(descending=True)[:20]
    draws = {f"τ = {t:g}": sample(logits, t) for t in (0.5, 1.0, 2.0)}
    draws["τ = 1, top 3"] = sample(logits, 1.0, 3)
    plots.show(
        figures.shares(draws, best),
        alt="Low temperature favours the best ranks, high evens out, top 3 cuts off.",
    )
    different = {name: len(ids.unique()) for name, ids in draws.items()}
    print(", ".join(f"{name}: {count} different characters" for name, count in different.items()))
    wilder = "2" if different["τ = 2"] > different["τ = 0.5"] else "0.5"
    check.measured("the wilder temperature", wilder)

# %% [markdown]
# *What follows the most frequent character of your text, 5,000 times drawn by your function; rank 1 is
# its most frequent follower.* A low temperature sharpens, a high one flattens, and top-k cuts the tail off.

# %% [markdown]
# ## 7 · Back through some of the time
# The gradient of the loss goes back through every step that led there: a million for a whole text.
# **Truncated backpropagation through time** stops at the chunk's edge. The *value* of the state is
# carried on, its history is not: `h.detach()` is the same numbers without a graph (lab 03).
#
# Through many steps gradients also **explode** now and then. **Clipping** (Pascanu and others 2013)
# scales all gradients by one factor if their common length is over a limit:
#
# $$g \leftarrow g \cdot \min(1, \text{limit}/\|g\|)$$

# %% [markdown]
# ### Exercise 6 · One step through time — 2 points, 30 minutes, ●●○
# `model(x, state)` returns scores (B, T, V) and the state after x, `(h, c)`. The loss is the mean
# cross-entropy over all B·T characters, in **nats**: with the natural logarithm, as PyTorch has it.
#
# <details><summary>Hint 1</summary>Forward, loss, clear old gradients, backward, clip, step: what has
# to come before what?</details>
#
# <details><summary>Hint 2</summary><code>F.cross_entropy</code> takes (N, V) and (N,):
# <code>flatten(0, 1)</code> puts rows one after another. <code>nn.utils.clip_grad_norm_</code> does
# the clipping.</details>
#
# <details><summary>Hint 3</summary>A loss that is kept as a tensor keeps its graph alive; a plain
# number does not.</details>

# %%
# A guess: nobody detached at the first step. What happens at the second one's backward?
check.predict(
    "without detach, the second backward", "", "nothing special", "an error", "no learning"
)


# %% nbgrader={"grade_id": "bptt_step_code", "solution": true}
def bptt_step(
    model: nn.Module,
    state: State | None,
    x: Tensor,
    y: Tensor,
    optimizer: Optimizer,
    clip: float = 1.0,
) -> tuple[float, State]:
    """Train the model on one chunk; returns the loss in nats, a float, and the state to go on with.

    state: (h, c), or None at the beginning of a text; x, y: (B, T) int64; clip: the length that all
    gradients together may have. The returned state is detached.
    """
    ### BEGIN SOLUTION
    scores, (h, c) = model(x, state)
    loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item(), (h.detach(), c.detach())
    ### END SOLUTION


# %% nbgrader={"grade_id": "bptt_step", "grade": true, "points": 2}
check("bptt_step")

# %%
tiny, carried, outcome = nn.LSTM(4, 4), None, "nothing special"
for number in (1, 2):
    out, carried = tiny(torch.randn(6, 1, 4), carried)  # as it is, with its history
    try:
        out.sum().backward()
    except RuntimeError as error:
        outcome = "an error"
        print(f"step {number}: {str(error)[:75]} …")
check.measured("without detach, the second backward", outcome)

# %% [markdown]
# Backward frees the graph that it went through. The second one reaches into the first chunk's, which
# is gone by then.
#
# ## 8 · It learns to write
# The network: an **embedding** (a learned vector for each character), two LSTM layers, and a linear
# layer that makes scores of the sum of both layers' outputs. Everything around it is yours:
# vocabulary, batches, step and sampling. The layers can run on your `lstm_step`, too; `nn.LSTM` has
# the same weights, and its loop is compiled (section 10). First some steps with each:

# %%
model = text_training.CharLSTM(V, sizes.units).to(device)
print(f"{sum(p.numel() for p in model.parameters()):,} weights on {device}")
with check.needs("lstm_step", "bptt_step", "stream_batches"):
    some = torch.from_numpy(train_ids[:20_000].astype(np.int64)).to(device)
    for name, cell in (("your lstm_step", lstm_step), ("nn.LSTM", None)):
        first = text_training.CharLSTM(V, sizes.units, cell=cell).to(device)
        first.load_state_dict(model.state_dict())
        optimizer, state, losses = torch.optim.Adam(first.parameters(), 0.003), None, []
        for x, y in list(stream_batches(some, 16, 16))[:40]:
            loss, state = bptt_step(first, state, x, y, optimizer)
            losses.append(loss / np.log(2))
        print(f"{name:>14}: {losses[0]:.3f} bits, after {len(losses)} steps {losses[-1]:.3f}")

# %% [markdown]
# Now the long training. It shows bits per character on training and held-out text, the controls, the
# time left, and what it writes. Stop it whenever you like (the stop button): it keeps its best
# weights, and `resume=True` goes on.

# %%
folder = Path(tempfile.mkdtemp(prefix="char_rnn-"))
floors = {
    ("shakespeare", "smoke"): 2.3,
    ("english", "smoke"): 2.5,
    ("shakespeare", "cpu"): 2.25,
    ("english", "cpu"): 2.1,
}


# %%
def cosine(step: int, steps: int) -> float:
    """The learning rate's factor: a short warm-up, then half a cosine down to 0."""
    return min(1, (step + 1) / 30) * 0.5 * (1 + np.cos(np.pi * step / steps))


def write(
    length: int, temperature: float = 0.8, top_k: int | None = None, by: nn.Module | None = None
) -> str:
    """What a network, the trained one if none is given, writes after 60 held-out characters."""
    vocabulary = Vocabulary(corpus.text)
    prompt = vocabulary.encode(corpus.held_out[:60]).to(device)
    choose = lambda scores: sample(scores, temperature, top_k)  # noqa: E731
    return vocabulary.decode(
        torch.tensor(list(text_training.generate(by or model, prompt, length, choose)))
    )


# %% tags=["headline"]
history = None
with check.needs("Vocabulary", "stream_batches", "sample", "bptt_step"):
    vocabulary = Vocabulary(corpus.text)
    seen, unseen = (vocabulary.encode(t).to(device) for t in (corpus.train, corpus.held_out))
    history = text_training.train(
        model,
        torch.optim.Adam(model.parameters(), lr=sizes.rate),
        bptt_step,
        lambda: stream_batches(seen, sizes.streams, sizes.length),
        unseen[:30_000],
        steps=sizes.steps,
        style=corpus.name,
        characters=vocabulary.characters,
        checkpoint=folder / "char_rnn.pt",
        schedule=cosine,
        looks=6,
        write=lambda: write(200),
        controls={"unigram": unigram, "bigram": bigram},
    )

# %%
if history is not None:
    bits_of_all = text_training.held_out_bits(model, unseen)
    floor = floors.get((corpus.name, sizes.scale))
    target = f"target {floor}" if floor else "no target for this text and scale"
    print(
        f"{corpus.name}: {bits_of_all:.2f} bits per character on held-out text after"
        f" {history.seen[-1]:,} characters, {history.seconds:.0f} s ({target})"
    )
    print(f"on its first {min(30_000, len(unseen)):,} characters, the curve's: {history.best:.2f}")

# %% [markdown]
# *The controls are the dotted lines: what counting alone achieves.* The curve is measured on the
# beginning of the held-out text, to be quick, so that its last point may differ from the figure for
# all of it. Beneath the unigram line the network
# knows more than frequencies, beneath the bigram line more than pairs. What it wrote on the way:

# %%
if history is not None:
    for seen, written in history.samples[:: max(1, len(history.samples) // 4)]:
        print(f"--- after {seen:,} characters\n{written}\n")

# %%
if history is not None:
    with check.needs("lstm_step"):
        yours = text_training.CharLSTM(V, sizes.units, cell=lstm_step).to(device)
        yours.load_state_dict(model.state_dict())
        print(f"--- the trained weights in your lstm_step, a longer page\n{write(700, by=yours)}")

# %% [markdown]
# First noise, then the right letters, then lengths of words, words, lines, and some grammar. Longer
# training helps: `benchmarks/char_rnn.py` trained this network on each style, and
# `docs/char_rnn.md` has a page of each with its bits per character.
#
# A checkpoint holds weights and its vocabulary. Loaded with another vocabulary the same weights
# would write gibberish, so it refuses:

# %%
if history is not None:
    saved = folder / "char_rnn.pt"
    bits = text_training.load_weights(model, saved, vocabulary.characters, corpus.name)
    print(f"loaded: {bits:.2f} bits per character, the curve's best")
    try:
        text_training.load_weights(model, saved, vocabulary.characters + "☃", "winter")
    except text_training.CheckpointError as refusal:
        print(refusal)

# %% [markdown]
# ## 9 · Temperature, in numbers
# How uncertain is a prediction $p$? Its **entropy** is the surprise that it expects of itself:
#
# $$H(p) = -\sum_k p_k \log_2 p_k$$
#
# 0 bits if one character is certain, $\log_2 V$ if all are alike. Bits per character are measured on
# a real text; entropy needs none. A well-trained network is about as surprised as it expects to be.

# %% [markdown]
# ### Exercise 7 · Bits per character — 1 point, 20 minutes, ●●○
# From scores, as the network gives them, for any number of characters. The check comes after the
# picture below, with a question about it.
#
# **By hand:** three characters have the probabilities ½, ¼, ¼ at temperature 1: 1.5 bits. Dividing
# scores by τ raises probabilities to the power 1/τ (then they are scaled to sum 1). What is the
# entropy at temperature 0.5? Put it into `entropy_at_half`, to two digits after the point.
#
# <details><summary>Hint 1</summary><code>F.cross_entropy</code> and <code>log_softmax</code> are in
# nats, with the natural logarithm. How many bits is a nat?</details>
#
# <details><summary>Hint 2</summary>For the number by hand: ½² : ¼² : ¼² is 4 : 1 : 1.</details>

# %% nbgrader={"grade_id": "bits_per_character_by_hand", "solution": true}
entropy_at_half = None  # bits
### BEGIN SOLUTION
entropy_at_half = 1.25  # of 2/3, 1/6, 1/6
### END SOLUTION


# %% nbgrader={"grade_id": "bits_per_character_code", "solution": true}
def bits_per_character(scores: Tensor, y: Tensor) -> float:
    """The mean surprise, in bits, at the characters y that came.

    scores: (…, V), finite, of any size; y: (…) int64, the ids that came, of the same leading shape.
    >>> bits_per_character(torch.zeros(2, 3, 8), torch.zeros(2, 3, dtype=torch.int64))
    3.0
    """
    ### BEGIN SOLUTION
    nats = F.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))
    return nats.item() / np.log(2)
    ### END SOLUTION


# %%
count = min(30_000, 20_000_000 // V, len(held_ids) - 1)
some_held = torch.from_numpy(held_ids[: count + 1].astype(np.int64))
if history is not None:
    held_scores, came = text_training.held_out_scores(model, some_held.to(device))
    held_scores, came = held_scores.cpu(), came.cpu()
else:  # without a trained network: what a bigram model says
    pairs_seen = np.zeros((V, V), np.float32) + 0.1
    np.add.at(pairs_seen, (train_ids[:-1], train_ids[1:]), 1)
    held_scores, came = torch.from_numpy(pairs_seen).log()[some_held[:-1]], some_held[1:]
print(f"scores for {len(came):,} characters, from the beginning of the held-out text")

# %%
temperatures = np.array([0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3, 5])
with check.needs("bits_per_character"):
    entropies, surprises = [], []
    for temperature in temperatures:
        log_p = torch.log_softmax(held_scores / temperature, dim=1)
        entropies.append(-(log_p.exp() * log_p).sum(dim=1).mean().item() / np.log(2))
        surprises.append(bits_per_character(held_scores / temperature, came))
    curves = {"bits per character": surprises, "entropy": entropies}
    fig = figures.by_temperature(temperatures, curves, 2 * np.log2(V))
    plots.show(fig, alt="Entropy rises with temperature; surprise at real text is lowest near 1.")
    print("temperature   entropy   bits per character")
    for temperature, entropy, surprise in zip(temperatures, entropies, surprises, strict=True):
        print(f"{temperature:11g}{entropy:10.2f}{surprise:21.2f}")

# %% [markdown]
# *Both in bits, over the temperature.* Entropy only rises. But the surprise at *real* text has a lowest point close to temperature 1: below,
# the model is too sure of itself, and pays for each character that it held impossible; above, it
# claims to know less than it does.
#
# Why is 1 the place? Put the letter into `why_one`.
#
# - `"a"` At 1 the entropy is at its largest.
# - `"b"` At 1 the training lowered this number.
# - `"c"` At 1 alone probabilities sum to 1.
# - `"d"` At 1 the best character is always written.

# %% nbgrader={"grade_id": "bits_per_character_why", "solution": true}
why_one = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
why_one = "b"
### END SOLUTION

# %% nbgrader={"grade_id": "bits_per_character", "grade": true, "points": 1}
check("bits_per_character")

# %%
if history is not None:
    for temperature in (0.2, 0.8, 1.5):
        print(f"--- temperature {temperature}\n{write(200, temperature)}\n")

# %% [markdown]
# Too cold, it repeats itself; too hot, it spells badly. People usually like 0.7 to 0.9 for reading,
# where it errs on the safe side of the best.
#
# ## 10 · Why nobody loops in Python
# An LSTM layer over 64 characters is 64 steps in a row: here as a loop over *your* `lstm_step`; as a
# loop over `nn.LSTMCell`, which takes all four gates from two products and does the rest in one
# compiled function; and as `nn.LSTM`, which has the loop inside too, and multiplies all inputs by W
# at once before it starts. Same weights, forward and backward.

# %%
units = sizes.units
fused, one_step = nn.LSTM(units, units).to(device), nn.LSTMCell(units, units).to(device)
one_step.load_state_dict({n.removesuffix("_l0"): p for n, p in fused.state_dict().items()})
chunk = torch.randn(64, 16, units, device=device)  # (T, B, D)
zero = torch.zeros(16, units, device=device)


# %%
def your_loop() -> Tensor:
    h, c, out = zero, zero, []
    W, U, b = fused.weight_ih_l0, fused.weight_hh_l0, fused.bias_ih_l0 + fused.bias_hh_l0
    for x in chunk:
        h, c = lstm_step(x, h, c, W, U, b)
        out.append(h)
    return torch.stack(out)


def cell_loop() -> Tensor:
    state, out = (zero, zero), []
    for x in chunk:
        state = one_step(x, state)
        out.append(state[0])
    return torch.stack(out)


# %%
def milliseconds(run: Callable[[], Tensor], times: int = 12) -> float:
    """The median time of a forward and backward pass."""
    taken = []
    for _ in range(times + 2):
        start = time.perf_counter()
        run().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()  # the GPU works on while Python goes on
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken[2:]))


# %%
with check.needs("lstm_step"):
    ways = {"your loop": your_loop, "nn.LSTMCell": cell_loop, "nn.LSTM": lambda: fused(chunk)[0]}
    error = max((way() - fused(chunk)[0]).abs().max().item() for way in ways.values())
    times = {name: milliseconds(way) for name, way in ways.items()}
    fig = figures.times(times, "nn.LSTM")
    plots.show(fig, alt="Times of three LSTMs, forward and backward, over 64 characters.")
    print(f"on {device}; the three agree to {error:.0e}")

# %% [markdown]
# *The median of twelve passes; beside each, how many times `nn.LSTM`'s it is.* The arithmetic is the
# same. What differs is how it is cut up: each small operation has to be started,
# and leaves a node for backward; one large product uses the machine better than many small ones. On
# a GPU, where starting an operation costs more than these do, the gap is wider. (A machine that is
# busy with other work can turn the order round: run the cell again.)

# %% [markdown]
# In 2016 that was news: cuDNN 5 made the recurrent layers of Torch's char-rnn 5.9 times as fast
# ([NVIDIA](https://developer.nvidia.com/cudnn-whatsnew) says "up to 6×"; Appleyard and others,
# [arXiv:1604.01946](https://arxiv.org/abs/1604.01946), tell how: fuse the gates, multiply all inputs
# at once, overlap the layers).
#
# What no one can do is start step 65 before step 64. Attention gives up the state to be rid of that.

# %% [markdown]
# ## 11 · What does a unit look for?
# The network has a cell for each unit and layer, and each is a number after every character. Karpathy
# and others (2015) found some that one can read: one counts along the line, one is on inside quotes.

# %%
cut = min(3000, 3 * len(corpus.held_out) // 4)
page, other = corpus.held_out[:cut], corpus.held_out[cut : cut + 400]
if history is not None:
    recorded = memory_cells.record(model, vocabulary.encode(page).to(device))  # (N, layers · units)
    print(f"{recorded.shape[1]} cells over {recorded.shape[0]:,} characters")
    found = {}
    for name, feature in memory_cells.FEATURES.items():
        ranked = memory_cells.rank(recorded, feature(page))
        if ranked:
            found[name] = ranked[0]
            print(f"{name:<28} cell {ranked[0][0]:>3}, correlation {ranked[0][1]:+.2f}")

# %% [markdown]
# For each **feature**, a number that we compute from the text alone, the tool tells which cell goes
# with it most closely (correlation: ±1 is in step, 0 is unrelated). With so many cells one will look
# good by chance, so the picture shows another part of the text than the search saw.

# %%
if history is not None and found:
    name, (unit, correlation) = max(found.items(), key=lambda one: abs(one[1][1]))
    values = memory_cells.record(model, vocabulary.encode(other).to(device))[:, unit]
    wanted = memory_cells.FEATURES[name](other)
    fig = figures.cell_and_feature(values, wanted, unit, name)
    plots.show(fig, alt=f"Cell {unit} over {len(other)} characters, and below it: {name}.")
    again = dict(memory_cells.rank(values[:, None], wanted)).get(0)
    said = "it never changes there" if again is None else f"correlation {again:+.2f}"
    print(f"cell {unit} and {name}: {said} on these {len(other)} characters")
    memory_cells.show(other, values)

# %% [markdown]
# *Above: the cell, and the feature it follows.* Below: the text itself; dark is a low value, light a high
# one, and what is above the cell's mean is underlined. Choose your own: any `cell` from 0 up, or a
# feature that you write. Does one know that a question is being asked? That a name is near?


# %%
def my_feature(page: str) -> np.ndarray:
    """A number for each character of the page."""
    return np.array([character in "?!" for character in page], dtype=float)


if history is not None:
    for unit, correlation in memory_cells.rank(recorded, my_feature(page))[:3]:
        print(f"cell {unit}: {correlation:+.2f}")

# %% [markdown]
# ## 12 · Experiments
# Nothing here is graded. Set the parameters in the second cell, or the sizes in the third.
#
# - Another `style`, or a text of yours. Which has the fewest bits? (A Japanese character carries more
#   than a Latin one: compare bits per *byte* of UTF-8, too.)
# - `scale = "cpu"`: some minutes. Stop it in the middle; go on with `resume=True`.
# - Give `write` another prompt. What does it do with one in another language?

# %% [markdown]
# - In `stream_batches`, shuffle the batches of a pass. What is the carried state worth, in bits?
# - A `length` of 8, with as many more `steps` as keep the number of characters.
# - The long training from your own cell: `CharLSTM(V, sizes.units, cell=lstm_step)`.
# - 512 `units` and a `rate` of 0.003. Does held-out text stop gaining while training text goes on?

# %%
with check.needs("bptt_step", "stream_batches", "Vocabulary"):
    encode = Vocabulary(corpus.text).encode
    for length in (8, 32):
        torch.manual_seed(0)
        small = text_training.CharLSTM(V, units=32, layers=1).to(device)
        optimizer, state, losses = torch.optim.Adam(small.parameters(), lr=0.01), None, []
        for x, y in stream_batches(encode(corpus.train[:40_000]).to(device), 16, length):
            loss, state = bptt_step(small, state, x, y, optimizer)
            losses.append(loss)
        bits = text_training.held_out_bits(small, encode(page).to(device))
        print(f"chunks of {length:>2}: {len(losses):>4} steps, {bits:.2f} bits per character")

# %% [markdown]
# Shorter chunks see less of the past but make more steps from the same text; early in training the
# steps matter more.
#
# ## 13 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `Vocabulary` | a character **tokenizer**; others cut into bytes or pieces of words |
# | `rnn_step`, `lstm_step` | `nn.RNNCell`, `nn.LSTMCell`; over a sequence `nn.RNN`, `nn.LSTM` |
# | `stream_batches` | a *stateful* data loader |
# | `bptt_step` | truncated BPTT; `nn.utils.clip_grad_norm_` |
# | `sample` | `torch.distributions.Categorical`; `temperature` and `top_k` of `generate` in many libraries |
# | `bits_per_character` | `F.cross_entropy` divided by log 2; two to its power is **perplexity** |

# %%
with check.needs("bits_per_character", "rnn_step"):
    s, y = torch.randn(6, 9, V), torch.randint(V, (6, 9))
    nats = F.cross_entropy(s.flatten(0, 1), y.flatten()).item()
    mine = bits_per_character(s, y)
    print(f"bits per character: yours {mine:.6f}, PyTorch's {nats / np.log(2):.6f}")
    rnn = nn.RNNCell(5, 7)
    x, h = torch.randn(3, 5), torch.randn(3, 7)
    mine = rnn_step(x, h, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih + rnn.bias_hh)
    print(f"recurrent step: difference {(mine - rnn(x, h)).abs().max().item():.0e}")

# %% [markdown]
# ## 14 · Further
# - Elman (1990), *Finding structure in time*, Cognitive Science 14,
#   [10.1207/s15516709cog1402_1](https://doi.org/10.1207/s15516709cog1402_1): a network with a state
#   predicts letters and words.
# - Hochreiter, Schmidhuber (1997), *Long short-term memory*, Neural Computation 9,
#   [10.1162/neco.1997.9.8.1735](https://doi.org/10.1162/neco.1997.9.8.1735); Gers, Schmidhuber,
#   Cummins (2000), *Learning to forget*,
#   [10.1162/089976600300015015](https://doi.org/10.1162/089976600300015015): the forget gate.
# - Pascanu, Mikolov, Bengio (2013), *On the difficulty of training recurrent neural networks*,
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): clipping.
# - Sutskever, Martens, Hinton (2011), *Generating text with recurrent neural networks*, ICML; Graves
#   (2013), *Generating sequences with recurrent neural networks*,
#   [arXiv:1308.0850](https://arxiv.org/abs/1308.0850).

# %% [markdown]
# - Karpathy (2015), *The unreasonable effectiveness of recurrent neural networks*,
#   [karpathy.github.io](https://karpathy.github.io/2015/05/21/rnn-effectiveness/), and his
#   [char-rnn](https://github.com/karpathy/char-rnn); Karpathy, Johnson, Fei-Fei (2015), *Visualizing
#   and understanding recurrent networks*, [arXiv:1506.02078](https://arxiv.org/abs/1506.02078):
#   cells one can read.
# - Appleyard, Kočiský, Blunsom (2016), *Optimizing performance of recurrent neural networks on GPUs*,
#   [arXiv:1604.01946](https://arxiv.org/abs/1604.01946): section 10, in earnest.
# - Shannon (1951), *Prediction and entropy of printed English*, Bell System Technical Journal 30,
#   [10.1002/j.1538-7305.1951.tb01366.x](https://doi.org/10.1002/j.1538-7305.1951.tb01366.x): people
#   guess letters; between 0.6 and 1.3 bits each.
#
# **Next:** in lab 10 sequences are sounds and prices, and a memory fades.

# %%
progress()
