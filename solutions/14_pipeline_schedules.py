# %% [markdown]
# # 14 · Pipeline schedules
# A network too large for one GPU is cut into stages, one GPU each, in a row. Who works when? You will
# write the two schedules that made such pipelines practical, predict how long their GPUs idle and how
# much they must remember, and find that the two quantities are not the same quantity.
#
# The picture is where you begin: four GPUs and one batch, whole and in eight pieces.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import math
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import torch
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, settings
from utils.figures import pipeline_schedules as figures
from utils.pipeline import pictures, schedules
from utils.pipeline.schedules import Action

check = checks("14_pipeline_schedules")
sizes = settings.choose(scale, smoke={"width": 128}, cpu={"width": 512})

# %%
forwards = "forwards of a micro-batch"  # the unit of time
whole = schedules.simulate(schedules.parse("F0 B0\n" * 4), forward=8, backward=16, unit=forwards)
eight = "F0 F1 F2 F3 F4 F5 F6 F7 B0 B1 B2 B3 B4 B5 B6 B7\n"
pieces = schedules.simulate(schedules.parse(eight * 4), unit=forwards)
fig = pictures.compare({"the batch whole": whole, "in 8 pieces": pieces})
plots.show(
    fig, alt="Whole, one rank works at a time and three wait; in pieces, their work overlaps."
)
print(f"the batch in pieces takes {pieces.end / whole.end:.0%} of the time")

# %% [markdown]
# A row is a GPU, here called a **rank**; rank r holds **stage** r, some consecutive layers. Forward
# (F, pale) goes down the rows, backward (B, dark) comes up. With the batch whole, three of four ranks
# wait at any time. Cut into **micro-batches**, the numbers in the blocks, the same work takes less than
# half the time.
#
# **You will** cut a network into stages of nearly equal cost, cut a batch without changing its gradient,
# write the schedules GPipe and 1F1B, derive what they cost in idle time and in memory, and hide messages.

# %% [markdown]
# **Not in this lab:** processes and real messages. They are lab 15, where your schedules run.
#
# **You need** lab 03 (what backward keeps), PyTorch's `nn.Module` and `backward` (lab 04), Python's
# list comprehensions, and 165 minutes. A CPU computes all cells in seconds.
#
# **Guesses.** Some cells ask for a guess before you know. Write one of the words between the quotes and
# run the cell; later the lab measures, and shows your guess beside the answer. Guesses have no marks.

# %% [markdown]
# ## 1 · Cutting the network
# A chain is as quick as its slowest link: in a full pipeline each rank waits for the slowest one.
# So the stages should cost the same, as nearly as whole layers allow.
#
# VGG-16 (Simonyan and Zisserman 2014) has 16 layers with weights: 13 convolutions, here as (side of
# the output, channels in, channels out), and 3 fully connected ones. A layer's cost is the number of its
# multiplications, in billions for one 224 × 224 image.

# %%
conv = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 128, 256)]
conv += [(56, 256, 256)] * 2 + [(28, 256, 512)] + [(28, 512, 512)] * 2 + [(14, 512, 512)] * 3
linear = [(25088, 4096), (4096, 4096), (4096, 1000)]
vgg_costs = [side**2 * 9 * inputs * outputs / 1e9 for side, inputs, outputs in conv]
vgg_costs += [inputs * outputs / 1e9 for inputs, outputs in linear]
fig = figures.partition(vgg_costs, [4, 4, 4, 4], "VGG-16, four layers a stage")
plots.show(fig, alt="Four layers each: the second stage costs nine times as much as the last.")

# %% [markdown]
# A bar is a stage, a box in it a layer. Equal numbers of layers are no equal costs: the last stage would
# idle nearly all the time.
#
# A **partition** is written as the number of layers of each stage, in order: `[4, 4, 4, 4]`. (A notation
# that a person can read and change matters once networks are less regular than this one: it is what
# Takizawa, Yazaki and Ishihata asked for in the 2021 report whose network you will run in lab 15.)

# %% [markdown]
# ### Exercise 1 · Partition — 1.5 points, 20 minutes, ●●○
# Find the partition whose most expensive stage is as cheap as possible.
#
# **And by hand:** four stages take 1, 1, 1 and 3 ms for a micro-batch (forward only; messages are free).
# Ten micro-batches go through, each as early as it can. How many milliseconds pass from the start of the
# first to the end of the last? Put the number into `ten_microbatches`.
#
# <details><summary>Hint 1</summary>A partition into 4 stages is 3 cuts between layers. Sixteen layers
# have 15 places for a cut: few enough to try every choice.</details>
#
# <details><summary>Hint 2</summary><code>combinations(range(1, L), stages - 1)</code> gives the choices
# of cuts; <code>pairwise([0, *cuts, L])</code> where each stage starts and ends.</details>

# %% nbgrader={"grade_id": "partition_pace", "solution": true}
ten_microbatches = None  # milliseconds
### BEGIN SOLUTION
ten_microbatches = 33  # 3 until the first is at the slow stage, which then works 10 · 3
### END SOLUTION


# %% nbgrader={"grade_id": "partition_code", "solution": true}
def partition(costs: Sequence[float], stages: int) -> list[int]:
    """The number of layers of each stage, so that the most expensive stage costs the least.

    costs: one number > 0 for each layer, at most 24 of them; stages: 1 to len(costs), at most 4 for
    long lists. Each stage has at least one layer, and layers stay in order. Of several best
    partitions any will do. `costs` is left as it was.
    >>> partition([1.0, 1.0, 1.0, 3.0], 2)
    [3, 1]
    """
    ### BEGIN SOLUTION
    layers = len(costs)

    def most_expensive(cuts: tuple[int, ...]) -> float:
        return max(sum(costs[start:end]) for start, end in pairwise([0, *cuts, layers]))

    cuts = min(combinations(range(1, layers), stages - 1), key=most_expensive)
    return [end - start for start, end in pairwise([0, *cuts, layers])]
    ### END SOLUTION


# %% nbgrader={"grade_id": "partition", "grade": true, "points": 1.5}
check("partition")

# %%
with check.needs("partition"):
    yours = partition(vgg_costs, 4)
    fig = figures.partition(vgg_costs, yours, f"VGG-16, your partition {yours}")
    plots.show(fig, alt="Your partition: the most expensive stage costs a sixth less than before.")

# %% [markdown]
# The bars are not equal, since layers cannot be cut here; but no other choice of cuts has a cheaper worst
# stage.
#
# ## 2 · Cutting the batch
# A batch of N examples becomes m micro-batches of N/m. Each goes forward and backward by itself, and
# `backward` *adds* to the gradients that are there: PyTorch accumulates (your lab 03 engine did, too).
#
# The loss of a batch is the mean over its examples. How does it follow from the micro-batches' losses?
# And what must each of these be multiplied by before `backward`, so that what accumulates is the gradient
# of the whole batch?

# %% [markdown]
# ### Exercise 2 · Micro-batches — 1.5 points, 25 minutes, ●●○
# `accumulate` must leave the same gradients as one backward on the whole batch, and must never hold
# more than one micro-batch's graph: that is what the cutting is for.
#
# The check shows that by a model that changes each time something goes backward: a forward that comes too
# early sees the wrong one.
#
# <details><summary>Hint 1</summary>Try two micro-batches with losses 1 and 3. The batch's loss is 2.
# </details>
#
# <details><summary>Hint 2</summary>A graph lives until its <code>backward</code>. So when must
# <code>backward</code> be called?</details>


# %% nbgrader={"grade_id": "split_microbatches_code", "solution": true}
def split_microbatches(batch: Tensor, microbatches: int) -> list[Tensor]:
    """The batch in `microbatches` equal parts, in order.

    batch: (N, …). Raises ValueError if N is not a multiple of `microbatches`.
    >>> split_microbatches(torch.arange(4), 2)
    [tensor([0, 1]), tensor([2, 3])]
    """
    ### BEGIN SOLUTION
    if len(batch) % microbatches:
        raise ValueError(f"{len(batch)} examples do not make {microbatches} equal micro-batches.")
    return list(batch.split(len(batch) // microbatches))
    ### END SOLUTION


# %% nbgrader={"grade_id": "split_microbatches_accumulate", "solution": true}
Loss = Callable[[Tensor, Tensor], Tensor]  # of scores and targets


def accumulate(model: nn.Module, loss: Loss, X: Tensor, y: Tensor, microbatches: int) -> float:
    """The loss of the batch, a plain number; its gradients are added to what the parameters hold.

    X: (N, D), y: (N,), N a multiple of `microbatches`; loss(model(X), y) is the mean over the
    examples it is given. The micro-batches take their turns in order.
    """
    ### BEGIN SOLUTION
    total = 0.0
    parts = split_microbatches(X, microbatches), split_microbatches(y, microbatches)
    for inputs, targets in zip(*parts, strict=True):
        share = loss(model(inputs), targets) / microbatches
        share.backward()
        total += share.item()
    return total
    ### END SOLUTION


# %% nbgrader={"grade_id": "split_microbatches", "grade": true, "points": 1.5}
check("split_microbatches")

# %%
with check.needs("split_microbatches"):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 3))
    X, y = torch.randn(24, 20), torch.randint(3, (24,))
    cross_entropy = nn.functional.cross_entropy
    cross_entropy(network(X), y).backward()
    once = [p.grad.clone() for p in network.parameters()]
    for m in (1, 2, 8, 24):
        network.zero_grad()
        accumulate(network, cross_entropy, X, y, m)
        gaps = [(p.grad - g).abs().max() for p, g in zip(network.parameters(), once, strict=True)]
        print(f"{m:2} micro-batches: largest difference of a gradient {max(gaps):.0e}")

# %% [markdown]
# Equal up to rounding. (One kind of layer breaks this: batch normalisation takes its mean over what it is
# given, and a micro-batch is not the batch. Lab 15 comes back to it.)

# %% [markdown]
# ## 3 · A schedule
# An **action** is a pair: `("F", 2)`, forward of micro-batch 2, or `("B", 2)`, its backward. A
# **schedule** has for each rank the list of its actions, in order: `schedule[rank][step]`.
#
# An action starts as soon as its rank is free *and* what it needs is there: a forward needs the forward
# of the rank above, a backward the backward of the rank below, on the same micro-batch. (The first rank's
# forwards need nothing, the last rank's backwards only their own forward.) A wait is not written down.
#
# Not every schedule can run. The validator says what is wrong, and where; steps count from 0:

# %%
attempts = {
    "backward too early": [[("F", 0), ("B", 0)], [("B", 0), ("F", 0)]],
    "something forgotten": [[("F", 0), ("F", 1), ("B", 0), ("B", 1)], [("F", 0), ("B", 0)]],
    "crossed": [[("F", 0), ("B", 0), ("F", 1), ("B", 1)], [("F", 0), ("F", 1), ("B", 0), ("B", 1)]],
}
for name, attempt in attempts.items():
    print(f"{name}: {schedules.problems(attempt)[0]}")

# %% [markdown]
# ### Exercise 3 · GPipe — 1 point, 10 minutes, ●○○
# GPipe (Huang and others 2019) is the simplest: every rank does all its forwards, then all its
# backwards, each in the order 0, 1, …, m − 1 (m micro-batches).
#
# <details><summary>Hint 1</summary>Does any rank's list differ from another's?</details>


# %% nbgrader={"grade_id": "gpipe_actions_code", "solution": true}
def gpipe_actions(stages: int, microbatches: int) -> list[list[Action]]:
    """GPipe's schedule: for each rank, its list of ("F", m) and ("B", m).

    >>> gpipe_actions(1, 2)
    [[('F', 0), ('F', 1), ('B', 0), ('B', 1)]]
    """
    ### BEGIN SOLUTION
    order = range(microbatches)
    return [[("F", m) for m in order] + [("B", m) for m in order] for _ in range(stages)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "gpipe_actions", "grade": true, "points": 1}
check("gpipe_actions")

# %%
with check.needs("gpipe_actions"):
    gpipe = schedules.simulate(gpipe_actions(4, 8), forward=1, backward=2)
    pictures.step_through(gpipe, alt="Your GPipe on 4 ranks: forwards slant down, backwards up.")

# %% [markdown]
# Move the slider (or focus it and press the arrow keys): each step uncovers what the ranks do at that
# time. Watch the wave go down, stop, and come back. Beside each row stands how many micro-batches the
# rank **holds**: those that went forward and have not yet come back. Section 5 asks about them.
#
# A backward takes twice as long as a forward: it computes two gradients, that of the stage's input and
# that of its weights.

# %% [markdown]
# ## 4 · The bubble
# Hatched in the picture is the **bubble**: the share of all ranks' time that is idle. It can be
# counted without simulating. Let a forward take $f$ and a backward $b$, with p stages and m micro-batches:
#
# - each rank works for $m(f + b)$;
# - the last rank starts when the first micro-batch has come down $p - 1$ stages, and when it has
#   finished, the last gradient still has to go up $p - 1$ stages.
#
# **Guess:** a backward takes three forwards instead of two. Is the bubble, as a share, smaller, the same
# or larger?

# %%
check.predict("What becomes of the bubble if a backward is slower", "", "smaller", "same", "larger")

# %% [markdown]
# ### Exercise 4 · Bubble — 1.25 points, 20 minutes, ●●○
# Write the bubble as a function of p and m: as a formula. It answers at once for a million micro-batches,
# without `schedules.simulate` and without a walk through a schedule. Then a number from it:
# `microbatches_needed` is how many micro-batches 4 stages need at least for a bubble of at most 10 %.
#
# <details><summary>Hint 1</summary>How long does everything take, from the first start to the last end?
# What share of that does one rank work?</details>


# %% nbgrader={"grade_id": "bubble_fraction_code", "solution": true}
def bubble_fraction(stages: int, microbatches: int) -> float:
    """The share of all ranks' time that GPipe leaves idle, between 0 and 1.

    >>> bubble_fraction(3, 4)
    0.3333333333333333
    """
    ### BEGIN SOLUTION
    return (stages - 1) / (microbatches + stages - 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bubble_fraction_numbers", "solution": true}
microbatches_needed = None  # a whole number
### BEGIN SOLUTION
microbatches_needed = 27  # 3 / (27 + 3) = 0.1
### END SOLUTION

# %% nbgrader={"grade_id": "bubble_fraction", "grade": true, "points": 1.25}
check("bubble_fraction")

# %%
with check.needs("gpipe_actions", "bubble_fraction"):
    counts = [1, 2, 4, 8, 16, 32]
    laws, seen = {}, {}
    for p in (2, 4, 8):
        laws[f"{p} stages"] = [bubble_fraction(p, m) for m in counts]
        seen[f"{p} stages"] = [schedules.simulate(gpipe_actions(p, m)).bubble() for m in counts]
    alt = "The bubble falls with micro-batches; circles, simulated, lie on your curves."
    plots.show(figures.bubbles(counts, laws, seen), alt=alt)
    print(f"4 stages, 8 micro-batches: idle / all {bubble_fraction(4, 8):.3f}, idle / work {3 / 8}")
    two, three = (schedules.simulate(gpipe_actions(4, 8), backward=b).bubble() for b in (2, 3))
    print(f"bubble with b = 2f: {two:.1%}; with b = 3f: {three:.1%}")
    change = 0 if math.isclose(two, three) else math.copysign(1, three - two)
    answer = {-1: "smaller", 0: "same", 1: "larger"}[change]
    check.measured("What becomes of the bubble if a backward is slower", answer)

# %% [markdown]
# Lines: your formula. Circles: your schedule, simulated. More stages need more micro-batches. Neither f
# nor b is in the formula: work and waiting are both made of $f + b$.
#
# Beware when you compare papers. Megatron-LM (Narayanan and others 2021) gives idle time as a share of the
# *working* time, $(p - 1)/m$: the same wait over another denominator, printed above beside ours.
#
# So why not take thousands of micro-batches? Each must still keep a GPU busy, and there is a second price,
# which the blocks of a schedule do not show.

# %% [markdown]
# ## 5 · One forward, one backward
# Look at GPipe's last rank: at time 4 it has micro-batch 0 forward and could turn it round at once, but
# all other forwards come first. In **1F1B** (PipeDream, Narayanan and others 2019) a rank turns round as
# soon as it can. Ours is the variant with a **flush**: all micro-batches of a batch come back before the
# next batch enters (DAPPLE, PipeDream-flush, 2020). A rank's list has three phases:
#
# 1. **warm-up**: some forwards, or all, if there are fewer;
# 2. **steady**: one forward, one backward, in turn, until the forwards are used up;
# 3. **drain**: the backwards that are left.

# %% [markdown]
# Rank r's warm-up is as many forwards as there are ranks below it, $p - r - 1$: so long does it take until
# the first gradient is on its way back. Micro-batches go forward in order, and come back in order.
#
# **Guess before you write it.** Backwards start far earlier than in GPipe. With the same p and m, what
# does a rank gain?
#
# - `"time"`: a smaller bubble, with the same memory;
# - `"memory"`: a smaller stash, with the same bubble;
# - `"both"`: a smaller bubble and a smaller stash.
#
# The **stash** of a rank is what it keeps for the micro-batches that it holds.

# %%
check.predict("What does a rank gain by 1F1B", "", "time", "memory", "both")

# %% [markdown]
# ### Exercise 5 · 1F1B — 2 points, 30 minutes, ●●●
# First one rank's list, for any warm-up; then the schedule, a list for each rank.
#
# For 3 ranks and 4 micro-batches, rank 0 does `F0 F1 F2 B0 F3 B1 B2 B3`: two forwards of warm-up, then
# F2 B0 and F3 B1 in turn, then the rest.
#
# <details><summary>Hint 1</summary>Write down rank 2, the last one, by hand. How long is its warm-up, how
# long its drain?</details>
#
# <details><summary>Hint 2</summary>Three loops, one for each phase. The k-th pair of the steady phase is
# forward <code>warmup + k</code> and backward <code>k</code>. How many pairs are there?</details>


# %% nbgrader={"grade_id": "one_f_one_b_actions_rank", "solution": true}
def rank_actions(warmup: int, microbatches: int) -> list[Action]:
    """One rank's list of ("F", m) and ("B", m): warm-up, steady, drain.

    warmup: forwards before the first pair; where it is more than there are, all forwards come first.
    >>> rank_actions(1, 2)
    [('F', 0), ('F', 1), ('B', 0), ('B', 1)]
    """
    ### BEGIN SOLUTION
    warmup = min(warmup, microbatches)
    actions = [("F", m) for m in range(warmup)]
    for m in range(microbatches - warmup):
        actions += [("F", warmup + m), ("B", m)]
    return actions + [("B", m) for m in range(microbatches - warmup, microbatches)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "one_f_one_b_actions_code", "solution": true}
def one_f_one_b_actions(stages: int, microbatches: int) -> list[list[Action]]:
    """The 1F1B schedule: for each rank its list, `schedule[rank][step]`.

    Also for fewer micro-batches than stages.
    >>> one_f_one_b_actions(1, 2)
    [[('F', 0), ('B', 0), ('F', 1), ('B', 1)]]
    """
    ### BEGIN SOLUTION
    return [rank_actions(stages - rank - 1, microbatches) for rank in range(stages)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "one_f_one_b_actions", "grade": true, "points": 2}
check("one_f_one_b_actions")

# %%
with check.needs("one_f_one_b_actions"):
    one_f_one_b = schedules.simulate(one_f_one_b_actions(4, 8), forward=1, backward=2)
    pictures.step_through(one_f_one_b, alt="Your 1F1B on 4 ranks: after a short warm-up, in turn.")

# %% [markdown]
# Step through both pictures once more and read what stands beside the rows. Then the two side by side;
# below them, what each rank holds over time:

# %%
with check.needs("gpipe_actions", "one_f_one_b_actions"):
    both = {"GPipe": gpipe_actions(4, 8), "1F1B": one_f_one_b_actions(4, 8)}
    timelines = {name: schedules.simulate(actions) for name, actions in both.items()}
    fig = pictures.compare(timelines)
    plots.show(fig, alt="GPipe and 1F1B end at the same time; only the order of work differs.")
    alt = "GPipe's ranks all climb to 8 micro-batches; 1F1B's stay at 4, 3, 2 and 1."
    plots.show(figures.stashes(timelines), alt=alt)
    gpipe, one_f_one_b = timelines["GPipe"], timelines["1F1B"]
    sooner = one_f_one_b.bubble() < gpipe.bubble() - 1e-9
    less = one_f_one_b.peak_stash()[0] < gpipe.peak_stash()[0]
    gain = "both" if sooner and less else "time" if sooner else "memory"
    check.measured("What does a rank gain by 1F1B", gain)

# %% [markdown]
# The bubble is the same: the idle time of 1F1B is only somewhere else. With **equal stages and free
# messages**, which is what was simulated, the way down and the way back take what they take in both.
# Section 6 drops one of the two conditions. What 1F1B changes is the stash.
#
# (Why do people say that 1F1B is faster? With the memory it frees, you can afford *more* micro-batches;
# and those do shrink the bubble.)

# %% [markdown]
# ### Exercise 6 · Stash — 0.75 points, 10 minutes, ●●○
# The most micro-batches that a rank holds at a time, as a formula: again at once for a million of them.
# Read it off the picture, then think why: how far is the way from rank r to the end of the row and back?
#
# <details><summary>Hint 1</summary>1F1B: a rank holds its warm-up and one more. And if there are fewer
# micro-batches than that?</details>


# %% nbgrader={"grade_id": "peak_stash_code", "solution": true}
def peak_stash(rank: int, stages: int, microbatches: int, schedule: str) -> int:
    """The most micro-batches that a rank holds at a time. schedule: "gpipe" or "1f1b".

    >>> peak_stash(0, 4, 8, "gpipe"), peak_stash(3, 4, 8, "1f1b")
    (8, 1)
    """
    ### BEGIN SOLUTION
    return microbatches if schedule == "gpipe" else min(stages - rank, microbatches)
    ### END SOLUTION


# %% nbgrader={"grade_id": "peak_stash", "grade": true, "points": 0.75}
check("peak_stash")

# %% tags=["headline"]
with check.needs("gpipe_actions", "one_f_one_b_actions"):
    stages, microbatches = 4, 16
    bubbles, peaks = {}, {}
    for name, build in (("GPipe", gpipe_actions), ("1F1B", one_f_one_b_actions)):
        timeline = schedules.simulate(build(stages, microbatches))
        bubbles[name], peaks[name] = timeline.bubble(), timeline.peak_stash()
        print(f"{name:6} bubble {bubbles[name]:.1%}, held by ranks 0 to 3: {peaks[name]}")
    less = peaks["GPipe"][0] / peaks["1F1B"][0]
    print(
        f"{stages} stages, {microbatches} micro-batches: bubbles differ by"
        f" {abs(bubbles['GPipe'] - bubbles['1F1B']):.1%} (target 0.0%), rank 0 holds {less:.1f}"
        " times less under 1F1B (target 4.0)"
    )

# %%
with check.needs("peak_stash"):
    counts = [1, 2, 3, 4, 6, 8, 12, 16]
    peaks = {
        "GPipe, all ranks": [peak_stash(0, 4, m, "gpipe") for m in counts],
        **{f"1F1B, rank {r}": [peak_stash(r, 4, m, "1f1b") for m in counts] for r in range(4)},
    }
    alt = "GPipe's stash grows in a straight line with the micro-batches; 1F1B's stops at p − rank."
    plots.show(figures.held(counts, peaks), alt=alt)

# %% [markdown]
# GPipe's line rises with m; 1F1B's lines turn flat at $p - r$.
#
# In bytes the two laws read differently. A micro-batch is 1/m of the batch, so GPipe's stash is the
# whole batch's activations whatever m, and 1F1B's is the share $(p - r)/m$ of them. Lab 15 measures it.

# %% [markdown]
# ## 6 · Messages that take time
# So far a message arrived at once. Now let each take half a forward; it keeps no rank busy. With 4 ranks
# and 32 micro-batches, which schedule has the smaller bubble?

# %%
check.predict("Which has the smaller bubble with slow messages", "", "GPipe", "1F1B", "neither")

# %%
with check.needs("gpipe_actions", "one_f_one_b_actions"):
    found = {}
    for transfer in (0, 0.5):
        for name, build in (("GPipe", gpipe_actions), ("1F1B", one_f_one_b_actions)):
            found[name] = schedules.simulate(build(4, 32), transfer=transfer).bubble()
        print(f"a message takes {transfer}: GPipe {found['GPipe']:.1%}, 1F1B {found['1F1B']:.1%}")
    equal = math.isclose(found["GPipe"], found["1F1B"])
    better = "neither" if equal else min(found, key=found.__getitem__)
    check.measured("Which has the smaller bubble with slow messages", better)
    short = {"GPipe": gpipe_actions(4, 8), "1F1B": one_f_one_b_actions(4, 8)}
    late = {name: schedules.simulate(one, transfer=0.5) for name, one in short.items()}
    plots.show(pictures.compare(late), alt="With slow messages 1F1B has a gap after each action.")

# %% [markdown]
# The picture has 8 micro-batches. GPipe waits for messages twice, on the way down and on the way back.
# 1F1B waits again and again: in the steady phase each forward needs a backward that has just come.
#
# The remedy is to be further ahead. Call the difference between the warm-ups of rank r and rank r + 1 the
# **lead**; 1F1B's is 1. A round trip between two neighbours is two messages longer than before. For each
# further micro-batch of lead, rank r has one more pair to do meanwhile, $f + b$ of work.

# %% [markdown]
# ### Exercise 7 · Hidden messages — 1 point, 20 minutes, ●●●
# How long must a rank's warm-up be at least, so that with very many micro-batches no rank waits for a
# message in the steady phase? A formula again; the last rank's warm-up is 0, as before.
#
# For $f = 1$, $b = 2$ and messages of 0.5, four ranks need the warm-ups 6, 4, 2, 0.
#
# <details><summary>Hint 1</summary>Two messages of 0.5 take 1, a pair takes 3. A third of a pair would do;
# what is the smallest lead that can be had?</details>
#
# <details><summary>Hint 2</summary>Each two neighbours need their lead. How many such pairs of neighbours
# are there from rank r to the last one?</details>


# %% nbgrader={"grade_id": "hiding_warmup_code", "solution": true}
def hiding_warmup(rank: int, stages: int, forward: float, backward: float, transfer: float) -> int:
    """The fewest forwards of warm-up with which no message is waited for in the steady phase.

    forward, backward, transfer: the time of a forward, a backward, a message; a message may take
    longer than many pairs, or no time. The formula holds where no batch is too short for it.
    >>> hiding_warmup(2, 4, 1.0, 2.0, 0.5), hiding_warmup(0, 4, 1.0, 2.0, 0.0)
    (2, 3)
    """
    ### BEGIN SOLUTION
    lead = 1 + math.ceil(2 * transfer / (forward + backward))
    return (stages - rank - 1) * lead
    ### END SOLUTION


# %% nbgrader={"grade_id": "hiding_warmup", "grade": true, "points": 1}
check("hiding_warmup")

# %%
with check.needs("one_f_one_b_actions", "hiding_warmup"):
    p, m, transfer = 4, 32, 0.5
    warmups = [hiding_warmup(rank, p, 1, 2, transfer) for rank in range(p)]
    hidden = [rank_actions(warmup, m) for warmup in warmups]
    for name, one in {"1F1B": one_f_one_b_actions(p, m), "longer warm-up": hidden}.items():
        timeline = schedules.simulate(one, transfer=transfer)
        print(f"{name:14} bubble {timeline.bubble():.1%}, held {timeline.peak_stash()}")
    short = [rank_actions(warmup, 8) for warmup in warmups]
    late = {
        "1F1B": schedules.simulate(one_f_one_b_actions(p, 8), transfer=transfer),
        "longer warm-up": schedules.simulate(short, transfer=transfer),
    }
    plots.show(pictures.compare(late), alt="With a longer warm-up the gaps between actions close.")

# %% [markdown]
# Memory buys time after all: a few micro-batches more in the stash, and 1F1B is as quick as GPipe, which
# holds all 32.
#
# ## 7 · Forget, and compute again
# The stash can be shrunk further, at a price. A stage's backward needs what the forward computed inside:
# every layer's activation. Instead of keeping them, keep only the stage's *input* and, when the gradient
# arrives, run the forward again. This is **re-materialisation** (also: activation checkpointing, Chen and
# others 2016). GPipe did it from the start.
#
# **Guess:** a backward takes as long as two forwards. How much longer does a rank work with
# re-materialisation?

# %%
check.predict(
    "By how much does re-materialisation lengthen the work", "", "a quarter", "a third", "a half"
)

# %% [markdown]
# ### Exercise 8 · Re-materialisation — 1 point, 30 minutes, ●●●
# Write it yourself: `torch.utils.checkpoint` is not allowed here. What a method drops when it returns
# is not kept.
#
# The check changes the module's weights between forward and backward. What is computed again sees the new
# ones, what was kept would not: that tells the two apart.
#
# <details><summary>Hint 1</summary>In <code>forward</code> no graph may arise:
# <code>torch.no_grad()</code>.</details>
#
# <details><summary>Hint 2</summary>In <code>backward</code> you need a graph from an input that wants a
# gradient, and that is yours: <code>x.detach().requires_grad_()</code>. Then
# <code>y.backward(dy)</code> fills its <code>grad</code>, and adds to the parameters'.</details>


# %% nbgrader={"grade_id": "rematerialisation_code", "solution": true}
class RematerialisedStage:
    """A stage that keeps of each micro-batch nothing but its input.

    module: the stage's layers. kept: micro-batch → its input tensor, for those between their forward
    and their backward, which may come in any order. x and dy stay as they were.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kept: dict[int, Tensor] = {}

    def forward(self, microbatch: int, x: Tensor) -> Tensor:
        """module(x), without a graph."""
        ### BEGIN SOLUTION
        self.kept[microbatch] = x
        with torch.no_grad():
            return self.module(x)
        ### END SOLUTION

    def backward(self, microbatch: int, dy: Tensor) -> Tensor:
        """The gradient of the input x, from dy, that of the output; adds to the parameters' own."""
        ### BEGIN SOLUTION
        x = self.kept.pop(microbatch).detach().requires_grad_()
        self.module(x).backward(dy)
        return x.grad
        ### END SOLUTION


# %% nbgrader={"grade_id": "rematerialisation", "grade": true, "points": 1}
check("rematerialisation")


# %%
def kept_bytes(module: nn.Module, run: Callable[[], object]) -> int:
    """The bytes that autograd keeps for a backward of what `run` computes, weights left out."""
    weights = {weight.data_ptr() for weight in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()  # held until the end, or its memory would be used again
    return sum(kept.values()) if result is not None else 0


# %%
with check.needs("rematerialisation"):
    torch.manual_seed(0)
    width, layers = sizes.width, []
    for _ in range(8):
        layers += [nn.Linear(width, width), nn.Tanh()]
    module, x = nn.Sequential(*layers), torch.randn(64, width)
    plain, frugal = kept_bytes(module, lambda: module(x)), RematerialisedStage(module)
    graph = kept_bytes(module, lambda: frugal.forward(0, x))
    stash = sum(entry.untyped_storage().nbytes() for entry in frugal.kept.values())
    print(f"kept for one micro-batch: {plain / 2**20:.2f} MiB by autograd")
    print(f"re-materialised: {graph / 2**20:.2f} MiB by autograd, {stash / 2**20:.2f} in the stash")

# %% [markdown]
# Eight layers' activations and the input, against the input alone. During a backward one micro-batch's
# activations do come back, so with k micro-batches held a stage needs k inputs and *one* full set.
#
# What becomes of the schedule? A backward now takes three forwards instead of two:

# %%
with check.needs("one_f_one_b_actions"):
    schedule = one_f_one_b_actions(4, 8)
    timelines = {
        "1F1B": schedules.simulate(schedule, forward=1, backward=2),
        "re-materialised": schedules.simulate(schedule, forward=1, backward=3),
    }
    plots.show(
        pictures.compare(timelines), alt="A third longer in all; the bubble's share is equal."
    )
    longer = timelines["re-materialised"].end / timelines["1F1B"].end - 1
    words = {"a quarter": 1 / 4, "a third": 1 / 3, "a half": 1 / 2}
    print(f"longer by {longer:.3f}")
    nearest = min(words, key=lambda word: abs(words[word] - longer))
    check.measured("By how much does re-materialisation lengthen the work", nearest)

# %% [markdown]
# ## 8 · Experiments
# Nothing here is graded. Change what you like and run again. First, **one slow rank**: the other of the
# two conditions of section 5. Do more micro-batches help?

# %%
with check.needs("gpipe_actions", "one_f_one_b_actions"):
    times = {"forward": [1, 1, 2, 1], "backward": [2, 2, 4, 2]}
    for m in (8, 32, 128):
        slow = [
            schedules.simulate(build(4, m), **times).bubble()
            for build in (gpipe_actions, one_f_one_b_actions)
        ]
        print(f"{m:3} micro-batches, rank 2 slow: GPipe {slow[0]:.1%}, 1F1B {slow[1]:.1%}")

# %% [markdown]
# Then the **zero bubble** (Qi and others 2024): the gradient of the weights, on which nobody waits, can be
# put off into the bubble. Write `I` (gradient of the input) and `W` (of the weights) in place of `B`. The
# schedule below has less idle time than 1F1B. What does it hold? Can you do better?

# %%
handmade = """
F0 F1 F2 I0 F3 I1 W0 I2 W1 I3 W2 W3
F0 F1 I0 F2 I1 W0 F3 I2 W1 I3 W2 W3
F0 I0 F1 I1 W0 F2 I2 W1 F3 I3 W2 W3
"""
known = """
F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 B0 F2 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
timelines = {
    "1F1B": schedules.simulate(schedules.parse(known), forward=1, backward=2),
    "backward split": schedules.simulate(schedules.parse(handmade), forward=1, backward=2),
}
plots.show(pictures.compare(timelines), alt="With weight gradients put off, the bubble shrinks.")
for name, timeline in timelines.items():
    print(f"{name}: ends at {timeline.end:g}, held by ranks 0 to 2: {timeline.peak_stash()}")

# %% [markdown]
# ## 9 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `partition` | torchgpipe's `balance`, `torchgpipe.balance.balance_by_time` |
# | `split_microbatches(X, m)` | `X.chunk(m)`, which does not mind a remainder |
# | `accumulate` | gradient accumulation |
# | `gpipe_actions` | `torch.distributed.pipelining.ScheduleGPipe` |
# | `one_f_one_b_actions` | `Schedule1F1B`; with several stages a rank, `ScheduleInterleaved1F1B` |
# | `bubble_fraction` | bubble ratio; bubble time fraction $(p - 1)/m$ in Megatron-LM |
# | `I` and `W` | `ScheduleInterleavedZeroBubble`, `ScheduleZBVZeroBubble` |
# | `RematerialisedStage` | `torch.utils.checkpoint.checkpoint` |
#
# The last one on the same input:

# %%
with check.needs("rematerialisation"):
    from torch.utils.checkpoint import checkpoint

    dy, stage = torch.randn(64, width), RematerialisedStage(module)
    stage.forward(0, x)
    module.zero_grad()
    yours = stage.backward(0, dy), [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    theirs = x.clone().requires_grad_()
    checkpoint(module, theirs, use_reentrant=False).backward(dy)
    pairs = [
        (yours[0], theirs.grad),
        *zip(yours[1], [p.grad for p in module.parameters()], strict=True),
    ]
    gap = max((a - b).abs().max().item() for a, b in pairs)
    print(f"largest difference of a gradient: {gap:.0e}")

# %% [markdown]
# ## 10 · Further
# - Huang and others (2019), *GPipe*, [arXiv:1811.06965](https://arxiv.org/abs/1811.06965): micro-batches and
#   re-materialisation.
# - Narayanan and others (2019), *PipeDream*, [10.1145/3341301.3359646](https://doi.org/10.1145/3341301.3359646):
#   1F1B, without a flush; (2021) *Memory-efficient pipeline-parallel DNN training*,
#   [arXiv:2006.09503](https://arxiv.org/abs/2006.09503), with one.
# - Fan and others (2021), *DAPPLE*, [arXiv:2007.01045](https://arxiv.org/abs/2007.01045): early backward, for
#   memory.
# - Narayanan and others (2021), [arXiv:2104.04473](https://arxiv.org/abs/2104.04473): interleaved stages, bubble
#   against communication on 3,072 GPUs.
# - Qi and others (2024), *Zero bubble pipeline parallelism*, [arXiv:2401.10241](https://arxiv.org/abs/2401.10241):
#   up to 23 % over 1F1B at similar memory.

# %% [markdown]
# - Griewank, Walther (2000), *Algorithm 799: revolve*,
#   [10.1145/347837.347846](https://doi.org/10.1145/347837.347846), and Chen and others (2016), *Training deep
#   nets with sublinear memory cost*, [arXiv:1604.06174](https://arxiv.org/abs/1604.06174): what to keep and
#   what to compute again.
# - Takizawa, Yazaki, Ishihata (2021), *Proposing an implementation method for pipeline parallelism
#   distributed deep learning*, [IPSJ report 211058](https://ipsj.ixsq.nii.ac.jp/records/211058) (in Japanese):
#   describing partitions.
#
# **Next:** in lab 15 these schedules run, on ranks that really wait for each other.

# %%
progress()
