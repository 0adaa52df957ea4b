"""The student's side of a check: answers requests about the names of one notebook.

It runs where the student's code runs: in the learner's own kernel, or in the sandbox. A request
and its reply are dictionaries in the codec's bytes; what it replies is the student's claim, and
nothing that decides a mark is computed here.

    {"do": "call",  "of": handle | None, "path": [names], "args": [...], "kwargs": {...},
     "limit": seconds, "twice": bool}
    {"do": "again", "limit": seconds}   the last call once more, with the very same arguments
    {"do": "get",   "of": handle | None, "path": [names]}
    {"do": "probe", "source": text, "name": function, "args": [...], "limit": seconds}

    {"value": ..., "mutated": [names of arguments]}
    {"fault": {"kind": ..., "message": ..., "detail": ...}}
    {"first": text, "again": text}      of a call made twice: the replies to it and to "again"
"""

import inspect
import linecache
import re
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from grading.answer.codec import CodecError, Handle, decode, encode
from grading.answer.fault import Fault
from grading.answer.meaning import meaning, shapes
from grading.answer.time_limit import TimeLimit, time_limit
from grading.answer.usual_state import note_usual_state, usual_state

# Of a function: its name, the line's number, the line, the shapes of the arrays named on it.
_Frame = tuple[str, int, str, str]
_MISSING = object()


class Runner:
    """Answers requests about `namespace`, the global names of the notebook."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.objects: list[object] = []
        self.last: Callable[[float], Any] | None = None  # the last call, to make it again

    def answer(self, request: bytes) -> bytes:
        """One request, one reply. Never raises for what the student's code does."""
        try:
            asked = decode(request, resolve=lambda handle: self.objects[handle.number])
            ways = {
                "call": self._call,
                "again": self._again,
                "get": self._get,
                "probe": self._probe,
            }
            reply = self._encode(ways[asked["do"]](asked))
            if not asked.get("twice"):
                return reply
            again = self.answer(encode({"do": "again", "limit": asked["limit"]}))
            return encode({"first": reply.decode("ascii"), "again": again.decode("ascii")})
        except Fault as fault:
            return encode(
                {
                    "fault": {
                        "kind": fault.kind,
                        "message": fault.message,
                        "detail": fault.detail,
                    }
                }
            )

    def lend(self, sources: Iterable[str]) -> dict[str, Any]:
        """Put right answers in the place of the student's own; what stood there, to be put back.

        Their global names are a copy of the notebook's: in no message do they pass for the
        student's code, and none of their lines is shown.
        """
        before: dict[str, Any] = {}
        for source in sources:
            inside = dict(self.namespace)
            exec(compile(source, "<right answer>", "exec"), inside)
            for name, value in inside.items():
                own = self.namespace.get(name, _MISSING)
                if value is not own:
                    before.setdefault(name, own)
                    self.namespace[name] = value
        return before

    def take_back(self, before: Mapping[str, Any]) -> None:
        """Undo `lend`."""
        for name, own in before.items():
            if own is _MISSING:
                del self.namespace[name]
            else:
                self.namespace[name] = own

    def _encode(self, reply: dict[str, Any]) -> bytes:
        try:
            return encode(reply, refer=self._refer)
        except CodecError as error:
            raise Fault("type", f"The result cannot be judged: {error}.") from None

    def _refer(self, thing: object) -> Handle:
        self.objects.append(thing)
        dtype = f" with dtype {thing.dtype}" if type(thing) is np.ndarray else ""
        return Handle(len(self.objects) - 1, type(thing).__name__ + dtype)

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        value, name = self._find(asked), asked["path"][-1]
        if value is None or value is Ellipsis:
            raise Fault("no value", f"`{name}` has no value yet.")
        return {"value": value, "mutated": []}

    def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        function, path = self._find(asked), asked["path"]
        name = path[-1] if path else type(function).__name__
        if not callable(function):
            raise Fault(
                "missing",
                f"`{name}` is {_a(function)} here, not a function. Was the name used for something"
                " else? Run the cell that defines it again.",
            )
        args, kwargs = asked["args"], asked["kwargs"]
        arguments = _bind(function, name, args, kwargs)
        before = {key: _image(value) for key, value in arguments.items()}
        run = lambda: function(*args, **kwargs)  # noqa: E731
        self.last = lambda limit: self._guarded(run, lambda _: f"`{name}`", limit)
        value = self.last(asked["limit"])
        mutated = [key for key, image in before.items() if _image(arguments[key]) != image]
        return {"value": value, "mutated": mutated}

    def _again(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.last is None:
            raise Fault("dead", "There was no call to make again.")
        return {"value": self.last(asked["limit"]), "mutated": []}

    def _probe(self, asked: dict[str, Any]) -> dict[str, Any]:
        inside: dict[str, Any] = {}
        exec(_compiled(asked["source"]), inside)
        learner = types.SimpleNamespace(**self.namespace)
        run = lambda: inside[asked["name"]](learner, *asked["args"])  # noqa: E731
        named = [one for one in asked["args"] if type(one) is str and one in self.namespace]
        used = dict.fromkeys([*re.findall(r"\blearner\.(\w+)", asked["source"]), *named])
        listed = " and ".join(f"`{one}`" for one in used)
        using = f"Using {listed}" if listed else "Using your code"
        called = lambda frames: f"`{frames[0][0]}`" if frames else using  # noqa: E731
        return {"value": self._guarded(run, called, asked["limit"]), "mutated": []}

    def _find(self, asked: dict[str, Any]) -> Any:
        path = list(asked["path"])
        if asked["of"] is not None:
            found = asked["of"]
        else:
            name = path.pop(0)
            if name not in self.namespace:
                message = f"There is no `{name}` yet: run the cell that defines it."
                raise Fault("missing", message)
            found = self.namespace[name]
        for name in path:
            if not hasattr(found, name):
                raise Fault("missing", f"The {type(found).__name__} has no `{name}`.")
            found = getattr(found, name)
        return found

    def _guarded(
        self, run: Callable[[], Any], called: Callable[[list[_Frame]], str], limit: float
    ) -> Any:
        """Run the student's code; what it raises, and its running too long, become a Fault.

        called: what was run, in words, given the student's frames of the error.
        """
        try:
            with usual_state(), time_limit(limit):
                return run()
        except NotImplementedError as error:
            frames = self._student_frames(error)
            without = re.search(r"Module \[(\w+)\] is missing the required \"forward\"", str(error))
            if without:  # PyTorch's own way to say so
                message = f"The `{without[1]}` has no method `forward`: is its name misspelt?"
                raise Fault("missing", message) from None
            if _by_a_library(error, frames):  # and not by an unwritten answer
                raise _raised(called(frames), frames, error) from None
            raise _not_done(called(frames), frames) from None
        except TimeLimit as error:
            seconds = f"{limit:g} second{'s' * (limit != 1)}"
            raise Fault(
                "time limit",
                f"{called(self._student_frames(error))} was stopped after {seconds}, the limit for"
                " one call. Is there a loop that never ends, or far more to compute than needed?",
            ) from None
        except (Exception, SystemExit) as error:
            frames = self._student_frames(error)
            raise self._absent(error) or _raised(called(frames), frames, error) from None

    def _absent(self, error: BaseException) -> Fault | None:
        """Where a probe asked for a name that the notebook does not have."""
        if not isinstance(error, AttributeError) or error.name in self.namespace:
            return None
        if not isinstance(error.obj, types.SimpleNamespace):
            return None
        return Fault("missing", f"There is no `{error.name}` yet: run the cell that defines it.")

    def _student_frames(self, error: BaseException) -> list[_Frame]:
        """The frames that are the student's own, inmost last."""
        found, step = [], error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if step.tb_frame.f_globals is self.namespace:
                # A loop can be stopped at a step of Python's own, which stands on no line.
                number = step.tb_lineno or code.co_firstlineno
                line = linecache.getline(code.co_filename, number).strip()
                found.append((code.co_name, number, line, shapes(step.tb_frame, line)))
            step = step.tb_next
        return found


@cache
def _compiled(probe: str) -> types.CodeType:
    # Annotations are kept from being looked up: the names they use stayed in the check's file.
    return compile("from __future__ import annotations\n" + probe, "<probe>", "exec")


def _by_a_library(error: BaseException, frames: list[_Frame]) -> bool:
    """Whether an error comes from a library, be it from code that is no Python."""
    step, file = error.__traceback__, ""
    while step is not None:
        step, file = step.tb_next, step.tb_frame.f_code.co_filename
    line = frames[-1][2] if frames else ""
    return "-packages" in file or bool(line and "raise" not in line)


def _not_done(outer: str, frames: list[_Frame]) -> Fault:
    inner = f"`{frames[-1][0]}`" if frames else outer
    if inner == outer:
        return Fault("not done", f"{outer} is not written yet.")
    return Fault("waits", f"{outer} uses {inner}, which is not written yet.")


def _raised(outer: str, frames: list[_Frame], error: BaseException) -> Fault:
    kind = type(error).__name__
    message, arrays = f"{outer} raised {kind}.", ""
    if frames:
        function, line, source, arrays = frames[-1]
        own = outer == f"`{function}`"
        place = f"line {line} of its cell" if own else f"`{function}`, line {line}"
        message = f"{outer} raised {kind} in {place}:  {source}"
    said = [f"{kind}: {_short(error)}", meaning(error)]
    if arrays:
        said.append(f"The shapes on that line: {arrays}.")
    return Fault("exception", message, detail="\n".join(filter(None, said)))


@cache
def _kernels_runner() -> Runner:
    return Runner(_shell().user_ns)


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise RuntimeError("grading.answer.runner answers for a notebook in a Jupyter kernel only")
    return shell


def listen() -> None:
    """From now on the kernel that this runs in answers requests, which are messages of their own.

    A `judge_request` has {"request": text}, and its `judge_reply` has {"reply": text}: an
    `execute_request` for each would take twice the time.
    """
    note_usual_state()
    kernel = _shell().kernel

    def answer(stream: Any, sender: Any, message: dict[str, Any]) -> None:
        reply = _kernels_runner().answer(message["content"]["request"].encode("ascii"))
        content = {"reply": reply.decode("ascii")}
        kernel.session.send(stream, "judge_reply", content, parent=message, ident=sender)

    kernel.shell_handlers["judge_request"] = answer


def lend(*sources: str) -> None:
    """Put right answers in the place of those of the kernel that this runs in."""
    _kernels_runner().lend(sources)


def _bind(
    function: Callable[..., Any], name: str, args: list[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by parameter name; a Fault if the function does not take them."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions have none
        return {}
    try:
        return dict(signature.bind(*args, **kwargs).arguments)
    except TypeError as error:
        call = ", ".join(
            [f"{len(args)} argument{'s' * (len(args) != 1)}"] * bool(args) + list(kwargs)
        )
        raise Fault(
            "signature",
            f"`{name}` is called with {call}, but yours is `{name}{_plain(signature)}`: {error}.",
        ) from None


def _plain(signature: inspect.Signature) -> str:
    """The parameters without their annotations, which would drown the names."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _image(value: object) -> bytes | None:
    """What a value is, to see whether a call changed it; None where the codec cannot say."""
    try:
        return encode(value)
    except CodecError:
        return None


def _a(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"
