"""Checks of lab 03: a reverse-mode engine on arrays, two optimisers, and three ways to run a model.

The learner's tensors stay where they are: probes work on them there and return plain values.
"""

import numpy as np

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import autograd as answers


@probe
def tensor_ops(learner, op, arrays, dY, options):
    """What an operation computes, which of its inputs are its parents, and what pull(dY) gives."""
    kept = [array.copy() for array in arrays]
    inputs = [learner.Tensor(array) for array in arrays]
    result = getattr(learner, op)(*inputs, **options)
    if not isinstance(result, learner.Tensor):
        return {"type": type(result).__name__}
    places = {id(tensor): place for place, tensor in enumerate(inputs)}
    parents = [places.get(id(parent), -1) for parent in result.parents]
    value, came = result.data + 0.0, dY + 0.0
    shares = result.pull(dY) if callable(result.pull) else "none"
    same = all((a == b).all() for a, b in zip(arrays, kept, strict=True))
    changed = "its inputs" if not same else "dY" if (dY != came).any() else ""
    return {"value": value, "parents": parents, "shares": shares, "changed": changed}


@exercise("tensor_ops", points=2)
def judge_tensor_ops(student, rng):
    worth = {"add": 0.3, "mul": 0.4, "matmul": 0.5, "relu": 0.35, "total": 0.45}
    for op, points in worth.items():
        with part(f"{op}: its value and what it pulls", points=points):
            for arrays, options in answers.inputs(rng, op):
                _judge_operation(student, rng, op, arrays, options)


def _judge_operation(student, rng, op, arrays, options):
    value, known = answers.value(op, arrays, **options)
    dY = answers.numbers(rng, *np.shape(value))
    names = ("a", "b")[: len(arrays)]
    given = {**dict(zip(names, arrays, strict=True)), **options}
    got = tensor_ops(student, op, arrays, dY, options)
    expect.that(
        "type" not in got,
        f"`{op}` should return a Tensor.",
        detail=f"It returned {got.get('type')}.",
        diagnosis="Wrap the array: Tensor(array, op, parents, pull), as exp does.",
    )
    expect.close(got["value"], value, what=f"the data of {op}", given=given, knows=known)
    expect.that(
        got["parents"] == list(range(len(arrays))),
        f"The parents of `{op}` are not the tensors that went in.",
        diagnosis="The third argument of Tensor is a tuple of the input tensors, in their order:"
        " the tensors themselves, not their data.",
        given=given,
    )
    expect.that(
        not got["changed"],
        f"`{op}` changes {got['changed']} in place.",
        diagnosis="Others hold that array, too: make a new one.",
    )
    given["dY"] = dY
    shares = _shares(op, got["shares"], len(arrays), given)
    for name, share, (right, known) in zip(
        names, shares, answers.shares(op, arrays, dY, **options), strict=True
    ):
        expect.close(share, right, what=f"the gradient in {name}", given=given, knows=known)


def _shares(op, got, count, given):
    """What pull returned, as a tuple of one gradient a parent."""
    expect.that(
        not isinstance(got, str),
        f"`{op}` has no `pull`.",
        diagnosis="The fourth argument of Tensor is a function of dY: pass it without calling it.",
    )
    message = "pull should return a tuple with one gradient for each parent."
    comma = "A tuple of one needs its comma: `(dX,)`." if count == 1 else ""
    right_form = type(got) in (tuple, list) and len(got) == count
    expect.that(right_form, message, kind="type", diagnosis=comma, given=given)
    return got


@exercise("unbroadcast", points=1, forbids={"unbroadcast": ["torch"]})
def judge_unbroadcast(student, rng):
    def judge(wide, shape):
        dY = answers.numbers(rng, *wide)
        right, known = answers.unbroadcast(dY, shape)
        given = {"dY": dY, "shape": shape}
        got = student.unbroadcast(dY, shape)
        expect.close(got, right, what="the gradient", given=given, knows=known)
        expect.unchanged(student)

    with part("an axis that was missing on the left", points=0.3):
        judge((4, 3), (3,))
        judge((3, 3), (3,))
    with part("an axis of length 1 that was repeated", points=0.3):
        judge((4, 3), (4, 1))
        judge((3, 3), (1, 3))
    with part("a single number, which went everywhere", points=0.15):
        judge((2, 3), ())
        judge((4, 3), (1, 1))
    with part("both at once, and nothing at all", points=0.25):
        judge((4, 2, 3), (2, 1))
        judge((4, 2, 3), (1, 3))
        judge((2, 1, 3), (2, 1, 3))


@probe
def topological_order(learner, parents):
    """The places of the tensors in the order, -1 for what is none; or why there is no order."""

    class Counted(learner.Tensor):
        """Counts how often its parents were asked for."""

        def __init__(self, before):
            self.asked = 0
            super().__init__(1.0, "op" if before else "", tuple(before))

        @property
        def parents(self):
            self.asked += 1
            if self.asked > 60 + 4 * len(tensors):
                raise OverflowError("visited again and again")
            return self._parents

        @parents.setter
        def parents(self, before):
            self._parents = before

    tensors = []
    for before in parents:
        tensors.append(Counted([tensors[i] for i in before]))
    places = {id(tensor): place for place, tensor in enumerate(tensors)}

    def order():
        found = learner.topological_order(tensors[-1])
        if not isinstance(found, list | tuple):
            return {"type": type(found).__name__}
        return [places.get(id(one), -1) for one in found]

    try:
        first, again = order(), order()
    except RecursionError:
        return "recursion"
    except OverflowError:
        return "again and again"
    return first if first == again else "kept"


@exercise("topological_order", points=1.25)
def judge_topological_order(student, rng):
    graphs = answers.small_graphs(rng)
    with part("every tensor comes once, those it was computed from included", points=0.35):
        for parents in graphs:
            _judge_members(_order(student, parents), parents)
    with part("every tensor comes after its parents", points=0.65):
        orders = [_order(student, parents) for parents in graphs]
        for order, parents in zip(orders, graphs, strict=True):
            _judge_members(order, parents)
        for order, parents in zip(orders, graphs, strict=True):
            early = [i for n, i in enumerate(order) if not set(parents[i]) <= set(order[:n])]
            expect.that(
                not early,
                "A tensor comes before one that it was computed from.",
                given=answers.described(parents),
                detail=f"Your order: {answers.letters(order)}."
                f" Too early: {answers.letters(early[:1])}.",
                diagnosis=answers.wrong_order(orders, graphs),
            )
    with part("graphs of thousands of tensors, and of many paths", points=0.25):
        chain = [[], *([i] for i in range(3000))]
        ladder = [[], *([i, i] for i in range(40))]
        for parents in (chain, ladder):
            _judge_members(_order(student, parents), parents)


def _order(student, parents):
    """The learner's order as places in `parents`; where there is none, why."""
    got, big = topological_order(student, parents), len(parents) > 20
    given = "" if big else answers.described(parents)
    expect.that(
        got != "recursion",
        "Python ran out of nested calls.",
        given="For a chain of 3,000 tensors, each the parent of the next.",
        diagnosis="Each level of recursion is a nested call, and Python allows about 1,000. Keep"
        " what waits in a list of your own (hint 2).",
    )
    expect.that(
        got != "kept",
        "A second call for the same graph gives another order.",
        given=given,
        diagnosis="Something is left from the first call. A list or set that is a default argument,"
        " or is made outside the function, is made only once.",
    )
    expect.that(
        not isinstance(got, str),
        "The same tensor's parents are visited again and again.",
        given="For a chain of 40 tensors in which each uses the one before it twice.",
        diagnosis="With n such doublings there are 2ⁿ paths. Ask whether a tensor was visited"
        " before going to its parents, not only before appending it.",
    )
    expect.that(
        not isinstance(got, dict),
        "The order should be a list of tensors.",
        kind="type",
        given=given,
        detail=f"It is {got.get('type')}." if isinstance(got, dict) else "",
        diagnosis="Is a return missing?"
        if got == {"type": "NoneType"}
        else "list(…) makes a list of what can be gone through.",
    )
    expect.that(
        -1 not in got,
        "The list holds something that is not a tensor of the graph.",
        given=given,
        diagnosis="It should hold the tensors themselves: not their data, and not their id.",
    )
    return got


def _judge_members(order, parents):
    count, big = len(parents), len(parents) > 20
    given = f"For a graph of {count:,} tensors." if big else answers.described(parents)
    detail = "" if big else f"Your order: {answers.letters(order)}."
    expect.that(
        len(set(order)) == len(order),
        "A tensor comes more than once.",
        given=given,
        detail=detail,
        diagnosis="Several paths lead to it. Remember which tensors were visited, and pass a"
        " visited one by.",
    )
    missing = set(range(count)) - set(order)
    expect.that(
        not missing,
        "Tensors are missing.",
        given=given,
        detail=f"{detail} Missing: {answers.letters(sorted(missing)[:4])}.",
        diagnosis=answers.missing(missing, parents),
    )


@probe
def backward(learner, parents, weights, starts, shared):
    """Run backward over tensors with these parents; pull multiplies by the weights.

    starts: the data of each tensor. shared: how many tensors at the front a second graph, over
    which backward runs too, has in common with the first; 0: there is no second.
    """
    import numpy as np

    def pull_of(number):
        shape = starts[number].shape

        def pull(dY):
            if dY is None:
                raise LookupError(number)
            pulled.append(number)
            seen.append((dY, np.array(dY)))
            shares = []
            for before, weight in zip(parents[number], weights[number], strict=True):
                share = dY if weight == 1 else weight * dY
                if starts[before].shape != shape:
                    share = np.full(starts[before].shape, float(weight * dY))
                seen.append((share, np.array(share)))
                shares.append(share)
            return tuple(shares)

        return pull

    def build(known):
        tensors = list(known)
        for number in range(len(known), len(parents)):
            before = [tensors[i] for i in parents[number]]
            pull = pull_of(number) if before else None
            op = "op" if before else ""
            tensors.append(learner.Tensor(starts[number], op, before, pull))
        return tensors

    seen, pulled = [], []
    tensors = build([])
    try:
        learner.backward(list(tensors))
        most = max(map(pulled.count, pulled), default=0)
        if shared:
            tensors = build(tensors[:shared])
            learner.backward(list(tensors))
    except LookupError as error:
        return {"early": error.args[0] if error.args else -1}
    grads = ["none" if tensor.grad is None else tensor.grad for tensor in tensors]
    intact = all(np.array_equal(now, before) for now, before in seen)
    return {"grads": grads, "intact": intact, "pulled": most}


@exercise("backward", points=1.5, forbids={"backward": ["torch"]})
def judge_backward(student, rng):
    def judge(graph, shared=0):
        parents, weights, starts = graph
        given = answers.weighted(parents, weights, shared)
        with expect.explained(*answers.RAISED_IN_BACKWARD.items()):
            got = backward(student, parents, weights, starts, shared)
        last = got.get("early") == len(parents) - 1
        expect.that(
            "early" not in got,
            "A pull was given None: the gradient of its tensor has not arrived yet.",
            given=given,
            diagnosis="The loss has no pull above it: give it its gradient, 1, first."
            if last
            else "Gradients come from the loss: go through the order from its end.",
        )
        expect.that(
            got["pulled"] >= 1,
            "backward called no `pull`.",
            given=given,
            diagnosis="Take the tensors from the end of the order; each that has a pull gets its"
            " grad passed to it.",
        )
        expect.that(
            got["pulled"] == 1,
            "A pull was called more than once.",
            given=given,
            diagnosis="That goes path by path, and paths can be many: go through `order` once, from"
            " its end. Then a tensor's gradient is complete when its turn comes.",
        )
        right, known = answers.gradients(parents, weights, starts, shared)
        _judge_grads(got["grads"], right, known, given)
        return got["intact"], given

    with part("along a chain: the loss starts with 1, each pull passes it on", points=0.35):
        judge(answers.chain(rng))
    with part("a tensor that is used twice gets the sum of its shares", points=0.5):
        for graph in answers.shared_graphs(rng):
            judge(graph)
    with part("arrays that several tensors share are not changed", points=0.3):
        intact, given = judge(answers.handed_on(rng))
        expect.that(
            intact,
            "An array that a pull took or gave was changed in place.",
            given=given,
            diagnosis=answers.IN_PLACE,
        )
    with part("a leaf's gradient adds up from one backward to the next", points=0.35):
        judge(answers.chain(rng), shared=1)
        judge(answers.shared_graphs(rng)[0], shared=2)


def _judge_grads(got, right, known, given):
    absent = [answers.letters([i]) for i, grad in enumerate(got) if isinstance(grad, str)]
    expect.that(
        not absent,
        "Some tensors have no gradient.",
        given=given,
        detail=f"Without: {', '.join(absent)}.",
        diagnosis="Every tensor gets one, leaves and results alike. "
        + (
            "Does the loop reach the first of the order?"
            if isinstance(got[0], str)
            else "Is one cleared when it has been passed on? It stays, as the pictures show."
        ),
    )
    names = tuple(f"the gradient in {answers.letters([i])}" for i in range(len(right)))
    try:
        expect.close(got, right, what=names, given=given, knows=known)
    except Fault as fault:
        if fault.kind in ("type", "shape"):
            fault.diagnosis = "A gradient is an array in the shape of its tensor's data."
        raise


@probe
def detach(learner, array):
    """What detach makes of a tensor with a past, and what becomes of that tensor."""
    before = learner.Tensor(array)
    source = learner.Tensor(array * 2, "double", (before,), lambda dY: (2 * dY,))
    source.grad = array
    cut = learner.detach(source)
    if not isinstance(cut, learner.Tensor):
        return {"type": type(cut).__name__}
    return {
        "data": cut.data,
        "same": cut is source,
        "past": len(cut.parents) > 0 or cut.pull is not None or cut.grad is not None,
        "kept": len(source.parents) == 1 and source.pull is not None,
    }


@probe
def train_step(learner, values, slopes):
    """What train_step does, by name, and what it returns, for a loss that notes what is asked."""
    parameters = [learner.Tensor(value) for value in values[0]]
    steps = []

    class Loss(learner.Tensor):
        def backward(self):
            notes.append("backward")
            for parameter, slope in zip(parameters, slopes[len(steps)], strict=True):
                old = parameter.grad
                parameter.grad = slope if old is None else old + slope

    def loss_of():
        notes.append("loss")
        return Loss(float(values[1][len(steps)]))

    def update(given):
        notes.append("update")
        same = len(given) == len(parameters)
        same = same and all(one is other for one, other in zip(given, parameters, strict=True))
        seen.append(
            "others"
            if not same
            else ["none" if parameter.grad is None else parameter.grad for parameter in given]
        )

    for _ in range(len(values[1])):
        notes, seen = [], []
        result = learner.train_step(loss_of, parameters, update)
        steps.append({"notes": notes, "seen": seen, "result": "none" if result is None else result})
    return steps


@exercise("detach", points=1.25)
def judge_detach(student, rng):
    with part("slope_past_detach", points=0.25):
        how = "detach(x) is a number, 3, that happens to equal x. What is the slope of 3·x?"
        expect.answer(student, "slope_past_detach", *answers.slope_past_detach(), how, rtol=0.001)
    with part("detach: the same numbers, no past", points=0.35):
        _judge_detached(student, answers.numbers(rng, 2, 2))
    with part("train_step: loss, backward, update, each once", points=0.25):
        for step in _steps(student, rng)[0]:
            _judge_notes(step["notes"])
    with part("train_step: the update sees this step's gradients alone", points=0.25):
        steps, _, slopes = _steps(student, rng)
        for number, step in enumerate(steps):
            _judge_notes(step["notes"])
            _judge_seen(step["seen"][0], slopes, number)
    with part("train_step: the loss comes back as a number", points=0.15):
        steps, losses, _ = _steps(student, rng)
        for step, loss in zip(steps, losses, strict=True):
            _judge_loss(step["result"], loss)


def _judge_detached(student, array):
    with expect.explained(*answers.RAISED_IN_DETACH.items()):
        got = detach(student, array)
    expect.that(
        "type" not in got,
        "`detach` should return a Tensor.",
        kind="type",
        detail=f"It returned {got.get('type')}.",
        diagnosis="A Tensor made from the data alone is a leaf.",
    )
    given = {"a.data": 2 * array}
    expect.that(
        got["kept"],
        "detach cut the tensor that it was given.",
        diagnosis="Others may still send gradients through a: make a new Tensor, leave a alone.",
    )
    expect.that(not got["same"], "detach returned the same tensor, past and all.")
    expect.that(
        not got["past"],
        "The detached tensor still has parents, a pull or a gradient.",
        diagnosis="A new leaf has none of them: give Tensor the data only.",
    )
    expect.close(got["data"], 2 * array, what="the data", given=given)


def _steps(student, rng):
    start = [answers.numbers(rng, 2), answers.numbers(rng, 3)]
    losses = rng.uniform(1, 3, size=3).tolist()
    slopes = [[answers.numbers(rng, 2), answers.numbers(rng, 3)] for _ in losses]
    with expect.explained(*answers.RAISED_IN_STEP.items()):
        steps = train_step(student, [start, losses], slopes)
    return steps, losses, slopes


def _judge_notes(notes):
    known = {
        ("loss", "update", "backward"): "update comes before backward: it would use the gradients"
        " of the step before.",
        ("loss", "backward"): "The parameters are never updated: call update(parameters).",
        ("loss", "update"): "loss.backward() is never called: the update has no gradients to use.",
        ("loss", "backward", "update", "update"): "update takes all parameters at once.",
        ("loss", "loss", "backward", "update"): "The loss is computed twice: keep the tensor in a"
        " variable.",
        ("loss", "backward", "update", "loss"): "The loss is computed again for the result: keep"
        " the tensor in a variable.",
    }
    expect.that(
        notes == ["loss", "backward", "update"],
        "A step is: loss, backward, update, each once.",
        detail=f"Yours: {', '.join(notes) or 'nothing'}.",
        diagnosis=known.get(tuple(notes), ""),
    )


def _judge_seen(seen, slopes, number):
    given = f"In step {number + 1} of three."
    expect.that(
        seen != "others",
        "update was given something else than the parameters.",
        diagnosis="update takes the list of parameters, as train_step was given it.",
    )
    expect.that(
        not any(isinstance(grad, str) for grad in seen),
        "The update finds no gradients.",
        given=given,
        diagnosis="They were cleared between backward and update: clear before backward, or after"
        " the update.",
    )
    right, known = answers.seen(slopes, number)
    names = ("grad of the first parameter", "grad of the second")
    expect.close(seen, right, what=names, given=given, knows=known)


def _judge_loss(result, loss):
    try:
        expect.that(
            not isinstance(result, str),
            "train_step returned nothing.",
            diagnosis="Is a return missing?",
        )
        expect.close(result, loss, what="the loss")
        expect.that(
            isinstance(result, float),
            "The loss should be a plain float.",
            kind="type",
            diagnosis="An array of shape () is still an array: float(…) makes a number of it.",
        )
    except Fault as fault:
        if fault.kind == "type" and not fault.diagnosis:
            fault.diagnosis = (
                "Whoever keeps a tensor keeps the whole graph behind it alive, one more with each"
                " step. For a report, return float(loss.data)."
            )
        raise


@exercise("sgd_momentum", points=0.75, forbids={"sgd_momentum": ["torch"]})
def judge_sgd_momentum(student, rng):
    def judge(w, g, v, lr, momentum):
        right, known = answers.sgd_momentum(w, g, v, lr, momentum)
        got = student.sgd_momentum(w, g, v, lr, momentum)
        given = {"w": w, "g": g, "v": v, "lr": lr, "momentum": momentum}
        expect.close(got, right, what=("w", "v"), given=given, knows=known)
        expect.unchanged(student)
        return right

    with part("the first step, from rest", points=0.15):
        w, g = answers.numbers(rng, 3), answers.numbers(rng, 3)
        judge(w, g, np.zeros(3), 0.1, 0.9)
    with part("a step in motion", points=0.35):
        for shape in ((3,), (2, 2)):
            w, g, v = (answers.numbers(rng, *shape) for _ in range(3))
            judge(w, g, v, float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.5, 0.9)))
    with part("six steps while the learning rate falls, as torch.optim.SGD goes", points=0.25):
        w, v = answers.numbers(rng, 3), np.zeros(3)
        for step in range(6):
            w, v = judge(w, answers.numbers(rng, 3), v, 0.3 / (step + 1), 0.8)


@exercise("adam", points=1.25, forbids={"adam": ["torch"]})
def judge_adam(student, rng):
    def judge(state, g, t, lr, betas, eps, which):
        w, m, u = state
        right, known = answers.adam(w, m, u, g, t, lr, betas, eps)
        given = {"w": w, "g": g, "m": m, "u": u, "t": t, "lr": lr, "betas": betas, "eps": eps}
        got = expect.items(
            student.adam(w, g, m, u, t, lr, betas, eps), 3, what="the result (w, m, u)", given=given
        )
        for i in which:
            name = ("w", "m", "u")[i]
            expect.close(got[i], right[i], what=name, given=given, knows=known[i])
        expect.unchanged(student)
        return right

    def any_state(t):
        w, g, m = (answers.numbers(rng, 3) for _ in range(3))
        return (w, m, abs(answers.numbers(rng, 3))), g, t, 0.1, (0.2, 0.3), 0.1

    with part("adam_step_ratio", points=0.25):
        how = "Put t = 1 and m = u = 0 into the formulas: which power of g is above the line, and"
        how += " which below?"
        expect.answer(student, "adam_step_ratio", *answers.adam_step_ratio(), how, rtol=0.001)
    with part("the running means m and u", points=0.3):
        for t in (1, 4):
            judge(*any_state(t), which=(1, 2))
    with part("the step, corrected for the start at 0", points=0.45):
        zeros = np.zeros(3)
        w, g = answers.numbers(rng, 3), answers.numbers(rng, 3)
        judge((w, zeros, zeros), g, 1, 0.1, (0.8, 0.95), 0.1, which=(0,))
        judge(*any_state(3), which=(0,))
    with part("six steps, as torch.optim.Adam goes", points=0.25):
        state = answers.numbers(rng, 3), np.zeros(3), np.zeros(3)
        for t in range(1, 7):
            g = answers.numbers(rng, 3)
            state = judge(state, g, t, 0.01, (0.9, 0.999), 1e-8, which=(0, 1, 2))


@exercise("three_ways", points=1)
def judge_three_ways(student, rng):
    with part("calls_in_trace", points=0.25):
        how = "The loop runs while the graph is written down. What does each round apply?"
        expect.answer(student, "calls_in_trace", *answers.calls_in_trace(), how, rtol=0.001)
    for name, known in answers.THREE_WAYS.items():
        with part(name, points=0.25):
            expect.choice(student, name, *known)
