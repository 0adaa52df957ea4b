"""Checks of lab 21: rewards, returns, REINFORCE and Q-learning, and how many runs it takes.

Worlds, rewards and transitions are made of numbers that the check drew. What a policy has learnt is
judged by its weights: the check puts them into a network of its own, and drives.
"""

import math

import numpy as np
import torch
from torch import nn

from grading.answer.exercise import exercise, part
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import driving as answers
from grading.checks.answers.driving import MISTAKES
from utils import driving, driving_runs


@exercise("step_reward", points=0.75)
def step_reward(student, rng):
    def check(lap, moves, starts, dtype=torch.float64):
        before = torch.tensor(starts, dtype=torch.float64)
        after = (before + torch.tensor(moves, dtype=torch.float64)) % lap
        given = {"before": before.to(dtype), "after": after.to(dtype), "lap": lap}
        with expect.explained(*answers.IN_REWARD), expect.otherwise(answers.NEAREST):
            expect.answers(
                student, MISTAKES, "step_reward", given, what="the reward", rtol=1e-4, atol=1e-4
            )

    def laps():
        return round(float(rng.uniform(60, 140)), 1)

    def drawn(lap, count, low, high):
        return rng.uniform(low * lap, high * lap, count).round(2).tolist()

    with part("forwards, within the lap", points=0.25):
        for count in (5, 1):
            lap = laps()
            check(lap, drawn(lap, count, 0.01, 0.4), drawn(lap, count, 0, 0.5))
        check(80.0, [2.5, 0.0], [3.0, 9.0], torch.float32)
    with part("forwards, over the starting line", points=0.25):
        lap = laps()
        check(lap, [1.5, *drawn(lap, 3, 0.2, 0.45)], [lap - 1.5, *drawn(lap, 3, 0.9, 0.99)])
        check(80.0, [2.0], [79.0], torch.float32)
    with part("the wrong way, within the lap and over the line", points=0.25):
        lap = laps()
        check(lap, [-x for x in drawn(lap, 4, 0.01, 0.4)], drawn(lap, 4, 0.5, 0.9))
        check(lap, [-x for x in drawn(lap, 3, 0.2, 0.45)], drawn(lap, 3, 0.01, 0.1))
        check(80.0, [-2.0, 2.0, -0.5], [1.0, 79.0, 40.0], torch.float32)


@exercise("discounted_returns", points=1.5)
def discounted_returns(student, rng):
    def check(steps, cars, ended, gamma, dtype=torch.float64):
        """ended: (step, car) of each end."""
        rewards = torch.tensor(
            rng.uniform(1, 3, (steps, cars)) * rng.choice([-1, 1], (steps, cars))
        )
        ends = torch.zeros(steps, cars, dtype=torch.bool)
        for t, car in ended:
            ends[t, car] = True
        given = {"rewards": rewards.to(dtype), "ends": ends, "gamma": gamma}
        with expect.explained(*answers.IN_RETURNS):
            expect.answers(
                student,
                MISTAKES,
                "discounted_returns",
                given,
                what="the tensor of returns",
                rtol=1e-4,
                atol=1e-5,
            )

    def gamma():
        return round(float(rng.uniform(0.4, 0.9)), 2)

    with part("one drive: each step's reward, and γ times what follows", points=0.5):
        check(5, 1, [], gamma())
        check(6, 3, [], gamma(), torch.float32)
    with part("a return stops where its drive ends", points=0.75):
        first, second = (int(t) for t in rng.choice(np.arange(1, 6), 2, replace=False))
        check(7, 2, [(first, 0)], gamma())
        check(7, 3, [(first, 0), (second, 1), (0, 2), (6, 2)], gamma(), torch.float32)
        check(1, 2, [(0, 1)], gamma())
        check(6, 2, [(2, 0), (3, 0), (5, 1)], gamma())  # two in a row; the last row
    with part("γ = 0, γ = 1, and a single step", points=0.25):
        for discount in (0.0, 1.0):
            check(5, 2, [], discount)
        check(1, 2, [], gamma())


def _lost(learner, scores, actions, advantages):
    """The loss, and the gradients that its backward leaves in the scores and the advantages."""
    import torch

    with torch.enable_grad():
        leaf, good = scores.clone().requires_grad_(), advantages.clone().requires_grad_()
        loss = learner.policy_gradient_loss(1 * leaf, actions.clone(), 1 * good)
        if not isinstance(loss, torch.Tensor):
            return [loss]
        if loss.dim() == 0 and loss.requires_grad:
            loss.backward()
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in (leaf, good)]
    return [loss.detach(), *grads, torch.tensor(float(loss.requires_grad))]


lost = probe(_lost)


@exercise("policy_gradient_loss", points=1.5)
def policy_gradient_loss(student, rng):
    name = "policy_gradient_loss"

    def drawn(steps, size=3, spread=1.5, dtype=torch.float64):
        scores = torch.tensor(rng.normal(size=(steps, size)) * spread).to(dtype)
        actions = torch.tensor(rng.permutation(np.arange(steps) % size))
        good = torch.tensor(rng.uniform(1, 4, steps) * rng.choice([-1, 1, 1], steps)).to(dtype)
        return scores, actions, good

    def check(items, asked):
        """items: those of the report that count, by their names."""
        given = dict(zip(("scores", "actions", "advantages"), asked, strict=True))
        with expect.explained(*answers.IN_LOSS):
            got = lost(student, *asked)
        right = _lost(answers, *asked)
        if type(got) is list and len(got) == 1:
            expect.close(got[0], right[0], what="the loss", given=given)
        got = expect.items(got, 4, what="the report", given=given)
        bad = type(got[0]) is torch.Tensor and not bool(torch.isfinite(got[0]).all())
        with expect.otherwise(answers.BOTH_AT_ONCE if bad else ""):
            expect.form(got[0], right[0], what="the loss", given=given)
        for at, what in items.items():
            of = lambda own, at=at: _lost(own, *asked)[at]  # noqa: E731
            knows = MISTAKES.values(name, of)
            with expect.otherwise(answers.BOTH_AT_ONCE if bad else answers.STEP_BY_STEP):
                expect.close(
                    got[at], right[at], what=what, given=given, knows=knows, rtol=1e-4, atol=1e-6
                )
        return got

    with part("the value: minus the mean of log π(a | s) times advantage", points=0.5):
        for asked in (drawn(6), drawn(5, 4, dtype=torch.float32), drawn(1, 2)):
            check({0: "the loss"}, asked)
    with part("its gradient in the scores", points=0.5):
        for asked in (drawn(7), drawn(4, 5, dtype=torch.float32)):
            got = check({0: "the loss"}, asked)
            message = "There is no graph from the loss to the scores."
            expect.that(float(got[3]) == 1, message, diagnosis=answers.IN_LOSS[1][1])
            check({1: "the gradient in the scores"}, asked)
    with part("scores such as 10,000", points=0.3):
        scores, actions, good = drawn(4, spread=1e4)
        scores[0] = torch.tensor([0.0, 2e4, -2e4]).roll(int(rng.integers(3)))
        check({0: "the loss", 1: "the gradient in the scores"}, (scores, actions, good))
    with part("no gradient into the advantages", points=0.2, alone=False):
        asked = drawn(5)
        got = check({0: "the loss", 1: "the gradient in the scores"}, asked)
        none = expect.alike(got[2], torch.zeros_like(asked[2]))
        message = "A gradient flows into the advantages: they are numbers that were measured."
        expect.that(none, message, diagnosis="`advantages.detach()` has no graph.")


@exercise("advantages", points=1.25)
def advantages(student, rng):
    def check(steps, cars, dtype=torch.float64):
        returns = torch.tensor(rng.normal(size=(steps, cars)) * 3 + rng.uniform(5, 20)).to(dtype)
        with expect.otherwise("At each step: the car's return, less the mean of the other cars'."):
            expect.answers(
                student,
                MISTAKES,
                "advantages",
                {"returns": returns},
                what="the tensor of advantages",
                rtol=1e-4,
                atol=1e-4,
            )

    with part("less the mean of the other cars, step by step", points=0.5):
        check(3, 4)
        check(5, 2, torch.float32)
        check(1, 5)
    with part("a car alone", points=0.15, alone=False):
        returns = torch.tensor(rng.uniform(5, 20, size=(4, 1)))
        got, told = student.advantages(returns), {"given": {"returns": returns}}
        with expect.otherwise(answers.NOBODY):
            expect.close(got, returns, what="the tensor of advantages", rtol=1e-4, **told)
    for name, right, how in (
        (
            "variance_without",
            answers.variance_without,
            "Half of the estimates are −5, half are +6.",
        ),
        (
            "best_baseline",
            answers.best_baseline,
            "Write the two estimates down with b in them. For which b are they the same?",
        ),
    ):
        with part(name, points=0.3):
            known = dict(MISTAKES.written("advantages", name))
            expect.answer(student, name, right, known, how, rtol=0.005)


def _updated(learner, weights, seen, rewards, ends, rate, gamma, seed):
    """What train_policy makes of a policy in a world of numbers: the weights after each update, the
    actions that it took, and what it returns.

    weights: flat; seen: (U, T, N, D), rewards, ends: (U, T, N) of U updates. The world begins again
    where it is over.
    """
    import torch
    from torch import nn

    class Numbers:
        """A world whose rows are given."""

        def __init__(self):
            self.taken = []

        def row(self, of):
            return of.flatten(0, 1)[len(self.taken) % (len(of) * len(of[0]))].clone()

        def observe(self):
            return self.row(seen).numpy()

        def step(self, actions):
            paid, ended = self.row(rewards).numpy(), self.row(ends).numpy()
            self.taken.append(torch.as_tensor(actions).long().clone())
            return paid, ended

    class Stepped(torch.optim.SGD):
        """Keeps the weights after each step."""

        def step(self, closure=None):
            super().step(closure)
            after.append(nn.utils.parameters_to_vector(policy.parameters()).detach().clone())

    after = []
    inputs, outputs = seen.shape[-1], 3
    hidden = (len(weights) - outputs) // (inputs + 1 + outputs)
    policy = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))
    nn.utils.vector_to_parameters(weights.clone(), policy.parameters())
    world, updates, steps = Numbers(), len(seen), len(seen[0])
    torch.manual_seed(seed)
    optimizer = Stepped(policy.parameters(), rate)
    with torch.enable_grad():
        came = learner.train_policy(policy, optimizer, world, updates, steps, gamma)
    end = nn.utils.parameters_to_vector(policy.parameters()).detach().clone()
    taken = torch.stack(world.taken) if world.taken else torch.zeros(0, seen.shape[2])
    return {"after": after, "end": end, "actions": taken.long(), "came": came}


updated = probe(_updated)


def _trained(learner, order, renamed, weights, seed, cars, plan, rate):
    """The weights, flat, of a policy that train_policy trained in a world whose sensors come in
    another order and whose actions have other numbers."""
    import torch
    from torch import nn

    from utils import driving

    class Disguised:
        def __init__(self):
            self.world = driving.World(driving.draw_tracks(8), cars, seed)

        def observe(self):
            return self.world.observe()[:, order.numpy()]

        def step(self, actions):
            return self.world.step(renamed[torch.as_tensor(actions).long()].numpy())

    hidden = (len(weights) - 3) // (driving.SENSES + 4)
    policy = nn.Sequential(nn.Linear(driving.SENSES, hidden), nn.Tanh(), nn.Linear(hidden, 3))
    nn.utils.vector_to_parameters(weights.clone(), policy.parameters())
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), rate)
    with torch.enable_grad():
        learner.train_policy(policy, optimizer, Disguised(), *plan)
    return nn.utils.parameters_to_vector(policy.parameters()).detach().clone()


trained = probe(_trained)
FLOOR = 0.85  # of what the rule comes on the same tracks
HIDDEN = 32
PLAN = (40, 50, 0.98)  # updates, steps, γ


def first_weights(rng):
    """Of a new policy, flat, as PyTorch would draw them."""
    torch.manual_seed(int(rng.integers(2**31)))
    policy = nn.Sequential(nn.Linear(driving.SENSES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 3))
    return nn.utils.parameters_to_vector(policy.parameters()).detach().clone()


@exercise(
    "train_policy",
    points=1.5,
    time_limit=120,
    stands_on=("discounted_returns", "policy_gradient_loss", "advantages"),
)
def train_policy(student, rng):
    U, T, N, gamma, rate = 2, 8, 40, 0.7, 0.3

    def floats(*shape):
        return torch.tensor(rng.normal(size=shape)).float()

    weights = floats(16 * (driving.SENSES + 4) + 3) * 0.7
    asked = [floats(U, T, N, driving.SENSES), floats(U, T, N) + 2]
    asked += [torch.tensor(rng.random((U, T, N)) < 0.15), rate, gamma]
    given = (
        f"For {U} updates of {T} steps with {N} cars, a learning rate of {rate} and γ = {gamma}."
    )
    fair, follows = (
        False,
        [],
    )  # the log-probabilities of all actions, and those taken, once the weights are right

    def reached(actions, variant=""):
        policy = answers.policy_of(weights)
        return answers.along(policy, actions, *asked, variant)

    with part("each update is one step of REINFORCE", points=0.5):
        with expect.explained(*answers.IN_TRAINING):
            got = updated(student, weights, *asked, int(rng.integers(2**31)))
        whole = type(got) is dict and {"after", "end", "actions", "came"} <= got.keys()
        expect.that(whole, "There is no report.")
        like = torch.zeros(U * T, N, dtype=torch.int64)
        fine = type(got["actions"]) is torch.Tensor and got["actions"].shape == like.shape
        message = "It drives the world for other steps than `updates` times `steps`."
        expect.that(fine, message, given=given)
        actions = got["actions"].view(U, T, N)
        fine = actions.dtype == torch.int64 and bool(((actions >= 0) & (actions < 3)).all())
        expect.that(fine, "There is an action that is none of 0, 1 and 2.", given=given)
        right, chances = reached(actions)
        expect.form(got["end"], weights, what="the vector of weights", given=given)
        steps = got["after"] if type(got["after"]) is list and len(got["after"]) == U else None
        knows = [
            (why, reached(actions, variant)[0][-1])
            for variant, why in answers.WRONG_UPDATES.items()
        ]
        knows.insert(0, (answers.NO_STEP, weights))
        close = {"given": given, "rtol": 2e-3, "atol": 2e-4}
        what = "the vector of weights after all updates"
        unused = type(got["after"]) is list and not got["after"]
        with expect.otherwise(answers.OTHER_OPTIMIZER if unused else answers.ONE_UPDATE):
            expect.close(got["end"], right[-1], what=what, knows=knows, **close)
            if steps is not None:
                what = "the vector of weights after the first update"
                expect.close(steps[0], right[0], what=what, **close)
        follows = [(one, own.flatten()) for one, own in zip(chances, actions, strict=True)]
    with part("actions are drawn from the policy", points=0.3, alone=False):
        message = "This counts once the weights follow from the actions."
        expect.that(follows, message)
        message = "The actions do not come as often as their probabilities say."
        fair = drawn_from(follows)
        expect.that(fair, message, given=given, diagnosis=answers.NOT_DRAWN)
    with part("the metres of each update are returned", points=0.2):
        expect.that(follows, "This counts once the weights follow from the actions.")
        right = asked[1].sum(dim=1).mean(dim=1).tolist()
        came = expect.items(got["came"], U, what="the result", given=given, kind="list")
        why = "A drive's rewards are added up for each car, and given back as a mean over cars."
        with expect.otherwise(why):
            expect.close(list(came), right, what="the list of metres", given=given, rtol=1e-4)
    with part("trained, it comes far on tracks that are new", points=0.5):
        expect.that(fair, "This counts once the weights follow from actions that are drawn.")
        far(student, rng)


def drawn_from(follows):
    """Whether actions look drawn. follows: pairs of log-probabilities (B, A) and actions (B,)."""
    chances = torch.cat([one for one, _ in follows]).double()
    taken = torch.cat([own for _, own in follows])
    share = chances.exp()
    mean = (share * chances).sum(dim=1)
    spread = ((share * chances**2).sum(dim=1) - mean**2).sum().sqrt()
    likely = (chances.gather(1, taken[:, None])[:, 0] - mean).sum()
    counts = nn.functional.one_hot(taken, share.shape[1]).double() - share
    off = counts.sum(dim=0).abs() / (share * (1 - share)).sum(dim=0).sqrt()
    return abs(float(likely)) < 5.5 * float(spread) and bool((off < 5.5).all())


def far(student, rng):
    """A policy that was trained in a disguised world comes almost as far as the rule."""
    order = torch.tensor(rng.permutation(driving.SENSES))
    renamed = torch.tensor(rng.permutation(3))
    weights, rate, cars = first_weights(rng), 0.02, 32
    seed = int(rng.integers(2**31))
    got = trained(student, order, renamed, weights, seed, cars, PLAN, rate)
    given = f"For {PLAN[0]} updates of {PLAN[1]} steps with {cars} cars, and γ = {PLAN[2]}."
    expect.form(got, weights, what="the vector of weights", given=given)
    policy = answers.policy_of(got)
    tracks = driving.draw_tracks(8, first=int(rng.integers(1000, 10**6)))
    choose = lambda seen: renamed[policy(seen[:, order]).argmax(dim=1)]  # noqa: E731
    came = float(driving.metres(choose, tracks, cars=32, seed=seed).mean())
    rule = float(
        driving.metres(driving.by_hand(driving_runs.GAP), tracks, cars=32, seed=seed).mean()
    )
    message = f"It comes less than {FLOOR:.0%} as far as the rule."
    detail = f"{came:.0f} metres a car on 8 new tracks; the rule {rule:.0f}."
    expect.that(came >= FLOOR * rule, message, given=given, detail=detail)


def _buffered(learner, capacity, batches, others, count, seed):
    """What a buffer says after the batches, when a second one got others and the tensors of the
    first were changed: its length, two samples, and its length before anything went in."""
    import torch

    buffer, second = learner.ReplayBuffer(capacity, seed), learner.ReplayBuffer(capacity, seed)
    empty = len(buffer)
    for batch in batches:
        mine = [one.clone() for one in batch]
        buffer.add(*mine)
        for one in mine:
            one.copy_(torch.ones_like(one) if one.dtype == torch.bool else one * 0 + 7)
    if others:
        second.add(*[one.clone() for one in others])
    samples = [buffer.sample(count) for _ in range(2)]
    samples = [list(one) if isinstance(one, tuple) else one for one in samples]
    return [empty, len(buffer), *samples]


def _plain(learner, capacity, batches, count, seed):
    """As `_buffered`, without changes and without a second buffer."""
    buffer = learner.ReplayBuffer(capacity, seed)
    empty = len(buffer)
    for batch in batches:
        buffer.add(*[one.clone() for one in batch])
    samples = [buffer.sample(count) for _ in range(2)]
    samples = [list(one) if isinstance(one, tuple) else one for one in samples]
    return [empty, len(buffer), *samples]


buffered, plainly = probe(_buffered), probe(_plain)
COLUMNS = ("seen", "actions", "rewards", "ends", "after")
COUNT = 600


@exercise("ReplayBuffer", points=1.25)
def ReplayBuffer(student, rng):
    names, others = rng.permutation(900).tolist(), set()  # others: rewards of earlier buffers

    def batches(*sizes):
        """Transitions whose rewards tell them apart, also from those of other buffers."""
        total, made, at = sum(sizes), [], 0
        rewards = torch.tensor([names.pop() + 1.5 for _ in range(total)]).float()
        for size in sizes:
            seen, after = (torch.tensor(rng.normal(size=(size, 8))).float() for _ in "sa")
            actions = torch.tensor(rng.integers(0, 3, size))
            ends = torch.tensor(rng.random(size) < 0.4)
            made.append([seen, actions, rewards[at : at + size], ends, after])
            at += size
        return made

    def whole(got, capacity, given):
        """The two samples of a report whose form is right."""
        empty, length, *samples = expect.items(got, 4, what="the report", given=given)
        for one in samples:
            like = [torch.zeros(COUNT, 8), torch.zeros(COUNT, dtype=torch.int64)]
            like += [torch.zeros(COUNT), torch.zeros(COUNT, dtype=torch.bool), like[0]]
            with expect.otherwise("`sample` gives five tensors, with a row for each transition."):
                expect.items(one, 5, what="the sample", given=given)
                for name, mine, right in zip(COLUMNS, one, like, strict=True):
                    expect.form(mine, right, what=name, given=given)
            for name, mine, right in zip(COLUMNS, one, like, strict=True):
                same = mine.dtype == right.dtype
                message = f"{name} of the sample has another dtype than what went in."
                expect.that(same, message, given=given, kind="dtype")
        return empty, length, samples

    def held(columns, samples, given, gone, wanted):
        """How often each of the last transitions came. wanted: how many of the last are held."""
        rewards = columns[2]
        place = {float(r): i for i, r in enumerate(rewards)}
        counts = np.zeros(len(rewards), int)
        for one in samples:
            rows = [place.get(float(r), -1) for r in one[2]]
            strange = {float(r) for r in one[2]} - set(place)
            why = answers.ROWS
            for sign, meaning in answers.STRANGE.items():
                why = meaning if sign in strange else why
            why = answers.SHARED if strange & others else why
            message = "A sample holds rewards that never went in."
            expect.that(not strange, message, given=given, diagnosis=why)
            for name, mine, all_of in zip(COLUMNS, one, columns, strict=True):
                same = torch.equal(mine, all_of[rows])
                why = answers.LATER if bool((mine == 7).any()) else answers.ROWS
                message = f"{name} of a sampled row is not what went in with its reward."
                expect.that(same, message, given=given, diagnosis=why)
            counts += np.bincount(rows, minlength=len(rewards))
        others.update(place)
        old = counts[: len(rewards) - wanted].sum() == 0
        expect.that(old, answers.OLDEST, given=given, diagnosis=gone)
        fresh = bool((counts[len(rewards) - wanted :] > 0).all())
        expect.that(fresh, answers.OLDEST, given=given, diagnosis=answers.LOST)
        return counts[len(rewards) - wanted :]

    def check(capacity, *sizes):
        made, seed = batches(*sizes), int(rng.integers(2**20))
        given = f"For a capacity of {capacity}, and batches of {', '.join(map(str, sizes))}."
        with expect.explained(*answers.IN_BUFFER):
            got = plainly(student, capacity, made, COUNT, seed)
        empty, length, samples = whole(got, capacity, given)
        columns = [torch.cat(column) for column in zip(*made, strict=True)]
        wanted = min(capacity, sum(sizes))
        counts = held(columns, samples, given, answers.GONE, wanted)
        with expect.otherwise(answers.LENGTH):
            expect.equal(length, wanted, what="the length", given=given)
            expect.equal(empty, 0, what="the length at first", given=given)
        return counts, samples

    with part("what went in comes out, row by row", points=0.4):
        check(20, 4, 3)
        check(9, 1)
    with part("it holds the last `capacity` transitions", points=0.4):
        check(6, 4, 4)  # over the ring's end within a batch
        check(5, 5, 5, 2)
        check(7, 3, 3, 3, 3, 3)
        check(1, 1, 1)
    with part("all equally likely, and drawn anew", points=0.2):
        counts, samples = check(8, 5, 5)
        fair = 2 * COUNT / 8
        even = (np.abs(counts - fair) < 5.5 * math.sqrt(fair)).all()
        other = not torch.equal(samples[0][2], samples[1][2])
        given = "For a capacity of 8, which is full."
        message = "Two samples in a row are the same."
        expect.that(other, message, given=given, diagnosis=answers.AGAIN)
        message = "The transitions do not come equally often."
        expect.that(even, message, given=given, diagnosis=answers.UNEVEN)
    with part("on its own: other buffers, and tensors that change later", points=0.25):
        made, seed = batches(3, 3, 5), int(rng.integers(2**20))
        *mine, theirs = made
        given = (
            "For two buffers that were filled in turn, from tensors that were changed afterwards."
        )
        with expect.explained(*answers.IN_BUFFER):
            got = buffered(student, 16, mine, theirs, COUNT, seed)
        _, length, samples = whole(got, 16, given)
        mixed = bool(torch.isin(samples[0][2], theirs[2]).any())
        message = "Transitions of another buffer come out of this one."
        expect.that(not mixed, message, given=given, diagnosis=answers.SHARED)
        columns = [torch.cat(column) for column in zip(*mine, strict=True)]
        held(columns, samples, given, answers.GONE, 6)
        expect.equal(length, 6, what="the length", given=given)


def _aimed(learner, rewards, ends, after, W, b, gamma):
    """The targets, and whether they have a graph, or a gradient has reached the network."""
    import torch

    with torch.enable_grad():
        target = torch.nn.Linear(W.shape[1], W.shape[0], dtype=W.dtype)
        with torch.no_grad():
            target.weight.copy_(W)
            target.bias.copy_(b)
        goal = learner.td_targets(rewards.clone(), ends.clone(), after.clone(), target, gamma)
        graph = isinstance(goal, torch.Tensor) and goal.requires_grad
    return [goal.detach() if graph else goal, float(graph)]


def _curious(learner, values, epsilon, seed):
    """Two calls with equal generators, when the global one was another."""
    import torch

    made = []
    for stir in (1, 2):
        torch.manual_seed(stir)
        generator = torch.Generator().manual_seed(seed)
        made.append(learner.epsilon_greedy(values.clone(), epsilon, generator))
    return made


aimed, curious = probe(_aimed), probe(_curious)


@exercise("q_learning", points=1.25)
def q_learning(student, rng):
    def goals(size, ended, dtype=torch.float64, graph=False):
        def floats(*shape):
            return torch.tensor(rng.normal(size=shape) * 2).to(dtype)

        rewards, after, W, b = floats(size) + 3, floats(size, 8), floats(3, 8), floats(3) + 1
        ends = torch.tensor(ended)
        gamma = round(float(rng.uniform(0.5, 0.95)), 2)
        asked = (rewards, ends, after, W, b, gamma)
        shown = {"rewards": rewards, "ends": ends, "target(after)": after @ W.T + b, "gamma": gamma}
        with expect.explained(*answers.IN_TARGETS):
            got = expect.items(aimed(student, *asked), 2, what="the report")
        of = lambda own: _aimed(own, *asked)[0]  # noqa: E731
        knows = MISTAKES.values("q_learning", of, "td_targets")
        close = {
            "what": "the tensor of targets",
            "given": shown,
            "knows": knows,
            "rtol": 1e-4,
            "atol": 1e-5,
        }
        with expect.otherwise(answers.TARGET):
            expect.close(got[0], of(answers), **close)
        message = "The targets have a graph: a gradient would flow into the target network."
        expect.that(not graph or got[1] == 0.0, message, diagnosis=answers.GRAPH)

    with part("td_targets: r + γ · max Q, where the drive goes on", points=0.35):
        goals(5, [False] * 5)
        goals(1, [False], torch.float32)
        goals(3, [False] * 3)
    with part("td_targets: where it ended", points=0.3):
        goals(6, [False, True, False, False, True, True])
        goals(2, [True, False], torch.float32)
        goals(2, [True, True])
    with part("td_targets: no gradient", points=0.15):
        goals(4, [False, True, False, False], graph=True)

    def acts(cars, epsilon, actions=3, dtype=torch.float64):
        """The actions of a call, its best ones, and whether a second call gave the same."""
        spread = rng.permuted(np.tile(np.arange(actions), (cars, 1)), axis=1)
        values = torch.tensor(spread + rng.uniform(0, 0.5, (cars, actions))).to(dtype)
        values -= actions / 2
        with expect.explained(*answers.IN_EPSILON):
            got = curious(student, values, epsilon, int(rng.integers(2**31)))
        given = f"For {cars} cars of {actions} actions, and ε = {epsilon:g}."
        first, again = expect.items(got, 2, what="the report", given=given)
        for one in (first, again):
            expect.form(one, torch.zeros(cars, dtype=torch.int64), what="the result", given=given)
            whole = one.dtype == torch.int64
            expect.that(whole, "The actions should be of dtype int64.", given=given, kind="dtype")
        return first, values.argmax(dim=1), expect.alike(first, again), given

    with part("epsilon_greedy: ε = 0, the best", points=0.2):
        for cars, actions, dtype in (
            (12, 3, torch.float64),
            (1, 3, torch.float32),
            (9, 5, torch.float64),
        ):
            got, best, _, given = acts(cars, 0.0, actions, dtype)
            message = "With ε = 0 every car takes its best action, and here one does not."
            expect.that(torch.equal(got, best), message, given=given)
    with part("epsilon_greedy: each car on its own, with probability ε", points=0.25):
        for epsilon in (0.4, 1.0):
            cars = 6000
            got, best, same, given = acts(cars, epsilon)
            told = {"given": given}
            share = float((got == best).double().mean())
            right = 1 - epsilon + epsilon / 3
            detail = f"{share:.3f} of {cars} cars take their best action; {right:.3f} were to be."
            alone = epsilon < 1 and (share == 1.0 or abs(share - 1 / 3) < 0.04)
            lone = alone or len(got[got != best].unique()) == 1
            message = "All cars do the same as one another."
            expect.that(not lone, message, diagnosis=answers.NO_ROW, detail=detail, **told)
            message = "The best action is taken too often, or too seldom."
            fair = abs(share - right) < 5.5 * math.sqrt(right * (1 - right) / cars)
            expect.that(fair, message, diagnosis=answers.OVER, detail=detail, **told)
            each = [
                (got[best == k] == j).double().mean() for k in range(3) for j in range(3) if j != k
            ]
            few = 5.5 * math.sqrt(epsilon / 3 * (1 - epsilon / 3) / (cars / 4))
            fair = all(abs(float(one) - epsilon / 3) < few for one in each)
            message = "Some actions are drawn more often than others."
            expect.that(fair, message, diagnosis=answers.OVER, **told)
            message = "Equal generators, and other actions."
            expect.that(same, message, diagnosis=answers.GENERATOR, **told)


@exercise("how_many_seeds", points=1)
def how_many_seeds(student, rng):
    def check(n, m, item):
        """item: 0 for the difference, 1 for its error."""
        a = torch.tensor(rng.normal(size=n) * rng.uniform(20, 40) + 150).double()
        b = torch.tensor(rng.normal(size=m) * rng.uniform(3, 15) + 130).double()
        given = {"a": a.round(decimals=1), "b": b.round(decimals=1)}
        asked = list(given.values())
        what = "the standard error" if item else "the difference"
        with expect.explained(*answers.IN_ERROR):
            got = student.difference_and_error(*asked)
        got = expect.items(got, 2, what="the result", given=given)
        of = lambda own: own.difference_and_error(*asked)[item]  # noqa: E731
        knows = MISTAKES.values("how_many_seeds", of, "difference_and_error")
        close = {"what": what, "given": given, "knows": knows, "rtol": 1e-4, "atol": 1e-6}
        with expect.otherwise(answers.PARTS[item]):
            expect.close(got[item], of(answers), **close)

    with part("the difference of the means", points=0.15):
        check(3, 3, 0)
        check(4, 7, 0)
    with part("its standard error", points=0.35):
        for n, m in ((3, 8), (6, 2), (5, 5)):
            check(n, m, 1)
    with part("runs_needed", points=0.25):
        how = "Put half of the difference for SE into √(2 · 30²/n), and solve for n."
        known = dict(MISTAKES.written("how_many_seeds", "runs_needed"))
        expect.answer(student, "runs_needed", answers.runs_needed, known, how, rtol=0.001)
    with part("may_say", points=0.25):
        expect.choice(student, "may_say", answers.may_say, answers.REPLIES["may_say"])
