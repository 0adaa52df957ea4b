"""A course of one tiny lab in a temporary folder, for tests of release, working copy, execution."""

from pathlib import Path

LAB = "01_tiny"
POINTS = {"double": 2.0, "guess": 1.0}

SOURCE = '''\
# %% [markdown]
# # Lab 1 · Tiny
#
# You double a number.

# %% tags=["parameters"]
scale = ""

# %%
from IPython.display import display

POINTS = {"double": 2.0, "guess": 1.0}


def check(name):
    """Stands for `grading.check`: full points or none, and says what is not done."""
    try:
        right = double(4.0) == 8.0 if name == "double" else guess == "yes"
        status = "passed" if right else "failed" if name == "double" or guess else "not done"
    except NotImplementedError:
        right, status = False, "not done"
    result = {"exercise": name, "score": POINTS[name] * right, "points": POINTS[name]}
    metadata = {"grading": {"lab": "01_tiny", **result, "status": status}}
    display({"text/plain": f"{name} {status}"}, raw=True, metadata=metadata)

# %% [markdown]
# ## Doubling

# %% nbgrader={"grade_id": "double_code", "solution": true}
def double(x: float) -> float:
    """Twice x."""
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION

# %% nbgrader={"grade_id": "double", "grade": true, "points": 2}
check("double")

# %%
knob = 3

# %% tags=["headline"]
print("scale", scale)

# %% nbgrader={"grade_id": "guess_code", "solution": true}
guess = None  # "yes" or "no"
### BEGIN SOLUTION
guess = "yes"
### END SOLUTION

# %% nbgrader={"grade_id": "guess", "grade": true, "points": 1}
check("guess")

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1}
# Why?
#
# ### BEGIN SOLUTION
# Because addition doubles.
# ### END SOLUTION
'''


OUTLINE = """\
title: A tiny course
promise: It doubles.
languages: [{name: en, title: English, finished: true}]
parts:
  - title: Beginnings
    labs:
      - {name: 01_tiny, title: Tiny, promise: You double a number., minutes: 1, level: 1, needs: []}
      - {name: 02_later, title: Later, promise: You add., minutes: 2, level: 2, needs: [01_tiny]}
"""


def write_source(root: Path, source: str = SOURCE, lab: str = LAB) -> Path:
    """Write a lab's source into the course at `root`; returns its path."""
    file = root / "solutions" / f"{lab}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    (root / "course.yml").write_text(OUTLINE, encoding="utf-8")
    return file


def points_of(lab: str) -> dict[str, float]:
    """In place of `grading.course.release.points_of`: what the tiny lab's exercises are worth."""
    return POINTS


def in_japanese(root: Path, finished: bool = True) -> None:
    """List Japanese in the course at `root`, and translate one sentence of its lab."""
    listed = (root / "course.yml").read_text(encoding="utf-8")
    japanese = f"{{name: ja, title: 日本語, finished: {str(finished).lower()}}}"
    assert "}]" in listed
    listed = listed.replace("}]", f"}}, {japanese}]", 1)
    (root / "course.yml").write_text(listed, encoding="utf-8")
    file = root / "locale" / "ja" / f"{LAB}.po"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = 'msgid "You double a number."\nmsgstr "数を倍にします。"\n'
    file.write_text(text, encoding="utf-8")
