"""The course's gradebook, which is nbgrader's: its settings, and one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from grading.course.files import CourseError
from grading.course.release import scripts_on_path


def settings(course: Path, db: str | None = None) -> Config:
    """nbgrader's configuration of a course's folder. db: the URL of another gradebook than its own.

    Raises CourseError where `release` has not made the folder.
    """
    if not (course / "nbgrader_config.py").exists():
        raise CourseError(f"{course} has no nbgrader_config.py: run `make release` first.")
    config: Config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course)
    if db is not None:
        config.CourseDirectory.db_url = _with_driver(db)
    return config


def url_of(config: Config) -> str:
    """The gradebook's URL, which may hold a password."""
    return str(CourseDirectory(config=config).db_url)


def shown(url: str) -> str:
    """A gradebook's URL as it may be printed: without a password."""
    return url.split("@")[-1]


@contextmanager
def opened(config: Config) -> Iterator[Gradebook]:
    """The gradebook, made if there is none. Raises CourseError where it cannot be opened."""
    try:
        with (
            scripts_on_path(),
            Gradebook(url_of(config), config.CourseDirectory.course_id) as gradebook,
        ):
            yield gradebook
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise CourseError(f"The gradebook cannot be opened: {reason}") from None


@contextmanager
def only_one(course: Path) -> Iterator[None]:
    """Keep another command from writing into the gradebook beside this one. Raises CourseError."""
    import fcntl

    with open(course / ".recording", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CourseError(
                f"Another `record` writes into {course}, or a `collect`: wait until it ends."
            ) from None
        yield


def _with_driver(url: str) -> str:
    """A PostgreSQL URL with the driver that this course installs."""
    kind, _, rest = url.partition(":")
    return f"postgresql+psycopg:{rest}" if kind in ("postgres", "postgresql") else url
