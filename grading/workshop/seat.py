"""A seat: one learner's JupyterLab, as the hub starts it, under the learner's own user.

It shows what `make lab` shows, with the learner's working copy in the learner's own home.
"""

import os
import sys
from pathlib import Path

from grading.answer import progress
from grading.answer.progress import Standing
from grading.course import workspace
from grading.workshop.lessons import lessons

COURSE = "P2P_COURSE"  # the variable that names the course's folder, where it is another


def main() -> None:
    """Serve, as JupyterHub asks by the environment. Raises CourseError."""
    root = Path(os.environ.get(COURSE) or Path(__file__).parents[2])
    work = os.environ.setdefault("LAB_WORK", str(Path.home() / "my_labs"))
    os.environ.setdefault("LAB_PROGRESS", f"{work}/.progress.jsonl")
    workspace.prepare(root, standing_in(root))
    from jupyterhub.singleuser import main as serve

    sys.argv[1:] = [*workspace.options(root, sys.argv[1:]), *sys.argv[1:]]
    os.environ.pop("LAB_LANG", None)  # as `make lab`: a notebook speaks as its folder says
    serve()


def standing_in(root: Path) -> list[Standing]:
    """Where the learner stands, from the notebooks: the checks would bring PyTorch into a process
    that every seat has beside its kernels."""
    points = {
        lab: {one.name: one.points for one in lesson.exercises.values()}
        for lab, lesson in lessons(root).items()
    }
    return progress.standing(points)


if __name__ == "__main__":
    main()
