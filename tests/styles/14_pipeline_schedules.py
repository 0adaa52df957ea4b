"""Lab 14: right answers in other styles."""

_SPLIT = """
def split_microbatches(batch, microbatches):
    if len(batch) % microbatches:
        raise ValueError("no")
    {}
"""
_ACCUMULATE = """
def accumulate(model, loss, X, y, microbatches):
    {}
"""
_STAGE = """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module, {{}}

    {}
    def forward(self, m, x):
        {}

    def backward(self, m, dy):
        {}
"""

STYLES = {
    "partition": {
        "recursion": """
def partition(costs, stages):
    def best(start, left):
        if left == 1:
            return sum(costs[start:]), [len(costs) - start]
        found = []
        for size in range(1, len(costs) - start - left + 2):
            worst, rest = best(start + size, left - 1)
            found.append((max(worst, sum(costs[start:start + size])), [size, *rest]))
        return min(found)
    return best(0, stages)[1]
""",
        "dynamic programming": """
from functools import cache
def partition(costs, stages):
    @cache
    def best(end, left):
        if left == 1:
            return sum(costs[:end]), (end,)
        options = []
        for cut in range(left - 1, end):
            worst, sizes = best(cut, left - 1)
            options.append((max(worst, sum(costs[cut:end])), (*sizes, end - cut)))
        return min(options)
    return list(best(len(costs), stages)[1])
""",
        "a lambda": "partition = lambda costs, stages: min(([b - a for a, b in pairwise([0, *cuts,"
        " len(costs)])] for cuts in combinations(range(1, len(costs)), stages - 1)), key=lambda"
        " sizes: max(sum(costs[sum(sizes[:i]):sum(sizes[:i + 1])]) for i in range(stages)))",
        "numpy, as a tuple": """
import numpy as np
def partition(costs, stages):
    total = np.cumsum([0, *costs])
    best = None
    for cuts in combinations(range(1, len(costs)), stages - 1):
        ends = np.array([0, *cuts, len(costs)])
        worst = np.diff(total[ends]).max()
        if best is None or worst < best[0]:
            best = worst, np.diff(ends)
    return tuple(best[1])
""",
        "the last of the best": """
def partition(costs: list, stages: int) -> list:
    best, found = float("inf"), None
    for cuts in combinations(range(1, len(costs)), stages - 1):
        ends = (0,) + cuts + (len(costs),)
        worst = max(sum(costs[a:b]) for a, b in zip(ends[:-1], ends[1:]))
        if worst <= best:
            best, found = worst, [b - a for a, b in zip(ends, ends[1:])]
    return found
""",
        "a class with a call": """
class Partition:
    def __call__(self, costs, stages):
        self.costs = list(costs)
        choices = combinations(range(1, len(costs)), stages - 1)
        return self.sizes(min(choices, key=lambda cuts: max(self.of(cuts))))
    def of(self, cuts):
        return [sum(self.costs[a:b]) for a, b in pairwise((0, *cuts, len(self.costs)))]
    def sizes(self, cuts):
        return [b - a for a, b in pairwise((0, *cuts, len(self.costs)))]
partition = Partition()
""",
        "a float for the number": "ten_microbatches = 33.0",
        "worked out": "ten_microbatches = 1 + 1 + 1 + 10 * 3",
    },
    "split_microbatches": {
        "chunk": _SPLIT.format("return batch.chunk(microbatches)"),
        "slices": _SPLIT.format("""size = len(batch) // microbatches
    return [batch[i * size:(i + 1) * size] for i in range(microbatches)]"""),
        "a generator inside": _SPLIT.format("""
    def parts():
        for start in range(0, len(batch), len(batch) // microbatches):
            yield batch[start:start + len(batch) // microbatches]
    return list(parts())"""),
        "reshape": _SPLIT.format(
            "return list(batch.reshape(microbatches, -1, *batch.shape[1:]).unbind())"
        ),
        "tensor_split, keywords": _SPLIT.format(
            "return list(torch.tensor_split(batch, sections=microbatches))"
        ),
        "loss times 1/m by the gradient": _ACCUMULATE.format("""total = 0
    for a, b in zip(X.chunk(microbatches), y.chunk(microbatches)):
        value = loss(model(a), b)
        value.backward(torch.full_like(value, 1 / microbatches))
        total += float(value.detach())
    return total / microbatches"""),
        "autograd.grad": _ACCUMULATE.format("""losses, parameters = [], list(model.parameters())
    for a, b in zip(X.chunk(microbatches), y.chunk(microbatches)):
        losses.append(loss(model(a), b) / microbatches)
        for p, g in zip(parameters, torch.autograd.grad(losses[-1], parameters)):
            p.grad = g if p.grad is None else p.grad + g
        losses[-1] = losses[-1].item()
    return sum(losses)"""),
        "a tensor without a graph": _ACCUMULATE.format("""total = torch.zeros(())
    for a, b in zip(split_microbatches(X, microbatches), split_microbatches(y, microbatches)):
        share = loss(model(a), b) / microbatches
        share.backward()
        total = total + share.detach()
    return total"""),
        "weighted by size": _ACCUMULATE.format("""total, size = 0.0, len(X) // microbatches
    for k in range(microbatches):
        rows = slice(k * size, (k + 1) * size)
        share = loss(model(X[rows]), y[rows]) * (size / len(X))
        share.backward()
        total += share.item()
    return total"""),
        "recursion": _ACCUMULATE.format("""size = len(X) // microbatches
    def rest(start):
        if start == len(X):
            return 0.0
        share = loss(model(X[start:start + size]), y[start:start + size]) / microbatches
        share.backward()
        return share.item() + rest(start + size)
    return rest(0)"""),
    },
    "gpipe_actions": {
        "multiplied": """
def gpipe_actions(stages, microbatches):
    return [[(kind, m) for kind in "FB" for m in range(microbatches)]] * stages
""",
        "loops": """
def gpipe_actions(stages, microbatches):
    schedule = []
    for rank in range(stages):
        actions = []
        for m in range(microbatches):
            actions.append(("F", m))
        for m in range(microbatches):
            actions.append(("B", m))
        schedule.append(actions)
    return schedule
""",
        "product": """
from itertools import product
gpipe_actions = lambda p, m: [list(product("FB", range(m))) for _ in range(p)]
""",
        "tuples of tuples": """
def gpipe_actions(stages, microbatches):
    one = tuple(("F", m) for m in range(microbatches)) + tuple(
        ("B", m) for m in range(microbatches))
    return tuple(one for _ in range(stages))
""",
        "parsed": """
def gpipe_actions(stages, microbatches):
    line = " ".join([f"F{m}" for m in range(microbatches)] + [f"B{m}" for m in range(microbatches)])
    return schedules.parse("\\n".join([line] * stages))
""",
        "numpy's numbers": """
import numpy as np
def gpipe_actions(stages, microbatches):
    return [[(k, m) for k in ("F", "B") for m in np.arange(microbatches)] for _ in range(stages)]
""",
    },
    "bubble_fraction": {
        "one less": "bubble_fraction = lambda p, m: 1 - m / (m + p - 1)",
        "by time": """
def bubble_fraction(stages, microbatches):
    forward, backward = 1.0, 2.0
    work = microbatches * (forward + backward)
    wait = (stages - 1) * (forward + backward)
    return wait / (work + wait)
""",
        "fractions": """
from fractions import Fraction
def bubble_fraction(stages: int, microbatches: int) -> float:
    return float(Fraction(stages - 1, microbatches + stages - 1))
""",
        "numpy": """
import numpy as np
def bubble_fraction(stages, microbatches):
    return np.divide(stages - 1, microbatches + stages - 1)
""",
        "a class with a call": """
class Bubble:
    def __call__(self, stages, microbatches):
        return (stages - 1) / self.ticks(stages, microbatches)
    @staticmethod
    def ticks(p, m):
        return m + p - 1
bubble_fraction = Bubble()
""",
        "a tensor": """
def bubble_fraction(stages, microbatches):
    return torch.tensor((stages - 1) / (microbatches + stages - 1), dtype=torch.float64)
""",
        "solved": "import math\nmicrobatches_needed = math.ceil(3 / 0.1 - 3 - 1e-9)",
    },
    "one_f_one_b_actions": {
        "a queue": """
from collections import deque
def rank_actions(warmup, microbatches):
    forwards, held, actions = deque(range(microbatches)), deque(), []
    while forwards or held:
        if forwards and (len(held) <= warmup):
            held.append(forwards.popleft())
            actions.append(("F", held[-1]))
        if held and (len(held) > warmup or not forwards):
            actions.append(("B", held.popleft()))
    return actions
""",
        "one loop": """
def rank_actions(warmup, microbatches):
    actions = []
    for step in range(microbatches + warmup):
        if step < microbatches:
            actions.append(("F", step))
        if 0 <= step - warmup < microbatches:
            actions.append(("B", step - warmup))
    return sorted(actions, key=lambda a: 0) if warmup <= microbatches else (
        [a for a in actions if a[0] == "F"] + [a for a in actions if a[0] == "B"])
""",
        "a generator": """
def _steps(warmup, m):
    w = min(warmup, m)
    yield from (("F", i) for i in range(w))
    for i in range(m - w):
        yield "F", w + i
        yield "B", i
    yield from (("B", i) for i in range(m - w, m))
rank_actions = lambda warmup, microbatches: list(_steps(warmup, microbatches))
def one_f_one_b_actions(stages, microbatches):
    return [rank_actions(w, microbatches) for w in reversed(range(stages))]
""",
        "partial and map": """
from functools import partial
def one_f_one_b_actions(stages, microbatches):
    build = partial(rank_actions, microbatches=microbatches)
    return list(map(build, range(stages - 1, -1, -1)))
""",
        "without the other": """
def one_f_one_b_actions(stages, microbatches):
    schedule = []
    for rank in range(stages):
        warmup = min(stages - rank - 1, microbatches)
        actions = [("F", m) for m in range(warmup)]
        for m in range(microbatches - warmup):
            actions += [("F", warmup + m), ("B", m)]
        actions += [("B", m) for m in range(microbatches - warmup, microbatches)]
        schedule.append(actions)
    return schedule
""",
        "tuples": """
def one_f_one_b_actions(stages, microbatches):
    return tuple(tuple(rank_actions(stages - 1 - r, microbatches)) for r in range(stages))
""",
    },
    "peak_stash": {
        "if": """
def peak_stash(rank, stages, microbatches, schedule):
    if schedule == "gpipe":
        return microbatches
    ahead = stages - rank
    if ahead > microbatches:
        return microbatches
    return ahead
""",
        "match": """
def peak_stash(rank, stages, microbatches, schedule):
    match schedule:
        case "gpipe":
            return microbatches
        case "1f1b":
            return min(microbatches, stages - rank)
""",
        "a dict of functions": """
LAWS = {"gpipe": lambda r, p, m: m, "1f1b": lambda r, p, m: min(p - r, m)}
peak_stash = lambda rank, stages, microbatches, schedule: LAWS[schedule](rank, stages, microbatches)
""",
        "sorted": """
def peak_stash(rank, p, m, schedule):
    return m if "g" in schedule else sorted([p - rank, m])[0]
""",
        "numpy": """
import numpy as np
def peak_stash(rank: int, stages: int, microbatches: int, schedule: str):
    return np.where(schedule == "gpipe", microbatches, np.minimum(stages - rank, microbatches))[()]
""",
    },
    "hiding_warmup": {
        "whole numbers": """
def hiding_warmup(rank, stages, forward, backward, transfer):
    return (stages - 1 - rank) * int(1 - (-2 * transfer // (forward + backward)))
""",
        "a loop over the ranks below": """
def hiding_warmup(rank, stages, forward, backward, transfer):
    warmup = 0
    for below in range(rank + 1, stages):
        lead = 1
        while (lead - 1) * (forward + backward) < 2 * transfer:
            lead += 1
        warmup += lead
    return warmup
""",
        "recursion": """
import math
def hiding_warmup(rank, stages, forward, backward, transfer):
    if rank == stages - 1:
        return 0
    lead = math.ceil(2 * transfer / (forward + backward)) + 1
    return lead + hiding_warmup(rank + 1, stages, forward, backward, transfer)
""",
        "numpy": """
import numpy as np
hiding_warmup = lambda r, p, f, b, t: int(np.ceil(2 * t / (f + b)) + 1) * (p - r - 1)
""",
        "divmod": """
def hiding_warmup(rank, stages, forward, backward, transfer):
    whole, rest = divmod(2 * transfer, forward + backward)
    return int((stages - rank - 1) * (1 + whole + (rest > 0)))
""",
        "the round trip": """
import math
def hiding_warmup(rank, stages, forward, backward, transfer):
    pair = forward + backward
    return (stages - rank - 1) * math.ceil((pair + 2 * transfer) / pair)
""",
    },
    "rematerialisation": {
        "copies": _STAGE.format(
            "",
            "self.kept[m] = x.detach().clone()\n        with torch.no_grad():\n"
            "            return self.module(x)",
            "x = self.kept.pop(m).requires_grad_()\n        y = self.module(x)\n"
            "        y.backward(gradient=dy)\n        return x.grad",
        ),
        "a decorator": _STAGE.format(
            "@torch.no_grad()",
            "self.kept[m] = x\n        return self.module(x)",
            "x = self.kept.pop(m).clone().detach()\n        x.requires_grad = True\n"
            "        torch.autograd.backward(self.module(x), dy)\n        return x.grad",
        ),
        "a graph kept until it returns": _STAGE.format(
            "",
            "self.kept[m] = x\n        with torch.no_grad():\n            return self.module(x)",
            "x = self.kept.pop(m).detach().requires_grad_()\n"
            "        self.module(x).backward(dy, retain_graph=True)\n        return x.grad",
        ),
        "del": _STAGE.format(
            "",
            "self.kept.update({m: x})\n        with torch.set_grad_enabled(False):\n"
            "            y = self.module(x)\n        return y",
            "x = self.kept[m].detach().requires_grad_(True)\n        del self.kept[m]\n"
            "        with torch.enable_grad():\n            y = self.module(x)\n"
            "        y.backward(dy)\n        return x.grad.clone()",
        ),
        "autograd.grad": _STAGE.format(
            "",
            "self.kept[m] = x\n        with torch.no_grad():\n            return self.module(x)",
            "x, own = self.kept.pop(m).detach().requires_grad_(), list(self.module.parameters())\n"
            "        dx, *grads = torch.autograd.grad(self.module(x), [x, *own], dy)\n"
            "        for p, g in zip(own, grads):\n"
            "            p.grad = g if p.grad is None else p.grad + g\n        return dx",
        ),
        "a scalar product": _STAGE.format(
            "",
            "self.kept[m] = x\n        with torch.no_grad():\n            return self.module(x)",
            "x = torch.tensor(self.kept.pop(m).tolist(), dtype=dy.dtype, requires_grad=True)\n"
            "        (self.module(x) * dy).sum().backward()\n        return x.grad",
        ),
        "inheritance": """
class _Keeping:
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.kept = {}

class RematerialisedStage(_Keeping):
    def forward(self, microbatch: int, x: Tensor) -> Tensor:
        self.kept[microbatch] = x.detach()
        with torch.no_grad():
            return self.module(x)

    def backward(self, microbatch: int, dy: Tensor) -> Tensor:
        leaf = self.kept.pop(microbatch).detach().requires_grad_()
        self.module(leaf).backward(dy)
        return leaf.grad
""",
    },
}
