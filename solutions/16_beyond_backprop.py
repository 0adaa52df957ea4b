# %% [markdown]
# # 16 · Beyond backpropagation
# A rank of a pipeline waits twice for each micro-batch: for the activations of the rank before, and for the
# gradients of the rank behind. The second wait is backpropagation's doing. Here you build three ways to train
# without it, train one network with each, and set what they save beside what they cost.
#
# The picture is where you are going: the same work on four ranks, when each backward waits for the next
# rank's, and when none does.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from grading.check import checks, progress
from utils import plots, settings
from utils.data import digits
from utils.device import best_device
from utils.figures import beyond_backprop as figures
from utils.pipeline import pictures, schedules, unlocked

# %%
check = checks("16_beyond_backprop")
sizes = settings.choose(
    scale,
    smoke={"examples": 6000, "width": 64, "updates": 400},
    cpu={"examples": 20000, "width": 64, "updates": 3000},
    gpu={"examples": 60000, "width": 240, "updates": 10000},
)
RANKS, MICROBATCHES = 4, 4
two_batches = unlocked.warmed_up(RANKS, MICROBATCHES, 2)
waiting = schedules.simulate(two_batches)
nobody_waits = unlocked.simulate(unlocked.in_turn(RANKS, 8), lambda rank, ranks: (rank, "F"))
fig = pictures.compare({"backward waits": waiting, "backward does not wait": nobody_waits})
plots.show(
    fig, alt="Above, gaps in every row, twice; below, a gap at the start and at the end alone."
)

# %% [markdown]
# *Two batches of four micro-batches. A block is a forward (pale) or a backward (dark), hatched is idle time.*
# Above, lab 14's 1F1B. Below, each rank does a backward right after its forward. It needs something to go
# backward *from*, though, and the loss is not computed yet. Each method of this lab puts something else there.
#
# **You will** write direct feedback alignment, synthetic gradients and local losses; measure how far each
# step is from the gradient; work out who waits for whom; and choose a method for a purpose.

# %% [markdown]
# **Not in this lab:** convolutions, large data sets (what is known of them is in section 9), and real ranks:
# one process plays all four. Lab 15 has the ranks.
#
# **You need** lab 14, PyTorch's `backward` and `detach`, the chain rule of lab 02, and 170 minutes. At scale
# `smoke` all cells take about a minute on two CPU cores, with MNIST or with the small digits that come along.
#
# Guesses are not marked. Write one of the words between the quotes; it is shown again beside what is measured.

# %% [markdown]
# ## 1 · One network, and a control
# Eight fully connected layers, tanh after each but the last, in four **stages** of two layers, one for each
# rank. All methods train this network, from the same weights, with the same batches in the same order, and
# with Adam (lab 03). They differ in what they leave in `.grad`.

# %%
data, device = digits.load(), best_device()


def flat(images, count: int) -> Tensor:
    """(N, H, W) as (N, D), of mean 0 and standard deviation 1."""
    x = torch.tensor(images[:count]).flatten(1).to(device)
    return (x - data.train_x.mean()) / data.train_x.std()


train_x, test_x = flat(data.train_x, sizes.examples), flat(data.test_x, 2000)
train_y = torch.tensor(data.train_y[: sizes.examples]).to(device)
test_y = torch.tensor(data.test_y[:2000]).to(device)
print(f"train_x: {tuple(train_x.shape)}, test_x: {tuple(test_x.shape)}, on {device}")


# %%
def network(zero: bool = False) -> list[nn.Linear]:
    """Eight layers, from D inputs over seven times `width` units to ten scores; the same each time."""
    torch.manual_seed(0)
    units = [train_x.shape[1], *[sizes.width] * 7, 10]
    layers = [nn.Linear(units[i], units[i + 1], device=device) for i in range(8)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=0.0 if zero else layer.in_features**-0.5)
        nn.init.zeros_(layer.bias)
    return layers


def stages_of(layers: list[nn.Linear]) -> list[nn.Sequential]:
    """The layers as four stages of two, with their tanh."""
    parts = [nn.Sequential(layer, nn.Tanh()) for layer in layers[:-1]] + [layers[-1]]
    return [nn.Sequential(*parts[i : i + 2]) for i in range(0, 8, 2)]


# %%
Step = Callable[[Tensor, Tensor], None]
curves: dict[str, list[float]] = {}  # by method, the accuracy on the test images as it trains


def train(name: str, layers: list[nn.Linear], step: Step, rate: float = 2e-3) -> float:
    """Train with Adam; step(x, y) leaves gradients in .grad. The accuracy in the end."""
    modules, model = nn.ModuleList(layers), nn.Sequential(*stages_of(layers))
    optimizer = torch.optim.Adam(modules.parameters(), rate)
    torch.manual_seed(1)
    accuracy = lambda: (model(test_x).argmax(dim=1) == test_y).float().mean().item()  # noqa: E731
    found = [accuracy()]
    for update in range(sizes.updates):
        batch = torch.randint(len(train_x), (64,)).to(device)
        optimizer.zero_grad()
        step(train_x[batch], train_y[batch])
        optimizer.step()
        if (update + 1) % (sizes.updates // 20) == 0:
            found.append(accuracy())
    curves[name] = found
    print(f"{name}: {curves[name][-1]:.3f} of the test images right")
    return curves[name][-1]


# %% [markdown]
# An eight-layer network has thousands of random features before it learns anything. To know what a method
# adds, there is a **control**, *frozen features*: seven layers stay random, and only the last one learns.
#
# **Predict:** backpropagation will get more than nine tenths right. And frozen features: about a tenth, which
# is `"chance"`; `"between"`; or `"the same"` as backpropagation, within 0.02?

# %%
check.predict("frozen features get", "", "chance", "between", "the same")


# %%
def backprop_step(layers: list[nn.Linear]) -> Step:
    model = nn.Sequential(*stages_of(layers))
    return lambda x, y: cross_entropy(model(x), y).backward()


def frozen_step(layers: list[nn.Linear]) -> Step:
    features, last = nn.Sequential(*stages_of(layers))[:-1], layers[-1]
    features.append(stages_of(layers)[-1][0])
    return lambda x, y: cross_entropy(last(features(x).detach()), y).backward()


for name, step, rate in (("backprop", backprop_step, 2e-3), ("frozen", frozen_step, 3e-2)):
    layers = network()
    train(name, layers, step(layers), rate)
gap, frozen = curves["backprop"][-1] - curves["frozen"][-1], curves["frozen"][-1]
answer = "the same" if gap < 0.02 else "chance" if frozen < 0.2 else "between"
check.measured("frozen features get", answer)

# %% [markdown]
# Random features carry a lot of what the image had. A method that trains the hidden layers has to beat
# *this* number, not one tenth. The control has a learning rate of its own, the best of four that were tried: a
# control that is not tuned flatters what is compared with it.

# %% [markdown]
# ## 2 · The error, sent directly
# Backpropagation brings the error to layer i through the transposed weights of all later layers, one after
# the other. With $e$ the loss's gradient in the scores and $h_i = \tanh(a_i)$ the output of layer i:
#
# $$\delta_i = (\delta_{i+1} W_{i+1}) \odot (1 - h_i^2), \qquad \delta_L = e$$
#
# Lillicrap and others (2016) put *fixed random matrices* in place of the $W_{i+1}$, and the network learnt.
# Nøkland (2016) went on: one random matrix $B_i$ for each layer, and the error goes directly to it:
#
# $$\delta_i = (e\, B_i) \odot (1 - h_i^2)$$

# %% [markdown]
# That is **direct feedback alignment**. As always, layer i's gradients are then $\delta_i^\top h_{i-1}$ for
# the weights and the sum of $\delta_i$ over the examples for the bias. The last layer has its true error, $e$.
#
# | array | shape | |
# |---|---|---|
# | `inputs[i]` | (N, D_i) | what goes into layer i: the images, then outputs of tanh |
# | `error` | (N, C) | the loss's gradient in the scores; the mean over the batch is in it |
# | `feedback[i]` | (C, D_{i+1}) | the fixed matrix to the output of layer i |

# %% [markdown]
# **Predict:** with random matrices, how many test images will be right: as many as with `"frozen"` features
# (within 0.01), `"more"`, or `"fewer"`?
#
# ### Exercise 1 · Direct feedback alignment — 2.25 points, 30 minutes, ●●○
# No autograd is needed: the formula is whole.
#
# <details><summary>Hint 1</summary>Layer i's output is the next layer's input: <code>inputs[i + 1]</code>. Its
# tanh has been applied already.</details>
#
# <details><summary>Hint 2</summary>Write the shapes down for one hidden layer: (N, C) @ (C, D) is (N, D), and a
# weight of <code>nn.Linear</code> is (outputs, inputs).</details>

# %%
check.predict("with random feedback, images right", "", "frozen", "more", "fewer")


# %% nbgrader={"grade_id": "feedback_alignment_backward_code", "solution": true}
def feedback_alignment_backward(
    inputs: Sequence[Tensor], error: Tensor, feedback: Sequence[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """(dW, db) for each of the L layers, as direct feedback alignment has them.

    inputs: L tensors (N, D_i); error: (N, C); feedback: L − 1 tensors (C, D_{i+1}); see above.
    dW: (outputs, inputs) of the layer, db: (outputs,), of the sign that a gradient has.
    >>> x, h, e = torch.tensor([[2.0]]), torch.tensor([[0.5]]), torch.tensor([[1.0, -1.0]])
    >>> feedback_alignment_backward([x, h], e, [torch.tensor([[0.5], [0.1]])])[0]
    (tensor([[0.6000]]), tensor([0.3000]))
    """
    ### BEGIN SOLUTION
    pairs = []
    for i, x in enumerate(inputs):
        delta = error
        if i < len(feedback):
            delta = error @ feedback[i] * (1 - inputs[i + 1] ** 2)
        pairs.append((delta.T @ x, delta.sum(dim=0)))
    return pairs
    ### END SOLUTION


# %% nbgrader={"grade_id": "feedback_alignment_backward", "grade": true, "points": 2.25}
check("feedback_alignment_backward")


# %%
def forward(layers: list[nn.Linear], x: Tensor) -> tuple[list[Tensor], Tensor]:
    """What goes into each layer, and the scores."""
    inputs = [x]
    for layer in layers[:-1]:
        inputs.append(torch.tanh(layer(inputs[-1])))
    return inputs, layers[-1](inputs[-1])


# %%
def direct_step(layers: list[nn.Linear], seen: Callable[[], None] = lambda: None) -> Step:
    torch.manual_seed(2)
    feedback = [torch.randn(10, sizes.width, device=device) for _ in layers[:-1]]

    def step(x: Tensor, y: Tensor) -> None:
        with torch.no_grad():
            inputs, scores = forward(layers, x)
            error = (scores.softmax(dim=1) - one_hot(y, 10)) / len(y)
            pairs = feedback_alignment_backward(inputs, error, feedback)
        for layer, (dW, db) in zip(layers, pairs, strict=True):
            layer.weight.grad, layer.bias.grad = dW, db

    return step


# %%
with check.needs("feedback_alignment_backward"):
    layers = network()
    right = train("direct feedback", layers, direct_step(layers))
    gap = right - curves["frozen"][-1]
    answer = "frozen" if abs(gap) < 0.01 else "more" if gap > 0 else "fewer"
    check.measured("with random feedback, images right", answer)

# %% [markdown]
# The matrices never learn, and tell each hidden unit something that has nothing to do with its part in the
# loss. Why does it work?

# %% [markdown]
# ## 3 · Feedback that becomes right
# A step lowers the loss if it lies within 90° of the gradient (and is small enough). So look at the angle.
#
# **Predict:** the angle between your step and the gradient, for a hidden layer: does it stay at `"90"`, as for
# two random directions; fall `"below 90"`; or is it `"small"`, under 20°, from the start?

# %% [markdown]
# ### Exercise 2 · The angle — 1 point, 15 minutes, ●○○
# Several tensors, a layer's weights and its bias for example, count as *one* long vector.
#
# **And by hand:** for a small step, how much the loss falls is the gradient's length times the step's length
# times the cosine between them. A step as long as gradient descent's is turned by 60° away from it. What share
# of gradient descent's fall is left? Put it into `share_at_60`.
#
# <details><summary>Hint 1</summary>Of a tensor with itself, rounding may leave a cosine of 1.0000001, whose
# <code>acos</code> is not a number.</details>

# %%
check.predict("the angle between step and gradient", "", "90", "below 90", "small")

# %% nbgrader={"grade_id": "alignment_angle_by_hand", "solution": true}
share_at_60 = None  # between 0 and 1
### BEGIN SOLUTION
share_at_60 = 0.5
### END SOLUTION


# %% nbgrader={"grade_id": "alignment_angle_code", "solution": true}
def alignment_angle(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The angle in degrees between two lists of tensors, each as one long vector; 0 to 180.

    ours, theirs: equally many tensors, of the same shapes one by one. Where one of the two is all
    zeros, there is no angle: 90.0 then.
    >>> alignment_angle([torch.tensor([1.0, 0.0])], [torch.tensor([-1.0, 1.0])])
    135.0
    """
    ### BEGIN SOLUTION
    one, other = (torch.cat([t.flatten() for t in each]) for each in (ours, theirs))
    lengths = float(one.norm() * other.norm())
    if lengths == 0:
        return 90.0
    cosine = float(one @ other) / lengths
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    ### END SOLUTION


# %% nbgrader={"grade_id": "alignment_angle", "grade": true, "points": 1}
check("alignment_angle")


# %%
def watched(layers: list[nn.Linear], step: Step, every: int) -> tuple[Step, list[list[float]]]:
    """The step, and by layer the angles to the gradient, at every so many updates."""
    angles: list[list[float]] = [[] for _ in layers[:-1]]
    model, count = nn.Sequential(*stages_of(layers)), iter(range(10**9))

    def both(x: Tensor, y: Tensor) -> None:
        step(x, y)
        if next(count) % every:
            return
        parameters = [p for layer in layers for p in layer.parameters()]
        true = torch.autograd.grad(cross_entropy(model(x), y), parameters)
        for i, layer in enumerate(layers[:-1]):
            ours = [p.grad for p in (layer.weight, layer.bias) if p.grad is not None]
            angles[i].append(alignment_angle(ours, true[2 * i : 2 * i + 2]))

    return both, angles


# %%
with check.needs("feedback_alignment_backward", "alignment_angle"):
    layers, every = network(), sizes.updates // 30
    step, angles = watched(layers, direct_step(layers), every)
    train("direct feedback, watched", layers, step)
    fig = figures.angles(angles, every)
    plots.show(fig, alt="The angles begin near 90° and fall, most for the last hidden layers.")
    last = angles[-1][-5:]
    mean = sum(last) / 5
    print(f"last hidden layer: {angles[-1][0]:.0f}° at first, {mean:.0f}° in the end")
    answer = "below 90" if mean < 85 else "90"
    check.measured("the angle between step and gradient", "small" if angles[-1][0] < 20 else answer)

# %% [markdown]
# *The angle between direct feedback's step and the gradient, for four of the seven hidden layers.* The
# feedback did not change, so the forward weights must have: they turn until the fixed feedback is of use. Hence
# the name, feedback **alignment**.
#
# **Predict:** now begin with *all* weights and biases at zero, where backpropagation cannot learn: every
# hidden unit outputs 0 and gets the gradient 0. And direct feedback: `"stays"` at chance, or `"learns"`?

# %%
check.predict("direct feedback from zero weights", "", "stays", "learns")

# %% tags=["headline"]
with check.needs("feedback_alignment_backward"):
    layers, others = network(zero=True), network(zero=True)
    from_zero = train("direct feedback, from zero", layers, direct_step(layers))
    stuck = train("backprop, from zero", others, backprop_step(others))
    check.measured("direct feedback from zero weights", "learns" if from_zero > 0.5 else "stays")
    target = 0.90 if sizes.updates > 1000 or data.name != "MNIST" else 0.80
    print(f"from all-zero weights: {from_zero:.3f} (target ≥ {target:.2f}), backprop {stuck:.3f}")

# %% [markdown]
# Only the last bias learns with backpropagation, so it says the same of every image. Direct feedback needs no
# forward weights to bring the error back: the first step already gives every hidden layer a gradient of its own.
#
# Its backward waits for the *last* rank's forward, and then for nobody else. The next two methods do not even
# wait for that.

# %% [markdown]
# ## 4 · A guess instead of the gradient
# Jaderberg and others (2017) ask a small network for the gradient. A **guesser** sits between two stages, sees
# the activation $h$ and the label, and guesses the loss's gradient in $h$: the **synthetic gradient**. The
# stage goes backward from the guess at once.
#
# The guesser learns from what comes back later, the gradient that the *next* stage finds at its input. That one
# rests on the next stage's own guess, so a guess is trained on a guess (it is **bootstrapped**); only the last
# stage has the true loss.

# %% [markdown]
# Here the guesser is linear, sees the label as a further input, and begins at zero. In this section the loss is the *sum* over the examples: so an example's gradient
# does not depend on the size of the batch. (Adam's steps do not change with a factor.)


# %%
class Guesser(nn.Module):
    """guesser(h, y): a guess, (N, D), of the loss's gradient in h: (N, D), with labels y: (N,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width + 10, width, device=device)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        return self.linear(torch.cat([h, one_hot(y, 10)], dim=1))


# %% [markdown]
# **Predict:** what comes of it: fewer right than with `"frozen"` features, something `"between"`, or as good as
# `"backprop"`, within 0.02?
#
# ### Exercise 3 · Synthetic gradients — 2.25 points, 40 minutes, ●●●
# Two functions: a stage's forward and its backward from the guess, and the loss of the guesser. In both, most
# of the work is to say where gradients must *not* flow.

# %% [markdown]
# <details><summary>Hint 1</summary><code>h.backward(g)</code> goes backward from a tensor whose gradient
# <code>g</code> is known. Call it once; the guess is just a number to it.</details>
#
# <details><summary>Hint 2</summary>Only a leaf keeps its <code>.grad</code>. <code>x.detach()</code> is a new
# leaf with the same numbers, and asking it for a gradient changes nothing for the caller's x.</details>
#
# <details><summary>Hint 3</summary>The guesser is a regression: input h, target dh. Neither the input nor the
# target learns from its error.</details>

# %%
check.predict("synthetic gradients reach", "", "frozen", "between", "backprop")


# %% nbgrader={"grade_id": "synthetic_gradient_code", "solution": true}
def guessed_backward(
    stage: nn.Module, guesser: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """One stage forward, then backward from the guess at its output; returns (h, dx).

    x: (N, …), perhaps with a graph; y: (N,). h: stage(x), without a graph. dx: the gradient at x
    that follows from the guess. What follows for the stage's parameters is added to their .grad.
    No other .grad changes, neither the guesser's nor one behind x.
    """
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    h = stage(x)
    h.backward(guesser(h.detach(), y).detach())
    assert x.grad is not None
    return h.detach(), x.grad
    ### END SOLUTION


def guesser_loss(
    guesser: Callable[[Tensor, Tensor], Tensor], h: Tensor, y: Tensor, dh: Tensor
) -> Tensor:
    """The mean squared error of the guess for h, over all numbers; a tensor, to go backward from.

    dh: the gradient that came back for h, of its shape. Both may have graphs. Backward from the
    result reaches the guesser's parameters alone.
    """
    ### BEGIN SOLUTION
    return F.mse_loss(guesser(h.detach(), y), dh.detach())
    ### END SOLUTION


# %% nbgrader={"grade_id": "synthetic_gradient", "grade": true, "points": 2.25}
check("synthetic_gradient")


# %%
def synthetic_step(layers: list[nn.Linear]) -> Step:
    stages, guessers = stages_of(layers), [Guesser(sizes.width) for _ in range(3)]
    optimizer = torch.optim.Adam(nn.ModuleList(guessers).parameters(), 3e-3)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        h = x
        for i in range(3):
            before = h
            h, dx = guessed_backward(stages[i], guessers[i], before, y)
            if i > 0:
                guesser_loss(guessers[i - 1], before, y, dx).backward()
        last = h.clone().requires_grad_()
        cross_entropy(stages[3](last), y, reduction="sum").backward()
        assert last.grad is not None
        guesser_loss(guessers[2], h, y, last.grad).backward()
        optimizer.step()

    return step


# %%
with check.needs("guessed_backward", "guesser_loss"):
    layers = network()
    right = train("synthetic", layers, synthetic_step(layers), rate=1e-3)
    gap, over = curves["backprop"][-1] - right, right - curves["frozen"][-1]
    answer = "backprop" if gap < 0.02 else "between" if over > 0 else "frozen"
    check.measured("synthetic gradients reach", answer)

# %% [markdown]
# It learns, at a rate that suits it: 1e-3 here, with guessers at 3e-3, where the other methods take 2e-3. A guess
# has to follow a gradient that moves, and a guess trained on bad guesses runs away: section 8 lets you see it.
#
# The curve as it trains, beside the two that you know:

# %%
with check.needs("guessed_backward", "guesser_loss"):
    shown = {name: curves[name] for name in ("backprop", "synthetic", "frozen") if name in curves}
    if "synthetic" not in shown:
        raise NotImplementedError
    fig = figures.training(shown, sizes.updates)
    plots.show(fig, alt="Synthetic gradients start slowly, then come near backpropagation.")

# %% [markdown]
# *Accuracy on test images over updates.* The slow start is the guessers': they begin at zero, and nothing
# reaches the first stage until the guess behind it has become something. More updates bring it nearer
# (`sizes.updates`).

# %% [markdown]
# ## 5 · A loss for each stage
# The third way needs no gradient from behind at all: give every stage a loss of its own. Nøkland and Eidnes
# (2019) use two, for the output $h$: (N, D) of a stage:
#
# - **Prediction:** a small **head**, here one linear layer, makes class scores from $h$; their cross-entropy
#   with the labels.
# - **Similarity matching:** images of one class should have similar $h$. With $S(h)$: (N, N) the similarities
#   of all pairs of examples, and $Y$ the labels as one-hot rows, it is the mean of $(S(h) - S(Y))^2$ over all
#   N² pairs.

# %% [markdown]
# $S$ is the cosine of two rows, each *centred* first: from every row its own mean is taken off. So the pairs of
# one class have a target of 1, and all other pairs the same small negative one:

# %%
rows = one_hot(torch.tensor([3, 3, 7]), 10).float()
centred = rows - rows.mean(dim=1, keepdim=True)
print("targets for the labels 3, 3, 7")
print(F.cosine_similarity(centred[:, None], centred[None], dim=2).numpy().round(3))

# %% [markdown]
# A `share` weighs the two: share · matching + (1 − share) · prediction. The paper has 0.99; Belilovsky and
# others (2020) do without matching, and have larger heads.
#
# ### Exercise 4 · Local losses — 2 points, 35 minutes, ●●○
# Three functions; `F.cosine_similarity` would do most of the first, so it is not allowed here.
#
# <details><summary>Hint 1</summary>Once every row has mean 0 and length 1, all cosines together are one matrix
# product.</details>
#
# <details><summary>Hint 2</summary>A row whose numbers are all equal has the length 0 when it is centred. Do not
# divide by less than 1e-8, and its similarities are 0.</details>

# %%
check.predict("local losses reach", "", "frozen", "between", "backprop")


# %% nbgrader={"grade_id": "local_loss_code", "solution": true}
def similarity(h: Tensor) -> Tensor:
    """(N, N) cosines between the rows of h: (N, D), each centred first; 0 for a row all equal.

    >>> similarity(torch.tensor([[1.0, 2.0], [5.0, 9.0], [4.0, 3.0]]))[0]
    tensor([ 1.,  1., -1.])
    """
    ### BEGIN SOLUTION
    centred = h - h.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-8)
    return unit @ unit.T
    ### END SOLUTION


def local_loss(h: Tensor, scores: Tensor, y: Tensor, share: float) -> Tensor:
    """share · matching + (1 − share) · prediction, as above: a tensor to go backward from.

    h: (N, D), the stage's output; scores: (N, C), the head's; y: (N,) labels, 0 to C − 1.
    """
    ### BEGIN SOLUTION
    target = similarity(one_hot(y, scores.shape[1]).to(h.dtype))
    matching = (similarity(h) - target).pow(2).mean()
    return share * matching + (1 - share) * cross_entropy(scores, y)
    ### END SOLUTION


def local_step(stage: nn.Module, head: nn.Module, x: Tensor, y: Tensor, share: float) -> Tensor:
    """Forward and backward of one stage by its local loss; returns stage(x), without a graph.

    Gradients are added to the .grad of the stage's and the head's parameters, and to no other: x
    may have a graph, and nothing flows back into it.
    """
    ### BEGIN SOLUTION
    h = stage(x.detach())
    local_loss(h, head(h), y, share).backward()
    return h.detach()
    ### END SOLUTION


# %% nbgrader={"grade_id": "local_loss", "grade": true, "points": 2}
check("local_loss")


# %%
def local_steps(layers: list[nn.Linear], share: float) -> Step:
    stages, heads = stages_of(layers), [nn.Linear(sizes.width, 10, device=device) for _ in range(3)]
    optimizer = torch.optim.Adam(nn.ModuleList(heads).parameters(), 1e-3)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        h = x
        for stage, head in zip(stages[:3], heads, strict=True):
            h = local_step(stage, head, h, y, share)
        cross_entropy(stages[3](h), y).backward()
        optimizer.step()

    return step


# %%
local_layers = network()
with check.needs("similarity", "local_loss", "local_step"):
    right = train("local", local_layers, local_steps(local_layers, share=0.9))
    gap, over = curves["backprop"][-1] - right, right - curves["frozen"][-1]
    answer = "backprop" if gap < 0.02 else "between" if over > 0 else "frozen"
    check.measured("local losses reach", answer)

# %% [markdown]
# What matching asks for can be seen. Forty test images, sorted by their digit; each small square is the
# similarity of two of them, for each stage's output in your trained network:

# %%
with check.needs("similarity", "local_loss", "local_step"):
    if "local" not in curves:
        raise NotImplementedError
    order = test_y[:40].argsort()
    h, found = test_x[:40][order], []
    with torch.no_grad():
        for stage in stages_of(local_layers)[:3]:
            h = stage(h)
            found.append(similarity(h).cpu().numpy())
        wanted = similarity(one_hot(test_y[:40][order], 10).float()).cpu().numpy()
    fig = figures.similarities([*found, wanted], ["stage 0", "stage 1", "stage 2", "target"])
    plots.show(
        fig, alt="Light blocks on the diagonal, one for each digit, clearer with each stage."
    )

# %% [markdown]
# *Similarities of 40 test images, sorted by digit; the target on the right.* Every stage tries to reach the
# target by itself. The first has two layers to do so; the later ones go on from what it reached.
#
# A stage that is content with its own loss may throw away what a later one could have used: greedy training
# sees only its own end.

# %% [markdown]
# ## 6 · Who waits for whom
# Back to the ranks. Three words from Jaderberg and others: a layer is **backward locked** if its backward must
# wait for the backward of those behind it; **update locked** if it must at least wait for the forward of all
# others; **forward locked** if its forward waits for those before it. All methods here are forward locked.
#
# Five methods, with lab 14's F and B:

# %% [markdown]
# | `method` | order on a rank | B starts from |
# |---|---|---|
# | `"backprop"` | 1F1B, one batch after the other | the next rank's gradient |
# | `"no flush"` | 1F1B for ever (lab 15's last section) | the next rank's gradient |
# | `"direct feedback"` | 1F1B, one batch after the other | the error, which the last rank's forward gives |
# | `"synthetic"` | B after its F, for ever | the rank's own guess |
# | `"local"` | B after its F, for ever | the rank's own loss |

# %% [markdown]
# "One batch after the other": a rank begins a batch when it is done with the one before. So the
# forwards and backwards of a batch see the same weights.
#
# A rank updates its weights after its last B of a batch. Where B follows on its own F, nothing can come between
# them: no version is mixed, and there is nothing to flush.
#
# **Utilization** is the ranks' working time, as a share of all their time from the first start to the last end.
#
# **Predict:** with many batches in a row, which methods come as near to 1 as you like: `"three"` of the five,
# `"four"`, or `"all"`?

# %%
check.predict("methods that keep all ranks busy", "", "three", "four", "all")

# %% [markdown]
# ### Exercise 5 · Utilization — 1.5 points, 30 minutes, ●●○
# First say what a backward waits for; the pictures below run on it. Then find the formula. A simulator would
# count it, so the formula does without.
#
# <details><summary>Hint 1</summary>Look at the two pictures at the top. Count the idle time of one rank, in
# forwards and backwards, and how often it comes.</details>
#
# <details><summary>Hint 2</summary>Direct feedback: once the last rank has its first error, every rank can work
# without a pause. How long had the last rank to wait for its first forward?</details>


# %% nbgrader={"grade_id": "utilization_code", "solution": true}
def waits_for(method: str, rank: int, ranks: int) -> tuple[int, str]:
    """What the backward of a micro-batch on `rank` starts from: a rank, and its "F" or "B".

    It is the action, of the same micro-batch, whose result the backward needs last. Where it needs
    nothing of another rank, that is the rank's own forward.
    >>> waits_for("backprop", 1, 4), waits_for("local", 1, 4)
    ((2, 'B'), (1, 'F'))
    """
    ### BEGIN SOLUTION
    if method == "direct feedback":
        return ranks - 1, "F"
    if method in ("backprop", "no flush") and rank < ranks - 1:
        return rank + 1, "B"
    return rank, "F"
    ### END SOLUTION


def utilization(
    method: str,
    ranks: int,
    microbatches: int,
    batches: int,
    forward: float = 1.0,
    backward: float = 2.0,
) -> float:
    """The share of the ranks' time in which they work, for so many batches of `microbatches` each.

    forward, backward: the times of one F and one B of a rank. Messages take no time.
    >>> utilization("backprop", 3, 4, 10)
    0.6666666666666666
    """
    ### BEGIN SOLUTION
    work = batches * microbatches * (forward + backward)
    flushes = batches if method in ("backprop", "direct feedback") else 1
    wait = forward + backward if method in ("backprop", "no flush") else forward
    return work / (work + flushes * (ranks - 1) * wait)
    ### END SOLUTION


# %% nbgrader={"grade_id": "utilization", "grade": true, "points": 1.5}
check("utilization")


# %%
METHODS = ("backprop", "no flush", "direct feedback", "synthetic", "local")


def timeline_of(method: str, batches: int = 2, forward: float = 1.0) -> schedules.Timeline:
    """Two batches of four micro-batches on four ranks, run with the learner's `waits_for`."""
    count = MICROBATCHES * batches
    order = {
        "backprop": unlocked.warmed_up(RANKS, MICROBATCHES, batches),
        "no flush": unlocked.warmed_up(RANKS, count),
        "direct feedback": unlocked.warmed_up(RANKS, MICROBATCHES, batches),
        "synthetic": unlocked.in_turn(RANKS, count),
        "local": unlocked.in_turn(RANKS, count),
    }[method]
    source = lambda rank, ranks: waits_for(method, rank, ranks)  # noqa: E731
    return unlocked.simulate(order, source, forward, 2 * forward)


# %%
with check.needs("waits_for"):
    fig = pictures.compare({method: timeline_of(method) for method in METHODS})
    plots.show(
        fig, alt="Five timelines: backprop with two drained gaps is the longest, then the rest."
    )

# %% [markdown]
# *Two batches of four micro-batches, five methods, one time axis.* Between its batches backpropagation drains
# and fills again. Direct feedback only fills: the error reaches all ranks at once, so they end together.
#
# Your formula beside the simulation:

# %%
with check.needs("waits_for", "utilization"):
    long_run = {}
    for method in METHODS:
        simulated = 1 - timeline_of(method).bubble()
        formula = utilization(method, RANKS, MICROBATCHES, 2)
        long_run[method] = utilization(method, RANKS, MICROBATCHES, 10**6)
        print(f"{method:16} simulated {simulated:.4f}, yours {formula:.4f};", end=" ")
        print(f"in the long run {long_run[method]:.4f}")
    count = sum(share > 0.999 for share in long_run.values())
    check.measured("methods that keep all ranks busy", {3: "three", 4: "four"}.get(count, "all"))

# %% [markdown]
# Three of them never wait in the long run. "No flush" pays with old weights, the other two with another
# gradient. Direct feedback is in between: backward unlocked, but update locked.

# %% [markdown]
# ## 7 · All five on one time axis
# One method is still missing: the pipeline without a flush. Each rank updates after each batch, as the others
# do. A batch's gradient is then taken at weights that are one update old (on the last rank at present ones).
# Narayanan and others keep the old weights for that: PipeDream (2019), and with one old version, as here,
# PipeDream-2BW (2021).


# %%
def stale_step(layers: list[nn.Linear]) -> Step:
    """The gradient at the weights before the last update, of all stages but the last."""
    model = nn.Sequential(*stages_of(layers))
    old = {name: p.detach().clone() for name, p in model.named_parameters()}

    def step(x: Tensor, y: Tensor) -> None:
        now = {name: p.detach().clone() for name, p in model.named_parameters()}
        used = {n: (now if n.startswith("3.") else old)[n].clone() for n in now}
        values = [value.requires_grad_() for value in used.values()]
        loss = cross_entropy(torch.func.functional_call(model, used, (x,)), y)
        gradients = torch.autograd.grad(loss, values)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        old.update(now)

    return step


layers = network()
right = train("no flush", layers, stale_step(layers))

# %% [markdown]
# Guessers and heads are extra work on each rank. A linear layer from a to b numbers costs a · b
# multiplications an example forward, and twice that backward; a stage has two layers of width². Similarities are
# counted within a micro-batch of 16 examples (your run above took them over all 64). So each rank's work grows
# by this share:

# %%
width = sizes.width
extra = dict.fromkeys(METHODS, 0.0)
extra["synthetic"] = (width + 10) * width / (2 * width**2)
extra["local"] = (10 * width + 16 * width) / (2 * width**2)  # the head, and 16 pairs an example
for method, share in extra.items():
    print(f"{method:16} extra work {share:4.0%}")

# %% [markdown]
# Now the table, from your own runs. *Busy*: utilization in the long run. *Held*: the most micro-batches
# whose activations rank 0 keeps. *Back*: how many numbers a micro-batch of 16 examples sends backward, over
# all ranks (for synthetic gradients nobody waits for them). *Work*: of a rank, with its extra share.
# *Time an update*: in forwards of one micro-batch.

# %%
with check.needs("waits_for", "utilization"):
    stage, scores = 16 * width, 16 * 10
    back = {"direct feedback": 3 * scores, "local": 0}
    pace: dict[str, float] = {}  # time of one update, in forwards
    busy = {method: utilization(method, RANKS, MICROBATCHES, 10**6) for method in METHODS}
    held = {method: timeline_of(method).peak_stash()[0] for method in METHODS}
    print(
        f"{'':16}{'accuracy':>9}{'busy':>7}{'held':>6}{'back':>7}{'work':>7}{'time an update':>16}"
    )
    for method in METHODS:
        pace[method] = 3 * MICROBATCHES * (1 + extra[method]) / busy[method]
        right = f"{curves[method][-1]:.3f}" if method in curves else "not yet"
        numbers = back.get(method, 3 * stage)
        row = f"{right:>9}{busy[method]:7.2f}{held[method]:6}{numbers:7,}{1 + extra[method]:7.2f}"
        print(f"{method:16}{row}{pace[method]:16.1f}")
    print(f"{'frozen':16}{curves['frozen'][-1]:9.3f}")

# %%
with check.needs("waits_for", "utilization"):
    if not pace:
        raise NotImplementedError
    ended = {method: curves[method] for method in METHODS if method in curves}
    clocks = {method: pace[method] * sizes.updates for method in ended}
    batches = {method: timeline_of(method, 2, 1 + extra[method]) for method in METHODS}
    fig = figures.on_one_clock(batches, ended, clocks, curves["frozen"][-1])
    plots.show(
        fig, alt="Five timelines above; below, accuracy over time, each method to its own end."
    )

# %% [markdown]
# *Above: the first two batches, with the extra work in the blocks. Below: accuracy over the same unit of time,
# all methods with equally many updates.* A curve that ends further left did its updates sooner.
#
# Read it from the left, at one time: who is ahead? Then at the ends: who got further? On eight small layers
# and four ranks the wait is a matter of a factor; with more ranks and few micro-batches it grows.

# %% [markdown]
# ### Exercise 6 · Which would you use? — 1 point, 20 minutes, ●●○
# The first two are one of the five methods, in quotes.
#
# - `same_loss`: the loss is to fall as in one process, step for step, up to rounding.
# - `least_held`: a rank can hold the activations of one micro-batch and no more, and nothing may be sent
#   backward.
# - `fewer_numbers`: a stage passes on 4,096 numbers an example; there are 1,000 classes. How many times fewer
#   numbers does direct feedback send back to a rank than backpropagation?
# - `learns_nothing`: a new method trains all layers of some network. Which result shows that it taught the
#   *hidden* layers nothing? One of the words below.

# %% [markdown]
# | `learns_nothing` | the new method's … |
# |---|---|
# | `"as frozen"` | accuracy is that of frozen features |
# | `"as chance"` | accuracy is 0.1, on ten classes |
# | `"at 90"` | step is at 90° to the gradient, at first |
# | `"below"` | accuracy is 0.05 below backpropagation's |

# %% nbgrader={"grade_id": "which_would_you_use_reading", "solution": true}
same_loss = None  # a method
least_held = None  # a method
fewer_numbers = None  # times
learns_nothing = None  # a word of the table
### BEGIN SOLUTION
same_loss = "backprop"
least_held = "local"
fewer_numbers = 4.096
learns_nothing = "as frozen"
### END SOLUTION

# %% nbgrader={"grade_id": "which_would_you_use", "grade": true, "points": 1}
check("which_would_you_use")

# %% [markdown]
# ## 8 · Experiments
# Each line is a change to a cell above; run that cell and those after it.
#
# - `RANKS = 16` with 4 micro-batches: what is left of backpropagation's lead?
# - `share` of `local_steps`: 0, 0.5, 0.99. Which loss does the work here?
# - `rate=2e-3` for the synthetic gradients, or guessers at 3e-4: when do the guesses run away?
# - Feedback matrices ten times larger, or all of them the same: does it still align?
# - A guesser that does not see the label (put zeros in its place). What can it still know?


# %%
def tried(share: float) -> float:
    layers = network()
    return train(f"local, share {share:g}", layers, local_steps(layers, share))


with check.needs("similarity", "local_loss", "local_step"):
    tried(0.0)

# %% [markdown]
# ## 9 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `feedback_alignment_backward` | direct feedback alignment, DFA |
# | `alignment_angle` | `F.cosine_similarity`, and its arc cosine |
# | `guessed_backward`, `guesser_loss` | decoupled neural interface, DNI; with the label cDNI |
# | `local_loss`, `local_step` | the loss "predsim"; with prediction alone, decoupled greedy learning, DGL |
# | `x.detach()` between stages | stop-gradient, gradient isolation |
# | the unlocked schedule | asynchronous pipeline; `W` of lab 14's split backward waits for nobody either |

# %%
with check.needs("alignment_angle"):
    torch.manual_seed(3)
    a, b = torch.randn(1000), torch.randn(1000)
    library = math.degrees(math.acos(F.cosine_similarity(a, b, dim=0)))
    print(f"two random directions: {alignment_angle([a], [b]):.3f}°, the library's {library:.3f}°")

# %% [markdown]
# **And on large data?** Bartunov and others (2018) tried feedback alignment and its relatives on CIFAR-10 and
# ImageNet: they found them significantly worse than backpropagation, although they do well on MNIST. Of the three
# ideas local losses have come furthest: decoupled greedy learning trained VGG and ResNet-152 on ImageNet. None
# has replaced backpropagation. Pipelines fill their bubbles by other means: more micro-batches, interleaved
# stages, a split backward (labs 14 and 15).

# %% [markdown]
# ## 10 · Further
# - Lillicrap, Cownden, Tweed, Akerman (2016), *Random synaptic feedback weights support error backpropagation
#   for deep learning*, [10.1038/ncomms13276](https://doi.org/10.1038/ncomms13276).
# - Nøkland (2016), *Direct feedback alignment provides learning in deep neural networks*,
#   [arXiv:1609.01596](https://arxiv.org/abs/1609.01596): with dropout, 1.45 % errors on MNIST, and
#   learning from zero weights.
# - Jaderberg and others (2017), *Decoupled neural interfaces using synthetic gradients*,
#   [arXiv:1608.05343](https://arxiv.org/abs/1608.05343): the locks, and the guess.

# %% [markdown]
# - Nøkland, Eidnes (2019), *Training neural networks with local error signals*,
#   [arXiv:1901.06656](https://arxiv.org/abs/1901.06656): with a fully connected network on (jittered) MNIST
#   0.75 % errors by backpropagation, 0.68 by prediction, 0.80 by matching, 0.62 by both.
# - Belilovsky, Eickenberg, Oyallon (2020), *Decoupled greedy learning of CNNs*,
#   [arXiv:1901.08164](https://arxiv.org/abs/1901.08164).
# - Bartunov and others (2018), *Assessing the scalability of biologically-motivated deep learning algorithms
#   and architectures*, [arXiv:1807.04587](https://arxiv.org/abs/1807.04587).
# - Narayanan and others (2019), *PipeDream*, [10.1145/3341301.3359646](https://doi.org/10.1145/3341301.3359646);
#   (2021), *Memory-efficient pipeline-parallel DNN training*,
#   [arXiv:2006.09503](https://arxiv.org/abs/2006.09503).

# %%
names = ("backprop", "direct feedback", "synthetic", "local", "frozen")
listed = [f"{name} {curves[name][-1]:.3f}" for name in names if name in curves]
print(f"This lab, {data.name}, {sizes.updates} updates: {', '.join(listed)}")

# %% [markdown]
# **Next:** in lab 17 you write one program for several machines, and choose its layout yourself.

# %%
progress()
