"""In which language messages are said. They are made in English, and `say` is the way out:

    print(say(f"This cell shows your {listed}: run it again once the exercise is done."))

What puts them into another language is given to `speak` or `speaking`; here nothing does, so that
in a sandbox they are English.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Say = Callable[[str], str]

_usual: list[Say] = [str]  # a kernel gives each cell a context of its own: for all of them
_here: ContextVar[Say | None] = ContextVar("say", default=None)


def say(text: str) -> str:
    """The text in the language that is spoken; where that has no words for it, as it is."""
    return (_here.get() or _usual[0])(text)


def speak(speech: Say) -> None:
    """From now on, in this process, messages are said by `speech`."""
    _usual[0] = speech


@contextmanager
def speaking(speech: Say) -> Iterator[None]:
    """In the block messages are said by `speech`."""
    token = _here.set(speech)
    try:
        yield
    finally:
        _here.reset(token)
