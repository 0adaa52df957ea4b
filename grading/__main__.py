"""The command line: `python -m grading <command>`; the Makefile's targets call it."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grading.answer import progress
from grading.answer.say import say
from grading.course.files import CourseError

ROOT = Path(__file__).parents[1]
# These speak LAB_LANG, to learners: also those whose pages a class sees.
_SPEAKING = ("lab", "update", "progress", "receipt", "workshop", "hub")
_COURSE: Any = {
    "type": Path,
    "default": ROOT,
    "help": "another folder with solutions/, labs/ and grading/checks/",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    lab = commands.add_parser(
        "lab", help="open the course in JupyterLab; its options are JupyterLab's"
    )
    lab.set_defaults(run=_lab)

    update = commands.add_parser("update", help="carry your answers into a lab's new version")
    update.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    update.set_defaults(run=_update)

    standing = commands.add_parser("progress", help="show your standing over the course")
    standing.set_defaults(run=_progress)

    release = commands.add_parser("release", help="generate labs/ and the nbgrader course")
    release.add_argument("--course", **_COURSE)
    release.set_defaults(run=_release)

    translate = commands.add_parser(
        "translate", help="how far the translations are, and what lacks"
    )
    translate.add_argument("lab", nargs="?", help="such as 02, or course; default: everything")
    translate.add_argument("--language", help="such as ja; default: each of course.yml")
    translate.add_argument(
        "--update", action="store_true", help="first bring the catalogues in step with the English"
    )
    translate.add_argument("--all", action="store_true", help="list every entry that is missing")
    translate.set_defaults(run=_translate)

    execute = commands.add_parser("execute", help="run every lab through papermill")
    execute.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    execute.add_argument("--scale", default="smoke", help="smoke (default), cpu, gpu or multi")
    execute.add_argument(
        "--again", action="store_true", help="run every section once more, the last one first"
    )
    execute.set_defaults(run=_execute)

    gpu = commands.add_parser("gpu", help="try all that this machine has, in minutes")
    gpu.add_argument("--minutes", type=float, default=6.0, help="for everything (default: 6)")
    gpu.add_argument("--scale", default="", help="of the labs; default: gpu, or smoke without one")
    gpu.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="such as kernels, ranks or 05"
    )
    gpu.add_argument("--out", type=Path, help="where the reports go; default: build/gpu")
    after = gpu.add_mutually_exclusive_group()
    after.add_argument("--keep", action="store_true", help="run nothing: keep the last report")
    after.add_argument("--ledger", action="store_true", help="run nothing: write docs/gpu.md")
    gpu.set_defaults(run=_gpu)

    site = commands.add_parser("site", help="build the course's site from the labs as they run")
    site.add_argument("lab", nargs="?", help="such as 02, to show it alone; default: every lab")
    site.set_defaults(run=_site)

    _add_grading(commands)
    _add_workshop(commands)

    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "lab":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        if options.command in _SPEAKING:
            from grading.course.languages.speech import speak_here

            speak_here(ROOT)
        return options.run(options)
    except CourseError as error:
        print(say(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        stopped = "Stopped. What was done is kept: the same command goes on there."
        print(f"\n{say(stopped)}", file=sys.stderr)
        return 130


def _add_grading(commands: Any) -> None:
    """The commands of an instructor who grades; docs/grading.md is their guide."""
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("lab", help="such as 02")
    results.add_argument("--results", type=Path, required=True, help="DIR/<student>/NN_name.json")
    results.add_argument("--course", **_COURSE)
    handed_in = argparse.ArgumentParser(add_help=False)
    handed_in.add_argument("submissions", type=Path, help="SUBMISSIONS/<student>/NN_name.ipynb")

    _add_platforms(commands)

    autograde = commands.add_parser(
        "autograde", parents=[results, handed_in], help="grade every submission of a lab"
    )
    autograde.add_argument("--jobs", type=int, help="submissions at a time; default: the cores")
    autograde.add_argument("--scheduler", help="the address of a Dask cluster's scheduler")
    autograde.add_argument(
        "--trust-submissions", action="store_true", help="run them without any protection"
    )
    autograde.add_argument("--gpu", action="store_true", help="let submissions use the GPUs")
    autograde.add_argument(
        "--all-cells", action="store_true", help="run those, too, that no answer stands on"
    )
    autograde.set_defaults(run=_autograde)

    record = commands.add_parser(
        "record", parents=[results, handed_in], help="put results into nbgrader's gradebook"
    )
    record.add_argument("--db", help="the gradebook's URL; default: the course's gradebook.db")
    record.set_defaults(run=_record)

    report = commands.add_parser("report", parents=[results], help="results as CSV and HTML")
    report.set_defaults(run=_report)

    rejudge = commands.add_parser(
        "rejudge", parents=[results], help="apply changed checks to the values that were kept"
    )
    rejudge.set_defaults(run=_rejudge)


def _add_platforms(commands: Any) -> None:
    """The commands between grading and a class's learning platform."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--course", **_COURSE)
    db = argparse.ArgumentParser(add_help=False)
    db.add_argument("--db", help="the gradebook's URL; default: the course's gradebook.db")

    collect = commands.add_parser(
        "collect", parents=[shared, db], help="notebooks out of Moodle's or Canvas's zip"
    )
    collect.add_argument("lab", help="such as 02")
    collect.add_argument("file", type=Path, help="the zip that was downloaded, or its folder")
    collect.add_argument("--roster", type=Path, required=True, help="the class: a CSV file")
    collect.add_argument(
        "--to", type=Path, default=Path("submissions"), help="default: submissions"
    )
    collect.add_argument("--timezone", help="of times that say none; default: this machine's")
    collect.add_argument("--zip-times", action="store_true", help="take the times in the zip")
    collect.add_argument("--late", metavar="TIME", help="for what Canvas marks as late")
    collect.set_defaults(run=_collect)

    export = commands.add_parser(
        "export", parents=[shared, db], help="marks in the files that Moodle and Canvas take"
    )
    export.add_argument("lab", nargs="?", help="such as 02; default: every lab with marks")
    platform = export.add_mutually_exclusive_group(required=True)
    platform.add_argument(
        "--canvas", type=Path, metavar="FILE", help="fill the gradebook that Canvas exported"
    )
    platform.add_argument(
        "--moodle",
        type=Path,
        metavar="FILE",
        nargs="?",
        const=False,
        help="fill Moodle's grading worksheet; without one, a line for each student",
    )
    export.add_argument("--column", help="to fill, where its heading does not name the lab")
    export.add_argument("--to", type=Path, help="default: grades_canvas.csv or grades_moodle.csv")
    export.set_defaults(run=_export)

    gradescope = commands.add_parser(
        "gradescope", parents=[shared], help="a lab as an autograder of Gradescope"
    )
    gradescope.add_argument("lab", help="such as 02")
    gradescope.add_argument(
        "--to", type=Path, default=Path("autograder.zip"), help="default: autograder.zip"
    )
    gradescope.set_defaults(run=_gradescope)


def _add_workshop(commands: Any) -> None:
    """The commands of an instructor with a class in the room; docs/workshop.md is their guide."""
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--folder",
        type=Path,
        default=Path("workshop"),
        help="where it keeps all; default: workshop",
    )
    db: dict[str, Any] = {
        "metavar": "URL",
        "help": "a PostgreSQL database for all but notebooks, like postgresql://user@host/monday",
    }
    folder.add_argument("--db", **db)
    workshop = commands.add_parser("workshop", parents=[folder], help="open the board for a class")
    workshop.add_argument(
        "--port", type=int, default=8300, help="default: 8300; 0: any that is free"
    )
    workshop.add_argument("--host", default="", help="listen on this address alone")
    workshop.add_argument("--address", help="what learners are told, where that is another")
    workshop.add_argument("--course", **_COURSE)
    workshop.set_defaults(run=_workshop)

    notes = commands.add_parser("notes", help="a lab's page for its teacher, as Markdown")
    notes.add_argument("lab", help="such as 02")
    notes.add_argument("--folder", type=Path, help="of a board, for what its class was told")
    notes.add_argument("--db", **db)
    notes.add_argument("--course", **_COURSE)
    notes.set_defaults(run=_notes)

    hub = commands.add_parser(
        "hub", parents=[folder], help="serve everybody from this machine: seats, and the board"
    )
    hub.add_argument("--port", type=int, default=8000, help="and the two above; default: 8000")
    hub.add_argument("--host", default="", help="listen on this address alone")
    hub.add_argument("--address", help="what learners are told, where that is another")
    hub.add_argument("--course", **_COURSE)
    hub.add_argument("--memory", type=float, default=4.0, help="GB for a seat; default: 4")
    hub.add_argument(
        "--processes", type=int, default=2000, help="with threads, for a seat; default: 2000"
    )
    hub.add_argument(
        "--idle", type=float, default=60.0, help="minutes until an unused seat is ended; 0: never"
    )
    hub.add_argument(
        "--new-password", metavar="NAME", help="let NAME choose a new password, and serve nothing"
    )
    hub.set_defaults(run=_hub)

    receipt = commands.add_parser(
        "receipt", parents=[folder], help="verify a receipt for a notebook that was handed in"
    )
    receipt.add_argument("receipt", type=Path, help="the file that hand_in() wrote")
    receipt.add_argument("notebook", type=Path, nargs="?", help="whether it is this notebook")
    receipt.set_defaults(run=_receipt)


# Each command imports its own modules, so that none waits for another's.


def _lab(options: argparse.Namespace) -> int:
    from grading.course import workspace

    return workspace.serve(ROOT, options.rest)


def _update(options: argparse.Namespace) -> int:
    from grading.course import workspace

    return workspace.update(ROOT, options.lab)


def _progress(options: argparse.Namespace) -> int:
    from grading.course.outline import titles_of

    print(progress.table(progress.standing(), titles_of(ROOT)))
    return 0


def _release(options: argparse.Namespace) -> int:
    from grading.course import release

    points_of = partial(release.points_of, folder=options.course / "grading" / "checks")
    for path in release.release(options.course, points_of=points_of):
        print(path.relative_to(options.course))
    return 0


def _translate(options: argparse.Namespace) -> int:
    from grading.course.languages import catalogue

    return catalogue.run(ROOT, options.language, options.lab, options.update, options.all)


def _execute(options: argparse.Namespace) -> int:
    from grading.course import execute

    return execute.execute_all(ROOT, options.lab, options.scale, options.again)


def _gpu(options: argparse.Namespace) -> int:
    from grading.course.gpu import report, runner

    if options.keep:
        folder = options.out or ROOT / "build" / "gpu"
        print(report.keep(ROOT, folder / "report.json"))
    if options.keep or options.ledger:
        print(report.write_ledger(ROOT))
        return 0
    return runner.run(
        ROOT, options.minutes, scale=options.scale, only=options.only, out=options.out
    )


def _site(options: argparse.Namespace) -> int:
    from grading.course.site import build

    return build.build(ROOT, options.lab)


def _autograde(options: argparse.Namespace) -> int:
    from grading.marking import autograde

    return autograde.run(
        options.course,
        options.lab,
        options.submissions,
        options.results,
        jobs=options.jobs,
        scheduler=options.scheduler,
        trust=options.trust_submissions,
        gpu=options.gpu,
        all_cells=options.all_cells,
    )


def _record(options: argparse.Namespace) -> int:
    from grading.gradebook import record

    return record.run(options.course, options.lab, options.submissions, options.results, options.db)


def _report(options: argparse.Namespace) -> int:
    from grading.gradebook import report

    return report.run(options.course, options.lab, options.results)


def _rejudge(options: argparse.Namespace) -> int:
    from grading.marking import rejudge

    return rejudge.run(options.course, options.lab, options.results)


def _collect(options: argparse.Namespace) -> int:
    from grading.platforms import collect

    times = collect.Times.of(options.timezone, options.zip_times, options.late)
    return collect.run(
        options.course, options.lab, options.file, options.roster, options.to, times, options.db
    )


def _export(options: argparse.Namespace) -> int:
    from grading.platforms import export

    platform = "canvas" if options.canvas else "moodle"
    return export.run(
        options.course,
        options.lab,
        canvas=options.canvas,
        moodle=options.moodle or None,
        column=options.column,
        to=options.to or Path(f"grades_{platform}.csv"),
        db=options.db,
    )


def _gradescope(options: argparse.Namespace) -> int:
    from grading.platforms import gradescope

    return gradescope.run(options.course, options.lab, options.to)


def _workshop(options: argparse.Namespace) -> int:
    from grading.workshop import serve

    place = (options.course, options.folder, options.db)
    return serve.run(*place, options.host, options.port, options.address)


def _notes(options: argparse.Namespace) -> int:
    from grading.workshop import notes

    return notes.run(options.course, options.lab, options.folder, options.db)


def _hub(options: argparse.Namespace) -> int:
    from grading.workshop import accounts, serve
    from grading.workshop.bounds import Bounds

    if options.new_password:
        accounts.forget_password(options.folder, options.new_password)
        name = options.new_password
        print(say(f"The next one who signs in as {name} chooses the password."))
        return 0
    if importlib.util.find_spec("jupyterhub") is None:
        raise CourseError(
            "Seats need JupyterHub, which is not installed here: `python install.py` installs it,"
            " and so does `pip install 'jupyterhub>=6.1,<7'`."
        )
    from grading.workshop import hub

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    bounds = Bounds(int(options.memory * 2**30), options.processes, own_user=root)
    address = options.address or f"http://{options.host or serve.own_address()}:{options.port}"
    place = hub.Place(
        options.course.resolve(),
        options.folder.resolve(),
        options.db,
        options.host,
        options.port,
        address.rstrip("/"),
        bounds,
        int(options.idle * 60),
    )
    return hub.run(place)


def _receipt(options: argparse.Namespace) -> int:
    from grading.workshop import handed

    return handed.receipt(options.folder, options.db, options.receipt, options.notebook)


if __name__ == "__main__":
    sys.exit(main())
