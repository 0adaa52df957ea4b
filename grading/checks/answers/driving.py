"""The answers of lab 21, by the lab's own names, and the mistakes that are known."""

import sys

import torch
from torch import nn
from torch.distributions import Categorical

from grading.checks.mistakes import Known, Mistake, Table, variants
from utils.driving import ACTIONS, SENSES, drive

variance_without = 30.25
best_baseline = 11.0
runs_needed = 18
may_say = "cannot tell"


def step_reward(before, after, lap):
    return (after - before + lap / 2) % lap - lap / 2


def discounted_returns(rewards, ends, gamma):
    returns, after = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        after = rewards[t] + gamma * after * ~ends[t]
        returns[t] = after
    return returns


def policy_gradient_loss(scores, actions, advantages):
    taken = scores.log_softmax(dim=1).gather(1, actions[:, None])[:, 0]
    return -(taken * advantages.detach()).mean()


def advantages(returns):
    others = max(returns.shape[1] - 1, 1)
    return returns - (returns.sum(dim=1, keepdim=True) - returns) / others


def train_policy(policy, optimizer, world, updates, steps, gamma):
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


class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.capacity, self.added, self.columns = capacity, 0, []
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self):
        return min(self.added, self.capacity)

    def add(self, seen, actions, rewards, ends, after):
        new = (seen, actions, rewards, ends, after)
        if not self.columns:
            self.columns = [one.new_zeros(self.capacity, *one.shape[1:]) for one in new]
        rows = (self.added + torch.arange(len(rewards))) % self.capacity
        for column, values in zip(self.columns, new, strict=True):
            column[rows] = values
        self.added += len(rewards)

    def sample(self, count):
        rows = torch.randint(len(self), (count,), generator=self.generator)
        return tuple(column[rows] for column in self.columns)


def td_targets(rewards, ends, after, target, gamma):
    with torch.no_grad():
        best = target(after).amax(dim=1)
    return rewards + gamma * best * ~ends


def epsilon_greedy(values, epsilon, generator):
    cars, actions = values.shape
    any_of_them = torch.randint(actions, (cars,), generator=generator)
    curious = torch.rand(cars, generator=generator) < epsilon
    return torch.where(curious, any_of_them, values.argmax(dim=1))


def difference_and_error(a, b):
    error = (a.var() / len(a) + b.var() / len(b)).sqrt()
    return float(a.mean() - b.mean()), float(error)


# What the updates of `train_policy` come to, along actions that a car has taken.


def along(policy, actions, seen, rewards, ends, rate, gamma, variant=""):
    """The weights after each update of `policy`, flat, and the log-probabilities of all actions
    before it: what plain gradient descent does along actions (U, T, N).

    seen: (U, T, N, D), rewards, ends: (U, T, N), of U updates. variant: what is done wrong, if
    anything, as WRONG_UPDATES names it.
    """
    optimizer = torch.optim.SGD(policy.parameters(), rate)
    weights, chances = [], []
    for u in range(len(actions)):
        scores = policy(seen[u]).flatten(0, 1)
        chances.append(scores.log_softmax(dim=1).detach())
        end = torch.zeros_like(ends[u]) if variant == "across ends" else ends[u]
        good = discounted_returns(rewards[u], end, 1.0 if variant == "no discount" else gamma)
        if variant == "rewards":
            good = rewards[u]
        elif variant != "no baseline":
            good = advantages(good)
        if variant == "transposed":
            good = good.T
        if variant == "normalised":
            good = (good - good.mean()) / (good.std() + 1e-8)
        loss = policy_gradient_loss(scores, actions[u].flatten(), good.flatten())
        loss = loss * {"sum": len(scores), "sum of steps": len(good), "uphill": -1}.get(variant, 1)
        if variant != "kept gradients":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        weights.append(nn.utils.parameters_to_vector(policy.parameters()).detach().clone())
    return weights, chances


KEPT = "The second update's gradient has the first one's in it: optimizer.zero_grad()."
WRONG_UPDATES = {
    "kept gradients": KEPT,
    "no baseline": "These are the weights where the returns are used as they are: `advantages` is missing.",
    "rewards": "Each action is judged by its own reward alone: it takes the returns.",
    "across ends": "Returns go on over the end of a drive: give `log.ends` to `discounted_returns`.",
    "no discount": "These are the weights for γ = 1: the function's own `gamma` is not used.",
    "transposed": "The advantages come in another order than scores and actions: all three are (T, N), flattened.",
    "sum": "The loss is a sum over all steps: `policy_gradient_loss` of all of them at once is their mean.",
    "sum of steps": "The losses of the steps are added up: it is one mean, over all steps of all cars.",
    "uphill": "It goes downhill with the return: the loss has its minus already.",
    "normalised": "The advantages are divided by their spread: here they are taken as they are.",
}
NO_STEP = "The weights are as they were before: is there a `backward`, then a step of the optimizer, and no zero_grad between?"
OTHER_OPTIMIZER = "The optimizer that was given made no step: use it, and no other one."
ONE_UPDATE = (
    "One update: drive; returns; advantages; the loss, of all steps of all cars in one order; and one"
    " step of the optimizer, with nothing done to the gradient."
)
NOT_DRAWN = (
    "They look as if they were not drawn from the policy's probabilities: the softmax of its scores,"
    " without temperature and without a maximum."
)


def policy_of(weights):
    """Two layers, as the lab's policy has them. weights: flat."""
    hidden = (len(weights) - len(ACTIONS)) // (SENSES + 1 + len(ACTIONS))
    policy = nn.Sequential(nn.Linear(SENSES, hidden), nn.Tanh(), nn.Linear(hidden, len(ACTIONS)))
    nn.utils.vector_to_parameters(weights.clone(), policy.parameters())
    return policy


# What PyTorch's words, and Python's, mean here.
IN_REWARD = (
    (
        "ambiguous",
        "An `if` decides for one car, and here are many: use % or torch.where for all at once.",
    ),
)
IN_RETURNS = (
    (
        "operator, on a bool tensor is not supported",
        "1 minus a tensor of truth values is not defined: ~ends, or ends.float().",
    ),
    (
        "with a bool tensor is not supported",
        "1 minus a tensor of truth values is not defined: ~ends, or ends.float().",
    ),
    (
        "ambiguous",
        "An `if` decides for one car, and here are many: multiply by ~ends, or use torch.where.",
    ),
    ("index out of range", "After the last row nothing is known: begin there with 0."),
    ("out of bounds", "After the last row nothing is known: begin there with 0."),
)
IN_LOSS = (
    (
        "Index tensor must have the same number of dimensions",
        "gather wants an index with as many axes as the scores: actions[:, None].",
    ),
    (
        "does not require grad",
        "There is no graph from the loss to the scores: is something detached, or under no_grad?",
    ),
    (
        "int64",
        "The whole numbers of `actions` choose a score in each row; they do not take part in sums.",
    ),
    (
        "has no attribute 'backward'",
        "A plain number has no graph: return the tensor.",
    ),
    (
        "no attribute 'detach'",
        "A plain number has no graph: return the tensor.",
    ),
)
IN_TRAINING = (
    (
        "does not require grad",
        "`drive` keeps no graph: ask the policy again for the scores of log.seen.",
    ),
    (
        "Dimension out of range",
        "The loss wants (T · N, 3), (T · N,) and (T · N,): flatten the two first axes.",
    ),
    (
        "Index tensor must have the same number of dimensions",
        "The loss wants (T · N, 3), (T · N,) and (T · N,): flatten the two first axes.",
    ),
    (
        "Size does not match at dimension",
        "The loss wants (T · N, 3), (T · N,) and (T · N,): flatten the two first axes.",
    ),
    (
        "must match the size",
        "The loss wants (T · N, 3), (T · N,) and (T · N,): flatten the two first axes.",
    ),
    (
        "not callable",
        "`drive` takes a function from what the cars see to actions, then the world, then the steps.",
    ),
)
IN_BUFFER = (
    ("has no len()", "`__len__` says how many transitions are held."),
    (
        "must match the existing size",
        "Where N new ones run over the ring's end, they go on at its start: % capacity.",
    ),
    (
        "expanded size of the tensor",
        "Where N new ones run over the ring's end, they go on at its start: % capacity.",
    ),
    (
        "shape mismatch",
        "Where N new ones run over the ring's end, they go on at its start: % capacity.",
    ),
    (
        "Sample larger than population",
        "More rows are asked for than there are transitions: a row may come twice.",
    ),
    (
        "cannot sample n_sample > prob_dist.size(-1)",
        "More rows are asked for than there are transitions: a row may come twice.",
    ),
    (
        "larger sample than population",
        "More rows are asked for than there are transitions: a row may come twice.",
    ),
)
IN_TARGETS = (
    (
        "with a bool tensor is not supported",
        "1 minus a tensor of truth values is not defined: ~ends, or ends.float().",
    ),
    (
        "can't multiply",
        "max over an axis gives two things, values and their places: take the first, or use amax.",
    ),
    (
        "unsupported operand type(s) for *: 'float' and 'torch.return_types.max'",
        "max over an axis gives two things, values and their places: take the first, or use amax.",
    ),
)
IN_EPSILON = (
    (
        "ambiguous",
        "An `if` decides for one car, and here are many: a coin for each, and torch.where.",
    ),
    (
        "Generator",
        "The generator is PyTorch's: torch.rand(…, generator=generator).",
    ),
)
IN_ERROR = (
    (
        "must match the size",
        "The two sets need not be equally many: each has a variance of its own.",
    ),
)
NEAREST = "With d = after − before, it is the one of d, d + lap and d − lap that is nearest to 0."
BOTH_AT_ONCE = "exp(10,000) is not finite, and log(0) is not: log_softmax takes both at once."
STEP_BY_STEP = (
    "For each step: the log-softmax of its scores, at the action that was taken, times its advantage."
    " Then minus the mean over the steps."
)
NOBODY = "A car that drives alone has nobody to be compared with: its baseline is 0."
LENGTH = "It holds as many as went in, `capacity` at most."
TARGET = (
    "For each row: r + γ times the largest of target(after), and r alone where the drive ended."
)
PARTS = (
    "It is a's mean less b's.",
    "Each set has its variance (`var`, with n − 1), divided by its number of runs; the two are added"
    " up, and the root is taken.",
)
ROWS = (
    "A row of the sample is no transition that went in: take all five from one place, with one set"
    " of row numbers."
)
OLDEST = "It holds others than the last ones that went in."
LOST = (
    "Some of the last transitions never come: any that is held can be drawn, and only the oldest go"
    " when it is full."
)
GONE = "Old transitions come that should have gone."
EMPTY = "Rows of zeros come: draw from the rows that are filled, not from the whole ring."
LATER = "It keeps the caller's own tensors, which were changed later: keep copies."
STRANGE = {0.0: EMPTY, 7.0: LATER}  # what a reward says that nobody drew
SHARED = "One buffer has another one's transitions: make everything in `__init__`."
AGAIN = (
    "Nothing is drawn, or the generator is made anew for each sample: make it once, in `__init__`."
)
UNEVEN = "Some transitions come more often than others: each row is any of those held."
NO_ROW = "One number over the cars: each car throws a coin of its own."
GENERATOR = "With an equal generator other actions come: all that is drawn comes from `generator`."
OVER = "This many are not asked for: any of the actions, the best one too, with probability ε."
GRAPH = (
    "A gradient reaches the target network: compute it under torch.no_grad(), or detach the result."
)
REPLIES = {
    "may_say": {
        "new is better": "The difference is less than one of its standard errors: chance alone does that.",
        "old is better": "Nothing speaks for that: the new one has the higher mean of the two.",
        "they are equal": "A difference may be there, of 50 metres even: too few runs show none.",
    },
}

_reward, _reward_otherwise = variants(
    "step_reward",
    """
def step_reward(before, after, lap):
    return {result}
""",
    result="(after - before + lap / 2) % lap - lap / 2",
)
_REWARD = [
    _reward(
        "no starting line",
        0.25,
        "Over the starting line the difference is nearly a lap too small, or too large: it begins at 0 again there.",
        result="after - before",
    ),
    _reward(
        "forwards only",
        0.5,
        "Whoever drives back is paid nearly a lap: the remainder of the lap is never negative.",
        result="(after - before) % lap",
    ),
    _reward(
        "the shorter way, unsigned",
        0.5,
        "The wrong way is paid like the right one: its reward is negative.",
        result="torch.minimum((after - before).abs(), lap - (after - before).abs())",
    ),
    _reward(
        "before less after",
        0,
        "The signs are the other way round: forwards is positive.",
        result="-((after - before + lap / 2) % lap - lap / 2)",
    ),
    _reward(
        "half a lap left",
        0,
        "Every reward is half a lap too large: what was added before % has to be taken off after it.",
        result="(after - before + lap / 2) % lap",
    ),
    _reward(
        "a lap added to what is negative",
        0.5,
        "Whoever drives back is paid nearly a lap: the remainder of the lap is never negative.",
        result="torch.where(after < before, after - before + lap, after - before)",
    ),
    _reward(
        "never negative",
        0.5,
        "The wrong way is paid 0: its reward is negative.",
        result="((after - before + lap / 2) % lap - lap / 2).clamp(min=0)",
    ),
    _reward(
        "shares of a lap",
        0,
        "These are shares of a lap: the reward is in metres.",
        result="((after - before) / lap + 0.5) % 1 - 0.5",
    ),
    _reward_otherwise(
        "added up",
        0,
        "should be a torch tensor",
        result="float(((after - before + lap / 2) % lap - lap / 2).sum())",
    ),
]

_returns, _returns_otherwise = variants(
    "discounted_returns",
    """
def discounted_returns(rewards, ends, gamma):
    {first}
    returns, after = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in {order}:
        after = {step}
        returns[t] = after
    {last}
    return returns
""",
    first="",
    order="reversed(range(len(rewards)))",
    step="rewards[t] + gamma * after * ~ends[t]",
    last="",
)
_NEXT = "The next drive's rewards are counted, too: a drive's return stops at its end."
_RETURNS = [
    _returns("across ends", 0.75, _NEXT, step="rewards[t] + gamma * after"),
    _returns(
        "forwards in time",
        0,
        "It adds up what came before each step: the return is of what comes after it.",
        order="range(len(rewards))",
    ),
    _returns(
        "end's own reward lost",
        0.75,
        "The reward of the step that ends a drive is lost: it still belongs to that drive.",
        step="(rewards[t] + gamma * after) * ~ends[t]",
    ),
    _returns(
        "end one step late",
        0.75,
        "The cut is one step late: where ends[t] is True, nothing of row t + 1 goes into row t.",
        first="ends = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]])",
    ),
    _returns(
        "end one step early",
        0.75,
        "The cut is one step early: the last step of a drive still counts for the one before it.",
        first="ends = torch.cat([ends[1:], torch.zeros_like(ends[:1])])",
    ),
    _returns(
        "own reward discounted",
        0,
        "The step's own reward is discounted, too: G_t = r_t + γ G_{t+1}.",
        step="gamma * (rewards[t] + after * ~ends[t])",
    ),
    _returns(
        "own reward left out",
        0,
        "The step's own reward is missing: G_t = r_t + γ G_{t+1}.",
        last="returns = returns - rewards",
    ),
    _returns(
        "no discount",
        0,
        "Nothing is discounted: these are plain sums.",
        step="rewards[t] + after * ~ends[t]",
    ),
    _returns(
        "discount squared",
        0.25,
        "The discount is squared at each step: G_t = r_t + γ G_{t+1}.",
        step="rewards[t] + gamma**2 * after * ~ends[t]",
    ),
    _returns(
        "reward alone",
        0,
        "These are the rewards themselves: what comes later is missing.",
        last="returns = rewards.clone()",
    ),
    _returns(
        "mask the wrong way round",
        0,
        "The mask is the wrong way round: it goes on where a drive ends, and stops where it does not.",
        step="rewards[t] + gamma * after * ends[t]",
    ),
    _returns(
        "the first step's for all",
        0,
        "Every step has the return of its car's first row: each has its own, of what comes after it.",
        last="returns = returns[:1].expand_as(returns).clone()",
    ),
    _returns(
        "upside down",
        0,
        "The rows are upside down: the last step's return is in the first row.",
        last="returns = returns.flip(0)",
    ),
    _returns(
        "discounted from the start",
        0,
        "It is discounted from the first row on, twice: γ counts from the step itself.",
        last="returns = returns * gamma ** torch.arange(len(returns)).to(returns)[:, None]",
    ),
    _returns(
        "one end for all cars",
        0.75,
        "The end of one car's drive cuts the others' drives, too: each car has its own.",
        step="rewards[t] + gamma * after * ~ends[t].any()",
    ),
    _returns(
        "normalised",
        0,
        "The returns are shifted, and divided by their spread: asked for are the returns themselves.",
        last="returns = (returns - returns.mean()) / (returns.std() + 1e-8)",
    ),
    _returns_otherwise(
        "into the rewards",
        0,
        "changed its argument `rewards`",
        last="rewards.copy_(returns)",
    ),
    _returns_otherwise(
        "mean over cars", 0, "should have shape", last="returns = returns.mean(dim=1)"
    ),
    _returns_otherwise(
        "1 minus truth values",
        0,
        "~ends, or ends.float()",
        step="rewards[t] + gamma * after * (1 - ends[t])",
    ),
]

_loss, _loss_otherwise = variants(
    "policy_gradient_loss",
    """
def policy_gradient_loss(scores, actions, advantages):
    {first}
    taken = {taken}
    return {result}
""",
    first="advantages = advantages.detach()",
    taken="scores.log_softmax(dim=1).gather(1, actions[:, None])[:, 0]",
    result="-(taken * advantages).mean()",
)
_LOSS = [
    _loss(
        "uphill",
        0,
        "The sign is the other way round: an optimizer makes a loss smaller, and good actions should"
        " become likelier.",
        result="(taken * advantages).mean()",
    ),
    _loss(
        "sum",
        0,
        "That is the sum over the steps: the mean is asked for.",
        result="-(taken * advantages).sum()",
    ),
    _loss(
        "probability",
        0,
        "That is the probability of the action, not its logarithm.",
        taken="scores.softmax(dim=1).gather(1, actions[:, None])[:, 0]",
    ),
    _loss(
        "score",
        0,
        "That is the score of the action: its logarithm of the softmax is asked for.",
        taken="scores.gather(1, actions[:, None])[:, 0]",
    ),
    _loss(
        "all actions",
        0,
        "All actions of a step are counted: only the one that was taken is.",
        taken="scores.log_softmax(dim=1).sum(dim=1)",
    ),
    _loss(
        "likeliest action",
        0,
        "That is the likeliest action of each step: the one that was taken is asked for.",
        taken="scores.log_softmax(dim=1).amax(dim=1)",
    ),
    _loss(
        "softmax over the steps",
        0,
        "The softmax is over the steps: each row of scores has a softmax of its own.",
        taken="scores.log_softmax(dim=0).gather(1, actions[:, None])[:, 0]",
    ),
    _loss(
        "softmax twice",
        0,
        "The softmax is taken twice: log_softmax takes the scores themselves.",
        taken="scores.softmax(dim=1).log_softmax(dim=1).gather(1, actions[:, None])[:, 0]",
    ),
    _loss(
        "means multiplied",
        0,
        "Two means are multiplied: multiply step by step, then take the mean.",
        result="-taken.mean() * advantages.mean()",
    ),
    _loss(
        "advantages left out",
        0,
        "The advantages are left out: this makes every action that was taken likelier, good or bad.",
        result="-taken.mean()",
    ),
    _loss(
        "advantages normalised",
        0,
        "The advantages are shifted, or divided by their spread: here they are taken as they are.",
        first="advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)",
    ),
    _loss(
        "mean over all B · A",
        0,
        "It is divided by the number of scores: the mean is over the B steps.",
        result="-(taken * advantages).sum() / scores.numel()",
    ),
    _loss_otherwise(
        "gradient into the advantages",
        1.3,
        "A gradient flows into the advantages",
        first="",
    ),
    _loss_otherwise(
        "logarithm of the softmax",
        1.2,
        "log_softmax takes both at once",
        taken="scores.softmax(dim=1).gather(1, actions[:, None])[:, 0].log()",
    ),
    _loss(
        "logarithm with a small number",
        1.2,
        BOTH_AT_ONCE,
        taken="(scores.softmax(dim=1).gather(1, actions[:, None])[:, 0] + 1e-8).log()",
    ),
    _loss_otherwise(
        "scores detached",
        0.5,
        "no graph from the loss to the scores",
        taken="scores.detach().log_softmax(dim=1).gather(1, actions[:, None])[:, 0]",
    ),
    _loss_otherwise(
        "a plain number",
        0,
        "should be a torch tensor",
        result="-(taken * advantages).mean().item()",
    ),
    _loss_otherwise("one for each step", 0, "should have shape ()", result="-(taken * advantages)"),
]

_adv, _adv_otherwise = variants(
    "advantages",
    """
def advantages(returns):
    {first}
    return {result}
""",
    first="cars = returns.shape[1]\n    others = (returns.sum(dim=1, keepdim=True) - returns) / max(cars - 1, 1)",
    result="returns - others",
)
_ADVANTAGES = [
    _adv(
        "own return in the mean",
        0.6,
        "The mean has the car's own return in it: it is of the *other* cars.",
        result="returns - returns.mean(dim=1, keepdim=True)",
    ),
    _adv(
        "mean over the steps",
        0.6,
        "The mean is over the steps of a car: it is over the cars at one step.",
        result="returns - returns.mean(dim=0, keepdim=True)",
    ),
    _adv(
        "mean over everything",
        0.6,
        "The mean is over all steps and cars: each step has a baseline of its own.",
        result="returns - returns.mean()",
    ),
    _adv(
        "others divided by all",
        0.6,
        "The sum over the others is divided by the number of all cars: they are one fewer.",
        result="returns - (returns.sum(dim=1, keepdim=True) - returns) / cars",
    ),
    _adv(
        "all divided by others",
        0.6,
        "The car's own return is still in the sum, which is divided by the number of the others.",
        result="returns - returns.sum(dim=1, keepdim=True) / max(cars - 1, 1)",
    ),
    _adv(
        "the other way round",
        0.6,
        "The signs are the other way round: better than the others is positive.",
        result="others - returns",
    ),
    _adv(
        "the baseline itself",
        0.6,
        "That is the baseline itself: take it off the returns.",
        result="others",
    ),
    _adv(
        "normalised",
        0.6,
        "The result is divided by a spread: only the mean is taken off.",
        result="(returns - others) / ((returns - others).std(unbiased=False) + 1e-8)",
    ),
    _adv(
        "normalised at each step",
        0.6,
        "The result is divided by a spread: only the mean is taken off.",
        result="(returns - returns.mean(1, True)) / (returns.std(1, keepdim=True, correction=0) + 1e-8)",
    ),
    _adv(
        "returns as they are",
        0.6,
        "These are the returns themselves: nothing is taken off.",
        result="returns.clone()",
    ),
    _adv_otherwise(
        "a car alone is NaN",
        1.1,
        "not a number",
        first="others = (returns.sum(dim=1, keepdim=True) - returns) / (returns.shape[1] - 1)",
    ),
    _adv_otherwise(
        "in place",
        0.6,
        "changed its argument `returns`",
        result="returns.sub_(others)",
    ),
    Known("advantages", "range for variance", 0.95, "That is the squared distance of the two estimates: variance is from their mean, half as far.", "variance_without = 121.0"),
    Known("advantages", "deviation", 0.95, "That is the standard deviation: the variance is its square.", "variance_without = 5.5"),
    Known("advantages", "mean of squares", 0.95, "That is the mean of the squares: the mean, ½, is not taken off before.", "variance_without = 30.5"),
    Known("advantages", "of the rewards", 0.95, "That is the variance of the rewards: the estimates are −5 and +6.", "variance_without = 1.0"),
    Known("advantages", "sample variance", 0.95, "That is as if two tries had been drawn: each of the two values has probability ½.", "variance_without = 60.5"),
    Known("advantages", "batch of 8", 0.95, "That is for batches of 8: asked for is one try at a time.", "variance_without = 30.25 / 8"),
    Known("advantages", "smaller reward", 0.95, "With 10 one estimate is 0 and the other 1: they are still apart.", "best_baseline = 10.0"),
    Known("advantages", "larger reward", 0.95, "With 12 one estimate is 1 and the other 0: they are still apart.", "best_baseline = 12.0"),
    Known("advantages", "mean of the estimates", 0.95, "That is the mean of the estimates: the baseline is taken off the rewards.", "best_baseline = 0.5"),
]  # fmt: skip

_train, _train_otherwise = variants(
    "train_policy",
    """
def train_policy(policy, optimizer, world, updates, steps, gamma):
    came = []
    {first}
    for _ in range(updates):
        log = drive({choose}, world, {steps})
        returns = discounted_returns(log.rewards, {ends}, {gamma})
        scores, actions = {scores}, log.actions.flatten()
        loss = policy_gradient_loss(scores, actions, {good}){more}
        {zero}
        loss.backward()
        {step}
        came.append({came})
    return came
""",
    first="",
    choose="lambda seen: Categorical(logits=policy(seen)).sample()",
    steps="steps",
    ends="log.ends",
    gamma="gamma",
    scores="policy(log.seen).flatten(0, 1)",
    good="advantages(returns).flatten()",
    more="",
    zero="optimizer.zero_grad()",
    step="optimizer.step()",
    came="log.rewards.sum(dim=0).mean().item()",
)
_TRAIN = [
    _train_otherwise("kept gradients", 0, KEPT, zero=""),
    _train_otherwise("no baseline", 0, WRONG_UPDATES["no baseline"], good="returns.flatten()"),
    _train_otherwise("rewards", 0, WRONG_UPDATES["rewards"], good="log.rewards.flatten()"),
    _train_otherwise(
        "across ends", 0, WRONG_UPDATES["across ends"], ends="torch.zeros_like(log.ends)"
    ),
    _train_otherwise(
        "transposed",
        0,
        WRONG_UPDATES["transposed"],
        good="advantages(returns).T.flatten()",
    ),
    _train_otherwise(
        "an optimizer of its own",
        0,
        OTHER_OPTIMIZER,
        first="optimizer = torch.optim.Adam(policy.parameters(), 0.02)",
    ),
    _train_otherwise("no discount", 0, WRONG_UPDATES["no discount"], gamma="1.0"),
    _train_otherwise("sum", 0, WRONG_UPDATES["sum"], more=" * len(actions)"),
    _train_otherwise("sum of steps", 0, WRONG_UPDATES["sum of steps"], more=" * steps"),
    _train_otherwise("uphill", 0, WRONG_UPDATES["uphill"], more=" * -1"),
    _train_otherwise(
        "normalised",
        0,
        WRONG_UPDATES["normalised"],
        good="(lambda a: (a - a.mean()) / (a.std() + 1e-8))(advantages(returns).flatten())",
    ),
    _train_otherwise("no step", 0, NO_STEP, step=""),
    _train_otherwise(
        "the likeliest action", 0.7, NOT_DRAWN, choose="lambda seen: policy(seen).argmax(dim=-1)"
    ),
    _train_otherwise(
        "a die",
        0.7,
        NOT_DRAWN,
        choose="lambda seen: torch.randint(3, (len(seen),))",
    ),
    _train_otherwise(
        "too cold",
        0.7,
        NOT_DRAWN,
        choose="lambda seen: Categorical(logits=5 * policy(seen)).sample()",
    ),
    _train_otherwise(
        "probabilities for scores",
        0.7,
        NOT_DRAWN,
        choose="lambda seen: Categorical(logits=policy(seen).softmax(-1)).sample()",
    ),
    _train_otherwise(
        "one drive for all updates",
        0,
        "drives the world for other steps",
        first="log = drive(lambda seen: Categorical(logits=policy(seen)).sample(), world, steps)",
        choose="lambda seen: Categorical(logits=policy(seen)).sample()",
        steps="0 or 1",
    ),
    _train_otherwise(
        "metres of all cars", 1.3, "as a mean over cars", came="log.rewards.sum().item()"
    ),
    _train_otherwise("metres a step", 1.3, "as a mean over cars", came="log.rewards.mean().item()"),
    _train_otherwise("not flattened", 0, "flatten the two first axes", scores="policy(log.seen)"),
]

_buffer, _buffer_otherwise = variants(
    "ReplayBuffer",
    """
class ReplayBuffer:
    {shared}
    def __init__(self, capacity, seed):
        self.capacity, self.seed = capacity, seed
        {own}
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self):
        return {length}

    def add(self, seen, actions, rewards, ends, after):
        {copies}
        for row in {order}:
            one = tuple(column[row] for column in (seen, actions, rewards, ends, after))
            {keep}

    def sample(self, count):
        {before}
        rows = {rows}
        return {result}
""",
    shared="",
    own="self.held = []",
    length="len(self.held)",
    copies="seen, actions, rewards, ends, after = (t.clone() for t in (seen, actions, rewards, ends, after))",
    order="range(len(rewards))",
    keep="self.held.append(one)\n            if len(self.held) > self.capacity: self.held.pop(0)",
    before="",
    rows="torch.randint(len(self.held), (count,), generator=self.generator).tolist()",
    result="tuple(torch.stack(column) for column in zip(*(self.held[r] for r in rows)))",
)
_BUFFER = [
    _buffer_otherwise(
        "keeps the first ones",
        0.65,
        GONE,
        keep="if len(self.held) < self.capacity: self.held.append(one)",
    ),
    _buffer_otherwise(
        "grows without end",
        0.65,
        GONE,
        keep="self.held.append(one)",
    ),
    _buffer_otherwise(
        "newest overwritten",
        0.65,
        GONE,
        keep="self.held.append(one)\n            if len(self.held) > self.capacity: self.held.pop(-2)",
    ),
    _buffer_otherwise(
        "emptied when full",
        0.65,
        LOST,
        keep="if len(self.held) == self.capacity: self.held.clear()\n            self.held.append(one)",
    ),
    _buffer_otherwise(
        "capacity less one",
        0.65,
        LOST,
        keep="self.held.append(one)\n            if len(self.held) >= self.capacity and self.capacity > 1: self.held.pop(0)",
    ),
    _buffer_otherwise(
        "one list for all buffers",
        0,
        SHARED,
        shared="held = []",
        own="pass",
    ),
    _buffer_otherwise(
        "the caller's tensors",
        1.0,
        LATER,
        copies="pass",
    ),
    _buffer_otherwise(
        "columns drawn one by one",
        0,
        ROWS,
        result="tuple(torch.stack([self.held[r][c] for r in torch.randint(len(self.held), (count,),"
        " generator=self.generator).tolist()]) for c in range(5))",
    ),
    _buffer_otherwise(
        "the newest never drawn",
        0,
        LOST,
        rows="torch.randint(max(len(self.held) - 1, 1), (count,), generator=self.generator).tolist()",
    ),
    _buffer_otherwise(
        "a generator for each sample",
        1.05,
        AGAIN,
        rows="torch.randint(len(self.held), (count,), generator=torch.Generator().manual_seed(self.seed)).tolist()",
    ),
    _buffer_otherwise(
        "new ones preferred",
        1.05,
        UNEVEN,
        rows="(len(self.held) * torch.rand(count, generator=self.generator) ** 0.5).long().tolist()",
    ),
    _buffer_otherwise(
        "a list of rows",
        0,
        "The sample should have 5 members",
        result="[self.held[r] for r in rows]",
    ),
    _buffer_otherwise(
        "without replacement",
        0,
        "a row may come twice",
        before="import random",
        rows="random.sample(range(len(self.held)), count)",
    ),
]

_targets, _targets_otherwise = variants(
    "q_learning",
    """
def td_targets(rewards, ends, after, target, gamma):
    {first}
    best = {best}
    return {result}
""",
    first="target = torch.no_grad()(target)",
    best="target(after).amax(dim=1)",
    result="rewards + gamma * best * ~ends",
)
_TARGETS = [
    _targets(
        "ends not looked at",
        0.8,
        "After its end a drive has no more to come: there the target is the reward alone.",
        result="rewards + gamma * best",
    ),
    _targets(
        "ends the wrong way round",
        0.45,
        "The mask is the wrong way round: what comes is counted where the drive ended.",
        result="rewards + gamma * best * ends",
    ),
    _targets(
        "mean over the actions",
        0.45,
        "That is the mean over the actions: the car will take the best one.",
        best="target(after).mean(dim=1)",
    ),
    _targets(
        "maximum over the batch",
        0.45,
        "The maximum is over the whole batch: each row has its own.",
        best="target(after).amax(dim=0).amax()",
    ),
    _targets(
        "which action",
        0.45,
        "That is the number of the best action, not its value.",
        best="target(after).argmax(dim=1)",
    ),
    _targets(
        "no discount",
        0.45,
        "γ is missing: what comes is discounted.",
        result="rewards + best * ~ends",
    ),
    _targets(
        "reward discounted",
        0.45,
        "The reward is discounted, too: r + γ · max Q.",
        result="gamma * (rewards + best * ~ends)",
    ),
    _targets(
        "reward lost at the end",
        0.8,
        "The reward of the step that ended the drive is lost: the target there is r, not 0.",
        result="(rewards + gamma * best) * ~ends",
    ),
    _targets(
        "minimum",
        0.45,
        "That is the smallest value: the car will take the largest.",
        best="target(after).amin(dim=1)",
    ),
    _targets_otherwise(
        "a square",
        0.45,
        "should have shape",
        best="target(after).amax(dim=1, keepdim=True)",
        result="rewards + gamma * best * ~ends[:, None]",
    ),
    _targets_otherwise("a graph", 1.1, GRAPH, first=""),
]
_eps, _eps_otherwise = variants(
    "q_learning",
    """
def epsilon_greedy(values, epsilon, generator):
    cars, actions = values.shape
    {first}
    any_of_them = {die}
    curious = {coin}
    return torch.where(curious, any_of_them, {best})
""",
    first="",
    die="torch.randint(actions, (cars,), generator=generator)",
    coin="torch.rand(cars, generator=generator) < epsilon",
    best="values.argmax(dim=1)",
)
_EPSILON = [
    _eps_otherwise("one coin for all", 1.0, NO_ROW, coin="torch.rand(1, generator=generator) < epsilon"),
    _eps_otherwise(
        "one die for all", 1.0, NO_ROW, die="torch.randint(actions, (1,), generator=generator).expand(cars)"
    ),
    _eps_otherwise(
        "the other way round",
        0.8,
        "With ε = 0 every car takes its best action",
        coin="torch.rand(cars, generator=generator) >= epsilon",
    ),
    _eps_otherwise(
        "the worst",
        0.8,
        "With ε = 0 every car takes its best action",
        best="values.argmin(dim=1)",
    ),
    _eps_otherwise(
        "never the best",
        1.0,
        OVER,
        die="(values.argmax(dim=1) + torch.randint(1, actions, (cars,), generator=generator)) % actions",
    ),
    _eps_otherwise(
        "never the last action",
        1.0,
        OVER,
        die="torch.randint(actions - 1, (cars,), generator=generator)",
    ),
    _eps_otherwise(
        "PyTorch's own generator",
        1.0,
        GENERATOR,
        die="torch.randint(actions, (cars,))",
        coin="torch.rand(cars) < epsilon",
    ),
    _eps_otherwise(
        "the best of all cars",
        0.8,
        "With ε = 0 every car takes its best action",
        best="values.argmax(dim=1)[:1].expand(cars)",
    ),
]  # fmt: skip

_error, _error_otherwise = variants(
    "how_many_seeds",
    """
def difference_and_error(a, b):
    return {gap}, {error}
""",
    gap="float(a.mean() - b.mean())",
    error="float((a.var() / len(a) + b.var() / len(b)).sqrt())",
)
_ERROR = [
    _error("b less a", 0.85, "The difference is the other way round: a's mean less b's.", gap="float(b.mean() - a.mean())"),
    _error(
        "error first",
        0.5,
        "The two are in the wrong order: the difference comes first.",
        gap="float((a.var() / len(a) + b.var() / len(b)).sqrt())",
        error="float(a.mean() - b.mean())",
    ),
    _error(
        "divided by n",
        0.65,
        "The variances are means over n: the mean is of the same runs, so divide by n − 1.",
        error="float((a.var(unbiased=False) / len(a) + b.var(unbiased=False) / len(b)).sqrt())",
    ),
    _error(
        "spread for error",
        0.65,
        "That is the spread of single runs: a mean of n runs moves less, by s²/n.",
        error="float((a.var() + b.var()).sqrt())",
    ),
    _error(
        "errors added",
        0.65,
        "The two standard errors are added up: their squares are, and then the root is taken.",
        error="float(a.std() / len(a) ** 0.5 + b.std() / len(b) ** 0.5)",
    ),
    _error(
        "deviations for variances",
        0.65,
        "These are standard deviations where variances belong: s² / n.",
        error="float((a.std() / len(a) + b.std() / len(b)).sqrt())",
    ),
    _error(
        "not the root",
        0.65,
        "That is the squared standard error: the root is missing.",
        error="float(a.var() / len(a) + b.var() / len(b))",
    ),
    _error(
        "of one set",
        0.65,
        "That is the standard error of a's mean alone: b's runs are noisy, too.",
        error="float((a.var() / len(a)).sqrt())",
    ),
    _error(
        "pooled",
        0.65,
        "That is for one spread common to both sets: here each has its own, and its own number of runs.",
        error="float((((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)"
        " * (1 / len(a) + 1 / len(b))).sqrt())",
    ),
    _error(
        "as if one set",
        0.65,
        "That puts all runs into one set: a's and b's spread are each about a mean of its own.",
        error="float(torch.cat([a, b]).std() / (len(a) + len(b)) ** 0.5)",
    ),
    Known("how_many_seeds", "one spread", 0.75, "That leaves one of the two spreads out: both means are noisy.", "runs_needed = 9"),
    Known("how_many_seeds", "one error", 0.75, "Then the difference is one standard error, and no number of runs is a half: two are asked for.", "runs_needed = 4.5"),
    Known("how_many_seeds", "one error, whole", 0.75, "Then the difference is one standard error: two are asked for.", "runs_needed = 5"),
    Known("how_many_seeds", "of both together", 0.75, "That many are needed of both together: asked for are those of each.", "runs_needed = 36"),
    Known("how_many_seeds", "no root", 0.75, "The standard error falls with the root of the number of runs, not with the number.", "runs_needed = 3"),
    *(
        Mistake("how_many_seeds", word, 0.75, says, f"may_say = {word!r}")
        for word, says in REPLIES["may_say"].items()
    ),
]  # fmt: skip

MISTAKES = Table(
    sys.modules[__name__],
    [
        *_REWARD,
        *_RETURNS,
        *_LOSS,
        *_ADVANTAGES,
        *_TRAIN,
        *_BUFFER,
        *_TARGETS,
        *_EPSILON,
        *_ERROR,
    ],
)
