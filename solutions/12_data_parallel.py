# %% [markdown]
# # 12 · Data parallel
# Eight processes share one batch. Each finds the gradient of its eighth, and then all need the sum.
# How they pass the numbers round decides whether eight processes are eight times as fast or slower
# than one. You will write three ways to do it, count every message, and see the slowest and the
# fastest differ by more than five times on the same wire.
#
# The picture is what you will measure: eight ranks add up 4 MB each over links of 40 MB/s.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, ranks, settings
from utils.figures import data_parallel as figures
from utils.ranks.simulated import Simulation, simulate

# %%
check = checks("12_data_parallel")
torch.set_num_threads(1)  # the ranks need the cores
sizes = settings.choose(
    scale,
    smoke={"loopback_mb": 8, "repeats": 2, "seeds": 6},
    cpu={"loopback_mb": 32, "repeats": 5, "seeds": 24},
)
ranks.warm_up()
print(ranks.plan(4))

# %%
# s; two shared CPU cores, November 2026
recorded = {"parameter server": 1.45, "tree": 0.66, "ring": 0.25}
fig = figures.recorded(recorded)
plots.show(fig, alt="The parameter server took 1.45 s, the tree 0.66 s, the ring 0.25 s.")

# %% [markdown]
# The same sum three times, one way to pass the numbers round in each bar: shorter is better.

# %% [markdown]
# **You will** write a tree and a ring all-reduce from `send` and `recv`; predict what they cost, and
# measure it; average gradients so that p processes train exactly as one does, with few messages;
# and find the learning rate that a batch p times as large wants.
#
# **Not in this lab:** models too large for one device (labs 13 to 15), and gradients that are
# compressed or come late.
#
# **You need** lab 04 (a training loop in PyTorch, `state_dict`, `no_grad`) and a CPU; GPUs are not
# needed. 150 minutes, of which all cells together compute for about a minute.

# %% [markdown]
# ## 1 · Ranks
# A **rank** is one of p processes that run the same function, each on its own data. It asks for its
# number, and does its part. `ranks.run(function, p)` starts p of them, on this machine's CPU, and
# returns what they returned. (The first call takes seconds: torch is imported. Later calls do not.)


# %%
def hello() -> str:
    rank, p = dist.get_rank(), dist.get_world_size()
    print(f"one of {p}")
    return "even" if rank % 2 == 0 else "odd"


print(ranks.run(hello, 4, device="cpu"))

# %% [markdown]
# Ranks share no memory. What one knows, another learns by a **message**, and both take part in it.
#
# | call | does |
# |---|---|
# | `dist.send(x, dst)` | sends the tensor `x` to rank `dst`; returns when that rank has received it |
# | `dist.recv(x, src)` | overwrites `x` with what rank `src` sends: same shape and dtype |
# | `request = dist.isend(x, dst)` | begins to send and returns at once; `request.wait()` ends it |
#
# **Predict first:** four ranks stand in a ring. Each runs `send` to the right, then `recv` from the
# left. What happens? Write your guess between the quotes: a guess has no marks, and its answer comes
# beside the result.

# %%
check.predict("four ranks send, then receive", "", "all receive", "all wait", "one raises")


# %%
def pass_on(dist: Any) -> float:
    """Each rank's number goes to its right neighbour."""
    rank, p = dist.get_rank(), dist.get_world_size()
    mine, received = torch.tensor([float(rank)]), torch.empty(1)
    dist.send(mine, (rank + 1) % p)
    dist.recv(received, (rank - 1) % p)
    return received.item()


try:
    simulate(pass_on, 4)
except ranks.RankError as error:
    print(error)
    check.measured("four ranks send, then receive", "all wait")

# %% [markdown]
# Everybody sends and nobody receives: a **deadlock**. Real ranks would wait for ever; ours ran in a
# simulation, which notices. `simulate` runs the p ranks in turn, in this process, with a clock of its
# own, and records each message. Its `dist` is a stand-in for the module `torch.distributed`, so a
# function that takes `dist` as its first argument runs on both.
#
# The cure: begin to send, receive, and only then wait for the end of the sending. On real ranks:


# %%
def pass_on_safely(dist: Any) -> float:
    rank, p = dist.get_rank(), dist.get_world_size()
    mine, received = torch.tensor([float(rank)]), torch.empty(1)
    request = dist.isend(mine, (rank + 1) % p)
    dist.recv(received, (rank - 1) % p)
    request.wait()  # before this, `mine` must not change: it may be on its way
    return received.item()


print(ranks.run(pass_on_safely, 4, dist, device="cpu"))

# %% [markdown]
# ## 2 · Everybody to one
# Rank r has a gradient `x: (n,)`; every rank needs the sum over all ranks. That operation is an
# **all-reduce**. The obvious way makes rank 0 the **parameter server**: it collects, adds, and sends
# the sum back to each.


# %%
def server_all_reduce(dist: Any, x: Tensor) -> Tensor:
    """The sum of x: (n,) over all ranks, on every rank; x is left as it was."""
    rank, p = dist.get_rank(), dist.get_world_size()
    total = x.clone()
    if rank > 0:
        dist.send(x, 0)
        dist.recv(total, 0)
        return total
    part = torch.empty_like(x)
    for other in range(1, p):
        dist.recv(part, other)
        total += part
    for other in range(1, p):
        dist.send(total, other)
    return total


# %%
AllReduce = Callable[[Any, Tensor], Tensor]


def own_part(dist: Any, all_reduce: AllReduce, parts: list[Tensor]) -> Tensor:
    """What one rank does: reduce its own part."""
    return all_reduce(dist, parts[dist.get_rank()])


def watch(all_reduce: AllReduce, p: int, n: int = 1000) -> Simulation:
    """Simulated, on links that take 1 ms for a message of 1,000 float32 numbers."""
    parts = [torch.full((n,), float(rank + 1)) for rank in range(p)]
    return simulate(own_part, p, all_reduce, parts, latency=5e-5, bandwidth=4000 / 0.95e-3)


outcome = watch(server_all_reduce, 8)
print([result[0].item() for result in outcome.results], f"{len(outcome.messages)} messages")


# %%
fig = figures.messages(outcome, "parameter server")
plots.show(fig, alt="Rank 0 receives seven messages one after another, then sends seven.")

# %% [markdown]
# Rank 0 is never free and everybody else nearly always is: 2 (p − 1) messages go through one link, one
# after another. Twice the ranks, twice the time. (Here a rank can send one message and receive one at
# the same time, as a network card can.)

# %% [markdown]
# ## 3 · A tree
# Pairs can add at the same time. Round 1: rank 1 sends to 0, 3 to 2, 5 to 4, 7 to 6. Round 2: 2 sends
# its sum to 0, 6 to 4. Round 3: 4 sends to 0, which has the whole. Then the same rounds backwards,
# with the total. Iandola and others built FireCaffe on it.
#
# With **distance** 1, 2, 4 …: in a round, a rank that is an odd multiple of the distance sends to the
# rank one distance below, and has done its part of adding.

# %% [markdown]
# ### Exercise 1 · Tree all-reduce — 2 points, 30 minutes, ●●○
# p may be any number: then some ranks find no partner above them in a round. `dist.all_reduce` may not
# be used here and in exercise 2.
#
# The check carries your messages itself, and alters each number a little on its way. A result must
# be made of what arrived.
#
# <details><summary>Hint 1</summary>In the round with distance d: <code>rank % (2 * d) == d</code>
# sends, <code>rank % (2 * d) == 0</code> receives if there is a rank at
# <code>rank + d</code>.</details>
#
# <details><summary>Hint 2</summary>The way back goes through the distances in the opposite order, and
# whoever sent in a round receives in it.</details>

# %%
check.predict("messages of the tree, in all", "", "fewer", "as many", "more")


# %% nbgrader={"grade_id": "tree_all_reduce_code", "solution": true}
def tree_all_reduce(dist: Any, x: Tensor) -> Tensor:
    """The sum of x: (n,) over all ranks, on every rank: up a binary tree to rank 0, and down again.

    dist: torch.distributed or a stand-in: get_rank, get_world_size, send, recv, isend.
    Every message has n numbers. x is left as it was; a single rank sends nothing.
    >>> simulate(own_part, 3, tree_all_reduce, [torch.ones(2)] * 3).results[1]
    tensor([3., 3.])
    """
    ### BEGIN SOLUTION
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = x.clone(), torch.empty_like(x)
    distances = [2**k for k in range(p.bit_length()) if 2**k < p]
    for d in distances:
        if rank % (2 * d) == d:
            dist.send(total, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.recv(part, rank + d)
            total += part
    for d in reversed(distances):
        if rank % (2 * d) == d:
            dist.recv(total, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.send(total, rank + d)
    return total
    ### END SOLUTION


# %% nbgrader={"grade_id": "tree_all_reduce", "grade": true, "points": 2}
check("tree_all_reduce")

# %%
with check.needs("tree_all_reduce"):
    outcome = watch(tree_all_reduce, 8)
    fig = figures.messages(outcome, "tree")
    plots.show(fig, alt="Three rounds of adding in pairs, then three rounds back.")
    against = len(outcome.messages) - len(watch(server_all_reduce, 8).messages)
    answer = "fewer" if against < 0 else "more" if against > 0 else "as many"
    check.measured("messages of the tree, in all", answer)

# %% [markdown]
# As many messages as before, most of them at the same time: six rounds instead of fourteen. But look
# at the white: most ranks still do nothing most of the time, and in each round whole gradients travel.

# %% [markdown]
# ## 4 · A ring
# Cut the gradient into p **chunks**. Each rank talks only to its right neighbour, and all talk at
# once.
#
# **Reduce-scatter**, p − 1 steps: in step s, rank r sends chunk r − s to the right and *adds* what
# comes from the left, chunk r − s − 1, to its own. A chunk collects one addend in each step. After the
# last, rank r holds the whole sum of chunk r + 1.
#
# **All-gather**, p − 1 steps: the finished chunks go round. In step s, rank r sends chunk r + 1 − s,
# and *replaces* its chunk r − s by what comes. All numbers of chunks are modulo p.

# %%
fig = figures.holdings(3)
alt = "Chunks with 1 addend each; two steps add up to 3 of 3; two more steps pass those on."
plots.show(fig, alt=alt)

# %% [markdown]
# Three ranks, three chunks, four steps, from left to right. The number is how many ranks' gradients a
# chunk is the sum of, and the darker the more. Follow one column, chunk 0: which rank sends it in step
# 0, and to whom? After two steps each chunk is whole on one rank only; the last two steps copy the
# dark ones.

# %% [markdown]
# ### Exercise 2 · Ring all-reduce — 2.25 points, 40 minutes, ●●●
# n need not be a multiple of p: cut with `tensor_split`, whose pieces differ by at most one number.
#
# <details><summary>Hint 1</summary>Follow chunk 0 for p = 3, in the picture: who has which part of the
# sum after each step?</details>
#
# <details><summary>Hint 2</summary><code>chunks = list(x.clone().tensor_split(p))</code>. What you
# receive into must have the size of the chunk that comes, which is not the one you send.</details>
#
# <details><summary>Hint 3</summary>All send at the same time: section 1 showed how that ends with
# <code>send</code>, and the cure.</details>

# %%
check.predict("numbers that one rank sends, p large", "", "n", "2 n", "p n")


# %% nbgrader={"grade_id": "ring_all_reduce_code", "solution": true}
def ring_all_reduce(dist: Any, x: Tensor) -> Tensor:
    """The sum of x: (n,) over all ranks, on every rank, round a ring; n ≥ p.

    Every rank sends 2 (p − 1) messages to its right neighbour, each one chunk, while it receives.
    x is left as it was; a single rank sends nothing.
    >>> simulate(own_part, 3, ring_all_reduce, [torch.arange(4.0)] * 3).results[1]
    tensor([0., 3., 6., 9.])
    """
    ### BEGIN SOLUTION
    rank, p = dist.get_rank(), dist.get_world_size()
    chunks = list(x.clone().tensor_split(p))
    for step in range(2 * (p - 1)):
        going, coming = (rank - step) % p, (rank - step - 1) % p
        request = dist.isend(chunks[going], (rank + 1) % p)
        part = torch.empty_like(chunks[coming])
        dist.recv(part, (rank - 1) % p)
        request.wait()
        chunks[coming] = chunks[coming] + part if step < p - 1 else part
    return torch.cat(chunks)
    ### END SOLUTION


# %% nbgrader={"grade_id": "ring_all_reduce", "grade": true, "points": 2.25}
check("ring_all_reduce")

# %%
with check.needs("ring_all_reduce"):
    outcome = watch(ring_all_reduce, 8)
    fig = figures.messages(outcome, "ring")
    plots.show(fig, alt="All ranks send and receive small messages all the time.")
    sent = sum(m.values.numel() for m in watch(ring_all_reduce, 64).messages if m.source == 0)
    print(f"64 ranks, n = 1000: rank 0 sends {sent} numbers")
    nearest = {"n": 1000, "2 n": 2000, "p n": 64_000}
    answer = min(nearest, key=lambda name: abs(nearest[name] - sent))
    check.measured("numbers that one rank sends, p large", answer)

# %%
with check.needs("ring_all_reduce"):
    telling = [torch.tensor([1.0, 100.0, 10_000.0])] * 3  # which chunk, and how many addends
    outcome = simulate(own_part, 3, ring_all_reduce, telling)
    fig = figures.sends(outcome, 3)
    plots.show(fig, alt="Each rank's four messages: chunks of 1, 2, 3 and 3 addends.")

# %% [markdown]
# Above, your ring for three ranks: what each sends in each step, darker with every addend. In the
# picture before it no white is left until all is done: every link carries all the time, and none more
# than another. The ring (Patarasuk and Yuan 2009) is what NCCL and Horovod made popular for GPUs.

# %% [markdown]
# ## 5 · What a message costs
# The **α–β model**: a message of `nbytes` takes α + β · nbytes seconds, however short it is at least
# the **latency** α; β is the time per byte, 1 / **bandwidth**. One message after another adds up;
# messages at the same time on different links count once.
#
# So: count the messages that follow one after another on the busiest path, and their size. Adding and
# copying are not counted.

# %% [markdown]
# ### Exercise 3 · The bill — 1.25 points, 15 minutes, ●●○
# The time of one all-reduce of `nbytes` on each of p ranks. The pictures of sections 2 to 4 are your
# examples: p = 8, α = 0.05 ms, 4,000 bytes.
#
# <details><summary>Hint 1</summary>Server: what goes through rank 0's link? Tree: rounds, up and down.
# Ring: steps, and the size of a chunk (take nbytes / p, also where it is uneven).</details>
#
# <details><summary>Hint 2</summary>Rounds of the tree: how often must 1 be doubled to reach p or more?
# <code>(p - 1).bit_length()</code> is exact; a floating-point logarithm rounded up is also
# right.</details>


# %% nbgrader={"grade_id": "communication_cost_code", "solution": true}
def communication_cost(algorithm: str, p: int, nbytes: float, alpha: float, beta: float) -> float:
    """Seconds of an all-reduce over p ≥ 1 ranks in the α–β model; a single rank sends nothing.

    algorithm: "server", "tree" or "ring", else ValueError; nbytes: of each rank's tensor;
    alpha: s a message; beta: s a byte.
    >>> communication_cost("server", 2, 1000, alpha=1.0, beta=0.001)
    4.0
    """
    ### BEGIN SOLUTION
    if algorithm == "server":
        return 2 * (p - 1) * (alpha + beta * nbytes)
    if algorithm == "tree":
        return 2 * (p - 1).bit_length() * (alpha + beta * nbytes)
    if algorithm == "ring":
        return 2 * (p - 1) * (alpha + beta * nbytes / p)
    raise ValueError(f"There is no algorithm {algorithm!r}: choose server, tree or ring.")
    ### END SOLUTION


# %% nbgrader={"grade_id": "communication_cost", "grade": true, "points": 1.25}
check("communication_cost")

# %%
alpha, beta = 5e-5, 1 / 1.25e9  # 50 µs, and 10 gigabits a second: ordinary Ethernet
with check.needs("communication_cost"):
    many, large = [2**k for k in range(1, 9)], np.logspace(1, 9, 17)
    names = "server", "tree", "ring"
    by_ranks = {a: [communication_cost(a, p, 1e8, alpha, beta) for p in many] for a in names}
    by_size = {a: [communication_cost(a, 64, n, alpha, beta) for n in large] for a in names}
    fig = figures.bills(by_ranks, many, by_size, large)
    plots.show(fig, alt="Left: server rises with p, tree slowly, ring stays. Right: curves cross.")

# %% [markdown]
# Left: with more ranks the server's time grows without end, the tree's like log p, the ring's hardly.
# Right: the ring is best for large tensors. For small ones, where are its 126 steps?
#
# ## 6 · On a wire
# Now real processes; **gloo**, PyTorch's library for CPUs, carries their messages. This machine has no
# slow wire between its processes: messages pass through memory.
#
# **Predict first:** eight ranks on this one machine, no wire: how long does the tree take against the
# server? (The model says six rounds against fourteen. “As long” here is: within a factor of 1.5.)

# %%
check.predict("without a wire the tree takes", "", "less time", "as long", "more time")


# %%
def timed(link: Any, all_reduce: AllReduce, numbers: int, repeats: int) -> float:
    """Seconds of an all-reduce on this rank, the median; link: makes what to send through."""
    through, x = link(), torch.ones(numbers)
    seconds = []
    for _ in range(repeats):
        dist.barrier()
        start = time.perf_counter()
        all_reduce(through, x)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def plain() -> Any:
    return dist


# %%
mb = sizes.loopback_mb
with check.needs("tree_all_reduce", "ring_all_reduce"):
    ways = {"server": server_all_reduce, "tree": tree_all_reduce, "ring": ring_all_reduce}
    for name, way in ways.items():
        took = ranks.run(timed, 8, plain, way, mb * 250_000, sizes.repeats, device="cpu")
        print(f"no wire, {mb} MB, 8 ranks   {name:7} {1e3 * max(took):6.0f} ms")
    print("recorded, 32 MB, 2 shared cores of an AMD EPYC, 29 November 2026:")
    print(f"{'server 690 ms, tree 870 ms, ring 750 ms':>50}")
    check.measured("without a wire the tree takes", "as long")

# %% [markdown]
# In the recorded run server and tree took about as long. (Yours may differ by half or more where other
# programs run: the answer beside your guess is the recorded run's.) All messages pass through the same
# memory and the same few cores, and only the sum of the work counts: every way moves 2 (p − 1) n numbers
# in all. A comparison of all-reduces on one machine says nothing about eight machines.

# %% [markdown]
# So we give every rank a wire of its own, of 40 MB/s, with a latency of 0.1 ms. Before a message is
# sent, the sender waits until the receiver is ready, and then sleeps as long as the wire would take.
# Sleeping needs no core, so eight wires are simulated honestly by two cores.


# %%
class SlowLink:  # stands for torch.distributed
    alpha, beta = 1e-4, 2.5e-8  # seconds a message, seconds a byte

    def __init__(self) -> None:
        self.get_rank, self.get_world_size = dist.get_rank, dist.get_world_size
        self._sender = ThreadPoolExecutor(1)

    def send(self, x: Tensor, dst: int) -> None:
        dist.recv(torch.empty(1), dst, tag=1)  # the receiver is ready
        time.sleep(self.alpha + self.beta * x.nbytes)
        dist.send(x, dst)

    def recv(self, x: Tensor, src: int) -> None:
        dist.send(torch.zeros(1), src, tag=1)
        dist.recv(x, src)

    def isend(self, x: Tensor, dst: int) -> Any:
        future = self._sender.submit(self.send, x, dst)
        future.wait = future.result  # type: ignore[attr-defined]  # torch's name for it
        return future


# %% tags=["headline"]
measured: dict[str, float] = {}
with check.needs("tree_all_reduce", "ring_all_reduce"):
    measured = {
        name: max(ranks.run(timed, 8, SlowLink, way, 1_000_000, sizes.repeats, device="cpu"))
        for name, way in ways.items()
    }
    ratio = measured["server"] / measured["tree"]
    print(
        f"8 ranks, 4 MB each, links of 40 MB/s: server {measured['server']:.2f} s, tree"
        f" {measured['tree']:.2f} s, ring {measured['ring']:.2f} s; server / tree {ratio:.1f}"
        " (target 1.8)"
    )

# %%
if measured:
    theory: dict[str, float] = {}
    with check.needs("communication_cost"):
        link = {"p": 8, "nbytes": 4e6, "alpha": SlowLink.alpha, "beta": SlowLink.beta}
        theory = {name: communication_cost(name, **link) for name in measured}
    fig = figures.measured(measured, theory)
    plots.show(fig, alt="Server longest, tree less than half, ring shortest; theory close by.")

# %% [markdown]
# What the wire adds, the model predicts; the rest, most visible in the ring's fourteen short steps, is
# the processes' own work on too few cores. FireCaffe's argument was this one: with 128 GPUs, the tree
# made the difference between waiting for the server and training.

# %% [markdown]
# ### Exercise 4 · Read the link — 1 point, 10 minutes, ●●○
# Three questions, to be answered from the model and the measurements.
#
# - `tiny_winner`: 64 ranks, 4 bytes each. Which is fastest: `"server"`, `"tree"` or `"ring"`?
# - `ring_growth`: a tensor so large that α does not count. By which factor does the ring's time grow
#   from 8 ranks to 64? A number, within 2 %.
# - `no_difference`: why did server and tree take about as long without a wire, in the recorded run?

# %% [markdown]
# The four answers of `no_difference`:
#
# - `"a"`: Both send as many bytes in all, and on any link it is these that take the time.
# - `"b"`: The tensors are small: latencies count, and of messages both have as many.
# - `"c"`: All share one memory and its cores: all copying counts, no busiest link.
# - `"d"`: gloo turns both into its own all-reduce, so that both pass the same messages.

# %% nbgrader={"grade_id": "read_the_link_answers", "solution": true}
tiny_winner = None  # "server", "tree" or "ring"
ring_growth = None  # a number
no_difference = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
tiny_winner = "tree"
ring_growth = (63 / 64) / (7 / 8)
no_difference = "c"
### END SOLUTION

# %% nbgrader={"grade_id": "read_the_link", "grade": true, "points": 1}
check("read_the_link")

# %% [markdown]
# ## 7 · One batch, p processes
# **Data parallel** training: every rank has the whole model with the same weights, and its **shard**
# of the batch. It computes the gradient of its own mean loss; if every rank then takes the *mean* of
# all gradients, that is the gradient of the whole batch, and all step alike and stay equal.

# %% [markdown]
# From here on the library's all-reduce does the sum: `dist.all_reduce(t)` replaces `t` on every rank.
# It is collective: **every rank must call it as often, with the same shapes in the same order**, or they
# wait for each other.
#
# Three parameters make trouble: one that is **frozen** (`requires_grad=False`, no gradient); one that
# is **tied**, the same tensor in two places; and one that *this* rank's shard did not use, whose
# `.grad` is None here and not elsewhere.

# %% [markdown]
# ### Exercise 5 · Average the gradients — 1.25 points, 20 minutes, ●●○
# **Predict first:** one rank skips the all-reduce of a parameter for which it has no gradient, and goes
# on to the next parameter, which is of another shape. What becomes of the others?
#
# <details><summary>Hint 1</summary><code>model.parameters()</code> gives a tied parameter once.
# </details>
#
# <details><summary>Hint 2</summary>No gradient means: it would not change the loss of this shard. As a
# number, that is a gradient of …</details>

# %%
check.predict("one rank skips an all-reduce", "", "zeros there", "wrong sums", "an error")


# %% nbgrader={"grade_id": "average_gradients_code", "solution": true}
def average_gradients(dist: Any, model: nn.Module) -> None:
    """Make `.grad` of each trainable parameter its mean over all ranks, by dist.all_reduce.

    One all_reduce for each parameter that requires a gradient; a gradient that this rank lacks counts
    as zeros. Frozen parameters stay without one. All shards are equally large.
    """
    ### BEGIN SOLUTION
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()
    ### END SOLUTION


# %% nbgrader={"grade_id": "average_gradients", "grade": true, "points": 1.25}
check("average_gradients")


# %%
def skip_one(dist: Any) -> None:
    for name, size in (("weight", 6), ("bias", 2)):
        if not (dist.get_rank() == 0 and name == "weight"):
            dist.all_reduce(torch.ones(size))


try:
    simulate(skip_one, 3)
except ranks.RankError as error:
    print(str(error).splitlines()[0])
    check.measured("one rank skips an all-reduce", "an error")

# %% [markdown]
# Of equal shapes, the sums would have been wrong without a word: a bias added to a weight.

# %%
# scikit-learn's 1,797 digits of 8×8 pixels, not MNIST: this lab trains dozens of networks.
order = np.random.default_rng(0).permutation(1797)
pixels, labels = load_digits(return_X_y=True)
X, y = torch.tensor(pixels[order] / 16).float(), torch.tensor(labels[order])
X, test_X, y, test_y = X[:1437], X[1437:], y[:1437], y[1437:]


# %%
def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(X.shape[1], 128), nn.ReLU(), nn.Linear(128, 10))


def train_rank(
    dist: Any, average: Callable, model: nn.Module, X: Tensor, y: Tensor
) -> list[Tensor]:
    """Twenty steps on batches of 64, of which this rank has its shard; returns the weights."""
    rank, p = dist.get_rank(), dist.get_world_size()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for batch in torch.arange(1280).split(64):
        mine = batch.tensor_split(p)[rank]
        optimizer.zero_grad()
        F.cross_entropy(model(X[mine]), y[mine]).backward()
        average(dist, model)
        optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


# %%
def furthest(some: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference between two models' weights."""
    return max((a - b).abs().max().item() for a, b in zip(some, others, strict=True))


with check.needs("average_gradients"):
    job = train_rank, dist, average_gradients, network(0), X, y
    by_p = {p: ranks.run(job[0], p, *job[1:], device="cpu") for p in (1, 2, 4)}
    for p in (2, 4):
        apart = furthest(by_p[1][0], by_p[p][0]), furthest(by_p[p][0], by_p[p][-1])
        print(f"{p} ranks: weights differ from one process's by {apart[0]:.1e}, ", end="")
        print(f"between first and last rank by {apart[1]:.1e}")

# %% [markdown]
# After twenty steps the weights of p processes are those of one, to float32's rounding (the order of
# adding is another), and *exactly* equal among ranks. If that last number is ever not 0, ranks drift
# apart and nobody notices.
#
# ## 8 · Fewer, larger messages
# A modern network has many small parameters: each costs a latency. **Buckets** put gradients into one
# flat tensor until it is full, and reduce that. Backward finishes the *last* layer first, so buckets
# are filled from the last parameter on: the first bucket can travel while backward still computes.

# %% [markdown]
# ### Exercise 6 · Buckets — 1.25 points, 25 minutes, ●●○
# Go through the trainable parameters from the last to the first. If the next gradient would make the
# bucket larger than `bucket_bytes`, reduce the bucket and begin a new one. A gradient larger than
# that has a bucket of its own, and no bucket is sent empty. The result is that of exercise 5.
#
# <details><summary>Hint 1</summary><code>torch.cat([g.flatten() for g in bucket])</code> packs;
# <code>flat.split([g.numel() for g in bucket])</code> unpacks; <code>g.nbytes</code> is the
# size.</details>
#
# <details><summary>Hint 2</summary>What was packed is a copy: the means must go back into the
# gradients (<code>g.copy_(…)</code>, <code>view_as</code>). And at the end one bucket is still
# open.</details>


# %% nbgrader={"grade_id": "bucketed_all_reduce_code", "solution": true}
def bucketed_all_reduce(dist: Any, model: nn.Module, bucket_bytes: int) -> None:
    """Like average_gradients, with one dist.all_reduce for each bucket of gradients.

    Buckets are filled from the last parameter to the first and hold at most bucket_bytes, or one
    gradient that is larger. All gradients have the same dtype.
    """
    ### BEGIN SOLUTION
    buckets: list[list[Tensor]] = [[]]
    for parameter in reversed([one for one in model.parameters() if one.requires_grad]):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        full = sum(gradient.nbytes for gradient in buckets[-1])
        if buckets[-1] and full + parameter.grad.nbytes > bucket_bytes:
            buckets.append([])
        buckets[-1].append(parameter.grad)
    for bucket in filter(None, buckets):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat)
        means = (flat / dist.get_world_size()).split([gradient.numel() for gradient in bucket])
        for gradient, mean in zip(bucket, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
    ### END SOLUTION


# %% nbgrader={"grade_id": "bucketed_all_reduce", "grade": true, "points": 1.25}
check("bucketed_all_reduce")

# %% [markdown]
# What is it worth? ResNet-50, which benchmarks of data parallelism use, has 161 parameters with
# 25.6 million numbers. Below, its buckets as your function makes them (simulated, on a model with a
# 64th of the numbers), and the ring's bill for 8 ranks, 50 µs and 10 gigabits a second.

# %%
from torchvision.models import resnet50

with torch.device("meta"):  # shapes, no numbers
    shapes = [parameter.shape for parameter in resnet50().parameters()]
numbers = sum(shape.numel() for shape in shapes)
print(f"{len(shapes)} parameters, {numbers / 1e6:.1f} million numbers")
small = nn.ParameterList([nn.Parameter(torch.zeros(-(-s.numel() // 64))) for s in shapes])


def count(dist: Any, bucket_bytes: float) -> None:
    bucketed_all_reduce(dist, copy.deepcopy(small), int(bucket_bytes / 64))


bucket_mb, bills = [0.0001, 0.01, 0.1, 1, 5, 25, 100], []
with check.needs("bucketed_all_reduce", "communication_cost"):
    for mb in bucket_mb:
        taken = simulate(count, 2, mb * 1e6).reductions
        bill = [communication_cost("ring", 8, 256 * n, alpha, beta) for n in taken]
        bills.append((len(taken), 1e3 * sum(bill)))
        print(f"buckets of {mb:7g} MB: {len(taken):4} all-reduces, {bills[-1][1]:4.0f} ms")

# %%
with check.needs("bucketed_all_reduce", "communication_cost"):
    floor = 1e3 * communication_cost("ring", 8, 4 * numbers, 0.0, beta)
    if bills:
        fig = figures.buckets(bucket_mb, bills, floor)
        plots.show(fig, alt="161 messages cost over half as much again as a handful of buckets.")

# %% [markdown]
# The numbers at the points are all-reduces. One single bucket is cheapest on this bill, but it can
# leave only when backward is over. PyTorch's default, 25 MB, is a compromise: few messages, most of
# which travel while earlier layers still compute.

# %% [markdown]
# ## 9 · A batch p times as large
# p ranks with 16 images each are one process with a batch of 16 p. An epoch has fewer steps: with the
# same learning rate the weights do not get as far. The **linear scaling rule** (Goyal and others 2017)
# multiplies the learning rate by the same factor as the batch. At the start, where the loss can bend
# sharply, that is too much; so the rate begins at the small batch's and grows, over the **warm-up**, in
# equal steps.

# %% [markdown]
# **Predict first:** batch 16 becomes 512. Which of these comes nearest to the small batch's accuracy in
# as many epochs: the same rate; 32 times the rate; 32 times the rate with warm-up?

# %%
check.predict("nearest to batch 16 comes", "", "same rate", "rate × 32", "with warm-up")

# %% [markdown]
# ### Exercise 7 · Learning rate — 1 point, 10 minutes, ●○○
# <details><summary>Hint 1</summary>A straight line through two points: the rate at step 0, and the one
# at step <code>warmup_steps</code>.</details>


# %% nbgrader={"grade_id": "learning_rate_at_code", "solution": true}
def learning_rate_at(
    step: int, base_rate: float, base_batch: int, batch: int, warmup_steps: int
) -> float:
    """The learning rate of a step (0 is the first) for a batch that is larger than base_batch.

    base_rate is right for base_batch. The rate goes in a straight line from base_rate at step 0 to
    the scaled rate at step warmup_steps, and stays there. Without warm-up it is scaled at once.
    >>> learning_rate_at(5, base_rate=0.1, base_batch=32, batch=96, warmup_steps=10)
    0.2
    """
    ### BEGIN SOLUTION
    scaled = base_rate * batch / base_batch
    if step >= warmup_steps:
        return scaled
    return base_rate + (scaled - base_rate) * step / warmup_steps
    ### END SOLUTION


# %% nbgrader={"grade_id": "learning_rate_at", "grade": true, "points": 1}
check("learning_rate_at")


# %%
def train_large(batch: int, rate: Callable[[int], float], seed: int) -> list[float]:
    """Accuracy on the test images after each of 20 epochs, in one process; rate: by step."""
    torch.manual_seed(seed)
    linear, step, accuracy = [nn.Linear(m, n) for m, n in pairwise((64, 128, 128, 10))], 0, []
    for layer in linear:
        nn.init.kaiming_normal_(layer.weight)
        layer.weight.data *= 2  # twice He's: steep at the start, as large networks can be
        nn.init.zeros_(layer.bias)
    model = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    for _ in range(20):
        for chosen in torch.randperm(len(X)).split(batch):
            optimizer.param_groups[0]["lr"] = rate(step)
            optimizer.zero_grad()
            F.cross_entropy(model(X[chosen]), y[chosen]).backward()
            optimizer.step()
            step += 1
        with torch.no_grad():
            accuracy.append((model(test_X).argmax(dim=1) == test_y).float().mean().item())
    return accuracy


# %%
runs: dict[str, list[list[float]]] = {}
with check.needs("learning_rate_at"):
    base, warmup = 0.012, 10 * -(-len(X) // 512)  # the rate for a batch of 16; steps in 10 epochs
    scaled = learning_rate_at(0, base, 16, 512, 0)
    plans = {
        "16": (16, lambda step: base),
        "512, same rate": (512, lambda step: base),
        "512, rate × 32": (512, lambda step: scaled),
        "512, × 32, warm-up": (512, lambda step: learning_rate_at(step, base, 16, 512, warmup)),
    }
    for name, (batch, rate) in plans.items():
        seeds = range(sizes.seeds if batch == 512 else 2)  # batch 16 takes 30 times the steps
        runs[name] = [train_large(batch, rate, seed) for seed in seeds]
        last = [accuracy[-1] for accuracy in runs[name]]
        worst = f"worst of {len(last)} seeds {min(last):.3f}"
        print(f"batch {name:20} mean {np.mean(last):.3f}, {worst}")

# %%
if runs:
    fig = figures.accuracies(runs)
    plots.show(fig, alt="Scaled at once, some seeds end low; with warm-up all end near batch 16.")
    ends = [float(np.mean([one[-1] for one in runs[name]])) for name in plans]
    options = "same rate", "rate × 32", "with warm-up"
    nearest = min(zip(ends[1:], options, strict=True), key=lambda one: abs(one[0] - ends[0]))
    check.measured("nearest to batch 16 comes", nearest[1])

# %% [markdown]
# At the same rate the large batch is behind when the epochs are over: it made a thirtieth of the steps.
# Scaled at once, it arrives with some seeds and is thrown off for good with others; with warm-up, all
# come near the small batch. A rate that grows slowly gives the weights time to move to where the loss
# bends less and bears it (Gilmer and others 2021).
#
# One seed would have told you whichever story it liked. And it is a rule of thumb: at half this rate
# warm-up is not needed here, at twice the rate it does not help, and beyond some size a larger batch
# saves no more steps (McCandlish and others 2018).

# %% [markdown]
# ## 10 · Experiments
# Change the knobs and run again; nothing here is graded.
#
# - In `SlowLink`: 1 GB/s, or a latency of 10 ms. When does the tree win?
# - A ring of 8 ranks in which one link is slow: what does the whole ring do? (Let `send` sleep longer
#   where `dist.get_rank() == 3`.)
# - Send chunks as float16. What is saved, and what becomes of the sum of 8 numbers of very different
#   size?
# - `bucketed_all_reduce` in the place of `average_gradients` in `train_rank`.
# - 64 simulated ranks: `watch(ring_all_reduce, 64, n=6400)`.
# - In `train_large`, leave `*= 2` away: what does warm-up gain then? And with half the `base`?

# %% [markdown]
# ## 11 · What you built is called
# | yours | PyTorch |
# |---|---|
# | `ring_all_reduce`, `tree_all_reduce` | `dist.all_reduce`; NCCL chooses ring or tree by size |
# | first half of the ring, second half | `dist.reduce_scatter`, `dist.all_gather` |
# | `average_gradients`, `bucketed_all_reduce` | `nn.parallel.DistributedDataParallel(model, bucket_cap_mb=25)` |
# | `learning_rate_at` | `torch.optim.lr_scheduler.LinearLR` |
# | `ranks.run(fn, 4)` | `torchrun --nproc-per-node 4`, on several machines too |
#
# Same weights, same shards, your gradients against DistributedDataParallel's:


# %%
def gradients(dist: Any, average: Callable | None, X: Tensor, y: Tensor) -> list[Tensor]:
    """The averaged gradients of this rank's shard; average: None lets PyTorch do it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(X.shape[1], 128), nn.ReLU(), nn.Linear(128, 10))
    wrapped = model if average else nn.parallel.DistributedDataParallel(model)
    mine = torch.arange(len(X)).tensor_split(dist.get_world_size())[dist.get_rank()]
    F.cross_entropy(wrapped(X[mine]), y[mine]).backward()
    if average:
        average(dist, model)
    return [parameter.grad for parameter in model.parameters()]


with check.needs("average_gradients"):
    both = [
        ranks.run(gradients, 4, dist, average, X[:64], y[:64], device="cpu")
        for average in (average_gradients, None)
    ]
    for name, ours, theirs in zip(("W0", "b0", "W1", "b1"), both[0][0], both[1][0], strict=True):
        print(f"{name}: largest difference {(ours - theirs).abs().max():.1e}")

# %% [markdown]
# ## 12 · Further
# - Thakur, Rabenseifner, Gropp (2005), *Optimization of collective communication operations in
#   MPICH*, [10.1177/1094342005051521](https://doi.org/10.1177/1094342005051521): α, β, and which
#   all-reduce for which size.
# - Li and others (2014), *Scaling distributed machine learning with the parameter server*, OSDI.
# - Iandola, Moskewicz, Ashraf, Keutzer (2016), *FireCaffe: near-linear acceleration of deep neural
#   network training on compute clusters*, CVPR, [arXiv:1511.00175](https://arxiv.org/abs/1511.00175):
#   server against reduction tree; GoogLeNet 47 times as fast on 128 GPUs.
# - Patarasuk, Yuan (2009), *Bandwidth optimal all-reduce algorithms for clusters of workstations*,
#   JPDC 69, [10.1016/j.jpdc.2008.09.002](https://doi.org/10.1016/j.jpdc.2008.09.002): the ring.
# - Sergeev, Del Balso (2018), *Horovod*, [arXiv:1802.05799](https://arxiv.org/abs/1802.05799).

# %% [markdown]
# - Goyal and others (2017), *Accurate, large minibatch SGD: training ImageNet in 1 hour*,
#   [arXiv:1706.02677](https://arxiv.org/abs/1706.02677): linear scaling and warm-up, batch 8,192.
# - Akiba, Suzuki, Fukuda (2017), *Extremely large minibatch SGD: training ResNet-50 on ImageNet in
#   15 minutes*, [arXiv:1711.04325](https://arxiv.org/abs/1711.04325): 1,024 GPUs, batch 32,768.
# - Gilmer and others (2021), *A loss curvature perspective on training instability in deep learning*,
#   [arXiv:2110.04369](https://arxiv.org/abs/2110.04369): what warm-up does.
# - McCandlish, Kaplan, Amodei (2018), *An empirical model of large-batch training*,
#   [arXiv:1812.06162](https://arxiv.org/abs/1812.06162).
# - Li and others (2020), *PyTorch distributed: experiences on accelerating data parallel training*,
#   [arXiv:2006.15704](https://arxiv.org/abs/2006.15704): buckets and overlap.
#
# **Next:** in lab 13 the model itself is cut, layer by layer, and what travels is activations.

# %%
progress()
