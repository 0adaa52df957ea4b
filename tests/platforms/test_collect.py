"""`collect`: zips as Moodle and Canvas make them, and as nobody should, into submissions."""

import io
import json
import shutil
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from grading.__main__ import main
from grading.marking.handed_in import handed_in
from grading.platforms import archive, collect
from tests.graded_course import LAB, PARTLY, RIGHT, answered, make_course, released
from tests.platforms.test_roster import CANVAS_FILE, MOODLE_FILE

CLASS = """\
id,first_name,last_name,email
anna,Anna,Muster,anna@example.org
ben,Ben,O'Neil,ben@example.org
jo,Jörg,Müßig,jo@example.org
"""
Collect = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("collect") / "root")


@pytest.fixture
def place(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(course, tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Collect:
    """Zip these files and collect them; the exit code, and what was said."""

    def collected(
        files: Mapping[str, str | bytes] | Path, *options: str, people: str = CLASS
    ) -> tuple[int, str]:
        (place / "students.csv").write_text(people, encoding="utf-8")
        source = files if isinstance(files, Path) else zipped(place / "all.zip", files)
        to = ["--roster", "students.csv", "--course", str(place / "root")]
        code = main(["collect", "1", str(source), *to, *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return collected


def zipped(file: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, content in files.items():
            about = zipfile.ZipInfo(name, (2026, 3, 1, 11, 58, 30))
            whole.writestr(about, content, zipfile.ZIP_DEFLATED)
    return file


@pytest.fixture(scope="module")
def notebook(course: Path) -> Callable[[Mapping[str, str]], str]:
    return lambda answers: json.dumps(answered(released(course), answers))


def there(place: Path, student: str) -> str:
    return (place / "submissions" / student / LAB / f"{LAB}.ipynb").read_text(encoding="utf-8")


def time_of(place: Path, student: str) -> str | None:
    file = place / "submissions" / student / LAB / "timestamp.txt"
    return file.read_text() if file.exists() else None


def test_moodles_zip_goes_to_its_students_and_says_who_is_missing(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    name = unicodedata.normalize("NFD", "Jörg Müßig")
    code, said = run(
        {
            "Anna Muster_1234567_assignsubmission_file_/01_small (1).ipynb": notebook(RIGHT),
            "Anna Muster_1234567_assignsubmission_onlinetext_/onlinetext.html": "<p>hello</p>",
            f"{name}_1234569_assignsubmission_file/{LAB}.ipynb": notebook(PARTLY),
            f"__MACOSX/{name}_1234569_assignsubmission_file/._{LAB}.ipynb": b"\0",
        }
    )
    assert code == 0, said
    assert there(place, "anna") == notebook(RIGHT)
    assert there(place, "jo") == notebook(PARTLY)
    assert "2 new" in said
    assert "missing:\n  Ben O'Neil (ben)\n" in said
    pile = handed_in(place / "submissions", LAB)
    assert [one.student for one in pile.submissions] == ["anna", "jo"]
    assert not pile.passed_over
    with Gradebook(f"sqlite:///{place}/root/course/gradebook.db") as gradebook:
        found = [(one.first_name, one.last_name, one.email) for one in gradebook.students]
    assert ("Ben", "O'Neil", "ben@example.org") in found
    assert len(found) == 3


def test_moodles_worksheet_gives_numbers_and_times(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    blind = f"Participant_1234567_assignsubmission_file_/{LAB}.ipynb"
    code, said = run({blind: notebook(RIGHT)}, "--timezone", "Europe/Berlin", people=MOODLE_FILE)
    assert code == 0, said
    assert there(place, "anna@example.org") == notebook(RIGHT)
    assert time_of(place, "anna@example.org") == "2026-03-01 10:58:00 UTC"
    code, said = run({blind: notebook(RIGHT)})
    assert code == 1
    assert "give its grading worksheet as the roster" in said


def test_canvas_zip_goes_by_numbers_and_the_newest_upload_counts(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    files = {
        f"musteranna_4711_890_{LAB}.ipynb": notebook(PARTLY),
        f"musteranna_4711_902_{LAB}-1.ipynb": notebook(RIGHT),
        f"bergjan_LATE_4712_901_{LAB}.ipynb": notebook(PARTLY),
        "formula_4713_text.html": "<p>hello</p>",
    }
    code, said = run(files, "--late", "2026-03-02 12:00 +00:00", people=CANVAS_FILE)
    assert code == 1
    assert there(place, "amuster") == notebook(RIGHT)
    assert "not taken, as the student has a newer one:\n  musteranna_4711_890" in said
    assert "late, says Canvas:\n  Jan Piet van der Berg (jan@example.org)" in said
    assert time_of(place, "jan@example.org") == "2026-03-02 12:00:00 UTC"
    assert time_of(place, "amuster") is None
    assert "count as on time: 1" in said
    aside = [
        file.read_text() for file in (place / "submissions-kept" / "unplaced").rglob("*.ipynb")
    ]
    assert aside == [notebook(PARTLY)]


def test_the_names_of_canvas_are_utf_8_without_saying_so(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    name = "müßigjörg_4714_903_01_small.ipynb"
    raw, file = name.encode(), place / "canvas.zip"
    zipped(file, {"x" * len(raw): notebook(RIGHT)})
    file.write_bytes(file.read_bytes().replace(b"x" * len(raw), raw))
    code, said = run(file)
    assert code == 0, said
    assert there(place, "jo") == notebook(RIGHT)


def test_a_second_zip_replaces_what_changed_and_keeps_what_was(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    ours = f"{{}}_assignsubmission_file_/{LAB}.ipynb"
    anna, ben = ours.format("Anna Muster_1"), ours.format("Ben ONeil_2")
    berlin = ("--zip-times", "--timezone", "Europe/Berlin")
    run({anna: notebook(PARTLY), ben: notebook(PARTLY)}, *berlin)
    before = {one: time_of(place, one) for one in ("anna", "ben")}
    code, said = run({anna: notebook(RIGHT), ben: notebook(PARTLY)})
    assert code == 0
    assert "0 new, 1 newer than before, 1 as before" in said
    assert there(place, "anna") == notebook(RIGHT)
    assert time_of(place, "anna") is None  # it was the other notebook's
    assert time_of(place, "ben") == before["ben"] == "2026-03-01 10:58:30 UTC"
    versions = place / "submissions-kept" / "versions" / "anna" / LAB
    (kept,) = versions.glob("*.ipynb")
    assert kept.read_text() == notebook(PARTLY)
    assert kept.with_suffix(".timestamp.txt").read_text() == before["anna"]
    state = {file: file.stat().st_mtime_ns for file in place.glob("submissions*/**/*.*")}
    code, said = run({anna: notebook(RIGHT), ben: notebook(PARTLY)})
    assert "0 new, 0 newer than before, 2 as before" in said
    assert state == {file: file.stat().st_mtime_ns for file in place.glob("submissions*/**/*.*")}


def test_what_is_cut_off_goes_on_where_it_was(
    place: Path, run: Collect, notebook: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"Anna Muster_1_assignsubmission_file_/{LAB}.ipynb"
    run({file: notebook(PARTLY)}, "--zip-times")
    whole = collect.write_atomically
    count, code = 0, 130
    while code == 130:
        count += 1
        left = count

        def cut(*arguments: object, **options: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt
            whole(*arguments, **options)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(collect, "write_atomically", cut)
        code, _ = run({file: notebook(RIGHT)}, "--zip-times")
        assert there(place, "anna") in (notebook(RIGHT), notebook(PARTLY))
    assert count > 2
    assert there(place, "anna") == notebook(RIGHT)
    assert time_of(place, "anna")
    (kept,) = (place / "submissions-kept" / "versions").rglob("*.ipynb")
    assert kept.read_text() == notebook(PARTLY)


def test_a_folder_for_each_student_does_as_well(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    folder = place / "downloaded"
    for name in ("anna", "BEN@example.org", "Jörg Müßig"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{LAB}.ipynb").write_text(notebook({"guess_code": f"guess = {name!r}"}))
    (folder / "anna" / "link.ipynb").symlink_to("/etc/passwd")
    code, said = run(folder)
    assert code == 1
    assert "anna/link.ipynb: it is no file" in said
    assert "3 of 3 students are there" in said
    assert "BEN@" in there(place, "ben")


def test_what_cannot_be_placed_is_told_with_its_reason_and_set_aside(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    other = json.loads(notebook(RIGHT))
    other["metadata"]["lab"]["name"] = "02_other"
    nameless = json.loads(notebook(RIGHT))
    del nameless["metadata"]["lab"]
    code, said = run(
        {
            f"Erika Beispiel_9_assignsubmission_file_/{LAB}.ipynb": notebook(RIGHT),
            f"Anna Muster_1_assignsubmission_file_/{LAB}.ipynb": json.dumps(other),
            "Ben ONeil_2_assignsubmission_file_/essay.ipynb": json.dumps(nameless),
            "Jörg Müßig_3_assignsubmission_file_/work.zip": b"PK",
            f"anon_x7Kq2_890_{LAB}.ipynb": notebook(RIGHT),
            "lost.ipynb": notebook(RIGHT),
        }
    )
    assert code == 1
    assert "0 of 3 students are there" in said
    for reason in (
        "Beispiel_9_assignsubmission_file_/01_small.ipynb: nobody in the list is called so",
        "it is '02_other' by what is in it",
        "neither it nor its name says which lab it is",
        "work.zip: it is a zip: unpack it",
        "Canvas hides the names",
        "lost.ipynb: its path names no student",
    ):
        assert reason in said, said
    assert len(list((place / "submissions-kept" / "unplaced").rglob("*.ipynb"))) == 5
    assert not (place / "submissions").exists()


def test_of_two_people_with_one_name_neither_is_taken_for_the_student(
    run: Collect, notebook: Callable[..., str]
) -> None:
    code, said = run(
        {
            f"Anna Muster_1_assignsubmission_file_/{LAB}.ipynb": notebook(RIGHT),
            f"Anna Muster_666_assignsubmission_file_/{LAB}.ipynb": notebook(PARTLY),
        }
    )
    assert code == 1
    assert said.count("several people on the platform go by the name") == 2
    assert "0 of 3 students" in said


def test_a_file_that_is_no_notebook_is_handed_in_unless_there_is_a_better_one(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    run({f"Anna Muster_1_assignsubmission_file_/{LAB}.ipynb": "Dear teacher"})
    assert there(place, "anna") == "Dear teacher"
    files = {f"{LAB} (2).ipynb": "Dear teacher", f"{LAB}.ipynb": notebook(RIGHT)}
    code, _ = run({f"Anna Muster_1_assignsubmission_file_/{f}": text for f, text in files.items()})
    assert code == 0
    assert there(place, "anna") == notebook(RIGHT)


def test_what_was_put_there_by_hand_is_not_passed_over_in_silence(
    place: Path, run: Collect, notebook: Callable[..., str]
) -> None:
    (place / "submissions" / "anna").mkdir(parents=True)
    (place / "submissions" / "anna" / f"{LAB}.ipynb").write_text("by hand")
    code, said = run({f"Anna Muster_1_assignsubmission_file_/{LAB}.ipynb": notebook(RIGHT)})
    assert code == 1
    assert "was put there by hand, and is what is graded" in said
    assert not (place / "submissions" / "anna" / LAB).exists()


def test_a_hostile_zip_writes_nothing_outside_and_costs_nobody_else(
    place: Path, run: Collect, notebook: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 2**20)
    buffer, moodle = io.BytesIO(), "Anna Muster_1_assignsubmission_file_/"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as whole:
        whole.writestr(f"Jörg Müßig_3_assignsubmission_file_/{LAB}.ipynb", notebook(RIGHT))
        whole.writestr(f"{moodle}../../../{LAB}.ipynb", "outside")
        whole.writestr(f"/{moodle}{LAB}.ipynb", "absolute")
        whole.writestr(f"{moodle}{LAB}-bomb.ipynb", b" " * (2**20 + 1))
        whole.writestr(f"{moodle}{LAB}-lies.ipynb", b"{}" + b" " * 2**19)
        link = zipfile.ZipInfo(f"{moodle}{LAB}-link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        whole.writestr(link, "/etc/passwd")
        locked = zipfile.ZipInfo(f"{moodle}{LAB}-locked.ipynb")
        whole.writestr(locked, "secret")
    content = bytearray(buffer.getvalue())
    _change(content, "-locked.ipynb", flag=1)
    _change(content, "-lies.ipynb", size=100)  # and has half a megabyte
    file = place / "hostile.zip"
    file.write_bytes(content)
    code, said = run(file)
    assert code == 1
    assert there(place, "jo") == notebook(RIGHT)
    for reason in (
        "its path leads out of the zip",
        "it has more than the 1 MB",
        "it is damaged (",
        "it is a link",
        "it is encrypted",
    ):
        assert reason in said, said
    assert not (place / "submissions" / "anna").exists()
    assert {one.name for one in place.iterdir()} <= {
        "root",
        "students.csv",
        "hostile.zip",
        "submissions",
        "submissions-kept",
    }


def _change(content: bytearray, name: str, *, flag: int = 0, size: int = 0) -> None:
    """Change what the zip's directory says of an entry."""
    at = content.rindex(name.encode())
    start = content.rindex(b"PK\x01\x02", 0, at)
    content[start + 8] |= flag
    if size:
        content[start + 24 : start + 28] = struct.pack("<I", size)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"PK\x03\x04 cut off", b"<html>"])
def test_a_zip_that_is_none_is_said_to_be_none(place: Path, run: Collect, content: bytes) -> None:
    (place / "broken.zip").write_bytes(content)
    code, said = run(place / "broken.zip")
    assert code == 2
    assert "is no zip, or is not whole" in said


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--timezone", "Berlin/Mitte"), "is no time zone"),
        (("--late", "03/04/2026 12:00"), "is no time that can be read"),
        (("--late", "tomorrow"), "is no time that can be read"),
    ],
)
def test_a_time_that_cannot_be_read_is_told_first(
    place: Path, run: Collect, options: tuple[str, ...], fault: str
) -> None:
    code, said = run({"x": "y"}, *options)
    assert (code, fault in said) == (2, True), said
    assert not (place / "submissions-kept").exists()
