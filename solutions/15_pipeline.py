# %% [markdown]
# # 15 · A pipeline on real ranks
# The schedules of lab 14 were on paper. Here they run: four processes, of which each holds a quarter of a
# network of 32 layers and really waits for the others. You write what a rank does, train the network with
# it, and measure what you predicted: gradients equal to one process's, the bubble, the stash, the speed-up.
#
# The picture is where you are going: a schedule as theory has it, and the same schedule as it ran.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

# %%
from grading.check import checks, progress
from utils import plots, ranks, settings
from utils.data import digits
from utils.device import best_device
from utils.figures import pipeline as figures
from utils.pipeline import pictures, published, schedules, trace
from utils.pipeline.delay import Delay, delays
from utils.pipeline.engine import Engine
from utils.pipeline.link import Link, Receive, Send
from utils.pipeline.schedules import Action, Span
from utils.ranks import RankError

check = checks("15_pipeline")

# %%
sizes = settings.choose(
    scale,
    smoke={"width": 64, "delay": 0.04, "repeats": 1, "most": 8, "many": 200, "steps": 120},
    cpu={"width": 256, "delay": 0.04, "repeats": 3, "most": 32, "many": 1000, "steps": 400},
    gpu={"width": 1024, "delay": 0.04, "repeats": 3, "most": 32, "many": 1000, "steps": 400},
)
torch.set_num_threads(1)  # matrices as small as these gain nothing from more
ranks.warm_up()
print(ranks.plan(4))

# %% [markdown]
# A **rank** is a process with a GPU of its own, where there are GPUs. `ranks.run(f, 4)` runs a function of
# this notebook on four of them and returns what each returned. Lab 14's schedules for the sizes of this lab
# are written out below; put your own two functions in their place if you like.

# %%
ONE_F_ONE_B = {
    (2, 4): """F0 F1 B0 F2 B1 F3 B2 B3
               F0 B0 F1 B1 F2 B2 F3 B3""",
    (2, 8): """F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7
               F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7""",
    (4, 4): """F0 F1 F2 F3 B0 B1 B2 B3
               F0 F1 F2 B0 F3 B1 B2 B3
               F0 F1 B0 F2 B1 F3 B2 B3
               F0 B0 F1 B1 F2 B2 F3 B3""",
    (4, 8): """F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7
               F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 B6 B7
               F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7
               F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7""",
}


# %%
def schedule_for(name: str, stages: int, microbatches: int) -> list[list[Action]]:
    """Lab 14's schedules. name: "gpipe" or "1f1b"."""
    if name == "1f1b":
        return schedules.parse(ONE_F_ONE_B[stages, microbatches])
    order = range(microbatches)
    return [[("F", m) for m in order] + [("B", m) for m in order] for _ in range(stages)]


# %%
def on_torchs_engine(schedule: list[list[Action]], seconds: float) -> list[Span]:
    """What this rank did when, with stages that wait instead of computing."""
    recorder, microbatches = trace.Recorder(dist.get_rank()), 1 + max(m for _, m in schedule[0])
    stages = delays(schedule, seconds, 2 * seconds, recorder)
    engine = Engine(schedule, stages, torch.zeros(1, 4), lambda output, target: output.mean())
    engine.step(torch.zeros(microbatches, 4), torch.zeros(microbatches, 4))
    return recorder.spans


milliseconds = 1000 * sizes.delay
one_f_one_b = schedule_for("1f1b", 4, 8)
theory = schedules.simulate(one_f_one_b, milliseconds, 2 * milliseconds, unit="ms")
as_it_ran = trace.merge(ranks.run(on_torchs_engine, 4, one_f_one_b, sizes.delay, device="cpu"))
fig = pictures.compare({"1F1B, theory": theory, "1F1B, on four processes": as_it_ran})
plots.show(fig, alt="Theory and measurement: nearly the same picture, the latter a bit longer.")

# %% [markdown]
# *1F1B with 4 ranks and 8 micro-batches. Above, theory; below, the same schedule on four processes. Hatched
# is idle time.* Torch's own engine ran it here, with stages that only wait. Your engine comes next.

# %% [markdown]
# **You will** send tensors between processes; write the program of a rank and prove it equal to one process;
# train 32 layers with it; measure bubble and stash; compare your speed-up with theory and with published
# figures; and see two ways to a smaller bubble.
#
# **Not in this lab:** data parallelism on top (lab 17).
#
# **You need** labs 12 and 14, and PyTorch's `backward`. 190 minutes. On two CPU cores all cells take one to
# two minutes at scale `smoke`: real layers do not overlap usefully there, so *times* are measured with
# stages that sleep.

# %% [markdown]
# ## 1 · A network, and its stages
# The network is the one of Takizawa, Yazaki and Ishihata's report of 2021: 32 fully connected layers. Ours
# reads digits. `layers` is a list of 32 modules. A **stage** is an `nn.Sequential` of consecutive ones.

# %%
data = digits.load()
inputs = data.train_x[0].size


def network(width: int = sizes.width, seed: int = 0) -> list[nn.Module]:
    """32 layers, from an image (N, inputs) to ten scores (N, 10); the same for every rank."""
    torch.manual_seed(seed)
    units = [inputs, *[width] * 31, 10]
    linear = [nn.Linear(units[i], units[i + 1]) for i in range(32)]
    for layer in linear:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return [nn.Sequential(layer, nn.ReLU()) for layer in linear[:-1]] + linear[-1:]


images = torch.tensor(data.train_x[:64]).reshape(64, -1)
labels = torch.tensor(data.train_y[:64])
print(f"{data.name}: images {tuple(images.shape)}, {len(network())} layers")

# %% [markdown]
# ### Exercise 1 · The rank's own stage — 0.5 points, 10 minutes, ●○○
# Every rank runs the same program and learns from its number which part is its own. A program that forgets
# that still runs: four ranks train the first stage, one after the other, and shapes may even fit.
#
# <details><summary>Hint 1</summary>With L layers and p stages, L // p layers for each; L % p layers are left
# over. Where does rank r begin, if the first ranks take one more each?</details>


# %% nbgrader={"grade_id": "stage_layers_code", "solution": true}
def stage_layers(layers: list[nn.Module], rank: int, stages: int) -> list[nn.Module]:
    """The layers of this rank's stage: consecutive, every layer in one stage, in order.

    The stages differ by at most one layer; the first stages are the longer ones.
    >>> stage_layers(["a", "b", "c", "d", "e"], 1, 2)
    ['d', 'e']
    """
    ### BEGIN SOLUTION
    each, more = divmod(len(layers), stages)
    start = rank * each + min(rank, more)
    return layers[start : start + each + (rank < more)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "stage_layers", "grade": true, "points": 0.5}
check("stage_layers")

# %% [markdown]
# ## 2 · Out and back, by hand
# Two ranks share no memory. `dist.isend(tensor, 1)` begins to send a tensor to rank 1;
# `dist.irecv(tensor, 0)` begins to receive from rank 0, *into* a tensor of the same shape. Both return at
# once, with a request: only after `request.wait()` may the tensor be used again, or read. (`send` and `recv`
# are the same with the `wait` inside.) Forward only, on two ranks:


# %%
def forward_only() -> Tensor | None:
    if dist.get_rank() == 0:
        x = torch.tensor([1.0, 2.0])
        request = dist.isend(3 * x, 1)
        request.wait()
        return None
    received = torch.empty(2)
    request = dist.irecv(received, 0)
    request.wait()
    return received + 1


print("rank 1 computed", ranks.run(forward_only, 2, device="cpu")[1].tolist())

# %% [markdown]
# Autograd knows nothing of messages. **Predict:** rank 0 computes `y = 3 * x` from an `x` that wants its
# gradient, and sends `y`. Rank 1 receives it, computes `5 * y`, and calls `backward`. What is in rank 0's
# `x.grad` then: `"nothing"`, `"5"`, or `"15"`?

# %%
check.predict("rank 0's x.grad", "", "nothing", "5", "15")


# %%
def across() -> Tensor | None:
    if dist.get_rank() == 0:
        x = torch.ones(2, requires_grad=True)
        dist.send((3 * x).detach(), 1)
        return x.grad
    y = torch.empty(2)
    dist.recv(y, 0)
    (5 * y.requires_grad_()).sum().backward()
    return y.grad


first, second = ranks.run(across, 2, device="cpu")
print(f"rank 0: x.grad is {first};  rank 1: y.grad is {second.tolist()}")
check.measured("rank 0's x.grad", "nothing" if first is None else f"{first[0]:g}")

# %% [markdown]
# Rank 1 has the gradient of what it received, because it asked for it with `requires_grad_()`. To go on, rank
# 1 must send the 5 back, and rank 0 must start its own backward from there: `y.backward(gradient)`.
#
# Waiting for what nobody sends is a **deadlock**. Whoever programs ranks meets it; here the deadlock
# is found and explained. Both ranks wait for the other to begin:


# %%
def mixed_up() -> None:
    other = 1 - dist.get_rank()
    tensor = torch.zeros(2)
    dist.recv(tensor, other)
    dist.send(tensor, other)


try:
    ranks.run(mixed_up, 2, device="cpu")
except RankError as error:
    print(error)

# %% [markdown]
# ### Exercise 2 · There and back — 1.25 points, 25 minutes, ●●○
# One micro-batch, two ranks. Rank 0 runs its stage and sends the activation; rank 1 receives it, computes
# the loss, goes backward, and sends the activation's gradient back; rank 0 goes on from there.
#
# The same function runs on both ranks: `dist.get_rank()` tells which. The weights stay as they are. Memory
# does not count here.
#
# <details><summary>Hint 1</summary>Rank 0 keeps <code>y</code> with its graph and sends
# <code>y.detach()</code>. The gradient that comes back has the shape of <code>y</code>:
# <code>torch.empty_like(y)</code> is a place for it.</details>
#
# <details><summary>Hint 2</summary>Rank 1: first let <code>x</code> arrive, then ask for its gradient, then
# use it: autograd records only what happens after that.</details>


# %% nbgrader={"grade_id": "there_and_back_code", "solution": true}
def there_and_back(
    dist, module: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor] | None = None
) -> float | None:
    """One micro-batch through two ranks; gradients are added to those of this rank's module.

    dist: `torch.distributed`, or what stands for it.
    x: on rank 0 the micro-batch, which is left as it was; on rank 1 a tensor to receive into.
    loss: on rank 1 loss(output), a tensor of one number; None on rank 0.
    Returns the loss on rank 1, None on rank 0. All that was begun to be sent has been waited for.
    """
    ### BEGIN SOLUTION
    if dist.get_rank() == 0:
        y = module(x)
        sent = dist.isend(y.detach(), 1)
        dy = torch.empty_like(y)
        dist.irecv(dy, 1).wait()
        sent.wait()
        y.backward(dy)
        return None
    dist.irecv(x, 0).wait()
    x.requires_grad_()
    value = loss(module(x))
    value.backward()
    dist.isend(x.grad, 0).wait()
    return value.item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "there_and_back", "grade": true, "points": 1.25}
check("there_and_back")

# %% [markdown]
# The check plays the other rank: it sees what yours sends, and when. Now two processes with half of the
# network each, beside one process with all of it:


# %%
def halves() -> tuple[float | None, Tensor]:
    rank = dist.get_rank()
    module = nn.Sequential(*stage_layers(network(), rank, 2))
    x = images[:16] if rank == 0 else torch.empty(16, sizes.width)
    loss = None if rank == 0 else lambda scores: cross_entropy(scores, labels[:16])
    value = there_and_back(dist, module, x, loss)
    return value, next(module.parameters()).grad


with check.needs("stage_layers", "there_and_back"):
    (_, gradient), (loss, _) = ranks.run(halves, 2, device="cpu")
    whole = nn.Sequential(*network())
    alone = cross_entropy(whole(images[:16]), labels[:16])
    alone.backward()
    gap = (gradient - whole[0][0].weight.grad).abs().max()
    print(f"loss {loss:.6f}, in one process {alone.item():.6f}")
    print(f"first layer's gradient: farthest number {gap:.1e} apart")

# %% [markdown]
# Two things do not scale: rank 1 had to know the shape of what comes, and with several micro-batches under
# way the second message may not be the one that is wanted next.

# %% [markdown]
# A `Link` does the same `isend` and `irecv`, with a label. It sends a short header before each message (the
# label, and how many tensors of which shapes), so the receiver can make room, and lays aside what is not
# asked for yet:
#
# - `send("next", ("F", 2), (y,))` begins to send a tuple of tensors, labelled with the action that made
#   it, and does not wait;
# - `recv("previous", ("F", 2))` waits for the message with that label, and returns its tuple: new tensors,
#   which belong to the receiver.


# %%
def out_of_order() -> str:
    link = Link()
    if link.rank == 0:
        for m in range(2):
            link.send("next", ("F", m), (torch.full((m + 1,), 7.0 + m),))
        link.finish()  # waits for the end of what was sent
        return "sent F0, then F1"
    (second,) = link.recv("previous", ("F", 1))
    (first,) = link.recv("previous", ("F", 0))
    return f"asked for F1: {second.tolist()}, then for F0: {first.tolist()}"


for rank, says in enumerate(ranks.run(out_of_order, 2, device="cpu")):
    print(f"rank {rank} {says}")

# %% [markdown]
# ## 3 · The program of a rank
# A rank goes through its list of actions, in that order. For a forward it gets an input, runs its stage once,
# passes the output on, and keeps what the backward will need: the **stash**. For a backward it gets the
# gradient of its output, goes back through its graph, and passes on the gradient of its input. So is
# exercise 2.
#
# The ends differ. The first rank's inputs are `inputs`, and nobody waits for their gradients. The last rank
# has `loss`: what goes back there starts from `loss(m, *outputs)`, the mean over micro-batch m. The gradients
# of all micro-batches are to add up to that of the *batch's* mean.

# %% [markdown]
# ### Exercise 3 · run_stage — 3 points, 50 minutes, ●●●
# It must work for every valid schedule, and for stages that return one tensor or a tuple of them. For
# several tensors, `torch.autograd.backward((y, z), (dy, dz))` goes back from all at once.
#
# <details><summary>Hint 1</summary>Begin with one rank: <code>inputs</code> and <code>loss</code> are both
# there, nothing is sent. What must wait in the stash from ("F", m) to ("B", m)?</details>
#
# <details><summary>Hint 2</summary>On the other ranks, what came must want a gradient before it enters the
# module, and what goes out must leave its graph behind.</details>
#
# <details><summary>Hint 3</summary>How many micro-batches there are, the list of actions says. Only the last
# rank knows losses; with what share does each enter the mean?</details>


# %%
def as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


class Stage(nn.Module):
    """Layers one after another, of which each may take and return several tensors."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, *values: Tensor) -> Tensor | tuple[Tensor, ...]:
        for layer in self.layers:
            values = as_tuple(layer(*values))
        return values if len(values) > 1 else values[0]


# %% nbgrader={"grade_id": "run_stage_code", "solution": true}
def run_stage(
    actions: Sequence[Action],
    module: nn.Module,
    send: Send,
    recv: Receive,
    inputs: Sequence[Tensor] | None = None,
    loss: Callable[..., Tensor] | None = None,
) -> float | None:
    """Run one rank's actions; the gradients are added to those of the module's parameters.

    actions: this rank's list of ("F", m) and ("B", m); module(*received) is a tensor or a tuple of them;
    send(to, action, values), recv(source, action): see section 2.
    inputs: on the first rank the micro-batches, inputs[m], which are left as they are; else None.
    loss: on the last rank loss(m, *outputs), the mean loss of micro-batch m; else None.
    Returns the mean loss of the batch on the last rank, a float; None elsewhere.
    Of a micro-batch whose backward is done nothing is kept.
    """
    ### BEGIN SOLUTION
    microbatches = sum(kind == "F" for kind, _ in actions)
    stash, total = {}, 0.0
    for kind, m in actions:
        if kind == "F":
            if inputs is not None:
                x = (inputs[m],)
            else:
                x = tuple(value.requires_grad_() for value in recv("previous", ("F", m)))
            y = as_tuple(module(*x))
            if loss is not None:
                y = (loss(m, *y) / microbatches,)
                total += y[0].item()
            else:
                send("next", ("F", m), tuple(value.detach() for value in y))
            stash[m] = x, y
        else:
            x, y = stash.pop(m)
            torch.autograd.backward(y, recv("next", ("B", m)) if loss is None else None)
            if inputs is None:
                send("previous", ("B", m), tuple(value.grad for value in x))
    return total if loss is not None else None
    ### END SOLUTION


# %% nbgrader={"grade_id": "run_stage", "grade": true, "points": 3}
check("run_stage")

# %% [markdown]
# The check played one rank's neighbours at a time. Now all ranks, as processes. First the truth, computed by
# one process, micro-batch by micro-batch; then your program on 2 and 4 ranks. `on_this_rank` is all that the
# rest of the lab needs of a rank:


# %%
def my_stage(build: Callable[[], list[nn.Module]]) -> Stage:
    """This rank's part of the network."""
    layers = stage_layers(build(), dist.get_rank(), dist.get_world_size())
    return Stage(layers).to(ranks.device())


def on_this_rank(
    link: Link, schedule: list[list[Action]], module: nn.Module, X: Tensor, y: Tensor, loss=None
) -> float | None:
    """One batch with your `run_stage`; loss(output, target): default cross-entropy."""
    parts, targets = (
        [part.clone() for part in whole.to(ranks.device()).chunk(len(schedule[0]) // 2)]
        for whole in (X, y)
    )
    loss = loss or cross_entropy
    inputs = parts if link.rank == 0 else None
    goal = (lambda m, *outputs: loss(*outputs, targets[m])) if link.rank == link.ranks - 1 else None
    found = run_stage(schedule[link.rank], module, link.send, link.recv, inputs=inputs, loss=goal)
    link.finish()
    return found


# %%
def split_step(schedule: list[list[Action]], X: Tensor, y: Tensor, build: Callable) -> tuple:
    """One batch on this rank: the loss, and the gradients and buffers of its stage."""
    module = my_stage(build)
    loss = on_this_rank(Link(device=ranks.device()), schedule, module, X, y)
    return loss, [p.grad.cpu() for p in module.parameters()], [b.cpu() for b in module.buffers()]


def one_process(X: Tensor, y: Tensor, microbatches: int, build: Callable) -> tuple:
    """The same in this process."""
    module, total = Stage(build()).to(best_device()), 0.0
    parts, targets = (t.to(best_device()).chunk(microbatches) for t in (X, y))
    for part, target in zip(parts, targets, strict=True):
        share = cross_entropy(module(part), target) / microbatches
        share.backward()
        total += share.item()
    return total, [p.grad.cpu() for p in module.parameters()], [b.cpu() for b in module.buffers()]


# %%
def farthest(mine: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    """The largest difference, compared with the largest number of the same tensor."""
    gaps = [(a - b).abs().max() / b.abs().max() for a, b in zip(mine, theirs, strict=True)]
    return max((float(gap) for gap in gaps), default=0.0)


def compared(stages: int, name: str, build: Callable, microbatches: int = 8) -> float:
    """Run both, print and return the largest relative difference."""
    schedule = schedule_for(name, stages, microbatches)
    parts = ranks.run(split_step, stages, schedule, images, labels, build)
    loss, gradients, buffers = one_process(images, labels, microbatches, build)
    mine = [gradient for _, part, _ in parts for gradient in part]
    means = [buffer.float() for *_, part in parts for buffer in part]
    worst = max(farthest(mine, gradients), farthest(means, [b.float() for b in buffers]))
    worst = max(worst, abs(parts[-1][0] - loss) / loss)
    print(f"{stages} ranks, {name:5}: loss {parts[-1][0]:.6f} ({loss:.6f}), difference {worst:.0e}")
    return worst


# %% tags=["headline"]
with check.needs("stage_layers", "run_stage"):
    worst = max(compared(stages, name, network) for stages in (2, 4) for name in ("gpipe", "1f1b"))
    print(f"32 layers on 2 and 4 ranks: largest relative difference {worst:.1e} (target 1e-6)")

# %% [markdown]
# The network was not told that it was cut, nor in which order its micro-batches came.
#
# Two harder ones. With **batch normalisation** each forward changes running means, so *how often* and in
# which order forwards run matters; and a shortcut past a layer makes stages pass on **two** tensors.


# %%
class Shortcut(nn.Module):
    """A layer with batch norm; beside its output goes a second tensor, added at the end."""

    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)  # batch norm would take a bias off again
        self.norm, self.last = nn.BatchNorm1d(width), last

    def forward(self, x: Tensor, around: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        y = torch.tanh(self.norm(self.linear(x)))
        around = y if around is None else around + 0.5 * y
        return y + around if self.last else (y, around)


def shortcuts() -> list[nn.Module]:
    torch.manual_seed(1)
    return [Shortcut(inputs, layer == 7) for layer in range(8)]


# %%
with check.needs("stage_layers", "run_stage"):
    for name in ("gpipe", "1f1b"):
        compared(4, name, shortcuts)

# %% [markdown]
# Running means included, to float32's rounding, which is larger in this network. (They are those of
# one process *that works in micro-batches*. Fed the batch whole, batch norm takes other means:
# pipelining a network with batch norm does change it, a little.)

# %% [markdown]
# ## 4 · It trains
# A batch leaves gradients on every rank. An optimizer for each rank's own parameters, and you have a
# training loop that is spread over four processes. No rank ever sees another's weights.


# %%
many = torch.tensor(data.train_x[:1280], dtype=torch.float64).reshape(1280, -1)
answers = torch.tensor(data.train_y[:1280])


def trained(schedule: list[list[Action]], steps: int = 40) -> list[float | None]:
    """The loss of each step, on the last rank."""
    link, module = Link(device=ranks.device()), my_stage(network).double()
    optimizer, losses = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9), []
    for step in range(steps):
        rows = torch.arange(64) + 64 * (step % 20)
        optimizer.zero_grad()
        losses.append(on_this_rank(link, schedule, module, many[rows], answers[rows]))
        optimizer.step()
    return losses


# %%
def trained_alone(steps: int = 40) -> list[float]:
    """The same in one process, with whole batches."""
    module = Stage(network()).double()
    optimizer, losses = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9), []
    for step in range(steps):
        rows = torch.arange(64) + 64 * (step % 20)
        optimizer.zero_grad()
        loss = cross_entropy(module(many[rows]), answers[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% tags=["headline"]
with check.needs("stage_layers", "run_stage"):
    mine, alone = ranks.run(trained, 4, schedule_for("1f1b", 4, 8))[-1], trained_alone()
    fig, ax = plt.subplots(figsize=(7, 3.4))
    figures.two_runs(ax, {"your four ranks": mine, "one process": alone})
    plots.show(fig, alt="The loss falls over 40 steps; both curves lie on each other.")
    gap = max(abs(a - b) for a, b in zip(mine, alone, strict=True))
    print(f"loss, mean of the first and last 5: {sum(mine[:5]) / 5:.2f}, {sum(mine[-5:]) / 5:.2f}")
    print(f"40 steps of training on four ranks: losses at most {gap:.1e} apart (target 1e-6)")

# %% [markdown]
# *The loss of 40 updates: the line is one process with whole batches, the circles are your pipeline with 8
# micro-batches on four ranks.* Both compute in float64, so that rounding, which 32 layers amplify, does not
# blur the comparison.
#
# ## 5 · The bubble, measured
# A **trace** is a list of spans, one for each thing that a rank did: `span.rank`, `span.kind` (`"F"`, `"B"`
# or another name), `span.microbatch`, `span.start` and `span.end` in seconds, on one clock for all ranks.
#
# On shared cores real layers would measure the cores. So the stages here sleep: `sizes.delay` seconds in a
# forward, twice as long in a backward. Sleeping ranks overlap truly, on any machine.


# %%
def traced(schedule: list[list[Action]], seconds: float) -> list[Span]:
    """What this rank did when: your run_stage with stages that wait."""
    link, rows = Link(), torch.zeros(len(schedule[0]) // 2, 4)
    recorder = trace.Recorder(link.rank)
    module = Delay(seconds, 2 * seconds, recorder)
    dist.barrier()
    on_this_rank(link, schedule, module, rows, rows, lambda output, target: output.mean())
    return recorder.spans


# %% [markdown]
# ### Exercise 4 · Measured bubble — 1.25 points, 20 minutes, ●●○
# The share of all ranks' time, from the first start of work to the last end of work on *any* rank, in
# which a rank does no work. Work is forward and backward (also in two parts, `"I"` and `"W"`); a span of
# another kind, such as waiting for a message, is not. Count it yourself, without `schedules.Timeline`.
#
# <details><summary>Hint 1</summary>How much time have all ranks together between the first start and the
# last end? How much of it is work?</details>


# %% nbgrader={"grade_id": "measured_bubble_code", "solution": true}
def measured_bubble(spans: Sequence[Span], stages: int) -> float:
    """The share of idle time in a trace of all ranks, between 0 and 1.

    spans: in any order, of kinds "F", "B", "I", "W" and others; stages: how many ranks there are.
    >>> measured_bubble([Span(0, "F", 0, 5.0, 6.0), Span(1, "F", 0, 6.0, 7.0)], 2)
    0.5
    """
    ### BEGIN SOLUTION
    work = [span for span in spans if span.kind in ("F", "B", "I", "W")]
    whole = max(span.end for span in work) - min(span.start for span in work)
    return 1 - sum(span.end - span.start for span in work) / (stages * whole)
    ### END SOLUTION


# %% nbgrader={"grade_id": "measured_bubble", "grade": true, "points": 1.25}
check("measured_bubble")

# %% [markdown]
# Other programs may take a core away for a moment, and that only ever lengthens a run. So of
# `sizes.repeats` runs (one at scale `smoke`) the least disturbed counts.


# %%
def least_disturbed(name: str, stages: int, microbatches: int) -> list[list[Span]]:
    schedule = schedule_for(name, stages, microbatches)
    waiting = (traced, stages, schedule, sizes.delay)  # stages that sleep need no GPU
    tries = [ranks.run(*waiting, device="cpu") for _ in range(sizes.repeats)]
    return min(tries, key=lambda spans: trace.merge(spans).end)


runs: dict[tuple[str, int, int], list[list[Span]]] = {}  # (schedule, ranks, micro-batches)
with check.needs("run_stage", "measured_bubble"):
    for stages, microbatches in ((2, 4), (2, 8), (4, 4), (4, 8)):
        law = (stages - 1) / (microbatches + stages - 1)
        for name in ("gpipe", "1f1b"):
            run = runs[name, stages, microbatches] = least_disturbed(name, stages, microbatches)
            bubble = measured_bubble([span for rank in run for span in rank], stages)
            label = f"{stages} ranks, {microbatches} micro-batches, {name:5}"
            print(f"{label}: bubble {bubble:.3f}, theory {law:.3f}, off by {bubble - law:+.3f}")

# %%
if ("1f1b", 4, 8) in runs:
    timelines, milliseconds = {}, 1000 * sizes.delay
    for name in ("gpipe", "1f1b"):
        schedule = schedule_for(name, 4, 8)
        simulated = schedules.simulate(schedule, milliseconds, 2 * milliseconds, unit="ms")
        timelines[f"{name}, theory"] = simulated
        timelines[f"{name}, yours"] = trace.merge(runs[name, 4, 8])
    plots.show(
        pictures.compare(timelines), alt="Your runs repeat theory's pictures, a little stretched."
    )
    path = Path(tempfile.mkdtemp(prefix="pipeline-"), "trace.json")
    trace.write_chrome(timelines["1f1b, yours"], path)
    print(f"{path}: open it in ui.perfetto.dev")

# %% [markdown]
# The measured bubble is a little larger than the law: messages, and waking up, take time that the law does
# not know. About 0.03 is usual. Where other programs wanted the cores, 0.13 was seen: run the cell again when
# the machine is quiet. What stays above 0.05 then, or is so for one schedule alone, is no noise: look in the
# picture for the rank that waits, and for whom.
#
# Step through your own run, and read what each rank holds:

# %%
if ("1f1b", 4, 8) in runs:
    pictures.step_through(timelines["1f1b, yours"], alt="Your 1F1B as it ran on four processes.")

# %% [markdown]
# ## 6 · The stash, measured
# Autograd tells what it keeps. Inside `torch.autograd.graph.saved_tensors_hooks(pack, unpack)` every tensor
# saved for a backward goes through `pack`, and whatever `pack` returns is kept in its stead until the graph
# is freed; `unpack` turns it back. So an object of your own knows how long it is kept.
#
# A **storage** is the piece of memory that a tensor, or several views of it, lie in. Three traps, all
# met in practice: weights are saved, too, but are no stash; two layers may save the same
# tensor, and memory holds it once (compare `tensor.untyped_storage().data_ptr()`); and what was freed
# must not be counted any more.

# %% [markdown]
# ### Exercise 5 · Measured stash — 1.5 points, 40 minutes, ●●●
# The most bytes that autograd keeps at any time, whatever becomes of the graphs: gone back through, dropped
# without a backward, or gone back through and kept (`retain_graph=True`).
#
# <details><summary>Hint 1</summary>Let <code>pack</code> return an object of a small class with the tensor
# (its <code>detach()</code>) in it. A <code>weakref.WeakSet</code> of these objects forgets those that
# nobody keeps.</details>
#
# <details><summary>Hint 2</summary>The sum can only grow when something is saved: add up after each
# <code>pack</code>. <code>untyped_storage().nbytes()</code> is a storage's size.</details>


# %% nbgrader={"grade_id": "measured_stash_code", "solution": true}
def measured_stash(run: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """The most bytes that autograd holds for backwards at any time while `run()` runs.

    Storages of `parameters` are left out (any iterable, also a generator that can be gone through
    once), and a storage that is saved more than once counts once, with all its bytes.
    """
    ### BEGIN SOLUTION
    weights = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    held, most = weakref.WeakSet(), 0

    class Held:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor.detach()

    def pack(tensor: Tensor) -> Held:
        nonlocal most
        kept = Held(tensor)
        held.add(kept)
        storages = [one.tensor.untyped_storage() for one in held]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        most = max(most, sum(size for place, size in sizes.items() if place not in weights))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return most
    ### END SOLUTION


# %% nbgrader={"grade_id": "measured_stash", "grade": true, "points": 1.5}
check("measured_stash")

# %% [markdown]
# **Predict:** the batch is the same, cut into 8 micro-batches instead of 4. What do the bytes that rank 0
# stashes become, under GPipe and under 1F1B: `"half"`, `"same"`, or `"twice"`?

# %%
check.predict("GPipe's stash on rank 0 with 8 micro-batches", "", "half", "same", "twice")
check.predict("1F1B's stash on rank 0 with 8 micro-batches", "", "half", "same", "twice")


# %%
def stashed(schedule: list[list[Action]], X: Tensor, y: Tensor, build=network) -> int:
    """The bytes that this rank stashes at most."""
    link, module = Link(device=ranks.device()), my_stage(build)
    run = partial(on_this_rank, link, schedule, module, X, y)
    return measured_stash(run, module.parameters())


stashes: dict[str, list[int]] = {}
with check.needs("stage_layers", "run_stage", "measured_stash"):
    for name, microbatches in (("gpipe", 4), ("gpipe", 8), ("1f1b", 4), ("1f1b", 8)):
        schedule = schedule_for(name, 4, microbatches)
        stashes[f"{name}, m = {microbatches}"] = ranks.run(stashed, 4, schedule, images, labels)
    for name, held in stashes.items():
        print(f"{name:12} KiB by rank: " + "  ".join(f"{size / 1024:7.1f}" for size in held))

# %%
if stashes:
    for name, called in (("gpipe", "GPipe"), ("1f1b", "1F1B")):
        ratio = stashes[f"{name}, m = 8"][0] / stashes[f"{name}, m = 4"][0]
        became = min(
            {"half": 0.5, "same": 1.0, "twice": 2.0}.items(), key=lambda o: abs(o[1] - ratio)
        )
        check.measured(f"{called}'s stash on rank 0 with 8 micro-batches", became[0])
    alt = "GPipe: all alike; 1F1B falls with the rank and halves at 8 micro-batches."
    plots.show(figures.stash_shares(stashes), alt=alt)

# %% [markdown]
# *What each rank stashes at most, as a share of what it stashes under GPipe.* The diamonds are lab 14's law:
# $(p - r)/m$ of the batch's activations. GPipe's bytes do not depend on m at all. So with 1F1B more
# micro-batches cost no memory, and shrink the bubble.
#
# Does that hold for a thousand (`sizes.many`: 200 at scale `smoke`)? Here each micro-batch is one image, the
# network has 8 layers to be quick, and 1F1B is written out by the course's own `published.one_f_one_b`.
# GPipe would stash all of them at once.


# %%
with check.needs("stage_layers", "run_stage", "measured_stash"):
    eight = lambda: [*network()[:7], network()[-1]]  # noqa: E731
    for microbatches in (10, sizes.many):
        rows = torch.arange(microbatches) % len(images)
        schedule = published.one_f_one_b(4, microbatches)
        held = ranks.run(stashed, 4, schedule, images[rows], labels[rows], eight)
        shown = "  ".join(f"{size / 1024:6.1f}" for size in held)
        print(f"1F1B, {microbatches:4} micro-batches, KiB by rank: {shown}")

# %% [markdown]
# ## 7 · Speed-up
# A stage needs $f$ for the forward of one micro-batch and $b$ for its backward. One rank needs $pm(f + b)$
# for the whole network; p ranks need $(m + p - 1)(f + b)$. The **speed-up** is one divided by the other.

# %% [markdown]
# ### Exercise 6 · Speed-up — 1 point, 15 minutes, ●●○
# First the formula, `speed_up`. Then a measurement to compare it with.

# %% [markdown]
# Kim and others measured torchgpipe on AmoebaNet-D (18, 256) in 2020. With 8 GPUs and 32 micro-batches they
# had 4.953 times the speed of 2 GPUs without micro-batches, which is nearly that of one. To save memory all
# runs throw activations away and compute them again in backward (**recomputation**, lab 14).
#
# - `share_reached`: what share of the speed-up that the formula allows is 4.953? To two digits.
# - `rest`: what takes the remainder, above all? One of the words of this table.

# %% [markdown]
# | `rest` | |
# |---|---|
# | `"bubble"` | ranks that idle while the row fills and drains |
# | `"balance"` | unequal stages, messages, and small micro-batches |
# | `"memory"` | activations that are kept until their backward |
# | `"recompute"` | forwards that 8 GPUs run twice and 2 GPUs do not |


# %% nbgrader={"grade_id": "speed_up_code", "solution": true}
def speed_up(stages: int, microbatches: int) -> float:
    """How many times faster than one rank a pipeline is, if only its schedule costs time.

    >>> speed_up(2, 1), speed_up(2, 3)
    (1.0, 1.5)
    """
    ### BEGIN SOLUTION
    return stages * microbatches / (microbatches + stages - 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "speed_up_reading", "solution": true}
share_reached = None  # between 0 and 1
rest = None  # "bubble", "balance", "memory" or "recompute"
### BEGIN SOLUTION
share_reached = 4.953 / (8 * 32 / (32 + 8 - 1))
rest = "balance"
### END SOLUTION

# %% nbgrader={"grade_id": "speed_up", "grade": true, "points": 1}
check("speed_up")

# %%
counts = [m for m in (1, 2, 4, 8, 16, 32) if m <= sizes.most]
speeds: dict[int, list[float]] = {}
with check.needs("run_stage", "measured_bubble", "speed_up"):
    for stages in (2, 4):
        found = [
            runs.get(("gpipe", stages, m)) or least_disturbed("gpipe", stages, m) for m in counts
        ]
        alone = [3 * sizes.delay * stages * m for m in counts]  # seconds of work
        took = [trace.merge(run, "s").end for run in found]
        speeds[stages] = [one / many for one, many in zip(alone, took, strict=True)]
        listed = "  ".join(f"m = {m}: {s:.2f}" for m, s in zip(counts, speeds[stages], strict=True))
        print(f"{stages} ranks: {listed}")

# %%
reported = {2: (1, 1.539, 1.773), 4: (1.004, 1.666, 2.709), 8: (0.932, 2.621, 4.953)}
if speeds:
    measured = {
        "your ranks, sleeping": (counts, speeds),
        "torchgpipe's GPUs": ([1, 4, 32], reported),
    }
    alt = "Your ranks lie just under theory's lines; torchgpipe's GPUs farther under."
    plots.show(figures.speeds(measured, speed_up), alt=alt)

# %% [markdown]
# *Speed-up over the number of micro-batches; lines are theory.* Left, stages of exactly equal length and tiny
# messages. Right, published figures of a real network (micro-batches: 1, 4, 32): its layers cannot be cut
# into equal stages, activations take time to travel, and small micro-batches keep a GPU less busy.
#
# The share reached is close to 3/4, just what recomputation costs where a backward takes two forwards: 3/4 =
# (1 + 2)/(1 + 1 + 2). It is not the cause. The run on 2 GPUs recomputes *every* micro-batch; that on 8 GPUs
# all but the last one. So recomputation slows both runs almost alike, and cancels.

# %% [markdown]
# ## 8 · Interleaved stages
# A rank may hold several stages, v **chunks** of layers. Rank 0 has the first, the (p + 1)-th and so on: a
# micro-batch goes v times round the ranks. Let $t$ be the time of a rank's layers for one micro-batch, forward
# and backward; a chunk takes $t/v$. With v = 2 on p = 2 ranks and four stages, rank 0 holds stages 0 and 2,
# rank 1 stages 1 and 3.

# %% [markdown]
# A rank works $m \cdot t$ in all, as before. How long does it idle? The last rank waits at the start for the
# forwards of p − 1 *chunks*, and at the end, when its own work is done, for their backwards: no longer for
# their whole stages. Every rank idles as long. You have all that is needed for the bubble: idle time as a
# share of the whole.

# %% [markdown]
# ### Exercise 7 · Interleaved — 0.75 points, 15 minutes, ●●○
# <details><summary>Hint 1</summary>Write down the whole time of a rank: its work, and (p − 1) times how long
# one chunk takes. Then multiply above and below by v.</details>


# %% nbgrader={"grade_id": "interleaved_code", "solution": true}
def chunks_of(rank: int, stages: int, chunks: int) -> list[int]:
    """The numbers of the stages that a rank holds, in order, where each of `stages` ranks holds
    `chunks` of them.

    >>> chunks_of(0, 2, 2)
    [0, 2]
    """
    ### BEGIN SOLUTION
    return [rank + stages * chunk for chunk in range(chunks)]
    ### END SOLUTION


def interleaved_bubble(stages: int, microbatches: int, chunks: int) -> float:
    """The share of idle time of `stages` ranks with `chunks` stages each.

    >>> interleaved_bubble(2, 1, 1)
    0.5
    """
    ### BEGIN SOLUTION
    return (stages - 1) / (chunks * microbatches + stages - 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "interleaved", "grade": true, "points": 0.75}
check("interleaved")

# %%
with check.needs("interleaved_bubble"):
    timelines = {}
    for chunks in (1, 2, 4):
        law, schedule = interleaved_bubble(4, 8, chunks), published.interleaved(4, 8, chunks)
        timeline = schedules.simulate(schedule, forward=1 / chunks, backward=2 / chunks)
        timelines[f"v = {chunks}"] = timeline
        print(f"v = {chunks}: bubble {timeline.bubble():.4f}, yours {law:.4f}")
        print(f"       chunks held by ranks 0 to 3: {timeline.peak_stash()}")
    alt = "With more chunks the blocks are shorter and more, and the idle corners smaller."
    plots.show(pictures.compare(timelines), alt=alt)

# %% [markdown]
# *1F1B on four ranks with 8 micro-batches and v chunks a rank. The letter is the chunk: 3b is micro-batch 3
# on the rank's second one.* The corners shrink, and the work stays. The price is paid in messages: every
# micro-batch changes ranks vp − 1 times instead of p − 1. It is paid in memory, too: each rank begins with
# more forwards, as the second line for each v says (a chunk is 1/v of a stage). Large language models are
# trained so (Narayanan and others 2021, who count the bubble against the work, $(p - 1)/(vm)$).

# %% [markdown]
# ## 9 · Your schedule on torch's engine
# `torch.distributed.pipelining` does what `run_stage` does, and more. `Engine` gives it each stage's
# shapes and, here, *your* schedule, action by action. The same network, the same batch:


# %%
def engine_step(schedule: str | list[list[Action]], X: Tensor, y: Tensor) -> tuple:
    layers, stages = network(), dist.get_world_size()
    modules = [Stage(stage_layers(layers, rank, stages)) for rank in range(stages)]
    engine = Engine(schedule, modules, X[: len(X) // 8], cross_entropy, microbatches=8)
    loss = engine.step(X, y)
    return loss, [p.grad.cpu() for p in engine.module.parameters()]


with check.needs("stage_layers"):
    truth, gradients, _ = one_process(images, labels, 8, network)
    for name in ("1f1b", one_f_one_b):
        parts = ranks.run(engine_step, 4, name, images, labels, device="cpu")
        mine = [gradient for _, part in parts for gradient in part]
        who = "torch's own 1F1B" if isinstance(name, str) else "the written-out one"
        worst = max(farthest(mine, gradients), abs(parts[-1][0] - truth) / truth)
        print(f"{who}: loss {parts[-1][0]:.6f} ({truth:.6f}), largest difference {worst:.0e}")

# %% [markdown]
# What a batch must be, all ranks agree on before the first message; or a rank would wait for ever for what
# another cannot send. The rank that has the fault says so:


# %%
def set_up_for_64(X: Tensor, y: Tensor | None) -> float | None:
    modules = [Stage(stage_layers(network(), rank, 2)) for rank in range(2)]
    engine = Engine("gpipe", modules, images[:8], cross_entropy, microbatches=8)
    return engine.step(X, y)


faults = {
    "short last batch": (images[:30], labels[:30]),
    "no target": (images, None),
}
with check.needs("stage_layers"):
    for fault, (X, y) in faults.items():
        try:
            ranks.run(set_up_for_64, 2, X, y, device="cpu")
        except RankError as error:
            print(f"{fault}: {str(error).splitlines()[0]}")

# %% [markdown]
# ## 10 · A backward in two parts
# *No points here: this is what large systems run today.* A backward computes two things. The rank before
# waits for the gradient of the stage's *input*, `I`. Nobody waits for those of its *weights*, `W`, but the
# update at the end of the batch. So a rank may put `W` off until it would idle (Qi and others 2024).

# %% [markdown]
# For 1F1B a rank's idle time is $(p - 1)(F + I + W)$. If `I` is passed on before `W` is computed, and `W`
# waits for a gap, $(p - 1)(F + I - W)$ remains: a third, where all three take equally long. That schedule is
# called ZB-H1. Between the two parts of a backward the micro-batch stays in the stash, so more is held.

# %%
split = {
    "1F1B": published.one_f_one_b(4, 8),
    "ZB-H1": published.zero_bubble(4, 8),
    "ZB-H2": published.zero_bubble(4, 8, version=2),
}
timelines = {name: schedules.simulate(actions) for name, actions in split.items()}
for name, timeline in timelines.items():
    print(f"{name:5}: ends at {timeline.end:g}, held by ranks 0 to 3: {timeline.peak_stash()}")
alt = "Split backwards fill most of 1F1B's idle corners; ZB-H2 is a parallelogram without a gap."
plots.show(pictures.compare(timelines), alt=alt)

# %% [markdown]
# *Four ranks, 8 micro-batches; F, I and W take 1 each.* Green fills the gaps. ZB-H1 holds no more than 1F1B
# does on its first rank, but as much on every rank.
#
# ZB-H2 holds nearly twice as much, and ends no sooner: the last rank cannot begin before the first forwards
# reach it. But look at one row alone: no rank idles between its first action and its last. If the next batch
# begins where a row ends, nothing idles at all. Then no rank may wait for the others' gradients before its
# update; the paper updates first, and takes an update back that turns out to be wrong.

# %% [markdown]
# Do real ranks keep to that? `on_torchs_engine`, which drew the picture at the top of this lab, runs these
# schedules, too:

# %%
timelines = {"1F1B": as_it_ran}  # from the top of the lab
for name, seconds, actions in (
    ("ZB-H1", sizes.delay, split["ZB-H1"]),
    ("interleaved, v = 2", sizes.delay / 2, published.interleaved(4, 8, 2)),  # two chunks a rank
):
    run = partial(ranks.run, on_torchs_engine, 4, actions, seconds, device="cpu")
    tries = [trace.merge(run()) for _ in range(sizes.repeats)]
    timelines[name] = min(tries, key=lambda timeline: timeline.end)
    law = schedules.simulate(actions).bubble()
    print(f"{name:18}: bubble {timelines[name].bubble():.3f}, theory {law:.3f}")
alt = "As measured: ZB-H1 has the smallest corners, then interleaved 1F1B, then 1F1B."
plots.show(pictures.compare(timelines), alt=alt)

# %% [markdown]
# *As they ran on four processes.* `Delay` sleeps for both parts on the first rank, too. Of a real network the
# first stage has no `I` to compute: nobody wants the gradient of the images.

# %% [markdown]
# ## 11 · Without the flush
# At the end of each batch the pipeline drains, to be filled again: the **flush**, and the bubble with it. Why
# not let the next batch in at once, and update a stage's weights whenever a gradient arrives? Then no rank
# ever idles. PipeDream did so, and so did Pétrowski and others as early as 1993.
#
# The price: between a micro-batch's forward and its backward on a rank, *other* micro-batches have updated
# the weights. Its gradient is that of old weights: it is **stale**.
#
# **Predict:** which ranks are the stalest: the `"first"`, the `"last"`, or `"all"` alike?

# %%
check.predict("the stalest ranks", "", "first", "last", "all")

# %% [markdown]
# ### Exercise 8 · Staleness — 0.75 points, 15 minutes, ●●○
# The ranks run 1F1B for ever, and each backward is followed by an update. In the steady phase, how many
# updates does rank r of p make between the forward and the backward of the same micro-batch (its own
# update not counted)?
#
# <details><summary>Hint 1</summary>Look at the schedule written out above section 1: which Bs stand between F3
# and B3 on rank 0? On rank 3?</details>


# %% nbgrader={"grade_id": "staleness_code", "solution": true}
def staleness(rank: int, stages: int) -> int:
    """How many updates the weights are older in a micro-batch's forward than in its backward.

    >>> staleness(1, 2)
    0
    """
    ### BEGIN SOLUTION
    return stages - 1 - rank
    ### END SOLUTION


# %% nbgrader={"grade_id": "staleness", "grade": true, "points": 0.75}
check("staleness")

# %%
with check.needs("staleness"):
    old = [staleness(rank, 4) for rank in range(4)]
    print(f"updates between forward and backward, by rank: {old}")
    oldest = [rank for rank in range(4) if old[rank] == max(old)]
    check.measured("the stalest ranks", {(0,): "first", (3,): "last"}.get(tuple(oldest), "all"))

# %% [markdown]
# One process can show what staleness does: it takes each stage's gradient at weights as old as the formula
# says, in forward and backward alike (a rank that keeps them for that does **weight stashing**). Eight
# stages of four layers; the same batches in the same order, with the flush and without.


# %%
def train_stale(delays: Sequence[int], rate: float, steps: int) -> list[float]:
    """The loss of each step. delays: for each stage, how many updates old its weights are."""
    module = Stage(network(width=64)).to(best_device())
    weights = {name: p.detach() for name, p in module.named_parameters()}
    stage = {name: int(name.split(".")[1]) * len(delays) // 32 for name in weights}
    history, losses = [weights], []
    X, y = many.float().to(best_device()), answers.to(best_device())
    for step in range(steps):
        old = {n: history[max(0, len(history) - 1 - delays[stage[n]])][n] for n in weights}
        used = {name: value.clone().requires_grad_() for name, value in old.items()}
        batch = torch.arange(64) + 64 * (step % 20)
        loss = cross_entropy(torch.func.functional_call(module, used, X[batch]), y[batch])
        gradients = torch.autograd.grad(loss, list(used.values()))
        pairs = zip(weights.items(), gradients, strict=True)
        weights = {name: value - rate * gradient for (name, value), gradient in pairs}
        history = [*history[-8:], weights]
        losses.append(loss.item())
    return losses


# %%
with check.needs("staleness"):
    late, fresh = [staleness(rank, 8) for rank in range(8)], [0] * 8
    fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), sharey=True)
    for ax, rate in ((axes[1], 0.01), (axes[0], 0.002)):
        both = {"flush": fresh, "no flush": late}
        losses = {name: train_stale(old, rate, sizes.steps) for name, old in both.items()}
        smooth = {name: figures.smooth(run) for name, run in losses.items()}
        plots.curves(ax, smooth, "updates", "loss (nats)" if ax is axes[0] else "")
        ax.set_title(f"learning rate {rate:g}")
        ends = ", ".join(f"{name} ends at {run[-1]:.2f}" for name, run in smooth.items())
        print(f"learning rate {rate:g}: {ends}")
    alt = "Without the flush the loss falls more slowly at the larger rate."
    plots.show(fig, alt=alt)

# %% [markdown]
# *Means of 20 losses. With and without the flush, at a small and a larger learning rate.* Update for update,
# stale weights change little at the small rate, where weights a few updates old are nearly the present
# ones. At the larger one they disturb: how much, the two numbers above say, and more updates say it more
# clearly (`sizes.steps`).
#
# Second for second the row without a flush is better than it looks here, since it never idles and makes more
# updates. Systems that train large models today mostly flush, and shrink the bubble with more
# micro-batches, interleaved stages and split backwards.

# %% [markdown]
# ## 12 · Experiments
# - Put your lab 14 functions into `schedule_for`. What would `run_stage` need for `I` and `W`?
# - Section 10 with `Delay`'s stage 2 twice as long: which schedule suffers least?
# - `sizes.delay = 0.01`: how far is the bubble off now? Where does the time go?
# - Make rank 1's `Delay` twice as long. Which ranks idle, and does m help?
# - Replace `network` by one with 1,024 units and time `split_step` for 1, 2 and 4 ranks, on your machine.
# - On a machine with several GPUs nothing changes but the line that `ranks.plan(4)` prints.

# %% [markdown]
# ## 13 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `run_stage`, `Link` | `PipelineStage` and a schedule's `step` in `torch.distributed.pipelining` |
# | `stage_layers` | `torch.distributed.pipelining.pipeline(…, split_spec)` |
# | `Recorder`, `measured_bubble` | `torch.profiler`, and its trace in Perfetto |
# | `measured_stash` | `torch.cuda.max_memory_allocated`, which counts all else, too |
# | `interleaved_bubble` | `ScheduleInterleaved1F1B`, virtual pipeline stages in Megatron-LM |
# | section 10's schedules | `ScheduleInterleavedZeroBubble`, `ScheduleZBVZeroBubble` |
# | `staleness` | the version lag of asynchronous pipelines such as PipeDream |
# | old weights in `train_stale` | PipeDream's weight stashing |

# %% [markdown]
# ## 14 · Further
# - Takizawa, Yazaki, Ishihata (2021), *Proposing an implementation method for pipeline parallelism
#   distributed deep learning*, [IPSJ report 211058](https://ipsj.ixsq.nii.ac.jp/records/211058), and its
#   evaluation (2022), [217929](https://ipsj.ixsq.nii.ac.jp/records/217929) (in Japanese): the 32 layers.
# - Kim and others (2020), *torchgpipe*, [arXiv:2004.09910](https://arxiv.org/abs/2004.09910): the table of
#   section 7.
# - Huang and others (2019), *GPipe*, [arXiv:1811.06965](https://arxiv.org/abs/1811.06965); Narayanan and others
#   (2019), *PipeDream*, [10.1145/3341301.3359646](https://doi.org/10.1145/3341301.3359646): with and without a
#   flush.
# - Narayanan and others (2021), *Efficient large-scale language model training on GPU clusters using
#   Megatron-LM*, [arXiv:2104.04473](https://arxiv.org/abs/2104.04473): interleaved stages.

# %% [markdown]
# - Qi, Wan, Huang, Lin (2024), *Zero bubble pipeline parallelism*,
#   [arXiv:2401.10241](https://arxiv.org/abs/2401.10241): a backward in two parts.
# - Pétrowski, Dreyfus, Girault (1993), *Performance analysis of a pipelined backpropagation parallel
#   algorithm*, IEEE Transactions on Neural Networks 4, [10.1109/72.286892](https://doi.org/10.1109/72.286892).
#
# **Next:** in lab 16 backward does not wait for the next rank any more. What does that cost?

# %%
progress()
