"""The handle that a check talks to: the student's functions and values, near or far.

`student.neuron(x, w, b)` calls the student's function, `student["alexnet_size"]` reads a value,
`model = student.MLP(4, 8)` gives a handle on which the same works: `model.forward(x)`,
`model["W1"]`, `model(x)`. What needs many steps beside the student's code is a probe, see `probe`.

Arguments and results pass through the codec, so each call works on copies, and only plain values
and handles come back. What the student did wrong on the way is raised as a `Fault`.
"""

import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from grading.answer.codec import CodecError, Handle, decode, encode
from grading.answer.fault import Fault


class Transport(Protocol):
    """The way to the student's work."""

    def answer(self, request: bytes) -> bytes:
        """Take a request to the student's code, bring the reply, as `answer.runner` has them."""
        ...

    def uses(self, name: str, forbidden: Sequence[str]) -> list[str]:
        """The forbidden names in the source of the student's `name`, as `checks.calls` has it."""
        ...


_FAULT = ("kind", "message", "detail")


@contextmanager
def _making_sense() -> Iterator[None]:
    try:
        yield
    except (CodecError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        # Only a process that was tampered with replies so.
        raise Fault("dead", "The reply of the notebook's process makes no sense.") from error


class Connection:
    """One exercise's connection to the student's code."""

    def __init__(self, transport: Transport, limit: float) -> None:
        self.transport = transport
        self.limit = limit  # seconds that one call may take
        self.mutated: list[str] = []  # names of the arguments that the last call changed
        self.again: str | None = None  # the reply to "again", where it is here already

    def ask(self, **request: Any) -> Any:
        self.again = None
        sent = encode({**request, "limit": self.limit}, _refer)
        answer = self.transport.answer(sent)  # an error in here is none of the student's
        with _making_sense():
            reply = self._read(answer)
            if "first" in reply:
                self.again = reply["again"]
                reply = self._read(reply["first"].encode("ascii"))
            return self._value(reply)

    def ask_again(self) -> Any:
        if self.again is None:
            return self.ask(do="again")
        with _making_sense():
            return self._value(self._read(self.again.encode("ascii")))

    def _read(self, reply: bytes) -> Any:
        return decode(reply, resolve=lambda handle: Student(self, handle))

    def _value(self, reply: Any) -> Any:
        if "fault" in reply:
            raise Fault(**{key: str(reply["fault"][key]) for key in _FAULT})
        self.mutated = [str(name) for name in reply["mutated"]]
        return reply["value"]


class Student:
    """The student's names, or an object of the student's (`handle`), or a name on the way there."""

    def __init__(
        self,
        connection: Connection,
        handle: Handle | None = None,
        path: tuple[str, ...] = (),
        *,
        twice: bool = False,
    ):
        self._connection, self._handle, self._path = connection, handle, path
        self._twice = twice

    def __getattr__(self, name: str) -> "Student":
        if name.startswith("_"):
            raise AttributeError(name)
        path = (*self._path, name)
        return Student(self._connection, self._handle, path, twice=self._twice)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._connection.ask(
            do="call",
            of=self._handle,
            path=list(self._path),
            args=list(args),
            kwargs=kwargs,
            twice=self._twice,
        )

    def __getitem__(self, name: str) -> Any:
        return self._connection.ask(do="get", of=self._handle, path=[*self._path, name])

    @property
    def _type_name(self) -> str:
        return self._handle.type_name if self._handle else "notebook"

    def __repr__(self) -> str:
        return f"<the student's {self._type_name}>"


def connect(transport: Transport, limit: float) -> Student:
    """A student handle over any transport; one call may take `limit` seconds."""
    return Student(Connection(transport, limit))


def probe(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of a check run beside the student's code.

    It is written `@probe def trained(learner, seed): ...`, called `trained(student, seed)`, and
    must stand alone: its source is sent, so it imports what it needs and closes over nothing.
    `learner` has the student's names as attributes. It returns plain values, and what it returns
    is a claim: values that decide a mark are recomputed from it by the check.

    For names of this process, such as those of a right answer, it is called on copies, at once:
    there is nobody to be kept apart from.
    """
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    source = "\n".join(lines[start:])

    def call(student: Any, *args: Any) -> Any:
        if not isinstance(student, Student):
            return function(student, *copy.deepcopy(args))
        return student._connection.ask(
            do="probe", source=source, name=function.__name__, args=list(args)
        )

    call.__doc__ = function.__doc__
    return call


def twice(student: Student) -> Student:
    """The student, whose calls are each made twice at once: `call_again` then asks no more."""
    return Student(student._connection, student._handle, student._path, twice=True)


def call_again(student: Student) -> Any:
    """What the student's last call returns when it is made again, with the very same arguments."""
    return student._connection.ask_again()


def mutated_arguments(student: Student) -> list[str]:
    """Names of the arguments that the student's last call changed in place."""
    return student._connection.mutated


def _refer(thing: object) -> Handle:
    if isinstance(thing, Student) and thing._handle is not None and not thing._path:
        return thing._handle
    raise CodecError(f"a check can send plain values and handles, not {type(thing).__name__}")
