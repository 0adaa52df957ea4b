"""Checks of lab 06: declared networks, batch norm, augmentation, Fire and residual blocks."""

import re

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import cifar as answers

NORMALISATIONS = [
    "torch.batch_norm",
    "torch.native_batch_norm",
    "torch.nn.functional.batch_norm",
    "torch.nn.functional.instance_norm",
    "torch.nn.functional.group_norm",
    "torch.nn.functional.layer_norm",
    "torch.nn.BatchNorm1d",
    "torch.nn.BatchNorm2d",
    "torch.nn.GroupNorm",
    "torch.nn.LayerNorm",
]

FILE = "network.yaml"


def _error(reply, line: int, key: str, given: str, silent: str) -> None:
    """The reply of a probe is an error that names file, line and key; silent: where there is none.

    line: where it should be; counted from 1.
    """
    raised, kind, text = expect.items(reply, 3)
    why = "section.error makes the error: raise what it returns." if kind == "SpecError" else silent
    expect.that(raised is True, "No error was raised.", given=given, diagnosis=why)
    detail = f"The error was {kind}: {text}"
    python = (
        "That is Python's own error: look first or catch it, and raise section.error(key, …)"
        " yourself."
    )
    own = "Raise section.error(key, …) of the section that holds the key."
    message = "The error does not name the file and a line."
    found = re.search(r"line (\d+)", text)
    builtin = kind in ("KeyError", "TypeError", "AttributeError", "ValueError", "RuntimeError")
    why = python if builtin else own
    expect.that(found and FILE in text, message, given=given, detail=detail, diagnosis=why)
    about = "The error is not about the key at fault."
    here = key in re.findall(r"\w+", text)
    expect.that(here, about, given=given, detail=detail, diagnosis=silent)
    named = int(found.group(1)) if found else 0
    other = "It is raised on another section: on the one that holds the key it is the key's line."
    zero = "Lines count from 1; a mark of PyYAML's counts from 0."
    why = zero if named == line - 1 else other
    message = "The error names another line than the one at fault."
    detail = f"expected line {line}   yours {named}. {detail}"
    expect.that(named == line, message, given=given, detail=detail, diagnosis=why)


@probe
def chosen(learner, text, known):
    """What options makes of the section under `layer`: (False, "", value) or (True, kind, text).

    For a value, the text in the middle names the arguments that the call changed.
    """
    from utils import spec

    kinds = {"int": int, "float": float, "str": str, "list": list, "bool": bool}
    known = {key: kinds.get(usual, usual) for key, usual in known.items()}
    section = spec.parse(text, "network.yaml")["layer"]
    before = {"section": (section, dict(section)), "known": (known, dict(known))}
    try:
        value = learner.options(section, known)
    except NotImplementedError:
        raise
    except Exception as error:
        return True, type(error).__name__, str(error)
    if isinstance(value, spec.SpecError):
        return False, "SpecError", str(value)
    changed = [name for name, (now, then) in before.items() if now != then]
    return False, " ".join(changed), dict(value) if isinstance(value, dict) else value


@exercise("options", points=1)
def judge_options(student, rng):
    units, rate = int(rng.integers(3, 90)), round(rng.uniform(0.1, 0.9), 3)
    known = {"units": "int", "rate": 0.25, "bias": True, "form": "full", "stride": 2, "rest": 0}
    head = "name: some\nlayer:\n"

    def ask(*lines: str, **more):
        text = head + "".join(f"  {line}\n" for line in lines)
        return chosen(student, text, known | more), f"For the text\n{text}"

    def value(*lines: str, why: str = "", **more):
        reply, given = ask(*lines, **more)
        raised, kind, got = expect.items(reply, 3)
        message = "An error was raised for a section with nothing wrong in it."
        if kind == "SpecError" and ", rest:" in str(got):
            why = "A key is known if it is in the table, whatever its default: 0 is one, too."
        detail = f"{kind}: {got}"
        expect.that(raised is False, message, given=given, detail=detail, diagnosis=why)
        message = "The call changed an argument in place."
        why, detail = "Both are read again: fill a new dict.", f"What changed: {kind}."
        unchanged = kind in ("", "SpecError") or more  # with more, it has been told already
        expect.that(unchanged, message, given=given, detail=detail, diagnosis=why)
        return got, given

    with part("what is given, and the defaults of what is not", points=0.3):
        there = {"units": units, "rate": rate, "rest": 4}
        got, given = value(*(f"{key}: {one}" for key, one in there.items()))
        right = {"bias": True, "form": "full", "stride": 2, **there}
        wins = "The default wins over what is given: it is for what is not."
        knows = {
            "The defaults of what is not given are missing.": there,
            wins: {**right, "rate": 0.25, "rest": 0},
        }
        expect.equal(got, right, what="the dict of options", given=given, knows=knows)
        got, given = value(f"units: {units}", "bias: false", "stride: 0", "form: ''")
        right = {"units": units, "rate": 0.25, "bias": False, "form": "", "stride": 0, "rest": 0}
        usual = {**right, "bias": True, "form": "full", "stride": 2}
        empty = "What is given as false, 0 or empty is replaced by the default: ask whether the key"
        knows = {f"{empty} is there, not whether its value is true.": usual}
        expect.equal(got, right, what="the dict of options", given=given, knows=knows)
    with part("an unknown key", points=0.25):
        for lines, line, key in (
            ((f"units: {units}", "stride: 1", "unitz: 3"), 5, "unitz"),
            (("kernal: 3", f"units: {units}"), 3, "kernal"),
        ):
            silent = "An unknown key is ignored in silence: go through the section's keys, too."
            reply, given = ask(*lines)
            _error(reply, line, key, given, silent)
    with part("a missing key", points=0.2):
        reply, given = ask("bias: false", f"rate: {rate}")
        silent = "A key whose entry is a type must be given: there is no default to fill in."
        _error(reply, 3, "units", given, silent)
    with part("a value of another type", points=0.25):
        silent = "Compare the value's type with what `known` asks for: a type, or a default's type."
        for lines, line, key in (
            (("bias: true", "units: many"), 4, "units"),
            (("bias: true", "units: 2.5"), 4, "units"),
            ((f"units: {units}", "rate: fast"), 4, "rate"),
            ((f"units: {units}", "form: 3"), 4, "form"),
        ):
            reply, given = ask(*lines)
            _error(reply, line, key, given, silent)
        for rate_is in (0.25, "float"):
            do = "Where a float is due, an int will do."
            got, given = value(f"units: {units}", "rate: 1", why=do, rate=rate_is)
            expect.close(got["rate"], 1.0, what="rate", given=given)


@probe
def finds(learner, text, layer, known):
    """Whether the learner's options finds fault with a text, or with a layer of it."""
    from utils import spec

    section = spec.parse(text, "network.yaml")
    if layer is not None:
        section = section["layers"][layer]
        known = {"name": str, "type": str, **learner.LAYERS[section["type"]]}
    try:
        learner.options(section, learner.SOLVERS if known is None else known)
    except spec.SpecError:
        return True
    return False


@probe
def built(learner, text, x, seed):
    """The network of a text: kinds by name, modes, statistics; what it makes of x, re-weighted."""
    import torch

    from utils import spec

    try:
        model = learner.build_network(spec.parse(text, "network.yaml"))
    except NotImplementedError:
        raise
    except Exception as error:
        return True, type(error).__name__, str(error)
    if isinstance(model, spec.SpecError):
        return False, "SpecError", str(model)
    if not isinstance(model, torch.nn.Module):
        return False, "", model
    kinds = {name: type(layer).__name__ for name, layer in model.named_children()}
    modes = [layer.training for layer in model.modules()]
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    if x is None:
        return False, "", {"kinds": kinds}
    generator = torch.Generator().manual_seed(seed)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        with torch.no_grad():
            y = model.eval()(x)
    except RuntimeError as error:
        y = str(error)
    return False, "", {"kinds": kinds, "modes": modes, "fresh": fresh, "state": state, "y": y}


KINDS = {
    "conv": "Conv2d",
    "batch_norm": "BatchNorm2d",
    "relu": "ReLU",
    "max_pool": "MaxPool2d",
    "flatten": "Flatten",
    "linear": "Linear",
}


@exercise("build_network", points=1.5)
def judge_build_network(student, rng):
    layers, shape = answers.random_layers(rng)
    text, x = (
        answers.network_text(layers, shape),
        torch.from_numpy(rng.normal(size=(2, *shape))).float(),
    )
    reply = built(student, text, x, int(rng.integers(2**31)))
    given = f"For the text\n{text}"

    def without_error():
        raised, kind, got = expect.items(reply, 3)
        message = f"An error was raised for a text with nothing wrong in it: {kind}."
        why = "Does every layer get the shape of one example, as the layer before it puts it out?"
        if kind == "KeyError":
            why = "An option that the text leaves out has a default: options fills it in."
        elif ", name:" in str(got) or ", type: there is no such key" in str(got):
            why = (
                "A layer has a name and a type, beside the keys of its type in LAYERS: the table"
                " that options gets must have all of them."
            )
        expect.that(raised is False, message, given=given, detail=str(got), diagnosis=why)
        return got

    def network():
        got = without_error()
        message = "The result is not a network: return nn.Sequential(layers)."
        expect.that(type(got) is dict, message, given=given, kind="type")
        return got

    with part("every layer is there, under its name and in its order", points=0.4):
        got = network()["kinds"]
        right = {layer["name"]: KINDS[layer["type"]] for layer in layers}
        numbered = dict(zip(map(str, range(len(right))), right.values(), strict=True))
        why = ""
        if got == numbered:
            why = "The layers are numbered: an OrderedDict of them by name gives them their names."
        elif type(got) is dict and list(got) != list(right):
            why = "A layer is missing, too many, or in another place."
        message = "The layers' names and kinds are not the declared ones."
        detail = f"expected {right}   yours {got}"
        expect.that(
            type(got) is dict and list(got.items()) == list(right.items()),
            message,
            given=given,
            detail=detail,
            diagnosis=why,
        )
    with part("each layer fits the one before, and does what is declared", points=0.5):
        got, right = network(), answers.shapes_of(layers, shape)
        state = _renamed(got["state"], list(got["kinds"]), [layer["name"] for layer in layers])
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        detail = _difference(shapes, right)
        message = "Some weights have another shape, or are missing or too many."
        why = (
            "Carry the shape along: what a layer puts out is what the next one gets. And does every"
            " option arrive?"
        )
        expect.that(shapes == right, message, given=given, detail=detail, diagnosis=why)
        message = "An image does not get through: return nn.Sequential(layers)."
        expect.that(type(got["y"]) is not str, message, given=given, detail=str(got["y"]))
        wanted = answers.output(layers, state, x)
        why = "Are stride, padding and kernel passed on as declared?"
        with expect.otherwise(why):
            expect.close(got["y"], wanted, what="the output", given=given, rtol=1e-3, atol=1e-4)
    with part(
        "nothing has run through it yet: training mode, statistics at their start", points=0.2
    ):
        got = network()
        message = "Some layers are in evaluation mode: a new network is in training mode."
        why = "layer.train() takes a layer back to training mode."
        expect.that(all(got["modes"]), message, diagnosis=why)
        message = "A batch norm's running statistics have moved already."
        why = (
            "An image went through it in training mode, and it learnt from it: send the image"
            " through in evaluation mode."
        )
        for name, value in got["fresh"].items():
            start = 1.0 if name.endswith("var") else 0.0
            if "running" in name or "batches" in name:
                expect.that(bool((value == start).all()), message, diagnosis=why)
    with part("a layer of an unknown type, a name taken, what options finds", points=0.2):
        without_error()  # or the one that comes is not the one that is asked for
        line = 3 + len(layers) + len(layers[3])
        for wrong, key in (
            ({"name": "k", "type": "convolution", "units": 3}, "type"),
            ({"name": "b", "type": "relu"}, "name"),
            ({"name": "k", "type": "linear", "units": 3, "unitz": 3}, "unitz"),
        ):
            text = answers.network_text([*layers, wrong], shape)
            if key == "unitz" and not finds(student, text, len(layers), None):
                break  # that is for the check of options to say
            silent = "Nothing was said about the last layer of the text."
            if key == "unitz":
                silent = "Let options read every layer: it finds what is wrong in one."
            _error(built(student, text, None, 0), line, key, f"For the text\n{text}", silent)
    with part("a layer that does not fit what comes in", points=0.2):
        without_error()
        for at, wrong in (
            (6, {"name": "k", "type": "max_pool", "kernel": 9}),
            (7, {"name": "k", "type": "conv", "channels": 3, "kernel": 3}),
            (7, {"name": "k", "type": "batch_norm"}),
        ):
            text = answers.network_text([*layers[:at], wrong, *layers[at:]], shape)
            given, line = f"For the text\n{text}", 3 + at + len(layers[3])
            silent = "Find out while building, not while training: send an image of zeros through."
            _error(built(student, text, None, 0), line, "type", given, silent)


def _renamed(state, names, right):
    """The state under the right names, if there are as many layers: names are judged elsewhere."""
    new = dict(zip(names, right, strict=True)) if len(names) == len(right) else {}
    parts = ((key.partition("."), value) for key, value in state.items())
    return {f"{new.get(name, name)}.{rest}": value for (name, _, rest), value in parts}


def _difference(got, right) -> str:
    """What two dicts of shapes do not have in common, in words."""
    lines = []
    for name in {**right, **got}:
        ours, theirs = right.get(name, "none"), got.get(name, "none")
        if ours != theirs:
            lines.append(f"{name}: expected {ours}, yours {theirs}.")
    return " ".join(lines[:4])


@probe
def solver(learner, text, weights, gradients, steps):
    """What build_solver makes of a text: its other settings, weights after steps, the factors."""
    import torch

    from utils import spec

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    for parameter, value in zip(model.parameters(), weights, strict=True):
        parameter.data = value.clone()
    try:
        plan = learner.build_solver(spec.parse(text, "network.yaml"), model)
    except NotImplementedError:
        raise
    except Exception as error:
        return True, type(error).__name__, str(error)
    if isinstance(plan, spec.SpecError):
        return False, "SpecError", str(plan)
    if not isinstance(plan, dict):
        return False, "", plan
    settings = {key: value for key, value in plan.items() if key not in ("optimizer", "schedule")}
    found = {"settings": settings, "kind": type(plan.get("optimizer")).__name__}
    if callable(plan.get("schedule")):
        found["factors"] = [plan["schedule"](step, steps) for step in range(steps)]
    if isinstance(plan.get("optimizer"), torch.optim.Optimizer):
        for _ in range(3):
            for parameter, value in zip(model.parameters(), gradients, strict=True):
                parameter.grad = value.clone()
            plan["optimizer"].step()
        found["after"] = [parameter.detach().clone() for parameter in model.parameters()]
    return False, "", found


@exercise("build_solver", points=1)
def judge_build_solver(student, rng):
    shapes = ((2, 3), (2,), (1, 2), (1,))
    weights = [torch.from_numpy(rng.normal(size=one)) + 2 for one in shapes]
    gradients = [torch.from_numpy(rng.uniform(0.5, 2, size=one)) for one in shapes]
    lr, momentum = round(rng.uniform(0.05, 0.1), 4), round(rng.uniform(0.4, 0.8), 3)
    decay, warm_up = 0.25, float(rng.choice([0.2, 0.3, 0.4]))
    base = {"base_lr": lr, "epochs": int(rng.integers(3, 9)), "batch_size": 24, "seed": 5}

    def plan(**more):
        text = "".join(f"{key}: {value}\n" for key, value in {**base, **more}.items())
        given = f"For the text\n{text}"
        reply = solver(student, text, weights, gradients, 12)
        return reply, given

    def settled(*needed, **more):
        reply, given = plan(**more)
        raised, kind, got = expect.items(reply, 3)
        message = f"An error was raised for a text with nothing wrong in it: {kind}."
        why = "options fills in what the text leaves out." if kind == "KeyError" else ""
        expect.that(raised is False, message, given=given, detail=str(got), diagnosis=why)
        expect.that(type(got) is dict, "The result is not a dict.", given=given, kind="type")
        for name, key, why in (
            ("after", "optimizer", "It is made here, from model.parameters()."),
            ("factors", "schedule", "It is a function of (step, steps), for `fixed` as well."),
        ):
            message = f"The dict has no `{key}` that can be used."
            have = name not in needed or name in got
            expect.that(have, message, given=given, kind="type", diagnosis=why)
        if "after" in needed:
            stay = any(bool((a == b).all()) for a, b in zip(got["after"], weights, strict=True))
            message = "Some parameters stay as they were."
            why = "Give the optimizer all of the model's parameters."
            expect.that(not stay, message, given=given, diagnosis=why)
        return got, given

    def factors(right, knows, **more):
        got, given = settled("factors", **more)
        given = f"{given}and 12 steps."
        numbers = [expect.number(one, what="a factor", given=given) for one in got["factors"]]
        why = "Find t first; f is t/w up to w, and then the line from 1 down to 0."
        with expect.otherwise(why if more["lr_policy"] == "one_cycle" else ""):
            got = np.array(numbers)
            knows = {name: np.array(wrong) for name, wrong in knows.items()}
            expect.close(got, np.array(right), what="the schedule", given=given, knows=knows)

    what = ("weight 1", "bias 1", "weight 2", "bias 2")
    with part("sgd: rate, momentum and weight decay arrive", points=0.3):
        got, given = settled("after", optimizer="sgd", momentum=momentum, weight_decay=decay)
        right, knows = answers.after_sgd(weights, gradients, lr, momentum, decay)
        why = "torch.optim.SGD with the declared rate, momentum and weight decay, and nothing else."
        with expect.otherwise(why):
            expect.close(got["after"], right, what=what, given=given, knows=knows, rtol=1e-4)
    with part("adamw: rate and weight decay arrive", points=0.15):
        got, given = settled("after", optimizer="adamw", weight_decay=decay)
        right, knows = answers.after_adamw(weights, gradients, lr, decay)
        coupled = (
            "That is Adam: AdamW takes the decay from the weights themselves, not as gradient."
        )
        with expect.otherwise(coupled if got["kind"] == "Adam" else ""):
            expect.close(got["after"], right, what=what, given=given, knows=knows, rtol=1e-4)
    with part("the schedule: factors, fixed and one-cycle", points=0.3):
        rate = "A schedule gives a factor; the optimizer has the base rate already."
        factors([1.0] * 12, {rate: [lr] * 12}, lr_policy="fixed")
        right, knows = answers.one_cycle(warm_up, 12)
        knows |= {rate: [lr * factor for factor in right]}
        factors(right, knows, lr_policy="one_cycle", warm_up=warm_up)
    with part("epochs, batch size and seed", points=0.1):
        got, given = settled()
        right = {key: base[key] for key in ("epochs", "batch_size", "seed")}
        why = "The dict has the keys that the docstring lists: the optimizer holds the rates."
        with expect.otherwise(why):
            expect.equal(got["settings"], right, what="the rest of the dict", given=given)
    with part("an optimizer or a policy that there is not, what options finds", points=0.15):
        settled()  # an error for a right text is not the one that is asked for
        for more in ({"optimizer": "sdg"}, {"lr_policy": "onecycle"}, {"momentun": 0.5}):
            reply, given = plan(**more)
            silent = "What is none of the known words is taken for one of them, in silence."
            if "momentun" in more:
                silent = "Let options read the text: it finds what is wrong in it."
                if not finds(student, given.partition("\n")[2], None, None):
                    break  # that is for the check of options to say
            _error(reply, 5, next(iter(more)), given, silent)


@probe
def gradient(learner, x, dy, weight, bias, mean, var, eps):
    """The gradients of sum(dy · y) in x, weight and bias; whether the statistics carry a graph."""
    import torch

    leaves = [one.clone().requires_grad_() for one in (x, weight, bias)]
    x, weight, bias = leaves
    y, mean, var = learner.batch_norm(x, weight, bias, mean, var, True, 0.1, eps)
    graph = any(getattr(one, "requires_grad", False) for one in (mean, var))
    if not getattr(y, "requires_grad", False):
        return None, graph
    got = torch.autograd.grad((y * dy).sum(), leaves, allow_unused=True, materialize_grads=True)
    return got, graph


@exercise("batch_norm", points=2, forbids={"batch_norm": NORMALISATIONS})
def judge_batch_norm(student, rng):
    shapes = ((4, 3, 2, 5), (3, 2, 3, 3))
    cases = [
        {
            "x": answers.numbers(rng, *shape) * (1 + answers.numbers(rng, 1, shape[1], 1, 1) ** 2)
            + answers.numbers(rng, 1, shape[1], 1, 1),
            "weight": answers.numbers(rng, shape[1]).abs() + 0.5,
            "bias": answers.numbers(rng, shape[1]),
            "mean": answers.numbers(rng, shape[1]),
            "var": answers.numbers(rng, shape[1]).abs() + 1.5,
        }
        for shape in shapes
    ]
    eps = 0.3  # so large that a forgotten one shows
    names = "`running_mean`", "`running_var`"

    def call(case, training, momentum=0.1, kept=True):
        x, *rest = (case[key] for key in ("x", "weight", "bias", "mean", "var"))
        why = "Statistics of shape (C,) meet the width: reshape them to (1, C, 1, 1)."
        with expect.otherwise(why):
            got = student.batch_norm(x, *rest, training, momentum, eps)
        given = f"For x of shape {tuple(x.shape)}, training={training}, momentum={momentum},"
        given = f"{given} eps={eps}."
        three = expect.items(got, 3, what="the result (y, running_mean, running_var)", given=given)
        if kept:
            expect.unchanged(student, given=given)
        return three, given

    with part("training mode: each channel is normalised over the batch", points=0.5):
        for case in cases:
            got, given = call(case, True)
            right, knows = answers.normalised_in_training(case, eps)
            expect.close(got[0], right, what="y", given=given, knows=knows, rtol=1e-5)
    with part("training mode: the running statistics follow", points=0.5):
        for case, momentum in zip(cases, (0.1, 0.3), strict=True):
            got, given = call(case, True, momentum)
            right, knows = answers.running(case["x"], case["mean"], case["var"], momentum)
            pair = tuple(got[1:])
            expect.close(pair, right, what=names, given=given, knows=knows, rtol=1e-5)
    with part("evaluation mode: the running statistics are used", points=0.3):
        for case in cases:
            got, given = call(case, False)
            right, knows = answers.normalised_in_evaluation(case, eps)
            expect.close(got[0], right, what="y", given=given, knows=knows, rtol=1e-5)
    with part("evaluation mode: the running statistics stay", points=0.2):
        case = cases[0]
        got, given = call(case, False)
        pair = case["mean"], case["var"]
        moved, _ = answers.running(case["x"], *pair, 0.1)
        why = "They are updated in evaluation mode, too: then the network goes on learning as it is"
        knows = {f"{why} tested.": moved}
        expect.close(tuple(got[1:]), pair, what=names, given=given, knows=knows, rtol=1e-5)
    with part(
        "the gradient goes through the batch's statistics, the kept ones have no graph", points=0.3
    ):
        case, dy = cases[0], answers.numbers(rng, *shapes[0])
        call(case, True, kept=False)
        x, weight, bias, mean, var = case.values()
        got, graph = expect.items(gradient(student, x, dy, weight, bias, mean, var, eps), 2)
        message = "y does not depend on x for autograd."
        right, knows = answers.batch_norm_gradient(x, dy, weight, bias, eps)
        why = next(iter(knows))
        expect.that(got is not None, message, diagnosis=why)
        with expect.otherwise("If y is not right either, begin there."):
            what = tuple(f"the gradient in {name}" for name in ("x", "weight", "bias"))
            expect.close(got, right, what=what, knows=knows, rtol=1e-5)
        message = "The running statistics carry a graph."
        why = (
            "Kept like this, every batch's graph stays in memory, one batch's hanging on the next"
            " one's: .detach() what is kept."
        )
        expect.that(graph is False, message, diagnosis=why)
    with part("frogs_in_training_mode", points=0.2):
        more = (
            "What all of them share is the batch's mean, and the mean is subtracted. Look at the"
            " picture at the end of section 7."
        )
        same = "Only if the mode made no difference: which mean is subtracted in which mode?"
        expect.choice(student, "frogs_in_training_mode", "fewer", {"more": more, "same": same})


@probe
def augmented(learner, x, padding, seeds):
    """What augment makes of x: once for each seed, then again from the last generator and seed."""
    import torch

    results, untouched, generator = [], True, torch.Generator()
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        given = x.clone()
        results.append(learner.augment(given, generator, padding))
        untouched = untouched and bool((given == x).all())
    results.append(learner.augment(x.clone(), generator, padding))
    generator = torch.Generator().manual_seed(seeds[-1])
    results.append(learner.augment(x.clone(), generator, padding))
    return results, untouched


@exercise("augment", points=1.5)
def judge_augment(student, rng):
    n, padding = 240, 2
    x = torch.from_numpy(rng.permutation(n * 2 * 6 * 7) + 1.0).float().reshape(n, 2, 6, 7)
    seeds = [int(one) for one in rng.integers(2**31, size=3)]
    given = f"For x of shape {tuple(x.shape)}, padding = {padding}."
    results, untouched = expect.items(augmented(student, x, padding, seeds), 2)
    *outs, onwards, again = expect.items(results, len(seeds) + 2, kind="list")
    ways = answers.windows(x, padding)
    keys = np.array(list(ways), dtype=int)  # top, left, flipped

    def places(out):
        """(n, 3): top, left and flipped of each image."""
        _images(out, x, given)
        found = answers.which(out, list(ways.values()))
        message = "Some images are no window of the padded image, flipped or not."
        detail = f"{int((found < 0).sum())} of {n} are not."
        why = ""
        if (found < 0).any():
            for name, wrong in answers.wrong_windows(x, padding).items():
                if (answers.which(out, [*wrong, *ways.values()]) >= 0).mean() > 0.95:
                    why = name
                    break
        expect.that((found >= 0).all(), message, given=given, detail=detail, diagnosis=why)
        return keys[found]

    with part("each image is a window of itself, padded with zeros, flipped or not", points=0.4):
        drawn = [places(out) for out in outs]
        message, why = "The argument x was changed in place.", "Build a new tensor."
        expect.that(untouched is True, message, given=given, diagnosis=why)
    with part("each image has its own window, anywhere", points=0.45):
        _judge_windows([places(out) for out in outs], padding, given)
    with part("each image has its own flip, as likely as none", points=0.4):
        drawn = np.concatenate([places(out) for out in (*outs, onwards)])
        many = [int(one) for one in rng.integers(2**31, size=20)]
        batches, _ = expect.items(augmented(student, x[:40], padding, many), 2)
        few = list(answers.windows(x[:40], padding).values())
        found = [keys[answers.which(out, few)][:, 2] for out in batches]
        _judge_flips(found, f"For {len(found)} batches of 40 images.")
        both = len(np.unique(drawn, axis=0)) == 2 * len(np.unique(drawn[:, :2], axis=0))
        message = "Some windows are always flipped, or never."
        expect.that(both, message, given=given, diagnosis="Draw the flip by itself.")
    with part("all chance comes from the generator", points=0.25):
        drawn, more, same = places(outs[-1]), places(onwards), places(again)
        message = "Two batches from one generator are cropped and flipped alike."
        why = "Is the generator seeded anew in every call, or not used?"
        expect.that(not np.array_equal(drawn, more), message, given=given, diagnosis=why)
        message = "The same seed does not give the same images."
        why = "Pass generator=generator to every call that draws."
        expect.that(np.array_equal(drawn, same), message, given=given, diagnosis=why)


def _images(out, x, given) -> None:
    """`out` is a tensor like x."""
    if type(out) is torch.Tensor and out.ndim == 4 and out.shape != x.shape:
        message = "The result has not the shape of x."
        detail = f"expected {tuple(x.shape)}   yours {tuple(out.shape)}"
        why = "The window has the images' old size: pad first, then crop to it."
        raise Fault("shape", message, why, detail=detail, given=f"{given}")
    expect.that(
        type(out) is torch.Tensor and out.shape == x.shape,
        "The result is not a tensor of the shape of x.",
        given=given,
        kind="type",
        diagnosis="torch.stack makes one tensor of a list of tensors." if type(out) is list else "",
    )


def _judge_windows(draws, padding, given) -> None:
    message = "The windows are not spread as they should be."

    def that(condition, why, detail=""):
        expect.that(condition, message, given=given, diagnosis=why, detail=detail)

    places = [draw[:, :2] for draw in draws]
    alike = all((place == place[0]).all() for place in places)
    that(not alike, "The whole batch has one window: draw a place for each image.")
    count = 2 * padding + 1
    for axis, name in enumerate(("top", "left")):
        shares = np.bincount(np.concatenate(places)[:, axis], minlength=count) * count
        shares = shares / sum(map(len, places))
        detail = f"How often {name} = 0, …, {count - 1}: {shares.round(2).tolist()} of what is due."
        that(shares[-1] > 0 or shares[0] == 0, _LAST, detail)
        one = f"All windows of a batch have one {name}: each image draws both of its own."
        that(all(np.ptp(place[:, axis]) > 0 for place in places), one)
        that(((shares > 0.6) & (shares < 1.4)).all(), "All places are equally likely.", detail)
    top, left = np.concatenate(places).T
    together = "top and left go together: draw each by itself, or windows lie on a diagonal only."
    that(abs(np.corrcoef(top, left)[0, 1]) < 0.25, together)


_LAST = (
    "The window never reaches the far end: it can start at 0, …, 2·padding, and randint leaves its"
    " upper end out."
)


def _judge_flips(flips, given) -> None:
    message = "The flips are not spread as they should be."
    shares = [float(one.mean()) for one in flips]

    def that(condition, why):
        detail = f"Shares flipped, by batch: {', '.join(f'{one:.2f}' for one in shares[:8])}, …"
        expect.that(condition, message, given=given, diagnosis=why, detail=detail)

    that(any(shares), "No image is flipped.")
    that(not all(one == 1 for one in shares), "Every image is flipped: a mirrored set is one set.")
    whole = "The whole batch is flipped or not: each image draws its own flip."
    that(not all(one in (0, 1) for one in shares), whole)
    same = np.ptp(np.stack(flips).astype(int), axis=0) == 0
    again = "The same places are flipped in every batch: each image draws anew."
    that(same.mean() < 0.5, again)
    that(0.42 < np.mean(shares) < 0.58, "A flip should be as likely as none.")


@exercise("parameters", points=1)
def judge_parameters(student, rng):
    how_conv = "channels in × channels out × kernel height × kernel width, plus the biases."
    with part("conv_parameters", points=0.25):
        known = {
            "The biases are missing: one for each channel that comes out.": 96 * 128 * 9,
            "There is one bias for each channel that comes out.": 96 * 128 * 9 + 96,
            "That is a kernel of 1×1: a 3×3 kernel has nine weights.": 96 * 128 + 128,
            "A 3×3 kernel has nine weights, not three.": 96 * 128 * 3 + 128,
            "Each channel out has a kernel for every channel in.": 128 * 9 + 128,
        }
        right = 96 * 128 * 9 + 128
        expect.answer(student, "conv_parameters", right, known, how_conv, rtol=1e-9)
    with part("fire_parameters", points=0.25):
        weights = 96 * 16 + 16 * 64 + 16 * 64 * 9
        wide = 96 * 16 + 16 + (96 * 64 + 64) + (96 * 64 * 9 + 64)
        known = {
            "The biases are missing.": weights,
            "The expansions see the 16 squeezed channels, not the 96.": wide,
            "The squeeze is missing.": 16 * 64 + 64 + 16 * 64 * 9 + 64,
            "Both expansions count, the 1×1 one, too.": 96 * 16 + 16 + 16 * 64 * 9 + 64,
            "One of the two expansions has a 3×3 kernel.": 96 * 16 + 16 + 2 * (16 * 64 + 64),
            "Only one of the two expansions has a 3×3 kernel.": 96 * 16
            + 16
            + 2 * (16 * 64 * 9 + 64),
        }
        how = "Add up three convolutions: " + how_conv
        right = weights + 16 + 64 + 64
        expect.answer(student, "fire_parameters", right, known, how, rtol=1e-9)
    with part("fc6_parameters", points=0.25):
        known = {
            "The biases are missing: one for each unit.": 9216 * 4096,
            "There is one bias for each unit that comes out.": 9216 * 4096 + 9216,
            "What comes in are the 256 channels of a 6×6 image, flattened.": 256 * 4096 + 4096,
            "That is the next layer, classifier.4.": 4096 * 4096 + 4096,
            "Those are all three linear layers: only the first is asked for.": 9216 * 4096
            + 4096 * 4096
            + 4096 * 1000
            + 4096
            + 4096
            + 1000,
        }
        how = "inputs × units, plus the biases; the shape is printed above."
        right = 9216 * 4096 + 4096
        expect.answer(student, "fc6_parameters", right, known, how, rtol=1e-9)
    with part("saves_more", points=0.25):
        how = "Compare your fc6_parameters with what all five convolutions have together."
        expect.choice(student, "saves_more", "linear", {"convolutions": how})


@probe
def module_run(learner, name, arguments, x, seed):
    """A module's state after random numbers went into it, and what it makes of x in eval mode."""
    import torch

    module = getattr(learner, name)(*arguments)
    generator = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator)
            if value.ndim == 4:
                drawn = drawn / value[0].numel() ** 0.5
            value.copy_(drawn.abs() + 0.5 if key.endswith("var") else drawn)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    with torch.no_grad():
        y = module.eval()(x)
    return state, y


@probe
def shapes(learner, name, arguments):
    """The shapes of a module's state."""
    module = getattr(learner, name)(*arguments)
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}  # each but once
    return {key: list(value.shape) for key, value in state.items()}


def _judge_shapes(student, name, arguments, right, known) -> None:
    """The module's weights have the declared names and shapes; known: diagnosis → wrong shapes."""
    got = shapes(student, name, list(arguments))
    given = f"For {name}{tuple(arguments)}."
    message = "The module's weights are not those that the docstring declares."
    got = {key: tuple(value) for key, value in got.items()}
    why = next((why for why, wrong in known.items() if wrong(got)), "")
    detail = _difference(got, right)
    expect.that(got == right, message, given=given, detail=detail, diagnosis=why)


@exercise("Fire", points=1)
def judge_fire(student, rng):
    plans = [tuple(int(n) for n in rng.permutation([3, 4, 5, 6])) for _ in range(2)]
    alike = (int(rng.integers(3, 9)), 2, 4, 4)

    def known(inputs, squeezed, ones, threes):
        return {
            "The expansions see what the squeeze puts out, not what comes into the module.": (
                lambda got: got.get("expand3x3.weight", ())[1:2] == (inputs,)
            ),
            "The two kernels are exchanged.": (
                lambda got: got.get("expand1x1.weight", ())[2:] == (3, 3)
            ),
            "Channels in come first in nn.Conv2d(inputs, outputs, kernel).": (
                lambda got: got.get("squeeze.weight", ())[:2] == (inputs, squeezed)
            ),
            "Each of the three is an nn.Conv2d, with nothing round it: ReLU comes in forward.": (
                lambda got: "squeeze.0.weight" in got or "expand1x1.0.weight" in got
            ),
            "squeeze, expand1x1 and expand3x3 are the names to use.": (
                lambda got: "squeeze.weight" not in got
            ),
            "Both expansions see what the squeeze puts out, side by side.": (
                lambda got: (
                    got.get("expand3x3.weight", ())[:2] == (threes, ones) and ones != squeezed
                )
            ),
            "The channels of the two expansions are exchanged.": (
                lambda got: got.get("expand1x1.weight", ())[:1] == (threes,) and ones != threes
            ),
            "The three convolutions have biases: no batch norm follows that would subtract them.": (
                lambda got: "squeeze.bias" not in got
            ),
        }

    with part("three convolutions", points=0.3):
        for plan in (alike, *plans):
            right = answers.fire_shapes(*plan)
            _judge_shapes(student, "Fire", plan, right, known(*plan))
    with part("squeeze, expand, stack", points=0.5):
        for inputs, *rest in (alike, *plans):
            x = answers.numbers(rng, 2, inputs, 5, 5).float()
            seed = int(rng.integers(2**31))
            given = f"For Fire{(inputs, *rest)} and x of shape {tuple(x.shape)}."
            plan = (inputs, *rest)
            _judge_shapes(student, "Fire", plan, answers.fire_shapes(*plan), known(*plan))
            why = "Height and width stay: a 3×3 convolution needs padding for that, a 1×1 none."
            with expect.otherwise(why):
                reply = module_run(student, "Fire", list(plan), x, seed)
            state, y = expect.items(reply, 2)
            right, wrong = answers.fire(x, state)
            expect.close(
                y, right, what="the result", given=given, knows=wrong, rtol=1e-4, atol=1e-5
            )
    with part("SqueezeNet 1.0 has as many parameters as published", points=0.2):
        total = 96 * 3 * 49 + 96 + 512 * 1000 + 1000
        for plan in answers.SQUEEZENET:
            got = shapes(student, "Fire", list(plan))
            total += sum(int(np.prod(shape)) for shape in got.values())
        message = "With eight of your modules SqueezeNet 1.0 has another number of parameters."
        detail = f"expected {1_248_424:,}   yours {total:,}"
        expect.that(total == 1_248_424, message, detail=detail)


@exercise("residual_block", points=1)
def judge_residual_block(student, rng):
    width, wider = (int(n) for n in rng.choice(np.arange(3, 9), size=2, replace=False))
    plain = [(width, width, 1)]
    projected = [(width, wider, 1), (width, width, 3), (width, wider, 2)]

    def known(inputs, outputs, stride):
        projects = stride != 1 or inputs != outputs
        return {
            "Where stride or channels change, x needs a projection: it cannot be added as it is.": (
                lambda got: projects and not any(key.startswith("shortcut") for key in got)
            ),
            "Where neither stride nor channels change, the shortcut is nn.Identity().": (
                lambda got: not projects and any(key.startswith("shortcut") for key in got)
            ),
            "norm2 has no weights of its own: it needs an nn.BatchNorm2d beside norm1's.": (
                lambda got: "norm1.weight" in got and "norm2.weight" not in got
            ),
            "The projection needs its batch norm, too.": (
                lambda got: projects and "shortcut.1.weight" not in got
            ),
            "A bias before a batch norm does nothing: bias=False.": (
                lambda got: any(
                    key.endswith(("conv1.bias", "conv2.bias", "shortcut.0.bias")) for key in got
                )
            ),
            "The projection is a 1×1 convolution.": (
                lambda got: got.get("shortcut.0.weight", ())[2:] == (3, 3)
            ),
        }

    def judge(plan):
        right = answers.block_shapes(*plan)
        _judge_shapes(student, "ResidualBlock", plan, right, known(*plan))
        x = answers.numbers(rng, 2, plan[0], 6, 4).float()
        given = f"For ResidualBlock{plan} and x of shape {tuple(x.shape)}."
        arguments = ["ResidualBlock", list(plan), x, int(rng.integers(2**31))]
        why = (
            "Do the two that are added have the same shape? Only conv1 has the stride, and x goes"
            " through self.shortcut."
        )
        with expect.otherwise(why):
            reply = module_run(student, *arguments)
        state, y = expect.items(reply, 2)
        wanted, wrong = answers.block(x, state, plan[2])
        why = "conv1, norm1, ReLU, conv2, norm2; then add what self.shortcut makes of x; then ReLU."
        with expect.otherwise(why):
            expect.close(y, wanted, given=given, knows=wrong, rtol=1e-4, atol=1e-5)

    with part("with a plain shortcut", points=0.35):
        for plan in plain:
            judge(plan)
    with part("with a projection", points=0.4):
        for plan in projected:
            judge(plan)
    with part("block_at_zero", points=0.25):
        wrong = {
            "0": "F(x) is 0, but the shortcut is still there.",
            "x": "Nearly: what is done with the sum?",
        }
        expect.choice(student, "block_at_zero", "relu(x)", wrong)
