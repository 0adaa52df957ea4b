"""Answers that are no values but objects made to compare, measure or unpack as they like."""

from tests.attacks import Attack, returning

EVERYTHING = '''\
class Yes:
    """Equal to everything, near to everything, true."""

    def __eq__(self, other):
        return True

    __hash__ = None

    def __bool__(self):
        return True

    def __array_function__(self, function, types, args, kwargs):
        return True

    def __float__(self):
        return 0.0

    def __abs__(self):
        return 0.0

    def _itself(self, *others):
        return self

    __sub__ = __rsub__ = __add__ = __mul__ = __rmul__ = __neg__ = _itself
    __array_ufunc__ = None
    shape, dtype, ndim, size = (5, 3), "float64", 2, 15
'''

ATTACKS = [
    Attack("always_equal", "marks", "The answers are objects that are equal to everything.",
           before=EVERYTHING, answers=returning("Yes()")),
    Attack("array_subclass", "marks",
           "The answers are of a NumPy subclass that rules over every comparison with it.",
           before='''\
import numpy as np


class Right(np.ndarray):
    def __array_function__(self, function, types, args, kwargs):
        return True

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return np.zeros(()) if ufunc is not np.equal else np.True_

    def __eq__(self, other):
        return True

    __hash__ = None


def right(shape=()):
    return np.zeros(shape).view(Right)
''', answers=returning("right()") | {"center": "def center(x):\n    return right(x.shape)\n"}),
    Attack("number_subclass", "marks",
           "The answers are floats and strings of subclasses with arithmetic of their own.",
           before='''\
import numpy as np


class Near(np.float64):
    def __sub__(self, other):
        return self

    __rsub__ = __sub__

    def __abs__(self):
        return 0.0

    def __eq__(self, other):
        return True

    __hash__ = None


class Word(str):
    def __eq__(self, other):
        return True

    __hash__ = None
''', answers=returning("Near(0)") | {"codeword": "codeword = Word()"}, source="relate issue 295"),
    Attack("lying_class", "marks", "Objects whose __class__ says float, ndarray or str.",
           before=EVERYTHING + '''

import numpy as np


def posing_as(kind):
    return type(kind.__name__, (Yes,), {"__class__": property(lambda self: kind)})()
''', answers=returning("posing_as(float)") | {
               "center": "def center(x):\n    return posing_as(np.ndarray)\n",
               "codeword": "codeword = posing_as(str)",
           }),
    Attack("lying_type_names", "marks",
           "Classes called float64, ndarray and str, which a reader by names would let through.",
           before=EVERYTHING + '''

import numpy as np

float64 = type("float64", (np.float64,), {})
ndarray = type("ndarray", (np.ndarray,), {"__module__": "numpy"})
''', answers=returning("float64(0)") | {
               "center": "def center(x):\n    return np.zeros((5, 3)).view(ndarray)\n",
               "codeword": "codeword = type('str', (str,), {'__eq__': lambda a, b: True})()",
           }),
    Attack("second_look", "marks", "Objects that are another value each time they are looked at.",
           before='''\
import itertools

import numpy as np

turns = itertools.count()


class Turning:
    def __array__(self, dtype=None, copy=None):
        return np.random.normal(size=(5, 3)) if next(turns) % 2 else np.zeros((5, 3))

    @property
    def shape(self):
        return (5, 3) if next(turns) % 2 else ()

    def __float__(self):
        return float(next(turns))

    def __eq__(self, other):
        return next(turns) % 3 > 0

    __hash__ = None

    def __sub__(self, other):
        return 0.0 if next(turns) % 2 else float("nan")
''', answers=returning("Turning()")),
    Attack("array_from_frames", "marks",
           "An __array__ that looks for the expected values in the frames that compare it.",
           before='''\
import sys

import numpy as np


class Thief:
    def __array__(self, dtype=None, copy=None):
        frame = sys._getframe()
        while frame is not None:
            for value in list(frame.f_locals.values()):
                if type(value) is np.ndarray and value.shape == (5, 3) and value.dtype == float:
                    if "b" in frame.f_locals and value is frame.f_locals["b"]:
                        return value
            frame = frame.f_back
        return np.zeros((5, 3))
''', answers={"center": "def center(x):\n    return Thief()\n"}, source="PrairieLearn issue 11137"),
    Attack("mutated_argument", "marks",
           "The argument is overwritten before the expected value is computed from it.",
           answers={"center": "def center(x):\n    x[:] = 0\n    return x\n",
                    "slope": "def slope(x, y):\n    y[:] = 0\n    return 0.0\n"}),
    Attack("reduce", "escape", "Objects that run a command where they are unpickled or copied.",
           before='''\
import os


class Bomb:
    def __reduce__(self):
        return os.system, ("touch @COURSE@/owned-reduce",)

    def __deepcopy__(self, memo):
        return 0.0
''', answers=returning("Bomb()"), source="otter preprocessor.py"),
    Attack("handle_games", "marks",
           "Handles in place of values: modules, classes, the runner, methods, themselves.",
           before='''\
import grading.answer.runner
import numpy as np
''', answers={
               "center": "def center(x):\n    return np\n",
               "slope": "def slope(x, y):\n    return type('float', (), {})()\n",
               "averager": "class Averager:\n    def add(self, value):\n        return self\n\n"
                           "    def mean(self):\n        return self\n\n"
                           "    def __getattr__(self, name):\n        return self\n",
               "codeword": "codeword = grading.answer.runner",
           }, stock="does not apply: stock nbgrader has no handles"),
    Attack("overfitting", "marks",
           "The answers are the right ones for the inputs of an earlier run, by heart.",
           answers={
               "center": '''\
import numpy as np


def center(x):
    seen = np.random.default_rng(7).normal(size=(5, 3))
    return seen - seen.mean(axis=0)
''',
               "slope": '''\
def slope(x, y):
    a, b = np.random.default_rng(8).normal(size=(2, 6))
    return float(a @ b / (a @ a))
''',
               "averager": "class Averager:\n    def add(self, value):\n        pass\n\n"
                           "    def mean(self):\n        return 3.5\n",
           }, source="Kratzke 2019"),
]
