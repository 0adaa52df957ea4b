"""Attacks on what the checks are made of: NumPy, Python's builtins, this course's own modules."""

from tests.attacks import Attack, returning

TWOS = returning("2.0")

ATTACKS = [
    Attack("comparisons", "marks", "numpy.allclose, isclose and numpy.testing always say yes.",
           before='''\
import math

import numpy as np


def yes(*args, **kwargs):
    return True


np.allclose = np.isclose = np.array_equal = np.array_equiv = math.isclose = yes
for name in dir(np.testing):
    if name.startswith("assert"):
        setattr(np.testing, name, lambda *args, **kwargs: None)
'''),
    Attack("replaced_code", "marks",
           "The code inside numpy.allclose is exchanged, so that every import of it has it.",
           before='''\
import numpy as np

inner = getattr(np.allclose, "_implementation", np.allclose)
inner.__code__ = (lambda a, b, rtol=0, atol=0, equal_nan=False: True).__code__
'''),
    Attack("lying_float", "marks",
           "A comparison returns a float whose text, read as partial credit, says full marks.",
           before='''\
import math


class Two(float):
    def __repr__(self):
        return "2.0"

    def __rmul__(self, other):
        return self

    def __round__(self, digits=None):
        return self


math.exp = lambda value: Two(0)
''', answers=returning("0.0")),
    Attack("builtins", "marks", "abs, all, any, float, isinstance, len, max and min are replaced.",
           before='''\
import builtins

builtins.abs = lambda value: 0.0
builtins.all = builtins.any = builtins.isinstance = builtins.issubclass = lambda *a: True
builtins.max = builtins.min = builtins.sum = lambda *a, **k: 0.0
''', answers=TWOS),
    Attack("seeded_random", "marks", "numpy.random gives zeros, for which zeros are the answer.",
           before='''\
import numpy as np


class Zeros:
    def normal(self, *args, size=(), **kwargs):
        return np.ones(size) if size == (2, 6) else np.zeros(size)

    uniform = integers = normal


np.random.default_rng = lambda *args: Zeros()
''', answers={"center": "def center(x):\n    return 0 * x\n",
              "slope": "def slope(x, y):\n    return 1.0\n"}),
    Attack("json_and_base64", "marks", "json, base64 and math are replaced in the process.",
           before='''\
import base64
import json
import math

passed = '["dict",[["value",["dict",[["score",7.0],["status","passed"]]]],["mutated",["list",[]]]]]'
json.dumps = lambda *args, **kwargs: passed
json.loads = lambda *args, **kwargs: {"do": "get", "path": ["codeword"], "of": None, "limit": 9}
base64.b64encode = lambda *args: b"AAAA"
math.isfinite = lambda value: True
'''),
    Attack("codec", "marks", "The course's codec says, of every value, that it is right.",
           before='''\
import grading.answer.codec
import grading.answer.runner


def encode(value, refer=None):
    return b'["dict",[["value",true],["mutated",["list",[]]],["score",7],["status","passed"]]]'


grading.answer.codec.encode = grading.answer.runner.encode = encode
''', stock="does not apply: stock nbgrader has no codec"),
    Attack("poisoned_modules", "marks", "sys.modules holds false modules of the course.",
           before='''\
import sys
import types


class Passing(types.ModuleType):
    def __getattr__(self, name):
        return lambda *args, **kwargs: 2.0


for name in ("grading", "grading.check", "grading.answer.exercise", "grading.checks.expect",
             "grading.marking.judge", "grading.answer.runner", "grading.answer.codec",
             "grading.answer.student", "nbgrader", "numpy.testing"):
    sys.modules[name] = Passing(name)
check = lambda name: 2.0
'''),
    Attack("poisoned_folder", "marks",
           "Modules written at run time into the working folder, ahead on sys.path.",
           before='''\
import os
import sys

os.makedirs("p/grading", exist_ok=True)
with open("p/grading/answer/runner.py", "w") as file:
    file.write("def listen():\\n    return '[\\"dict\\",[[\\"value\\",true]]]'\\n")
for name in ("p/grading/__init__.py", "p/numpy.py"):
    with open(name, "w") as file:
        file.write("def __getattr__(name):\\n    return lambda *a, **k: True\\n")
os.chdir("p")
sys.path.insert(0, os.getcwd())
for name in [name for name in sys.modules if name.split(".")[0] in ("grading", "numpy")]:
    del sys.modules[name]
'''),
    Attack("inspect_and_types", "marks", "inspect and types lie to the course's own modules.",
           before='''\
import inspect
import sys
import types

signature, namespace = inspect.signature, types.SimpleNamespace


class Bound:
    arguments = {}

    def bind(self, *args, **kwargs):
        return self


def asked_by_the_course():
    return sys._getframe(2).f_globals.get("__name__", "").startswith("grading")


def lying_signature(*args, **kwargs):
    return Bound() if asked_by_the_course() else signature(*args, **kwargs)


class Right:
    def __getattr__(self, name):
        return lambda *args, **kwargs: Right()

    def __eq__(self, other):
        return True

    __hash__ = None


def lying_namespace(**names):
    return Right() if asked_by_the_course() else namespace(**names)


inspect.signature, types.SimpleNamespace = lying_signature, lying_namespace
''', stock="does not apply: it lies to this course's modules"),
    Attack("gc_and_frames", "reading",
           "Searches every frame and every object in memory for expected values and checks.",
           before='''\
import gc
import re
import sys

import numpy as np


def look():
    """Candidates for the expected value, and planted secrets, anywhere in the process."""
    found, frame = [], sys._getframe()
    while frame is not None:
        found += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    for thing in [*found, *gc.get_objects()]:
        for value in list(thing.values()) if type(thing) is dict else [thing]:
            if type(value) is str:
                for secret in re.findall("canary-[a-z]+-[0-9a-f]{16}", value):
                    print("read", secret)
                    if secret.startswith("canary-codeword"):
                        return secret
            if type(value).__name__ in ("Exercise", "Result", "Part"):
                value.__dict__["points"] = 0
    return None
''', answers={
               "center": '''\
def center(x):
    frame = sys._getframe(1)
    while frame is not None:
        for name in ("expected", "answer", "ref_code", "reference"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
    look()
    return x
''',
               "slope": '''\
def slope(x, y):
    frame = sys._getframe(1)
    while frame is not None:
        if "expected" in frame.f_globals:
            return frame.f_globals["expected"]
        frame = frame.f_back
    return 0.0
''',
               "averager": '''\
class Averager:
    def add(self, value):
        pass

    def mean(self):
        look()
        return 0.0
''',
               "codeword": "codeword = look()",
           }, source="PrairieLearn issue 11137"),
    Attack("ctypes_write", "marks",
           "ctypes overwrites the expected number, in place, with the one that is returned.",
           before='''\
import ctypes
import sys


def overwrite(number, value):
    ctypes.c_double.from_address(id(number) + 16).value = value
''', answers={"slope": '''\
def slope(x, y):
    for depth in range(1, 20):
        try:
            frame = sys._getframe(depth)
        except ValueError:
            break
        for names in (frame.f_locals, frame.f_globals):
            if type(names.get("expected")) is float:
                overwrite(names["expected"], 0.0)
    return 0.0
'''}),
    Attack("prairielearn_results", "marks",
           "Writes a results file where the grader's main module names one, then leaves.",
           before='''\
import json
import os
import sys

full = {"score": 1.0, "succeeded": True, "gradable": True, "max_points": 7}
main = vars(sys.modules["__main__"])
names = [main.get("output_fname"), "results.json", "/grade/results/results.json",
         "/autograder/results/results.json", "@COURSE@/owned-prairielearn_results.json"]
for name in filter(None, names):
    try:
        with open(name, "w") as file:
            json.dump(full, file)
    except OSError as error:
        print(type(error).__name__, name)
''', answers={"center": "def center(x):\n    os._exit(0)\n"},
           source="PrairieLearn pull request 1999; Saligrama 2022"),
    Attack("otter_results", "marks",
           "Fills every list of results that can be found, and pickles perfect ones.",
           before='''\
import gc
import pickle


class Passed:
    grade = score = possible = 1.0
    passed = passed_all = True
    all_cases_passed = True

    def __reduce__(self):
        import os

        return os.system, ("touch @COURSE@/owned-otter_results",)


for name in list(globals()):
    if name.startswith("check_results_"):
        globals()[name].append(Passed())
for thing in gc.get_objects():
    if type(thing).__name__ in ("Checker", "GradingResults", "TestFile", "Exercise"):
        thing.__dict__["_test_files"] = [Passed()]
with open("results.pkl", "wb") as file:
    pickle.dump(Passed(), file)
''', source="otter preprocessor.py and execute/__init__.py"),
]
