# %% [markdown]
# # 21 · Driving
# A small car has seven distance sensors and three things that it can do: steer left, go straight on, steer
# right. Nobody shows it how. It drives, is paid for each metre along the road, and learns to drive tracks that
# it has never seen.
#
# The picture is where you are going: one track, three drivers.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical

from grading.check import checks, progress
from utils import driving, driving_runs, plots, settings
from utils.driving import Drives, World, drive
from utils.figures import driving as figures

check = checks("21_driving")
torch.set_num_threads(1)  # networks as small as these are slower on several cores
sizes = settings.choose(
    scale,
    smoke={"updates": 60, "seeds": 2, "steps": 1500},
    cpu={"updates": 200, "seeds": 5, "steps": 6000},
)

# %%
shown = driving.draw_track(driving_runs.TRACK)
die = driving.at_random(torch.Generator().manual_seed(0))
first = {
    "die": driving.path(die, shown),
    "rule": driving.path(driving.by_hand(driving_runs.GAP), shown),
    "trained": np.array(driving_runs.PATH),
}
alt = "A closed road. The die leaves it at once; the rule and the trained car go round."
figures.film(shown, first, alt=alt)

# %% [markdown]
# *Three drives of 30 seconds from the star on; a cross is where one ends.* The first driver rolls a die, the second
# follows a rule that was written by hand. The third was trained as you will train yours, and found out by itself that
# the inside of a curve is shorter.
#
# **You will** say what a car is paid, and what an action was worth in the end; turn that into a loss
# (REINFORCE); make its noise smaller with a baseline; train a driver, and see it on roads that are new to it;
# train another one from memory (Q-learning); and find out how many runs it takes to say which is better.

# %% [markdown]
# **Not in this lab:** cameras, other cars, steering by any angle, and the methods that grew out of these two
# (actor-critic, PPO): see Further.
#
# **You need** lab 04 (training in PyTorch), and 170 minutes. At scale `smoke` all cells take about half a minute
# on two CPU cores. There is no data: tracks are drawn by code, each by its seed.
#
# **Guesses.** Some cells ask for a guess before you know. Write one of the words between the quotes and run the
# cell; later the lab measures, and shows your guess beside the answer. Guesses have no marks.

# %% [markdown]
# ## 1 · A road, a car, a reward
# A track is a closed road of 5 metres' width. Half of the seeds are to learn on; the others are kept for
# measuring, as a test set is. (Lab 04: what was trained on tells nothing about what is new.)

# %%
LEARN, NEW = driving.draw_tracks(8), driving.draw_tracks(8, first=100)
fig = figures.tracks([LEARN[0], LEARN[1], NEW[0], NEW[1]])
plots.show(fig, alt="Four closed roads, each with curves of its own.")

# %% [markdown]
# A **world** is a number of cars on some tracks, all driven at once; each car learns for all, since one network
# drives them all. `world.observe()` gives what each car sees: `seen: (N, 8) float32`, seven distances to the edge of the
# road, from 90° left to 90° right, and the car's speed. A distance of 1 is 15 metres or more, a speed of 1 is
# 9 metres a second.

# %%
world = World(LEARN, cars=4, seed=3)
for _ in range(9):
    world.step([1, 1, 1, 1])
print(np.array2string(world.observe()[0], precision=2))
plots.show(figures.senses(world), alt="Seven rays go from the car to the edges of the road.")

# %% [markdown]
# `world.step(actions)` takes 0 (left), 1 (straight on) or 2 (right) for each car and drives for 0.2 seconds.
# Straight on, a car gains speed, up to 9 metres a second; while it steers, it loses speed, down to 3, and turns by
# 17°. So a good driver steers as much as it must, and not more.
#
# `step` returns two arrays: the **rewards**, and the **ends**, whether the car has left the road. A car that has, is put
# back somewhere on its road, standing for a new one: its **drive** (in books, an *episode*) is over.

# %% [markdown]
# ### Exercise 1 · What a step is paid — 0.75 points, 10 minutes, ●○○
# The reward of a step is how many metres *along the road* it brought the car; less than 0 for the wrong way.
# A car's place is one number: metres from the starting line along the centre line. After a lap it begins at
# 0 again.
#
# <details><summary>Hint 1</summary>A car is at 1 m, and was at 89 m of a lap of 90 m. How far did it come? And from 1 m
# to 89 m?</details>
#
# <details><summary>Hint 2</summary>No step is as long as half a lap. Which of d, d + lap and d − lap is nearest to 0?
# <code>%</code> can find it.</details>


# %% nbgrader={"grade_id": "step_reward_code", "solution": true}
def step_reward(before: Tensor, after: Tensor, lap: float) -> Tensor:
    """Metres that each car came along its closed road; negative for the wrong way.

    before, after: (N,) metres from the starting line, 0 ≤ x < lap, before and after a step that is
    shorter than half a lap; lap: metres of the whole road. Returns (N,).
    >>> step_reward(torch.tensor([10.0, 89.0, 1.0]), torch.tensor([11.5, 1.0, 89.0]), 90.0)
    tensor([ 1.5000,  2.0000, -2.0000])
    """
    ### BEGIN SOLUTION
    return (after - before + lap / 2) % lap - lap / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "step_reward", "grade": true, "points": 0.75}
check("step_reward")

# %% [markdown]
# Two **controls** come before any learning. The *die* chooses by chance. The *rule* looks 45° to the left and to the
# right, and steers to the side that is freer, if the two differ by more than a gap. The gap below is the best of
# those tried on the tracks to learn on: a control that is not tuned flatters what is compared with it.
#
# **Guess:** how far does the die come, measured by the rule? (Under 10 % is `"hardly"`, above 90 % `"as far"`.)

# %%
check.predict("beside the rule, a die comes", "", "hardly", "half as far", "as far")

# %%
print("gap  metres of the rule on tracks to learn on")
for gap in (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0):
    print(f"{gap:3g}  {driving.metres(driving.by_hand(gap), LEARN).mean():6.1f}")
rule, die = driving.by_hand(driving_runs.GAP), driving.at_random(torch.Generator().manual_seed(1))
controls = {"rule": driving.metres(rule, NEW), "die": driving.metres(die, NEW)}
for name, far in controls.items():
    print(f"{name} on new tracks: {far.mean():.1f} metres, in 30 seconds or until off the road")
share = float(controls["die"].mean() / controls["rule"].mean())
answer = "hardly" if share < 0.1 else "as far" if share > 0.9 else "half as far"
check.measured("beside the rule, a die comes", answer)

# %% [markdown]
# ## 2 · What an action was worth
# A car that meets the edge did its mistake a second earlier, when it was still paid. So an action is judged
# by what came *after* it: its **return**,
#
# $$G_t = r_t + \gamma\, r_{t+1} + \gamma^2 r_{t+2} + \dots = r_t + \gamma\, G_{t+1}$$
#
# to the end of the drive. The **discount** γ, between 0 and 1, says how far ahead it looks: rewards some
# 1/(1 − γ) steps away still count.

# %% [markdown]
# `drive(choose, world, T)` drives all cars for T steps and keeps a **log**: `log.seen (T, N, 8)`,
# `log.actions (T, N)`, `log.rewards (T, N)` and `log.ends (T, N)`. A column is one car. Where `ends` is True, a
# drive ended *with* this step; the next row belongs to the next drive, of which this one knows nothing. After the
# last row nothing is known: count it as 0.

# %% [markdown]
# ### Exercise 2 · Returns — 1.5 points, 20 minutes, ●●○
# Compute G for every step and every car.
#
# <details><summary>Hint 1</summary>G_t needs G_{t+1}: from which end do you begin?</details>
#
# <details><summary>Hint 2</summary>Take one column: rewards 1, 2, 4, of which the second step ends a drive, γ a half.
# Its returns are 2, 2, 4. What has to happen to the 4 on its way up?</details>


# %% nbgrader={"grade_id": "discounted_returns_code", "solution": true}
def discounted_returns(rewards: Tensor, ends: Tensor, gamma: float) -> Tensor:
    """The discounted return of every step, within its own drive.

    rewards: (T, N) floats, T steps of N cars; ends: (T, N) bool, True where a drive ended with this
    step; gamma: 0 ≤ γ ≤ 1. Returns (T, N); the arguments are left as they were.
    >>> ends = torch.tensor([[False], [True], [False]])
    >>> discounted_returns(torch.tensor([[1.0], [2.0], [4.0]]), ends, gamma=0.5)
    tensor([[2.],
            [2.],
            [4.]])
    """
    ### BEGIN SOLUTION
    returns, after = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        after = rewards[t] + gamma * after * ~ends[t]
        returns[t] = after
    return returns
    ### END SOLUTION


# %% nbgrader={"grade_id": "discounted_returns", "grade": true, "points": 1.5}
check("discounted_returns")

# %%
with check.needs("discounted_returns"):
    log = drive(die, World(LEARN, cars=1, seed=2), 60)
    G = discounted_returns(log.rewards, log.ends, 0.9)[:, 0]
    last = int(log.ends[:, 0].nonzero()[0])
    print("the last steps before the die leaves the road, with what each was worth")
    for t in range(max(0, last - 6), last + 1):
        print(f"step {t:2}: paid {log.rewards[t, 0]:5.2f}, return {G[t]:5.2f}")

# %% [markdown]
# Each step is paid about the same, up to the last one. The return falls towards the edge: what was done there
# was worth less.

# %% [markdown]
# ## 3 · Learning by trial
# A network, the **policy** π, maps what a car sees to three scores. Their softmax is the probability of each action,
# and the car draws one. To get more return: make actions likelier that were worth much. Williams (1992) showed
# that this is gradient ascent of the mean return, though nobody differentiates the road:
#
# $$\nabla\, \mathbb{E}[G] = \mathbb{E}[\,G\ \nabla \log \pi(a \mid s)\,]$$
#
# He called it **REINFORCE**. In PyTorch it is a loss whose gradient is minus that.

# %% [markdown]
# ### Exercise 3 · The loss of a policy — 1.5 points, 20 minutes, ●●○
# Minus the mean over B steps of log π(a | s), for the action that was taken, times how good it was. "How good" is
# the return, or something made from it (section 4): here it is called the **advantage**. It is a
# number that was measured: no gradient goes into it.
#
# <details><summary>Hint 1</summary>A softmax of scores such as 10,000 and 0 has a probability of 0, whose logarithm is not
# finite. What takes both at once?</details>
#
# <details><summary>Hint 2</summary><code>gather</code>, or indexing with <code>torch.arange(B)</code>, takes one number of each
# row.</details>


# %% nbgrader={"grade_id": "policy_gradient_loss_code", "solution": true}
def policy_gradient_loss(scores: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
    """−mean(log π(a | s) · advantage), a number whose gradient is REINFORCE's.

    scores: (B, A) of the policy, before the softmax, finite, of any size; actions: (B,) whole
    numbers, those that were taken; advantages: (B,) numbers, through which no gradient flows.
    >>> policy_gradient_loss(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([1.0, 3.0]))
    tensor(1.3863)
    """
    ### BEGIN SOLUTION
    taken = scores.log_softmax(dim=1).gather(1, actions[:, None])[:, 0]
    return -(taken * advantages.detach()).mean()
    ### END SOLUTION


# %% nbgrader={"grade_id": "policy_gradient_loss", "grade": true, "points": 1.5}
check("policy_gradient_loss")

# %% [markdown]
# ## 4 · Less noise
# The smallest world there is: no road, one step, two actions (a **bandit**). Action 0 is paid 10, action 1 is paid 12,
# and the policy takes each with probability ½; θ is the score of action 1. Then ∂ log π(a) / ∂θ is +½ for action 1 and −½
# for action 0. An estimate of the gradient from one try is that, times the reward: −5 or +6. Their mean, ½, is right, and
# neither is anywhere near it.
#
# Now take a number b off every reward, a **baseline**.
#
# **Guess:** what does a baseline change, the `"mean"` of the estimates, their `"spread"`, or `"both"`?

# %%
check.predict("a baseline changes", "", "mean", "spread", "both")

# %%
torch.manual_seed(0)
tried = torch.randint(2, (4000, 8))  # 4,000 batches of 8 tries
reward, slope = 10.0 + 2.0 * tried, tried - 0.5
batches = {f"baseline {b}": ((reward - b) * slope).mean(dim=1) for b in (0, 8, 14)}
for name, one in batches.items():
    print(f"{name:11}: mean {one.mean():5.2f}, standard deviation {one.std():.2f}")
alt = "The same mean; the histogram is narrower, the nearer the baseline is to the mean reward."
plots.show(figures.estimates(batches, 0.5), alt=alt)
moved = abs(float(batches["baseline 8"].mean() - batches["baseline 0"].mean()))
check.measured("a baseline changes", "spread" if moved < 0.15 else "both")

# %% [markdown]
# *Each histogram is 4,000 estimates; the dashed line is the true gradient.* Whatever is taken off, the probabilities add
# up to 1, so b · ∇(Σ π) = 0: the mean stays. That holds as long as b does not depend on the action *itself*. A mean over
# all cars has the car's own return in it, and that depends on its action. So a car is compared with the *other* cars, at
# the same step (Kool and others 2019).

# %% [markdown]
# ### Exercise 4 · A baseline — 1.25 points, 20 minutes, ●●○
# **Advantages**: from each return, take the mean return of the *other* cars at that step.
#
# **And by hand**, for the bandit above, one try at a time (not batches): the variance of the estimates without a
# baseline, into `variance_without`; and the baseline with which the variance is smallest, into `best_baseline`.
#
# <details><summary>Hint 1</summary>The sum over the others is the sum over all, less one's own.</details>
#
# <details><summary>Hint 2</summary>By hand: there are two estimates, each half of the time. Variance is the mean
# squared distance from their mean.</details>


# %% nbgrader={"grade_id": "advantages_code", "solution": true}
def advantages(returns: Tensor) -> Tensor:
    """Each return less the mean return of the other cars at the same step.

    returns: (T, N) floats, T steps of N cars. Returns (T, N). A car that drives alone (N = 1) has
    nobody to be compared with: its baseline is 0.
    >>> advantages(torch.tensor([[1.0, 2.0, 6.0]]))
    tensor([[-3.0000, -1.5000,  4.5000]])
    """
    ### BEGIN SOLUTION
    others = max(returns.shape[1] - 1, 1)
    return returns - (returns.sum(dim=1, keepdim=True) - returns) / others
    ### END SOLUTION


# %% nbgrader={"grade_id": "advantages_variance", "solution": true}
variance_without = None  # a number
### BEGIN SOLUTION
variance_without = 30.25  # −5 and +6 are 5.5 away from their mean, 0.5
### END SOLUTION

# %% nbgrader={"grade_id": "advantages_best", "solution": true}
best_baseline = None  # a number
### BEGIN SOLUTION
best_baseline = 11.0  # then both estimates are 0.5
### END SOLUTION

# %% nbgrader={"grade_id": "advantages", "grade": true, "points": 1.25}
check("advantages")

# %% [markdown]
# ## 5 · A driver
# Now all of it together. One **update**: the cars drive T steps, each action drawn from the policy; returns;
# advantages; the loss of all T · N steps; one step of the optimizer. The next update drives with the new policy, since
# the formula holds for actions of the policy as it is.


# %%
def new_policy(seed: int) -> nn.Sequential:
    """From what a car sees to three scores; the same weights for the same seed."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(driving.SENSES, 32), nn.Tanh(), nn.Linear(32, 3))


def most_likely(scores: Callable[[Tensor], Tensor]) -> driving.Choose:
    """The driver that takes the action of the highest score, and draws nothing."""
    return lambda seen: scores(seen).argmax(dim=1)


# %% [markdown]
# ### Exercise 5 · Train a policy — 1.5 points, 30 minutes, ●●●
# Improve a policy in place, by your three functions.
#
# The check makes two updates in a world of its own and looks at weights. Then you train where the sensors come in
# another order and the actions have other numbers. Your policy, driven by the check on new tracks, has to come at
# least 0.85 times as far as the rule.
#
# <details><summary>Hint 1</summary><code>drive</code> wants a function from what the cars see to actions.
# <code>Categorical(logits=…)</code>, or <code>torch.multinomial</code>, draws.</details>
#
# <details><summary>Hint 2</summary><code>drive</code> keeps no graph: ask the policy again for the scores of
# <code>log.seen</code>. Its (T, N, 3) has to become (T · N, 3), as the loss wants it.</details>


# %% nbgrader={"grade_id": "train_policy_code", "solution": true}
def train_policy(
    policy: nn.Module,
    optimizer: torch.optim.Optimizer,
    world: Drives,
    updates: int,
    steps: int,
    gamma: float,
) -> list[float]:
    """Improve a policy by REINFORCE with a baseline; for each update, the metres a car came.

    policy: from (…, D) float32 to (…, 3) scores, changed in place by its optimizer; each update
    drives all N cars for `steps` steps, whose actions are drawn from the policy, and takes one step
    with the gradient of `policy_gradient_loss` alone, over all steps of all cars. Returns `updates`
    numbers: the sum of a drive's rewards, as a mean over cars.
    """
    ### BEGIN SOLUTION
    came = []
    for _ in range(updates):
        log = drive(lambda seen: Categorical(logits=policy(seen)).sample(), world, steps)
        returns = discounted_returns(log.rewards, log.ends, gamma)
        scores, actions = policy(log.seen).flatten(0, 1), log.actions.flatten()
        loss = policy_gradient_loss(scores, actions, advantages(returns).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        came.append(log.rewards.sum(dim=0).mean().item())
    return came
    ### END SOLUTION


# %% nbgrader={"grade_id": "train_policy", "grade": true, "points": 1.5}
check("train_policy")

# %%
curves: dict[str, list[float]] = {}  # by run, metres a car in each update
came: dict[str, Tensor] = {}  # by run, metres of each car on new tracks
policies: list[nn.Sequential] = []

with check.needs("train_policy", "discounted_returns", "policy_gradient_loss", "advantages"):
    for seed in range(sizes.seeds):
        policy, name = new_policy(seed), f"seed {seed}"
        optimizer = torch.optim.Adam(policy.parameters(), driving_runs.RATE)
        world = World(LEARN, driving_runs.CARS, seed)
        plan = (sizes.updates, driving_runs.STEPS, driving_runs.GAMMA)
        curves[name] = train_policy(policy, optimizer, world, *plan)
        came[name] = driving.metres(most_likely(policy), NEW)
        policies.append(policy)
        print(f"{name}: {came[name].mean():.1f} metres on new tracks")

# %%
with check.needs("train_policy"):
    if not curves:
        raise NotImplementedError
    seconds = driving_runs.STEPS * driving.STEP
    fig = figures.learning(
        curves, {}, f"updates, {driving_runs.CARS} cars driving {seconds:g} s each"
    )
    plots.show(
        fig, alt="Metres a car rise steeply over the first updates, then slowly, on every seed."
    )

# %% [markdown]
# *Metres a car while it learns, on the tracks to learn on.* Only the seed differs between the curves: of the first weights,
# of where the cars start, and of the actions that are drawn.
#
# And this is how it drives a track that it has not seen:

# %%
with check.needs("train_policy"):
    if not policies:
        raise NotImplementedError
    best = most_likely(policies[0])
    drives = {"rule": driving.path(rule, NEW[2]), "yours": driving.path(best, NEW[2])}
    alt = "Two drives round a new track: the rule's and yours."
    figures.film(NEW[2], drives, alt=alt)

# %% tags=["headline"]
with check.needs("train_policy"):
    if not came:
        raise NotImplementedError
    mine = np.mean([float(one.mean()) for one in came.values()])
    other = float(controls["rule"].mean())
    print(f"your driver: {mine:.1f} metres on new tracks, mean of {len(came)} seeds")
    print(f"rule by hand: {other:.1f}, so {mine / other:.2f} times as far (target 0.95)")

# %% [markdown]
# ## 6 · Learning from memory
# REINFORCE uses each step once and throws it away. **Q-learning** (Watkins 1989) can use old steps again, whoever
# drove them. Its network says, for each action, what its return would be if the car drove as well as it can from
# then on: Q(s, a). That must hold between one step and the next:
#
# $$Q(s, a) \approx r + \gamma \max_{a'} Q(s', a')$$
#
# A drive's end has no s': there it is r alone. The car drives by the largest Q. Mnih and others (2015) made
# this work with deep networks by two things: a memory, and a target that stands still.

# %% [markdown]
# Steps of one drive are much alike, and a network that is trained on nothing but the last ones forgets the rest. So the
# last `capacity` **transitions** (s, a, r, end, s') go into a **replay buffer**, and batches are drawn from all of
# them. (Lin 1992 had it first.)

# %% [markdown]
# ### Exercise 6 · A replay buffer — 1.25 points, 25 minutes, ●●○
# Transitions come N at a time, one of each car. When the buffer is full, the oldest go.
#
# <details><summary>Hint 1</summary>A list from which the front is cut works. A ring is quicker: arrays of `capacity` rows,
# and the place where the next one goes.</details>
#
# <details><summary>Hint 2</summary>With a ring, the rows for N new ones are <code>(place + torch.arange(N)) % capacity</code>,
# also where they run over the end.</details>


# %% nbgrader={"grade_id": "ReplayBuffer_code", "solution": true}
class ReplayBuffer:
    """The last `capacity` transitions, of which batches are drawn at random.

    capacity: how many it holds; seed: of its own generator, which draws the batches.
    With capacity 3, after rewards of 1, 2, 3 and 4 in turn: those with 2, 3 and 4, length 3.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        ### BEGIN SOLUTION
        self.capacity, self.added = capacity, 0
        self.columns: list[Tensor] = []
        self.generator = torch.Generator().manual_seed(seed)
        ### END SOLUTION

    def __len__(self) -> int:
        """How many transitions it holds."""
        ### BEGIN SOLUTION
        return min(self.added, self.capacity)
        ### END SOLUTION

    def add(
        self, seen: Tensor, actions: Tensor, rewards: Tensor, ends: Tensor, after: Tensor
    ) -> None:
        """Keep N transitions, N ≤ capacity, the first row's as the oldest of them.

        seen, after: (N, D) float32, before and after the step; actions: (N,) int64; rewards: (N,)
        float32; ends: (N,) bool. The caller may change these tensors later.
        """
        ### BEGIN SOLUTION
        new = (seen, actions, rewards, ends, after)
        if not self.columns:
            self.columns = [one.new_zeros(self.capacity, *one.shape[1:]) for one in new]
        rows = (self.added + torch.arange(len(rewards))) % self.capacity
        for column, values in zip(self.columns, new, strict=True):
            column[rows] = values
        self.added += len(rewards)
        ### END SOLUTION

    def sample(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(seen, actions, rewards, ends, after) of `count` transitions, a row each.

        Each row is any of those held, all equally likely, and may come twice.
        """
        ### BEGIN SOLUTION
        rows = torch.randint(len(self), (count,), generator=self.generator)
        seen, actions, rewards, ends, after = (column[rows] for column in self.columns)
        return seen, actions, rewards, ends, after
        ### END SOLUTION


# %% nbgrader={"grade_id": "ReplayBuffer", "grade": true, "points": 1.25}
check("ReplayBuffer")

# %% [markdown]
# The target r + γ max Q(s', a') is made of the network that is being trained: it moves with every step, towards
# itself. Mnih and others keep a copy, the **target network**, that is brought up to date every now and then, and through
# which no gradient flows.
#
# And a car that always takes the largest Q never finds out what the others are worth. **ε-greedy**: with probability
# ε any of the actions, all equally likely (the best one, too), else the best.

# %% [markdown]
# ### Exercise 7 · Targets, and curiosity — 1.25 points, 25 minutes, ●●○
# `td_targets` for a batch, and `epsilon_greedy` for all cars at once.
#
# <details><summary>Hint 1</summary>The target network gives (B, 3). Over which axis is the maximum, and what shape
# must be left? (B,) + (B, 1) is (B, B), without a word of complaint.</details>
#
# <details><summary>Hint 2</summary>Each car throws its own coin: <code>torch.rand(N, generator=generator)</code>, and
# <code>torch.where</code>.</details>


# %% nbgrader={"grade_id": "q_learning_targets", "solution": true}
def td_targets(
    rewards: Tensor, ends: Tensor, after: Tensor, target: Callable[[Tensor], Tensor], gamma: float
) -> Tensor:
    """r + γ · max over actions of target(s'), and r alone where the drive ended.

    rewards: (B,) floats; ends: (B,) bool; after: (B, D), s'; target: a network from (B, D) to
    (B, A), which gets no gradient. Returns (B,), without a graph.
    >>> after = torch.tensor([[1.0, 3.0], [1.0, 3.0]])
    >>> td_targets(torch.ones(2), torch.tensor([False, True]), after, nn.Identity(), gamma=0.5)
    tensor([2.5000, 1.0000])
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        best = target(after).amax(dim=1)
    return rewards + gamma * best * ~ends
    ### END SOLUTION


# %% nbgrader={"grade_id": "q_learning_epsilon", "solution": true}
def epsilon_greedy(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """For each car, with probability ε any action, all equally likely; else the one of most value.

    values: (N, A) floats, Q of each action; epsilon: 0 ≤ ε ≤ 1; generator: draws all that is drawn.
    Returns (N,) int64.
    >>> epsilon_greedy(torch.tensor([[0.0, 2.0, 1.0]]), 0.0, torch.Generator())
    tensor([1])
    """
    ### BEGIN SOLUTION
    cars, actions = values.shape
    any_of_them = torch.randint(actions, (cars,), generator=generator)
    curious = torch.rand(cars, generator=generator) < epsilon
    return torch.where(curious, any_of_them, values.argmax(dim=1))
    ### END SOLUTION


# %% nbgrader={"grade_id": "q_learning", "grade": true, "points": 1.25}
check("q_learning")


# %%
def learn_q(
    q: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer, *batch: Tensor
) -> None:
    """One step of Q-learning on a batch of transitions."""
    seen, actions, rewards, ends, after = batch
    goal = td_targets(rewards, ends, after, target, 0.95)
    loss = F.smooth_l1_loss(q(seen).gather(1, actions[:, None])[:, 0], goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %%
def train_q(steps: int, seed: int) -> nn.Sequential:
    """A network of Q, trained by driving 32 cars for so many steps."""
    q, world = new_policy(seed), World(LEARN, 32, seed)
    target, optimizer = copy.deepcopy(q), torch.optim.Adam(q.parameters(), 5e-3)
    buffer, generator = ReplayBuffer(20000, seed), torch.Generator().manual_seed(seed)
    seen = torch.tensor(world.observe())
    for step in range(steps):
        epsilon = max(0.05, 1 - 2 * step / steps)  # from a die to hardly ever, half-way through
        with torch.no_grad():
            actions = epsilon_greedy(q(seen), epsilon, generator)
        rewards, ends = map(torch.tensor, world.step(actions.numpy()))
        before, seen = seen, torch.tensor(world.observe())
        buffer.add(before, actions, rewards, ends, seen)
        learn_q(q, target, optimizer, *buffer.sample(128))
        if step % 50 == 0:
            target.load_state_dict(q.state_dict())
    return q


# %%
with check.needs("ReplayBuffer", "q_learning"):
    q = train_q(sizes.steps, seed=0)
    by_q = driving.metres(most_likely(q), NEW)
    hours = 32 * sizes.steps * driving.STEP / 3600
    print(f"Q-learning: {by_q.mean():.1f} metres on new tracks, after {hours:.1f} hours of driving")
    hours = sizes.updates * driving_runs.STEPS * driving_runs.CARS * driving.STEP / 3600
    print(f"(One run of REINFORCE drove for {hours:.1f} hours, all cars together.)")
    drives = {"rule": driving.path(rule, NEW[2]), "Q": driving.path(most_likely(q), NEW[2])}
    figures.film(
        NEW[2], drives, alt="Two drives round a new track: the rule's and the Q network's."
    )

# %% [markdown]
# ## 7 · How many seeds?
# Every number above is of one run, or of a few. The file `utils/driving_runs.py` holds many: REINFORCE as you built it,
# with the baseline and without, everything else the same, and a seed of its own for each run. They are short
# (16 cars, 20 updates of 50 steps), as one makes them when something is to be tried. `python benchmarks/driving_seeds.py` made them.

# %%
with_it, without = np.array(driving_runs.WITH), np.array(driving_runs.WITHOUT)
for name, one in (("with baseline", with_it), ("without", without)):
    low, high = one.min(), one.max()
    print(
        f"{name}: {len(one)} runs, mean {one.mean():.1f}, deviation {one.std(ddof=1):.1f}, {low:.0f} to {high:.0f}"
    )
fig = figures.runs({"with": with_it, "without": without}, {"rule": driving_runs.RULE})
plots.show(
    fig,
    alt="Runs with the baseline lie close together; those without reach from far below them to above.",
)

# %% [markdown]
# *A mark is a run, a bar the mean of a row.* Nobody makes as many runs to compare two things. Henderson and
# others (2018) read what had been published, and found five seeds or fewer; then they ran one method ten times, put five runs
# on either side, and the two sides looked like two methods.
#
# **Guess:** take three runs of each at random, and compare the means. How often does the worse method come out ahead:
# `"never"` (less than 1 in 100), `"now and then"` (less than 1 in 5), or `"often"`?

# %%
check.predict("with three runs each, the worse is ahead", "", "never", "now and then", "often")

# %%
rng, ahead = np.random.default_rng(0), {}
for n in (1, 2, 3, 5, 10, 20):
    one, other = (rng.choice(runs, (20000, n)).mean(axis=1) for runs in (with_it, without))
    ahead[n] = float((other > one).mean())
    print(f"{n:2} runs of each: the worse is ahead in {100 * ahead[n]:4.1f} % of 20,000 draws")
plots.show(figures.order(ahead), alt="With more runs the worse one is ahead less often.")
words = "never" if ahead[3] < 0.01 else "now and then" if ahead[3] < 0.2 else "often"
check.measured("with three runs each, the worse is ahead", words)

# %% [markdown]
# A mean of n runs moves from one set of runs to the next by its **standard error**, s/√n, s being the standard
# deviation of the runs (with n − 1, since the mean is of the same runs). For a difference of two means the
# squares add up:
#
# $$\mathrm{SE} = \sqrt{s_A^2 / n_A + s_B^2 / n_B}$$
#
# A rule of thumb: a difference below two of its standard errors may well be chance.

# %% [markdown]
# ### Exercise 8 · How many runs? — 1 point, 20 minutes, ●●○
# `difference_and_error` of two sets of runs, which need not be equally many.
#
# **By hand:** runs of A and of B have a standard deviation of 30 metres, and A's mean is 20 metres above B's. For how
# many runs *of each* is the difference two standard errors? Into `runs_needed`.
#
# **And decide:** a few runs gave a new method 20 metres more than the old one, with a standard error of 25.
# What may you say: `"new is better"`, `"old is better"`, `"they are equal"` or `"cannot tell"`? Into `may_say`.
#
# <details><summary>Hint 1</summary>With n runs of each, SE = √(2 · 30²/n).</details>


# %% nbgrader={"grade_id": "how_many_seeds_code", "solution": true}
def difference_and_error(a: Tensor, b: Tensor) -> tuple[float, float]:
    """mean(a) − mean(b), and the standard error of that difference.

    a: (n,), b: (m,) floats, what n and m runs came to; at least two each.
    >>> difference_and_error(torch.tensor([7.0, 9.0]), torch.tensor([1.0, 3.0, 5.0]))
    (5.0, 1.5275...)
    """
    ### BEGIN SOLUTION
    error = (a.var() / len(a) + b.var() / len(b)).sqrt()
    return float(a.mean() - b.mean()), float(error)
    ### END SOLUTION


# %% nbgrader={"grade_id": "how_many_seeds_runs", "solution": true}
runs_needed = None  # a whole number
### BEGIN SOLUTION
runs_needed = 18  # √(2 · 900 / 18) = 10, and 20 is twice that
### END SOLUTION

# %% nbgrader={"grade_id": "how_many_seeds_say", "solution": true}
may_say = None  # a word
### BEGIN SOLUTION
may_say = "cannot tell"
### END SOLUTION

# %% nbgrader={"grade_id": "how_many_seeds", "grade": true, "points": 1}
check("how_many_seeds")

# %%
with check.needs("how_many_seeds"):
    for n in (3, 10, len(with_it)):
        some = torch.tensor(with_it[:n]), torch.tensor(without[:n])
        gap, error = difference_and_error(*some)
        print(
            f"the first {n:2} runs of each: {gap:6.1f} ± {error:.1f} metres, {gap / error:.1f} errors"
        )

# %% [markdown]
# ## 8 · Experiments
# - **No baseline.** Give `policy_gradient_loss` the returns themselves. How do the curves of section 5 change?
# - **Short sight.** γ = 0 and γ = 0.5: where does such a driver leave the road?
# - **Double DQN** (van Hasselt and others 2016). The maximum of noisy values is too high on average. Let the network choose
#   the action, and the target network say its value.
# - **No target network.** Pass `q` itself as `target`. Five seeds each: what does exercise 8 say?
# - **A blind car.** Cover sensors (`seen * mask`). Which two are enough?
# - **Narrower.** With `driving.HALF_WIDTH = 2`, does a driver trained on wide tracks still drive?

# %% [markdown]
# ## 9 · What you built is called

# %%
with check.needs("policy_gradient_loss", "discounted_returns"):
    torch.manual_seed(0)
    scores, actions, worth = torch.randn(6, 3), torch.randint(3, (6,)), torch.randn(6)
    yours = policy_gradient_loss(scores, actions, worth)
    theirs = (F.cross_entropy(scores, actions, reduction="none") * worth).mean()
    sampled = -(Categorical(logits=scores).log_prob(actions) * worth).mean()
    print(f"yours {yours:.6f}, cross_entropy {theirs:.6f}, Categorical.log_prob {sampled:.6f}")
    powers = 0.9 ** torch.arange(6.0)
    G = discounted_returns(worth[:, None], torch.zeros(6, 1, dtype=torch.bool), 0.9)
    print(f"return of the first step: yours {G[0, 0]:.6f}, by powers of γ {powers @ worth:.6f}")

# %% [markdown]
# | yours | elsewhere |
# |---|---|
# | `World.observe`, `World.step` | `reset` and `step` of Gymnasium, whose `terminated` is your `ends` |
# | `policy_gradient_loss` | `cross_entropy`, each example weighted by its advantage |
# | `advantages` | the leave-one-out baseline of RLOO |
# | `train_policy` | REINFORCE; with a learnt baseline, advantage actor-critic (A2C) |
# | `ReplayBuffer` | `ReplayBuffer` of Stable-Baselines3 and of TorchRL |
# | `td_targets`, `epsilon_greedy` | DQN |
# | `difference_and_error` | the two parts of Welch's t-test, `scipy.stats.ttest_ind(equal_var=False)` |

# %% [markdown]
# ## 10 · Further
# - Pomerleau (1989), *ALVINN: an autonomous land vehicle in a neural network*, NIPS 1: a network of three layers steers a
#   test vehicle by camera and range finder, shown how on simulated roads.
# - Watkins (1989), *Learning from delayed rewards*, thesis, University of Cambridge: Q-learning.
# - Lin (1992), *Self-improving reactive agents based on reinforcement learning, planning and teaching*,
#   [doi:10.1007/BF00992699](https://doi.org/10.1007/BF00992699): experience replay.
# - Williams (1992), *Simple statistical gradient-following algorithms for connectionist reinforcement learning*,
#   [doi:10.1007/BF00992696](https://doi.org/10.1007/BF00992696): REINFORCE, with baselines.
# - Mnih and others (2015), *Human-level control through deep reinforcement learning*,
#   [doi:10.1038/nature14236](https://doi.org/10.1038/nature14236): one network design learns 49 Atari games from pixels.
# - van Hasselt, Guez, Silver (2016), *Deep reinforcement learning with double Q-learning*,
#   [arXiv:1509.06461](https://arxiv.org/abs/1509.06461).

# %% [markdown]
# - Henderson and others (2018), *Deep reinforcement learning that matters*,
#   [arXiv:1709.06560](https://arxiv.org/abs/1709.06560): seeds, codebases and sizes of networks change results as much as
#   methods do.
# - Colas, Sigaud, Oudeyer (2018), *How many random seeds?*, [arXiv:1806.08295](https://arxiv.org/abs/1806.08295).
# - Kool, van Hoof, Welling (2019), *Buy 4 REINFORCE samples, get a baseline for free!*, ICLR workshop.
# - Sutton, Barto (2018), *Reinforcement learning: an introduction*, second edition, MIT Press: chapters 6 and 13.

# %%
progress()
