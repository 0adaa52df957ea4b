"""Checks of lab 06: declared networks, batch norm, augmentation, Fire and residual blocks.

A *report* says what some names of the lab make of inputs that the judge drew: it runs beside the
learner's names and beside the right answers, and the two must be the same.
"""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import cifar as answers
from grading.checks.answers.cifar import BOOL, CHANGED, MISTAKES
from utils import spec

NORMALISATIONS = [
    *("torch.batch_norm", "torch.native_batch_norm", "torch.layer_norm", "torch.group_norm"),
    *("torch.instance_norm", "torch.native_layer_norm", "torch.native_group_norm"),
    *(f"torch.nn.functional.{kind}_norm" for kind in ("batch", "instance", "group", "layer")),
    *(f"torch.nn.{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3)),
    *("torch.nn.SyncBatchNorm", "torch.nn.GroupNorm", "torch.nn.LayerNorm"),
]

there: Callable[[Callable[..., Any]], Callable[..., Any]] = cache(probe)


def _for(text):
    return "\n".join(("For this text:", text))


def same(student, report, name, *args, key=None, **how) -> None:
    """A report on the student's names is the report on the right ones.

    name: the exercise, whose mistakes are recognised; key: of a report that is a dict, what counts.
    """

    def of(own):
        made = report(own, *copy.deepcopy(args))
        return made if key is None else made[key]

    got = there(report)(student, *args)
    if key is not None:
        had = type(got) is dict and key in got
        expect.that(had, f"There is no {key} to look at.", given=how.get("given", ""), kind="type")
        got = got[key]
    expect.close(got, of(answers), knows=MISTAKES.values(name, of), **how)


@contextmanager
def at_last(*earlier) -> Iterator[None]:
    """A fault in the block counts only where none of these checks has one."""
    try:
        yield
    except Fault:
        for check in earlier:
            check()
        raise


# Declarations


def refused(ask, text, line, key, silent) -> None:
    """`ask` raises an error that begins with the file, the line and the key.

    silent: what to say where nothing is raised.
    """
    given = _for(text)
    try:
        got = ask()
    except Fault as fault:
        if fault.kind != "exception":
            raise
        kind, _, said = fault.detail.partition(": ")
        detail = f"expected line {line}. The error was “{fault.detail}”."
    else:
        got = got[0] if type(got) is list and len(got) == 1 else got
        returned = type(got) is Student and got._type_name == "SpecError"
        why = "section.error makes the error: raise what it returns." if returned else silent
        expect.that(False, _SILENT, given=given, diagnosis=why)
    named, found = _ERROR.match(said), (_ERROR.match(said) or [0, 0, ""])
    builtin = kind in ("KeyError", "TypeError", "AttributeError", "ValueError", "RuntimeError")
    where, own = int(found[1]), _CATCH if builtin else _OWN
    own = _PLAIN if "'dict' object has no attribute 'error'" in said else own
    own = _TWO if "error() missing 1 required" in said else own
    which = _FIRST if key == "type" and "no such key" in said else _WHICH
    which = (
        _CAUGHT
        if found[2] == "type" and "layers:" in text and key not in ("type", "name")
        else which
    )
    for right, message, why in (
        (named, "The error does not name the file, a line and a key.", own),
        (found[2] == key, "The error is not about the key at fault.", which),
        (where != line - 1, _ANOTHER, "Lines count from 1; a mark of PyYAML's counts from 0."),
        (
            where == line,
            _ANOTHER,
            "It is raised on another section: on the one that holds the key it is the key's line.",
        ),
    ):
        expect.that(right, message, given=given, detail=detail, diagnosis=why)


_SILENT = "No error was raised: section.error only makes one, and `raise` raises it."
_ERROR = re.compile(r"network\.yaml, line (\d+), ([^:]+)")
_ANOTHER = "The error names another line than the one at fault."
_OWN = "Raise section.error(key, …) of the section that holds the key."
_WHICH = "Name the key that is wrong: it is the first argument of section.error."
_FIRST = (
    "options found it first: look whether there is such a type before its options are asked for."
)
_CAUGHT = (
    "Is options' own error caught here? Let it pass: it names the key. Catch what the layer raises."
)
_PLAIN = "A plain dict has no `error`: give options a Section, such as the layer's own."
_TWO = "section.error takes two: the key, and what is wrong with it."
_CATCH = "That is an error of Python's own kind: look first or catch it, and raise section.error(key, …) yourself."


def chosen(learner, texts, tables, calls):
    """What options makes of the sections under `layer` and the tables, call after call."""
    from utils import spec

    kinds = {"int": int, "float": float, "str": str, "list": list, "bool": bool}
    sections = [spec.parse(text, "network.yaml")["layer"] for text in texts]
    tables = [{key: kinds.get(usual, usual) for key, usual in table.items()} for table in tables]
    made = [learner.options(sections[s], tables[t]) for s, t in calls]
    return [dict(one) if isinstance(one, dict) else one for one in made]


NO_FAULT = (
    "This section has no fault. Its values are compared with the table's entries where these are"
    " types, and else with the entries' types: type(usual). Or is a condition the wrong way round?"
)


ENTRY = (
    "That is the table's own entry, a type, in the place of what the section gives: `a | b` and"
    " `a.update(b)` take what b has."
)


@exercise("options", points=0.75)
def options(student, rng):
    units, rate = int(rng.integers(3, 90)), round(rng.uniform(0.1, 0.9), 3)
    needed = str(rng.choice(["units", "size", "count", "width", "height", "depth", "length"]))
    known = {needed: "int", "rate": 0.25, "bias": True, "form": "full", "stride": 2, "rest": 0}
    head = "name: some\n" + "# a remark\n" * int(rng.integers(1, 6)) + "layer:\n"
    first, wrong = head.count("\n") + 1, "un" + "".join(rng.choice(list("bcdfgkmz"), 3))
    one_more = f"{needed}: {units}"

    def text(*lines: str) -> str:
        return head + "".join(f"  {line}\n" for line in lines)

    given = [one_more, f"rate: {rate}", "rest: 4"]
    empty = [one_more, "bias: false", "stride: 0", "form: ''"]
    texts = [text(*rng.permutation(given)), text(*rng.permutation(empty))]

    def values(texts, tables, calls):
        zero = "A key is known if it is in the table, whatever its default: 0 is one, too."
        with expect.explained((", rest:", zero)):
            got = there(chosen)(student, texts, tables, calls)
        for one in expect.items(got, len(calls), what="the list of results", kind="list"):
            kind = f"The result should be a dict and is {expect.show(one)}."
            expect.that(type(one) is dict, kind, kind="type")
        return got

    def filled():
        for one in texts:
            how = {"what": "the list of results", "given": _for(one)}
            with expect.explained(("SpecError: network.yaml", NO_FAULT)):
                [got] = values([one], [known], [(0, 0)])
            entry = any(type(value) is Student for value in got.values())
            with expect.otherwise(ENTRY * entry):
                same(student, chosen, "options", [one], [known], [(0, 0)], **how)

    with part("what is given, and the defaults of what is not", points=0.2):
        filled()
    left = part("section and table are left as they were", points=0.1, alone=False)
    with left, at_last(filled):
        tables, calls = [known, {**known, "form": "half", "rest": 7}], [(0, 0), (0, 1), (1, 0)]
        apart = [values([texts[s]], [tables[t]], [(0, 0)])[0] for s, t in calls]
        with expect.otherwise(CHANGED, exception=CHANGED):
            expect.equal(values(texts, tables, calls), apart, what="the list of results")

    def error(lines, at, key, silent, table=known):
        one = text(*lines)
        ask = lambda: there(chosen)(student, [one], [table], [(0, 0)])  # noqa: E731
        refused(ask, one, first + at, key, silent)

    with part("an unknown key", points=0.15):
        silent = "An unknown key is ignored in silence: go through the section's keys, too."
        error((one_more, "stride: 1", f"{wrong}: 3"), 2, wrong, silent)
        error((f"{wrong}: 3", one_more), 0, wrong, silent)
    with part("a missing key", points=0.1):
        silent = "A key whose entry is a type must be given: there is no default to fill in."
        error(("bias: false", f"rate: {rate}"), 0, needed, silent)
        for kind in ("float", "str", "bool"):
            error([one_more], 0, "rest", silent, {"rest": kind, needed: "int"})
    with part("a value of another type", points=0.2):
        silent = "Compare the value's type with what `known` asks for: a type, or a default's type."
        for line in (f"{needed}: many", f"{needed}: 2.5", "rate: fast", "form: 3", "bias: 1"):
            key = line.partition(":")[0]
            lines = ["form: some", line] if key == needed else [one_more, line]
            error(lines, 1, key, silent)
        with expect.explained((", rate:", "Where a float is due, an int will do.")):
            for usual in (0.25, "float"):
                one = [text(one_more, "rate: 1")], [{**known, "rate": usual}], [(0, 0)]
                expect.close(values(*one)[0].get("rate"), 1, what="rate")
        for line in (f"{needed}: true", "stride: true", "rate: true"):
            key = line.partition(":")[0]
            lines = [line, "form: some"] if key == needed else [line, one_more]
            error(lines, 0, key, BOOL)
        null = (
            "A key that is given as null is given: ask whether it is there, not whether it is None."
        )
        error([one_more, "bias: null"], 1, "bias", null)


def made(learner, name, section, chosen, *more):
    """What the builder makes of a section, with right options in the place of the learner's.

    chosen: by the line of a section the defaults of what it lacks, or (key, problem) of its error.
    """
    function = getattr(learner, name)
    names = getattr(function, "__globals__", {})
    own = names.get("options")

    def options(section, known):
        rest = chosen.get(getattr(section, "line", None))
        if rest is None:
            return own(section, known)
        if type(rest) is tuple:
            raise section.error(*rest)
        for key in section:
            if key not in known:
                raise section.error(key, "there is no such key in the table")
        for key in known:
            if key not in rest and key not in section:
                raise section.error(key, "it is missing in the section")
        return {key: rest[key] if key in rest else section[key] for key in known}

    try:
        if own is not None:
            names["options"] = options
        return function(section, *more)
    finally:
        if own is not None:
            names["options"] = own


@probe
def parsed(learner, text):
    """A section, which stays beside the learner's code."""
    from utils import spec

    return spec.parse(text, "network.yaml")


def lent(section, known) -> Any:
    """What `made` needs to know of a section."""
    try:
        return {k: v for k, v in answers.options(section, known).items() if k not in section}
    except spec.SpecError as error:
        key, problem = re.match(r".*?, line \d+, (\w+): (.*)", str(error)).groups()
        return key, problem


def network_of(student, text, times=1) -> Any:
    """The network that the learner's code builds of a text, or of the same section once more."""
    network = spec.parse(text, "network.yaml")
    table: dict[int, Any] = {network.line: {}}
    for layer in network["layers"]:
        kinds = answers.LAYERS.get(layer["type"], {})
        known = {"name": str, "type": str, **kinds} if layer["type"] in answers.LAYERS else {}
        table[layer.line] = lent(layer, known) if known else {}
    section = parsed(student, text)
    for _ in range(times):
        model = there(made)(student, "build_network", section, table)
    return model


def shapes(learner, module):
    """The shapes of a module's weights and other state, in order."""
    return [list(value.shape) for value in module.state_dict().values()]


def outputs(learner, model, state, x, evaluation):
    """What the model and, by name, each of its layers put out, once it holds this state.

    state: in the order of the model's own, None for what stays; [] for all of it.
    """
    import torch

    if not isinstance(model, torch.nn.Sequential):
        raise TypeError("the result is no nn.Sequential")
    own = model.state_dict()
    given = dict(zip(own, state, strict=True)) if state else {}
    model.load_state_dict(own | {key: one for key, one in given.items() if one is not None})
    if evaluation:
        model.eval()
    with torch.no_grad():
        y, each = model(x), []
        if evaluation:
            for name, layer in model.named_children():
                x = layer(x)
                each.append((name, x))
    return y, each


def random_layers(rng) -> tuple[list[dict[str, Any]], tuple[int, int, int]]:
    """The options of a random network's layers, and the shape that comes in."""
    c1, c2, units = (int(n) for n in rng.choice(np.arange(3, 12), size=3, replace=False))
    a, b, c, d, e, f, g, h = rng.choice([p + q for p in "pqrst" for q in "1234567"], 8, False)
    layers = [
        {"name": a, "type": "conv", "channels": c1, "kernel": 3, "padding": 1, "bias": False},
        {"name": b, "type": "batch_norm"},
        {"name": c, "type": "relu"},
        {"name": d, "type": "conv", "channels": c2, "kernel": 4, "stride": 2, "padding": 1},
        {"name": e, "type": "batch_norm"},
        {"name": f, "type": "max_pool", "kernel": 2},
        {"name": g, "type": "flatten"},
        {"name": h, "type": "linear", "units": units},
    ]
    channels, side = int(rng.integers(2, 5)), int(rng.choice([12, 16]))
    return layers, (channels, side, side + 4)


def network_text(layers, shape, block=3, remarks=0) -> str:
    """The network declared in YAML: a layer a line, but for one, which has a line for each key."""
    lines = ["name: random", f"input: {list(shape)}", *["# a remark"] * remarks, "layers:"]
    for number, layer in enumerate(layers):
        pairs = [f"{key}: {str(value).lower()}" for key, value in layer.items()]
        text = [f"  - {pairs[0]}", *(f"    {pair}" for pair in pairs[1:])]
        lines += text if number == block else [f"  - {{{', '.join(pairs)}}}"]
    return "\n".join(lines) + "\n"


@exercise("build_network", points=1)
def build_network(student, rng):
    layers, shape = random_layers(rng)
    text = network_text(layers, shape)
    given = _for(text)
    right = answers.build_network(spec.parse(text))
    state = [drawn(rng, key, value) for key, value in right.state_dict().items()]
    x = torch.from_numpy(rng.normal(size=(3, *shape))).float()
    table = (
        "A layer has a name and a type, beside the keys of its type in LAYERS: the table that options"
        " gets must have all of them."
    )
    carry = (
        "Carry the shape along, from the text's `input` on: what a layer puts out is what the next"
        " one gets. It is one example's; the image of zeros is a batch of one, (1, *shape). And does"
        " every option arrive?"
    )
    star = "A dict gives its names to a loop or a star: nn.Sequential(layers), without the star."
    no_network = "The result is not a network: return nn.Sequential(layers)."
    causes = (
        ("is not a Module subclass", star),
        ("no nn.Sequential", no_network),
        ("KeyError: 'type'", table),
    )
    star = "The star takes a shape apart: torch.zeros(1, *shape)."
    causes += (
        ("failed to unpack", star),
        ("KeyError: 'name'", table),
        ("'state_dict'", no_network),
    )
    causes += (("'named_children'", no_network), ("no such key in the table", table))
    causes += (
        ("loading state_dict", carry),
        ("zip() argument", "It has other layers than the text."),
    )
    before = "'name'" in str(keys_of(student, "conv"))
    if before:
        table = "LAYERS itself holds a name, from an earlier try: run its cell again."
        causes += (("SpecError: network.yaml", table),)
    causes += (("SpecError: network.yaml", " ".join(("This text has no fault.", carry))),)

    def network():
        with expect.explained(*causes):
            model = network_of(student, text)
            expect.that(type(model) is Student, no_network, given=given, kind="type")
        return model

    def puts(model, state, evaluation):
        with expect.explained(*causes):
            got = there(outputs)(student, model, state, x, evaluation)
        return expect.items(got, 2), outputs(answers, right, state, x, evaluation)

    def all_there():
        model = network()
        with expect.explained(*causes):
            names(student, model, layers, given)
        with expect.otherwise(carry):
            with expect.explained(*causes):
                got = there(shapes)(student, model)
            what = "the list of the weights' shapes"
            expect.equal(got, shapes(answers, right), what=what, given=given)
            (y, each), (wanted, by_layer) = puts(model, state, True)
            expect.close(each, by_layer, what="the list of (name, output)", given=given, **NEAR)
            expect.close(y, wanted, what="the output", given=given, **NEAR)

    with part("every layer is there, under its name, and does what is declared", points=0.5):
        all_there()

    def untouched():
        nonlocal right
        model, right = network(), answers.build_network(spec.parse(text))
        weights = [
            one if key in dict(right.named_parameters()) else None
            for key, one in zip(right.state_dict(), state, strict=True)
        ]
        (y, _), (wanted, _) = puts(model, weights, False)
        with expect.otherwise("In evaluation mode? layer.train() takes a layer back to training."):
            expect.close(y, wanted, what="the output as it is built", given=given, **NEAR)
        (y, _), (wanted, _) = puts(model, [], True)
        why = (
            "A batch norm's running statistics have moved already: an image went through it in"
            " training mode, and it learnt from it. Send it through in evaluation mode."
        )
        with expect.otherwise(why):
            expect.close(y, wanted, what="the output in evaluation mode", given=given, **NEAR)

    with (
        part("nothing has run through it yet: in training mode, its statistics new", points=0.15),
        at_last(all_there),
    ):
        untouched()
    with part("the text's sections are left as they were", points=0.1, alone=False):
        message = "LAYERS holds a name or a type."
        own = "Name and type go into a table of your own, and not into LAYERS itself."
        own += " It did so before this call, from an earlier try." * before
        own += " Run its cell again, which makes it whole."
        keys = keys_of(student, "conv")
        fine = type(keys) is list and "name" not in keys and "type" not in keys
        why = "Built again from the same section, it is another network, or none: leave it whole."
        (once, _), (like, _) = puts(network(), state, True)
        expect.form(once, like)
        with expect.otherwise(why, exception=why):
            again = there(outputs)(student, network_of(student, text, 2), state, x, True)
            twice = expect.items(again, 2)[0]
            expect.close(twice, once, what="the output", given=given, **NEAR)
        expect.that(fine, message, diagnosis=own)

    def error(layers, at, key, silent):
        remarks = int(rng.integers(1, 6))
        text = network_text(layers, shape, remarks=remarks)
        ask = lambda: network_of(student, text)  # noqa: E731
        line = 4 + remarks + at + (len(layers[3]) - 1) * (at > 3)
        try:
            refused(ask, text, line, key, silent)
        except Fault:
            network()  # what a text without a fault raises, is no matter of this one
            raise

    with part("an unknown type, a name taken, what options finds", points=0.15):
        silent = "Nothing was said about the last layer of the text."
        taken = {"name": layers[int(rng.integers(8))]["name"], "type": "relu"}
        error([*layers, {"name": "k", "type": "convolution", "units": 3}], 8, "type", silent)
        twice = "A name comes twice, in silence: look among the names of the layers built so far."
        error([*layers, taken], 8, "name", twice)
        silent = "Let options read every layer: it finds what is wrong in one."
        wrong = {"name": "k", "type": "linear", "units": 3, "unitz": 3}
        error([*layers, wrong], 8, "unitz", silent)
    with part("a layer that does not fit what comes in", points=0.1):
        silent = "Find out while building, not while training: send an image of zeros through."
        for at, wrong in (
            (6, {"name": "k", "type": "max_pool", "kernel": 9}),
            (7, {"name": "k", "type": "conv", "channels": 3, "kernel": 3}),
            (7, {"name": "k", "type": "batch_norm"}),
        ):
            error([*layers[:at], wrong, *layers[at:]], at, "type", silent)


NEAR = {"rtol": 1e-3, "atol": 1e-4}


def drawn(rng, key, like):
    """A random value for a piece of a module's state."""
    if not like.is_floating_point():
        return torch.tensor(int(rng.integers(9)))
    value = torch.from_numpy(rng.normal(size=tuple(like.shape))).to(like.dtype)
    if like.ndim > 1:
        value /= like[0].numel() ** 0.5
    return value.abs() + 0.5 if key.endswith("var") else value


@probe
def keys_of(learner, kind):
    """The keys of a type of layer in the notebook's own table."""
    return list(getattr(learner, "LAYERS", {}).get(kind, {}))


@probe
def children(learner, model):
    """The names of a network's layers, in order."""
    return [name for name, _ in model.named_children()]


def names(student, model, layers, given) -> None:
    """What the network says of its layers: this only explains, what they do is judged by values."""
    got, right = children(student, model), [layer["name"] for layer in layers]
    why = "A layer is missing, too many, or in another place."
    if got == right[:1]:
        why = "Only the first layer is there: does return stand inside the loop?"
    if got == []:
        why = "No layer is there: put each under its name, layers[name] = layer."
    if got and set(got) <= set(answers.LAYERS):
        why = "The layers stand under their types, of which there are several alike: take their names."
    if got == [str(n) for n in range(len(right))]:
        why = "The layers are numbered: an OrderedDict of them by name gives them their names."
    detail = f"expected {', '.join(right)}   yours {expect.show(got)}"
    message = "The layers' names are not the declared ones."
    expect.that(got == right, message, given=given, detail=detail, diagnosis=why)


# Solvers


def two_layers(learner, weights):
    """A model with these weights."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    for parameter, value in zip(model.parameters(), weights, strict=True):
        parameter.data = value.clone()
    return model


def solved(learner, piece, plan, model, gradients, counts):
    """What a piece of a plan does: the optimizer's weights after a step with each of the gradients,
    the schedule's factors for each count of steps, or what the plan holds beside the two."""
    if piece == "rest":
        return {key: plan[key] for key in plan if key not in ("optimizer", "schedule")}
    if piece == "schedule":
        return [[float(plan[piece](step, steps)) for step in range(steps)] for steps in counts]
    for step in gradients:
        for parameter, value in zip(model.parameters(), step, strict=True):
            parameter.grad = value.clone()
        plan[piece].step()
    return [parameter.detach().clone() for parameter in model.parameters()]


# The time limit: torch.optim takes its time to load.
@exercise("build_solver", points=0.75, time_limit=60)
def build_solver(student, rng):
    sizes = ((2, 3), (2,), (1, 2), (1,))
    weights = [numbers(rng, *one) + 2 for one in sizes]
    gradients = [[numbers(rng, *one) for one in sizes] for _ in range(3)]
    base = {"base_lr": round(rng.uniform(0.05, 0.1), 4), "epochs": int(rng.integers(3, 99))}
    base |= {"batch_size": int(rng.integers(10, 99)), "seed": int(rng.integers(1, 99))}
    momentum, decay = round(rng.uniform(0.4, 0.8), 3), round(rng.uniform(0.2, 0.3), 3)
    warm_up = round(rng.uniform(0.3, 0.45), 3)  # of 0.5 the two lines would be divided alike
    counts = [int(n) for n in rng.choice(np.arange(5, 14), 2, replace=False)]

    def text_of(**more):
        lines = [f"{key}: {value}" for key, value in {**base, **more}.items()]
        remarks = ["# a remark"] * int(rng.integers(1, 6))
        return "\n".join([*remarks, *rng.permutation(lines)]) + "\n"

    def asked(text, times=1):
        section, model = parsed(student, text), there(two_layers)(student, weights)
        table = {spec.parse(text).line: lent(spec.parse(text, "network.yaml"), answers.SOLVERS)}
        plan = there(made)(student, "build_solver", section, table, model)
        why = "Read again, the same section gives something else: leave it whole."
        with expect.otherwise(why, exception=why):
            for _ in range(times - 1):
                plan = there(made)(student, "build_solver", section, table, model)
        return plan, model

    read = "The text leaves out what has a default: options(solver, SOLVERS) fills it in."
    call = "model.parameters is a method: call it, model.parameters()."
    reads = *((f"KeyError: '{key}'", read) for key in answers.SOLVERS), ("'method' object", call)
    reads += (
        ("can only optimize Tensors", "It takes the model's parameters: model.parameters()."),
    )

    def judge(piece, why, wrong="", **more):
        """why, wrong: what to say where the piece is missing, and where it is wrong."""
        text = text_of(**more)
        given = _for(text)
        if piece == "schedule":
            given += f"It is run for {counts} steps."
        with expect.explained(*reads):
            plan, model = asked(text, 2 if piece == "rest" else 1)
        expect.that(type(plan) is dict, "The result is not a dict.", given=given, kind="type")
        usable = piece == "rest" or type(plan.get(piece)) is Student
        message = f"The dict has no `{piece}` that can be used."
        expect.that(usable, message, given=given, kind="type", diagnosis=why)

        def of(own):
            model = two_layers(own, weights)
            plan = own.build_solver(spec.parse(text), model)
            return solved(own, piece, plan, model, gradients, counts)

        causes = [(one, why) for one in ("object is not callable", "positional argument")]
        if piece == "optimizer":
            a_class = (
                "The optimizer is a class still: call it, torch.optim.SGD(…), with parameters."
            )
            causes.append(("not enough values to unpack", a_class))
        with expect.explained(*causes):
            got = there(solved)(student, piece, plan, model, gradients, counts)
        knows = MISTAKES.values("build_solver", of)
        right = of(answers)
        if piece == "rest" and type(got) is dict and got.keys() == right.keys():
            wrong = "Each key has the declared value of that name."
        with expect.otherwise(wrong):
            expect.close(got, right, what=WHAT[piece], given=given, knows=knows, rtol=1e-5)

    here = "It is made here, from model.parameters()."
    why = "torch.optim.SGD with the declared rate, momentum and weight decay, and nothing else."
    with part("sgd: rate, momentum and weight decay arrive", points=0.2):
        judge("optimizer", here, why, optimizer="sgd", momentum=momentum, weight_decay=decay)
    with part("adamw: rate and weight decay arrive", points=0.1):
        judge("optimizer", here, optimizer="adamw", weight_decay=decay, momentum=momentum)
    with part("the schedule: factors, fixed and one-cycle", points=0.25):
        function = "It is a function of (step, steps), for `fixed` as well."
        line = "Find t first; f is t/w up to w, and then the line from 1 down to 0."
        judge("schedule", function, line, lr_policy="one_cycle", warm_up=warm_up)
        judge("schedule", function, lr_policy="fixed")
    why = "The dict has the keys that the docstring lists: the optimizer holds the rates."
    with part("epochs, batch size and seed", points=0.1):
        judge(
            "rest", "", why, optimizer="sgd", momentum=momentum, lr_policy="fixed", warm_up=warm_up
        )
    with part("an optimizer or a policy that there is not, what options finds", points=0.1):
        silent = "What is none of the known words is taken for one of them, in silence."
        unread = "Let options read the text: it finds what is wrong in it."
        for key, value, why in (
            ("optimizer", "sdg", silent),
            ("lr_policy", "onecycle", f"{silent} The error comes at once, and not from schedule."),
            ("momentun", 0.5, unread),
        ):
            text = text_of(**{key: value})
            line = 1 + [one.partition(":")[0] for one in text.splitlines()].index(key)
            refused(lambda text=text: asked(text)[0], text, line, key, why)


WHAT: dict[str, Any] = {
    "optimizer": ("weight 1", "bias 1", "weight 2", "bias 2"),
    "schedule": "the list of schedules",
    "rest": "the rest of the dict",
}


# Batch normalisation


def numbers(rng, *shape) -> torch.Tensor:
    """Random float64 numbers with mean 0 and standard deviation 1."""
    return torch.from_numpy(rng.normal(size=shape))


def gradients(learner, x, later, dy, weight, bias, mean, var, eps):
    """The gradients of sum(dy · y) in x, weight and bias: of a batch in training mode, and of a
    later one in evaluation mode, through the statistics that the first left."""
    import torch

    leaves = [one.clone().requires_grad_() for one in (x, weight, bias)]
    y, mean, var = learner.batch_norm(*leaves, mean, var, True, 0.1, eps)
    then = learner.batch_norm(later, *leaves[1:], mean, var, False, 0.1, eps)[0]
    none = 0 * sum(leaf.sum() for leaf in leaves)
    found = []
    for out in (y, then):
        loss = (out * dy).sum() + none
        found.append(list(torch.autograd.grad(loss, leaves, retain_graph=True)))
    return {"the batch's": found[0], "the later batch's": found[1]}


def other_axes(n, c, h, w):
    """What the shapes of an error say of the statistics: (a piece of its text, the diagnosis)."""
    over = "Over the batch and the image, that is over the axes (0, 2, 3)."
    at = "at non-singleton dimension"
    images = "They meet the images, as (C, 1, 1, 1): reshape them to (1, C, 1, 1)."
    image = (
        "That is one number for each image and channel: take the statistics over the images, too."
    )
    return (
        *((piece, image) for piece in (f"({n * c})", f"size {n * c}")),
        (f"({n}) must match the size of tensor b ({c}) {at} 0", images),
        (f"({w}) {at} 2", f"That is one mean for each pixel of each channel. {over}"),
        (f"({w}) {at} 1", f"That is one mean for each pixel. {over}"),
        (f"({n}) {at} 0", f"That is one mean for each image. {over}"),
        (f"({w}) {at} 0", f"That is one mean for each column. {over}"),
        (
            "non-singleton dimension 3",
            "Statistics of shape (C,) meet the width: reshape them to (1, C, 1, 1).",
        ),
    )


@exercise("batch_norm", points=2.5, forbids={"batch_norm": NORMALISATIONS})
def batch_norm(student, rng):
    cases = []
    for n, c, h, w in ((4, 3, 2, 5), (3, 2, 3, 4)):
        x = numbers(rng, n, c, h, w) * (1 + numbers(rng, 1, c, 1, 1) ** 2) + numbers(
            rng, 1, c, 1, 1
        )
        mean, var = numbers(rng, c), numbers(rng, c).abs() + 1.5
        cases.append([x, numbers(rng, c).abs() + 0.5, numbers(rng, c), mean, var])
    eps = 0.3  # so large that a forgotten one shows
    keys = ("x", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")

    def judge(which, what, training, momentum=0.1, case=cases[0]):
        args = [*case, training, *([] if momentum is None else [momentum, eps])]
        given = dict(zip(keys, args, strict=False))
        with expect.explained(*other_axes(*case[0].shape)):
            got = student.batch_norm(*args)
        three = "the result (y, running_mean, running_var)"
        got, right = expect.items(got, 3, what=three), answers.batch_norm(*copy.deepcopy(args))
        of = lambda own: own.batch_norm(*copy.deepcopy(args))[which]  # noqa: E731
        knows = MISTAKES.values("batch_norm", of)
        piece = tuple(got[which]) if type(which) is slice else got[which]
        with expect.otherwise(
            shape="The running statistics keep their shape, (C,)." * (which != 0)
        ):
            expect.close(piece, right[which], what=what, given=given, knows=knows, rtol=1e-5)
        if type(which) is slice and all(type(one) is torch.Tensor for one in got):
            expect.unchanged(student, tuple(got), given=given)

    kept = slice(1, 3), ("`running_mean`", "`running_var`")
    with part("training mode: each channel is normalised over the batch", points=0.6):
        for case in cases:
            judge(0, "y", True, 0.1, case)
        judge(0, "y", True, None, [1e-3 * cases[0][0], *cases[0][1:]])  # the usual ε shows
    with part("training mode: the running statistics follow", points=0.6):
        for case, momentum in zip(cases, (0.1, 0.3), strict=True):
            judge(*kept, True, momentum, case)
        judge(*kept, True, None)
    with part("evaluation mode: the running statistics are used", points=0.4):
        for case in cases:
            judge(0, "y", False, 0.1, case)
    stay = expect.otherwise("In evaluation mode they go out as they came in.")
    with part("evaluation mode: the running statistics stay", points=0.25, alone=False), stay:
        judge(*kept, False)
    x, weight, bias, mean, var = cases[0]
    later, dy = numbers(rng, *x.shape), numbers(rng, *x.shape)
    args = [x, later, dy, weight, bias, mean, var, eps]
    what = tuple(f"the gradient in {name}" for name in ("x", "weight", "bias"))
    y_first = (
        lambda: judge(0, "y", True),
        lambda: judge(0, "y", False),
        lambda: judge(*kept, True),
    )
    with part("the gradient goes through the batch's statistics", points=0.45), at_last(y_first[0]):
        same(student, gradients, "batch_norm", *args, key="the batch's", what=what, rtol=1e-5)
    with part("the kept ones have no graph", points=0.2), at_last(*y_first):
        there_after = {"key": "the later batch's", "what": what, "rtol": 1e-5}
        same(student, gradients, "batch_norm", *args, **there_after)


# Augmentation


def augmented(learner, x, padding, seeds):
    """What augment makes of the same x: for each seed, then again from the last generator, and from
    the last seed; and what x is then. padding: in a list, which is empty for the usual one."""
    import torch

    def one(generator):
        out = learner.augment(x, generator, *padding)
        return out.clone() if isinstance(out, torch.Tensor) else out

    made, generator = [], torch.Generator()
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        made.append(one(generator))
    made.append(one(generator))
    made.append(one(torch.Generator().manual_seed(seeds[-1])))
    return [*made, x]


def which(out, ways) -> np.ndarray:
    """For each image the number of the way that gives exactly it, or −1."""
    found = np.full(len(out), -1)
    for number, way in enumerate(ways):
        alike = (out == way).flatten(1).all(dim=1).numpy()
        found[alike & (found < 0)] = number
    return found


def misread(x, padding, out, wrong) -> str:
    """The known mistake by which most of the wrong images of `out` could have come about."""
    if (which(out, answers.windows(x.flip(0), padding).values()) >= 0).mean() > 0.3:
        return "Images change places, and their labels do not: flip the last axis, not the first."
    few = [0, *np.flatnonzero(wrong)[:12]]  # the first one: some mistakes use it for all
    x, out = x[few], out[few]

    def seen(own):
        generator = torch.Generator().manual_seed(0)
        made = [own.augment(x.clone(), generator, padding) for _ in range(250)]
        return [one for one in made if one.shape == out.shape]

    found = [
        ((which(out, w)[1:] >= 0).mean(), says) for says, w in MISTAKES.values("augment", seen)
    ]
    share, says = max(found, key=lambda one: one[0])
    return says if share > 0.6 else ""


@exercise("augment", points=1.5, forbids={"augment": ["torchvision"]})
def augment(student, rng):
    n, padding = 240, 2
    x = torch.from_numpy(rng.permutation(n * 2 * 6 * 7) + 1.0).float().reshape(n, 2, 6, 7)
    seeds = [int(one) for one in rng.integers(2**31, size=3)]
    given = f"For x of shape {tuple(x.shape)}, padding = {padding}."
    leaves = (
        "Some windows leave the padded image and are cut off there: are all four sides padded, and"
        " does a window begin at 0 at the earliest, at 2·padding at the latest?"
    )
    mask = "A mask for N images has the shape (N, 1, 1, 1), to meet (N, C, H, W)."
    joined = (
        "One image has three axes, (C, H, W), counted from 0: the last is 2. torch.cat joins along"
        " an axis that is there; torch.stack makes a new one."
    )
    turned = (
        "Rows and columns are exchanged: a window has H rows, from top, and W columns, from left."
    )
    ends = "Some windows are larger than the image: they end at top + H and left + W."
    larger = [(7 + i, j) for i in range(4) for j in range(3, 12)] + [(6, 8 + j) for j in range(4)]
    causes = (
        ("[2, 7, 6]", turned),
        *((f"[2, {rows}, {columns}]", ends) for rows, columns in larger),
        ("stack expects each tensor to be equal size", leaves),
        ("must match the existing size", leaves),
        (f"tensor a ({n}) must match", mask),
        ("Dimension out of range (expected to be in range of [-3, 2]", joined),
        ("'list' object has no", "torch.stack makes one tensor of a list of tensors."),
    )
    with expect.explained(*causes):
        reply = there(augmented)(student, x, [padding], seeds)
    ways = answers.windows(x, padding)
    keys = np.array(list(ways), dtype=int)  # top, left, flipped

    def images(at, count=1):
        """(count · n, 3): top, left and flipped of each image of some of the results."""
        made = expect.items(reply, len(seeds) + 3, kind="list", what="the list of batches")
        return np.concatenate([places(i, made[i]) for i in range(at, at + count)])

    seen = {}

    def as_it_was():
        return type(reply[-1]) is torch.Tensor and torch.equal(reply[-1], x)

    def keeps_dtype(out, x):
        message = f"The result has dtype {out.dtype}, and x has {x.dtype}."
        why = "It keeps x's dtype, or the network cannot take it."
        expect.that(out.dtype == x.dtype, message, given=given, diagnosis=why, kind="dtype")

    def places(number, out):
        if number in seen:
            return seen[number]
        shape = answers.wrong_form(tuple(getattr(out, "shape", ())), x.shape[1])
        why = "torch.stack makes one tensor of a list of tensors." if type(out) is list else ""
        with expect.otherwise(why, shape=shape):
            expect.form(out, x, given=given)
        keeps_dtype(out, x)
        found = which(out, ways.values())
        message = "Some images are no window of the padded image, flipped or not."
        detail = f"{int((found < 0).sum())} of {n} are not."
        if (found < 0).any():
            why = CHANGES_X if not as_it_was() else misread(x, padding, out, found < 0)
            raise Fault("value", message, why, detail=detail, given=given)
        seen[number] = keys[found]
        return keys[found]

    with part("each image is a window of itself, padded with zeros, flipped or not", points=0.4):
        images(0, 5)
        expect.that(as_it_was(), "x is not what it was.", given=given, diagnosis=CHANGES_X)
        doubles = x[:8].double()
        made = expect.items(
            there(augmented)(student, doubles, [padding], seeds[:1]), 4, kind="list"
        )
        keeps_dtype(expect.form(made[0], doubles, given=given), doubles)

    def all_cropped():
        tops_and_lefts, flipped = images(0, len(seeds))[:, :2], images(0, len(seeds))[:, 2] == 1
        whole = (tops_and_lefts == padding).all(axis=1)
        one_kind = any(kind.any() and whole[kind].all() for kind in (flipped, ~flipped))
        message = "The flipped images are cropped and the others are not, or the reverse."
        why = "A window is flipped, or left as it is: is x used a second time, in its place?"
        expect.that(whole.all() or not one_kind, message, given=given, diagnosis=why)

    with part("each image has its own window, anywhere", points=0.45):
        all_cropped()
        spread_out([images(at)[:, :2] for at in range(len(seeds))], padding, given)
    with part("each image has its own flip, as likely as none", points=0.4):
        all_cropped()
        all_of_them, few = images(0, 4), list(answers.windows(x[:40], padding).values())
        many = [int(one) for one in rng.integers(2**31, size=20)]
        batches = expect.items(there(augmented)(student, x[:40], [padding], many), 23, kind="list")
        expect.form(batches, [x[:40]] * 23, given=given)
        ways_of = [which(out, few) for out in batches[:21]]
        message = "Some images are no window of the padded image, flipped or not."
        expect.that(all((one >= 0).all() for one in ways_of), message)
        found = [keys[one][:, 2] for one in ways_of]
        windows = np.unique(all_of_them[:, :2], axis=0)
        both = len(np.unique(all_of_them, axis=0)) == 2 * len(windows)
        message, own = "Some windows are always flipped, or never.", "Draw the flip by itself."
        anew = any((one != ways_of[0]).any() for one in ways_of)
        expect.that(anew, ALIKE, given=given, diagnosis=SEEDED)
        mixed = np.mean([0 < one.mean() < 1 for one in found]) > 0.5
        likely = 0.3 < np.mean(found) < 0.7  # else that is what is wrong
        expect.that(both or not mixed or not likely, message, given=given, diagnosis=own)
        tossed(found, f"For {len(found)} batches of 40 images.")
        expect.that(both, message, given=given, diagnosis=own)
    with part("all chance comes from the generator", points=0.25):
        last, more, again = images(2), images(3), images(4)
        expect.that(not np.array_equal(last, more), ALIKE, given=given, diagnosis=SEEDED)
        message = "The same seed does not give the same images."
        why = "Pass generator=generator to every call that draws."
        expect.that(np.array_equal(last, again), message, given=given, diagnosis=why)
        usual, four = (there(augmented)(student, x[:40], one, seeds[:1]) for one in ([], [4]))
        expect.form(four, [x[:40]] * 4)
        expect.equal(usual, four, what="the list of batches without `padding`, which then is 4,")


ALIKE = "Two batches from one generator are cropped and flipped alike."
SEEDED = "Is the generator seeded anew in every call, or not used?"
CHANGES_X = "augment changes x in place. Build a new tensor."
LAST = (
    "The window never reaches the far end: it can start at 0, …, 2·padding, and randint leaves its"
    " upper end out."
)
FAR = "The windows stay near one side: there is padding on both, so they start at 0, …, 2·padding."


def spread_out(places, padding, given) -> None:
    """places: for each batch (n, 2), top and left."""
    message, count = "The windows are not spread as they should be.", 2 * padding + 1

    def that(condition, why, detail=""):
        expect.that(condition, message, given=given, diagnosis=why, detail=detail)

    alike = all((place == place[0]).all() for place in places)
    that(not alike, "The whole batch has one window: draw a place for each image.")
    together = np.concatenate(places)
    for axis, name in enumerate(("top", "left")):
        shares = np.bincount(together[:, axis], minlength=count) * count / len(together)
        detail = f"How often {name} = 0, …, {count - 1}: {shares.round(2).tolist()} of its share."
        that(shares[-1] > 0 or shares[0] == 0, LAST if shares[-2] > 0 else FAR, detail)
        one = f"All windows of a batch have one {name}: each image draws both of its own."
        that(all(np.ptp(place[:, axis]) > 0 for place in places), one)
        that(((shares > 0.6) & (shares < 1.4)).all(), "All places are equally likely.", detail)
    why = "top and left go together: draw each by itself, or windows lie on a diagonal only."
    that(abs(np.corrcoef(together.T)[0, 1]) < 0.25, why)


def tossed(flips, given) -> None:
    """flips: for each batch which images are flipped."""
    shares = [float(one.mean()) for one in flips]
    detail = f"Shares flipped, by batch: {', '.join(f'{one:.2f}' for one in shares[:8])}, …"

    def that(condition, why):
        message = "The flips are not spread as they should be."
        expect.that(condition, message, given=given, diagnosis=why, detail=detail)

    that(any(shares), "No image is flipped.")
    that(not all(one == 1 for one in shares), "Every image is flipped: a mirrored set is one set.")
    whole = "The whole batch is flipped or not: each image draws its own flip."
    that(not all(one in (0, 1) for one in shares), whole)
    again = "The same places are flipped in every batch: each image draws anew."
    that((np.ptp(np.stack(flips).astype(int), axis=0) == 0).mean() < 0.5, again)
    that(0.42 < np.mean(shares) < 0.58, "A flip should be as likely as none.")


# Parameters and blocks


@exercise("parameters", points=0.75)
def parameters(student, rng):
    conv = "channels in × channels out × kernel height × kernel width, plus the biases."
    for name, points, rtol, how in (
        ("conv_parameters", 0.15, 1e-9, conv),
        ("fire_parameters", 0.2, 1e-9, "Add up three convolutions: " + conv),
        (
            "fc6_parameters",
            0.2,
            1e-9,
            "inputs × units, plus the biases; the shape is printed above.",
        ),
        ("without_linear", 0.2, 0.01, "All parameters, through those of the five convolutions."),
    ):
        with part(name, points=points):
            known = dict(MISTAKES.written("parameters", name))
            expect.answer(student, name, getattr(answers, name), known, how, rtol=rtol)


def form(learner, name, arguments):
    """The shapes of a module's state, and the strides of its convolutions, by name."""
    import torch

    module = getattr(learner, name)(*arguments)
    if getattr(type(module), "forward", None) is torch.nn.Module.forward:
        raise TypeError("the class has no method of that name: forward")
    found = {key: list(value.shape) for key, value in module.state_dict().items()}
    strides = {key: getattr(one, "stride", None) for key, one in module.named_modules()}
    return found | {f"{key}.stride": list(s) for key, s in strides.items() if type(s) is tuple}


def evaluated(learner, name, arguments, state, x):
    """What a module with this state makes of x in evaluation mode, twice."""
    import torch

    module = getattr(learner, name)(*arguments).double()
    module.load_state_dict(state)
    with torch.no_grad():
        return [module.eval()(x), module(x)]


def learnt(learner, name, arguments, state, x, dy):
    """The gradients of sum(dy · y), y being in training mode, in x and in each parameter."""
    import torch

    module = getattr(learner, name)(*arguments).double()
    module.load_state_dict(state)
    leaf, inner = x.clone().requires_grad_(), dict(module.named_parameters())
    loss = (module.train()(1 * leaf) * dy).sum() + 0 * leaf.sum()  # within a network x is no leaf
    leaves = [leaf, *inner.values()]
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return dict(zip(("x", *inner), found, strict=True))


IN_PLACE = "A tensor that autograd still needs is changed in place (`+=`, `add_`): build a new one."


IN_MODULE = (
    ("got (ReLU", "A module is made and not called: nn.ReLU()(x), or F.relu(x)."),
    ("no method of that name", "It has no `forward`: is its name spelt so, within the class?"),
)
THERE = ("squeeze", "expand1x1", "expand3x3", "conv1", "norm1", "conv2", "norm2", "shortcut")
_GONE = "Make each layer an attribute in __init__: one in a plain list or dict is overlooked."
_BIASES = "The convolutions have biases: no batch norm follows that would subtract them."
_NO_BIAS = "A bias before a batch norm does nothing: bias=False."


def formed(student, exercise, name, plan, given, named) -> None:
    """The module has the right layers. named: what to say where they have other names."""
    what, right = "the dict of its weights' shapes and its strides", form(answers, name, list(plan))
    with expect.explained(*IN_MODULE):
        got = there(form)(student, name, list(plan))
    try:
        knows = MISTAKES.values(exercise, lambda own: form(own, name, list(plan)))
        expect.close(got, right, what=what, given=given, knows=knows)
    except Fault as fault:
        if type(got) is not dict:
            raise
        wrong = [key for key in right if key in got and got[key] != right[key]]
        extra, missing = ([*a.keys() - b.keys()] for a, b in ((got, right), (right, got)))
        if extra or missing:
            fault.message = "Its layers, or what they hold, have other names than asked for."
            fault.expected, fault.got = (
                ", ".join(sorted(keys)) or "–" for keys in (missing, extra)
            )
            fault.expected, fault.got = f"also {fault.expected}", f"{fault.got} too many"
            layers = {key.partition(".")[0] for key in extra} - {*THERE}
            gone = {key.partition(".")[0] for key in missing} - {
                key.partition(".")[0] for key in got
            }
            if gone & {*THERE[:-1]} and not extra:
                fault.diagnosis = fault.diagnosis or _GONE
            biases = all(key.endswith(".bias") for key in [*extra, *missing])
            why = (_NO_BIAS if extra else _BIASES) * (biases and not (extra and missing))
            fault.diagnosis = fault.diagnosis or (named if layers else why)
        elif wrong:
            fault.message = f"`{wrong[0]}` is not what it should be."
            fault.expected, fault.got = (f"{wrong[0]}: {one[wrong[0]]}" for one in (right, got))
        raise


def module(student, rng, exercise, name, plan, x, why, named="", causes=()):
    """Judges what a module does in evaluation mode; returns what its gradients are judged with."""
    given = f"For {name}{plan} and x of shape {tuple(x.shape)}."
    formed(student, exercise, name, plan, given, named)
    right = getattr(answers, name)(*plan).double()
    state = {key: drawn(rng, key, value) for key, value in right.state_dict().items()}
    for key, value in state.items():
        if key.endswith("bias"):  # so that in one map at least ReLU has something to do
            value[-1] = -1 - abs(value[-1])
    args = [name, list(plan), state, x]
    with expect.otherwise(why), expect.explained(*IN_MODULE, *causes):
        got = expect.items(there(evaluated)(student, *args), 2, kind="list", given=given)
    of = lambda own: evaluated(own, *copy.deepcopy(args))[0]  # noqa: E731
    how = {"given": given, "rtol": 1e-5}
    with expect.otherwise(why):
        expect.close(got[0], of(answers), knows=MISTAKES.values(exercise, of), **how)
    with expect.otherwise("x is changed in place, and it is the caller's: build a new tensor."):
        expect.close(got[1], of(answers), what="the result of a second call", **how)
    return [*args, numbers(rng, *right(x).shape)], given


def ways_back(student, exercise, args, given):
    """Judges a module's gradients."""
    right = learnt(answers, *copy.deepcopy(args))
    with expect.explained(("in-place", IN_PLACE), ("inplace", IN_PLACE)):
        got = there(learnt)(student, *args)
    had = type(got) is dict and got.keys() == right.keys()
    expect.that(had, "The module has other parameters.", given=given, kind="type")
    for key in right:
        of = lambda own, key=key: learnt(own, *copy.deepcopy(args))[key]  # noqa: E731
        how = {"what": f"the gradient in {key}", "given": given, "rtol": 1e-4, "atol": 1e-6}
        expect.close(got[key], right[key], knows=MISTAKES.values(exercise, of), **how)


BESIDE = "Both expansions see what the squeeze puts out, side by side."


@exercise("Fire", points=1.25, forbids={"Fire": ["torchvision"]})
def fire(student, rng):
    alike = (int(rng.integers(5, 9)), 5, 4, 4)
    plans = [tuple(int(n) for n in rng.permutation([3, 4, 5, 6])) for _ in range(2)]

    def judge(plan):
        x = numbers(rng, 2, plan[0], 5, 5)
        why = "Height and width stay: a 3×3 convolution needs padding for that, a 1×1 none."
        names = "squeeze, expand1x1 and expand3x3 are the names to use, each an nn.Conv2d."
        causes = (
            ("must match except in dimension 1", why),
            ("to have 5 channels, but got 4 channels", BESIDE),
        )
        try:
            return module(student, rng, "Fire", "Fire", plan, x, "", names, causes)
        except Fault as fault:
            if fault.kind == "shape" and not fault.message.endswith("5, 5)."):
                fault.diagnosis = fault.diagnosis or why
            raise

    with part("squeeze, expand, stack", points=0.5):
        judge(alike)
    with part("any numbers of channels", points=0.5):
        for plan in plans:
            judge(plan)
    with part("every weight can learn", points=0.25):
        ways_back(student, "Fire", *judge(alike))


@exercise("residual_block", points=1.5, forbids={"ResidualBlock": ["torchvision"]})
def residual_block(student, rng):
    width, wider = (int(n) for n in rng.choice(np.arange(3, 9), size=2, replace=False))
    projected = [(width, wider, 1), (width, width, 3), (width, wider, 2)]

    def judge(plan):
        x = numbers(rng, 2, plan[0], 6, 4)
        why = "conv1, norm1, ReLU, conv2, norm2; then add what self.shortcut makes of x; then ReLU."
        names = "conv1, norm1, conv2, norm2 and shortcut are the names to use."
        padding = "A 3×3 convolution makes the image smaller by 2: padding=1 keeps its size."
        pieces = (
            "a (2) must match the size of tensor b (4)",
            "a (4) must match the size of tensor b (2)",
        )
        causes = [("Kernel size can't be greater", padding)]
        causes += [(piece, padding) for piece in pieces if plan[-1] != 2]
        wide = "It grows: a 1×1 convolution takes no padding, a 3×3 one padding=1."
        for one, other in ((4, 6), (6, 4)):
            piece = (
                f"a ({one}) must match the size of tensor b ({other}) at non-singleton dimension 3"
            )
            causes.append((piece, wide))
        way = (
            "Where stride or channels change, x is added by way of the shortcut: self.shortcut(x)."
        )
        causes.append(("must match the size", way))
        return module(student, rng, "residual_block", "ResidualBlock", plan, x, why, names, causes)

    with part("with a plain shortcut", points=0.5):
        judge((width, width))
    with part("with a projection", points=0.6):
        for plan in projected:
            judge(plan)
    with part("every weight can learn, the shortcut carries the gradient", points=0.4):
        for plan in ((width, width, 1), projected[2]):
            ways_back(student, "residual_block", *judge(plan))
