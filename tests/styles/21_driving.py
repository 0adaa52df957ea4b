"""Lab 21: right answers in other styles."""

_REWARD = """
def step_reward(before, after, lap):
    {}
"""
_RETURNS = """
def discounted_returns(rewards, ends, gamma):
    {}
"""
_LOSS = """
def policy_gradient_loss(scores, actions, advantages):
    {}
"""
_ADVANTAGES = """
def advantages(returns):
    {}
"""
_TRAIN = """
def train_policy(policy, optimizer, world, updates, steps, gamma):
    came = []
    for _ in range(updates):
        log = drive({choose}, world, steps)
        good = advantages(discounted_returns(log.rewards, log.ends, gamma))
        scores = {scores}
        loss = {loss}
        {update}
        came.append({came})
    return came
"""
_TRAINED = {
    "choose": "lambda seen: torch.multinomial(policy(seen).softmax(-1), 1)[:, 0]",
    "scores": "policy(log.seen.reshape(-1, log.seen.shape[-1]))",
    "loss": "policy_gradient_loss(scores, log.actions.reshape(-1), good.reshape(-1))",
    "update": "optimizer.zero_grad(); loss.backward(); optimizer.step()",
    "came": "float(log.rewards.mean(dim=1).sum())",
}
_TARGETS = """
def td_targets(rewards, ends, after, target, gamma):
    {}
"""
_EPSILON = """
def epsilon_greedy(values, epsilon, generator):
    {}
"""
_ERROR = """
def difference_and_error(a, b):
    {}
"""

STYLES = {
    "step_reward": {
        "rounded laps": _REWARD.format(
            "d = after - before\n    return d - lap * torch.round(d / lap)"
        ),
        "where": _REWARD.format(
            "d = after - before\n    d = torch.where(d > lap / 2, d - lap, d)\n"
            "    return torch.where(d < -lap / 2, d + lap, d)"
        ),
        "a loop": _REWARD.format(
            "out = []\n    for b, a in zip(before.tolist(), after.tolist()):\n"
            "        out.append(min((a - b, a - b + lap, a - b - lap), key=abs))\n"
            "    return torch.tensor(out, dtype=before.dtype)"
        ),
        "an angle": _REWARD.format(
            "turn = 2 * torch.pi / lap\n    d = (after - before) * turn\n"
            "    return torch.atan2(torch.sin(d), torch.cos(d)) / turn"
        ),
        "three tries, stacked": _REWARD.format(
            "tries = torch.stack([after - before + k * lap for k in (-1, 0, 1)])\n"
            "    return tries.gather(0, tries.abs().argmin(0, keepdim=True))[0]"
        ),
        "remainder": _REWARD.format(
            "half = 0.5 * lap\n    return torch.remainder(after - before + half, lap).sub(half)"
        ),
        "NumPy inside": _REWARD.format(
            "d = after.numpy() - before.numpy()\n"
            "    return torch.from_numpy((d + lap / 2) % lap - lap / 2)"
        ),
    },
    "discounted_returns": {
        "where": _RETURNS.format(
            "out, after = [], torch.zeros(rewards.shape[1], dtype=rewards.dtype)\n"
            "    for r, e in zip(reversed(rewards), reversed(ends)):\n"
            "        after = r + gamma * torch.where(e, torch.zeros_like(after), after)\n"
            "        out.append(after)\n"
            "    return torch.stack(out[::-1])"
        ),
        "car by car": _RETURNS.format(
            "out = torch.empty_like(rewards)\n"
            "    for n in range(rewards.shape[1]):\n"
            "        g = 0.0\n"
            "        for t in range(rewards.shape[0] - 1, -1, -1):\n"
            "            g = float(rewards[t, n]) + (0.0 if ends[t, n] else gamma * g)\n"
            "            out[t, n] = g\n"
            "    return out"
        ),
        "masks as numbers": _RETURNS.format(
            "goes_on = 1.0 - ends.to(rewards.dtype)\n"
            "    out = rewards.clone()\n"
            "    for t in range(len(out) - 2, -1, -1):\n"
            "        out[t] += gamma * goes_on[t] * out[t + 1]\n"
            "    return out"
        ),
        "from a definition": _RETURNS.format(
            "steps, cars = rewards.shape\n"
            "    out = torch.zeros_like(rewards)\n"
            "    for n in range(cars):\n"
            "        for t in range(steps):\n"
            "            for k in range(t, steps):\n"
            "                out[t, n] += gamma ** (k - t) * rewards[k, n]\n"
            "                if ends[k, n]:\n"
            "                    break\n"
            "    return out"
        ),
        "a matrix": _RETURNS.format(
            "steps, cars = rewards.shape\n"
            "    before = torch.cumsum(ends.long(), 0) - ends.long()\n"
            "    t = torch.arange(steps)\n"
            "    later = t[None, :] - t[:, None]\n"
            "    powers = float(gamma) ** later.clamp(min=0).to(rewards.dtype) * (later >= 0)\n"
            "    same = (before[:, None, :] == before[None, :, :]).to(rewards.dtype)\n"
            "    return torch.einsum('ts,tsn,sn->tn', powers, same, rewards)"
        ),
        "recursion": _RETURNS.format(
            "if len(rewards) == 0:\n"
            "        return rewards.clone()\n"
            "    rest = discounted_returns(rewards[1:], ends[1:], gamma)\n"
            "    after = rest[0] if len(rest) else torch.zeros_like(rewards[0])\n"
            "    first = rewards[0] + gamma * after * torch.logical_not(ends[0])\n"
            "    return torch.cat([first[None], rest])"
        ),
    },
    "policy_gradient_loss": {
        "cross_entropy": _LOSS.format(
            "losses = F.cross_entropy(scores, actions, reduction='none')\n"
            "    return (losses * advantages.detach()).mean()"
        ),
        "Categorical": _LOSS.format(
            "return -(Categorical(logits=scores).log_prob(actions) * advantages.detach()).mean()"
        ),
        "logsumexp": _LOSS.format(
            "rows = torch.arange(len(actions))\n"
            "    with torch.no_grad():\n"
            "        worth = advantages.clone()\n"
            "    losses = scores.logsumexp(dim=-1) - scores[rows, actions]\n"
            "    return (losses * worth).sum() / len(actions)"
        ),
        "one-hot": _LOSS.format(
            "chosen = F.one_hot(actions, scores.shape[1]).to(scores.dtype)\n"
            "    taken = (torch.log_softmax(scores, -1) * chosen).sum(-1)\n"
            "    return torch.mean(-taken * advantages.data)"
        ),
        "nll_loss": _LOSS.format(
            "losses = F.nll_loss(F.log_softmax(scores, dim=1), actions, reduction='none')\n"
            "    return losses.dot(advantages.detach().to(losses.dtype)) / losses.numel()"
        ),
        "a loop": _LOSS.format(
            "total = scores.new_zeros(())\n"
            "    for row, action, worth in zip(scores, actions.tolist(), advantages.tolist()):\n"
            "        total = total - row.log_softmax(0)[action] * worth\n"
            "    return total / len(scores)"
        ),
    },
    "advantages": {
        "scaled": _ADVANTAGES.format(
            "n = returns.shape[1]\n"
            "    if n == 1:\n"
            "        return returns.clone()\n"
            "    return (returns - returns.mean(dim=1, keepdim=True)) * n / (n - 1)"
        ),
        "a matrix": _ADVANTAGES.format(
            "n = returns.shape[1]\n"
            "    take = (1 - torch.eye(n, dtype=returns.dtype)) / max(n - 1, 1)\n"
            "    return returns - returns @ take"
        ),
        "a loop": _ADVANTAGES.format(
            "out = returns.clone()\n"
            "    for car in range(returns.shape[1]):\n"
            "        others = [i for i in range(returns.shape[1]) if i != car]\n"
            "        if others:\n"
            "            out[:, car] -= returns[:, others].mean(dim=1)\n"
            "    return out"
        ),
        "baseline first": _ADVANTAGES.format(
            "total, n = returns.sum(1), returns.size(1)\n"
            "    others = (total[:, None] - returns) / max(n - 1, 1)\n"
            "    baseline = others if n > 1 else torch.zeros_like(returns)\n"
            "    return torch.sub(returns, baseline)"
        ),
        "numbers worked out": _ADVANTAGES.format(
            "n = returns.shape[1]\n"
            "    return returns - (returns.sum(1, keepdim=True) - returns) / (n - 1 or 1)"
        )
        + "variance_without = 0.5 * (-5 - 0.5) ** 2 + 0.5 * (6 - 0.5) ** 2\n"
        "best_baseline = (10 + 12) / 2",
        "a whole number": "best_baseline = 11\nvariance_without = np.var([-5, 6])",
    },
    "train_policy": {
        "multinomial": _TRAIN.format(**_TRAINED),
        "Gumbel's trick": _TRAIN.format(
            **{
                **_TRAINED,
                "choose": "lambda seen: (policy(seen) - torch.rand(len(seen), 3)"
                ".clamp(1e-9, 1 - 1e-7).log().neg().log()).argmax(1)",
            }
        ),
        "a function by name": """
def train_policy(policy, optimizer, world, updates, steps, gamma):
    def choose(seen):
        chances = torch.softmax(policy(seen), dim=-1)
        return (torch.rand(len(seen), 1) > chances.cumsum(dim=-1)).sum(dim=-1).clamp(max=2)

    def update():
        log = drive(choose, world, steps)
        worth = advantages(discounted_returns(log.rewards, log.ends, gamma))
        policy.zero_grad()
        scores = policy(log.seen).view(-1, 3)
        policy_gradient_loss(scores, log.actions.view(-1), worth.view(-1)).backward()
        optimizer.step()
        return log.rewards.sum().item() / log.rewards.shape[1]

    return [update() for _ in range(updates)]
""",
        "in training mode, set to none": _TRAIN.format(
            **{
                **_TRAINED,
                "choose": "lambda seen: Categorical(probs=policy(seen).softmax(dim=1)).sample()",
                "update": "policy.train()\n        optimizer.zero_grad(set_to_none=True)\n"
                "        loss.backward()\n        optimizer.step()",
            }
        ),
        "step by step": """
def train_policy(policy, optimizer, world, updates, steps, gamma):
    came = []
    for _ in range(updates):
        rows = []
        for _ in range(steps):
            seen = torch.as_tensor(world.observe())
            with torch.no_grad():
                actions = torch.distributions.Categorical(logits=policy(seen)).sample()
            rewards, ends = world.step(actions.numpy())
            rows.append((seen, actions, torch.as_tensor(rewards), torch.as_tensor(ends)))
        seen, actions, rewards, ends = (torch.stack(one) for one in zip(*rows))
        worth = advantages(discounted_returns(rewards, ends, gamma))
        loss = policy_gradient_loss(policy(seen).flatten(0, 1), actions.flatten(), worth.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        came.append(rewards.sum(dim=0).mean().item())
    return came
""",
        "a gradient set by hand": _TRAIN.format(
            **{
                **_TRAINED,
                "update": "gradients = torch.autograd.grad(loss, list(policy.parameters()))\n"
                "        for p, g in zip(policy.parameters(), gradients): p.grad = g\n"
                "        optimizer.step()",
            }
        ),
    },
    "ReplayBuffer": {
        "a deque": """
from collections import deque
class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.rows = deque(maxlen=capacity)
        self.random = np.random.default_rng(seed)
    def __len__(self):
        return len(self.rows)
    def add(self, seen, actions, rewards, ends, after):
        columns = [one.clone() for one in (seen, actions, rewards, ends, after)]
        self.rows.extend(zip(*columns))
    def sample(self, count):
        chosen = [self.rows[i] for i in self.random.integers(len(self.rows), size=count)]
        return tuple(torch.stack(column) for column in zip(*chosen))
""",
        "cut tensors": """
class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.capacity, self.columns = capacity, None
        self.generator = torch.Generator().manual_seed(seed)
    def __len__(self):
        return 0 if self.columns is None else len(self.columns[0])
    def add(self, *new):
        old = self.columns or [one[:0] for one in new]
        self.columns = [torch.cat(pair)[-self.capacity:] for pair in zip(old, new)]
    def sample(self, count):
        rows = torch.randint(0, len(self), (count,), generator=self.generator)
        return tuple(column.index_select(0, rows) for column in self.columns)
""",
        "a ring, slot by slot": """
class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.slots, self.next, self.full = [None] * capacity, 0, False
        self.seed = seed
        self.random = __import__("random").Random(seed)
    def __len__(self):
        return len(self.slots) if self.full else self.next
    def add(self, seen, actions, rewards, ends, after):
        for i in range(len(rewards)):
            columns = (seen, actions, rewards, ends, after)
            self.slots[self.next] = [one[i].clone() for one in columns]
            self.next += 1
            if self.next == len(self.slots):
                self.next, self.full = 0, True
    def sample(self, count):
        chosen = self.random.choices(self.slots[:len(self)], k=count)
        return [torch.stack(column) for column in zip(*chosen)]
""",
        "by keywords, in NumPy": """
class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.capacity, self.store = capacity, []
        self.rng = np.random.default_rng(seed)
    def __len__(self):
        return len(self.store)
    def add(self, seen, actions, rewards, ends, after):
        numbers = actions.tolist(), rewards.tolist(), ends.tolist()
        self.store += zip(seen.numpy().copy(), *numbers, after.numpy().copy())
        del self.store[: max(0, len(self.store) - self.capacity)]
    def sample(self, count):
        rows = [self.store[i] for i in self.rng.choice(len(self.store), count, replace=True)]
        seen, actions, rewards, ends, after = zip(*rows)
        return (torch.tensor(np.array(seen)), torch.tensor(actions), torch.tensor(rewards),
                torch.tensor(ends), torch.tensor(np.array(after)))
""",
        "PyTorch's own generator": """
class ReplayBuffer:
    def __init__(self, capacity, seed):
        self.capacity, self.batches, self.generator = capacity, [], torch.Generator()
        self.generator.manual_seed(seed)
    def __len__(self):
        return min(self.capacity, sum(len(one[2]) for one in self.batches))
    def add(self, seen, actions, rewards, ends, after):
        self.batches.append(tuple(map(torch.clone, (seen, actions, rewards, ends, after))))
        while sum(len(one[2]) for one in self.batches[1:]) >= self.capacity:
            self.batches.pop(0)
    def sample(self, count):
        columns = [torch.cat(one)[-self.capacity :] for one in zip(*self.batches)]
        rows = (torch.rand(count, generator=self.generator) * len(columns[2])).long()
        return tuple(one[rows] for one in columns)
""",
    },
    "q_learning": {
        "max and where": _TARGETS.format(
            "best, _ = target(after).detach().max(dim=1)\n"
            "    return torch.where(ends, rewards, rewards + gamma * best)"
        )
        + _EPSILON.format(
            "best = values.max(dim=1).indices\n"
            "    out = best.clone()\n"
            "    coins = torch.rand(len(values), generator=generator)\n"
            "    dice = torch.randint(0, values.shape[1], (len(values),), generator=generator)\n"
            "    out[coins < epsilon] = dice[coins < epsilon]\n"
            "    return out"
        ),
        "a mask of numbers": _TARGETS.format(
            "goes_on = 1 - ends.to(rewards.dtype)\n"
            "    with torch.no_grad():\n"
            "        return rewards + gamma * target(after).max(1)[0] * goes_on"
        )
        + _EPSILON.format(
            "n, k = values.shape\n"
            "    chances = torch.full((n, k), epsilon / k)\n"
            "    chances[torch.arange(n), values.argmax(1)] += 1 - epsilon\n"
            "    return torch.multinomial(chances, 1, generator=generator)[:, 0]"
        ),
        "a loop": _TARGETS.format(
            "out = rewards.clone()\n"
            "    for i in range(len(rewards)):\n"
            "        if not ends[i]:\n"
            "            out[i] = rewards[i] + gamma * float(target(after[i : i + 1]).max())\n"
            "    return out"
        )
        + _EPSILON.format(
            "out = []\n"
            "    for row in values:\n"
            "        if torch.rand((), generator=generator) < epsilon:\n"
            "            out.append(int(torch.randint(len(row), (), generator=generator)))\n"
            "        else:\n"
            "            out.append(int(row.argmax()))\n"
            "    return torch.tensor(out)"
        ),
        "only where it goes on": _TARGETS.format(
            "out, on = rewards.clone(), ~ends\n"
            "    if on.any():\n"
            "        with torch.no_grad():\n"
            "            out[on] += gamma * target(after[on]).amax(-1)\n"
            "    return out"
        ),
        "bernoulli": _EPSILON.format(
            "n, k = values.shape\n"
            "    chance = torch.full((n,), float(epsilon))\n"
            "    curious = torch.bernoulli(chance, generator=generator).bool()\n"
            "    dice = (torch.rand(n, generator=generator) * k).long()\n"
            "    return torch.where(curious, dice, torch.argmax(values, dim=-1))"
        ),
        "masked_fill": _TARGETS.format(
            "nothing = target(after).detach().amax(dim=1).masked_fill(ends, 0.0)\n"
            "    return torch.add(rewards, nothing, alpha=gamma)"
        ),
    },
    "how_many_seeds": {
        "by sums": _ERROR.format(
            "def of(x):\n"
            "        m = x.sum() / len(x)\n"
            "        return m, ((x - m) ** 2).sum() / (len(x) - 1) / len(x)\n"
            "    (ma, va), (mb, vb) = of(a), of(b)\n"
            "    return (ma - mb).item(), (va + vb).sqrt().item()"
        ),
        "hypot": _ERROR.format(
            "ea, eb = (x.std() / len(x) ** 0.5 for x in (a, b))\n"
            "    return float(a.mean() - b.mean()), float(torch.hypot(ea, eb))"
        ),
        "NumPy": _ERROR.format(
            "x, y = a.numpy(), b.numpy()\n"
            "    squared = x.var(ddof=1) / x.size + y.var(ddof=1) / y.size\n"
            "    return x.mean() - y.mean(), np.sqrt(squared)"
        ),
        "statistics": _ERROR.format(
            "import statistics as st\n"
            "    x, y = a.tolist(), b.tolist()\n"
            "    error = (st.variance(x) / len(x) + st.variance(y) / len(y)) ** 0.5\n"
            "    return st.mean(x) - st.mean(y), error"
        ),
        "tensors in a list": _ERROR.format(
            "squared = torch.var(a, correction=1) / a.numel() + torch.var(b) / b.numel()\n"
            "    return [a.mean() - b.mean(), torch.sqrt(squared)]"
        ),
        "numbers worked out": "runs_needed = 8 * (30 / 20) ** 2\nmay_say = ' Cannot tell '",
    },
}
