"""Lists of a class, as people and platforms write them, and whom they say a file is from."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.course.files import CourseError
from grading.platforms import naming, roster, tables
from grading.platforms.roster import CANVAS, MOODLE, Nobody
from grading.platforms.tables import Table

PLAIN = "id,first_name,last_name,email\nanna,Anna,Muster,anna@example.org\n"
CANVAS_FILE = '''\
Student,ID,SIS User ID,SIS Login ID,Section,The perceptron (901),Current Score
,,,,,Manual Posting,
    Points Possible,,,,,5.00,(read only)
"Muster, Anna",4711,S1,amuster,"B and A",,
"van der Berg, Jan Piet",4712,S2,jan@example.org,A,,
"=""=1+1""",4713,S3,formula,A,,
"Student, Test",4799,,0123456789abcdef0123456789abcdef,A,,
'''
MOODLE_FILE = """\
Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 1234567","Anna Muster",anna@example.org,Submitted,,5.00,Yes,\
"Sunday, 1 March 2026, 11:58 AM",-,
"Participant 1234568","Ben O'Neil",ben@example.org,-,,5.00,Yes,-,-,
"""


def listed(tmp_path: Path, text: str | bytes) -> roster.Roster:
    file = tmp_path / "students.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return roster.read(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_is_read_in_the_forms_in_which_spreadsheets_save_it(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    rows = [["ID", "First Name", "Last_name", "E-Mail"], ["jo", "Jörg", "Müßig", "jo@example.org"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    (one,) = listed(tmp_path, text.encode(encoding)).people
    assert (one.id, one.first, one.last, one.email) == ("jo", "Jörg", "Müßig", "jo@example.org")


def test_the_gradebook_of_canvas_is_a_list_without_its_other_rows(tmp_path: Path) -> None:
    people = listed(tmp_path, CANVAS_FILE).people
    assert [one.id for one in people] == ["amuster", "jan@example.org", "formula"]
    assert [one.numbers[CANVAS] for one in people] == ["4711", "4712", "4713"]
    assert (people[1].first, people[1].last) == ("Jan Piet", "van der Berg")
    assert people[1].email == "jan@example.org"


def test_the_grading_worksheet_of_moodle_is_a_list_with_times(tmp_path: Path) -> None:
    anna, ben = listed(tmp_path, MOODLE_FILE).people
    assert (anna.id, anna.name, anna.numbers) == (
        "anna@example.org",
        "Anna Muster",
        {MOODLE: "1234567"},
    )
    assert (anna.submitted, ben.submitted) == ("Sunday, 1 March 2026, 11:58 AM", "")


def test_a_blind_worksheet_has_numbers_alone(tmp_path: Path) -> None:
    (one,) = listed(tmp_path, "Identifier,Status,Grade\nParticipant 99,Submitted,\n").people
    assert (one.id, one.numbers, str(one)) == ("99", {MOODLE: "99"}, "99")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("id\n", "lists nobody"),
        ("a,b\n1,2\n", "none of the columns of a roster"),
        ("id,name\n../x,Eve\n", "line 2: '../x' cannot name a student's folder"),
        ("id,name\n,Eve\n", "line 2: 'Eve' has no id"),
        ("id,name\nanna,A\nben,B\nAnna,C\n", "lines 2 and 4 have the same id, 'anna'"),
        ("id,canvas_id\na,1\nb,1\n", "lines 2 and 3 have the same number in Canvas"),
        ('id,name\n"a"b,C\n', "line 2: a quoted cell does not end"),
        (b"PK\x03\x04\x00\x00", "not as a workbook"),
        ("id,name\nanna,\u30a2\u30f3\u30ca\n".encode("cp932"), "not in UTF-8"),
    ],
)
def test_a_list_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, text: str | bytes, fault: str
) -> None:
    with pytest.raises(CourseError, match=fault.replace("(", r"\(")):
        listed(tmp_path, text)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("Anna", "Muster", "Anna Muster"),
        ("Anna", "Muster", "musteranna"),
        ("Ben", "O'Neil", "Ben ONeil"),  # Moodle leaves out what file systems do not like
        ("Jan Piet", "van der Berg", "vanderbergjanpiet"),
        ("Jörg", "Müßig", unicodedata.normalize("NFD", "Jörg Müßig")),
        ("太郎", "山田", "山田太郎"),
        ("Ana", "García, Jr.", "garcíajrana"),
    ],
)
def test_a_name_is_known_in_a_platforms_spelling(
    tmp_path: Path, first: str, last: str, said: str
) -> None:
    text = f'id,first_name,last_name\nme,{first},"{last}"\nother,Erika,Beispiel\n'
    assert listed(tmp_path, text).find(name=said).id == "me"


def test_two_of_one_name_are_told_apart_by_their_numbers_or_not_at_all(tmp_path: Path) -> None:
    both = "id,name,canvas_id\nanna1,Anna Muster,11\nanna2,Anna Muster,12\n"
    people = listed(tmp_path, both)
    assert people.find(numbers={CANVAS: "12"}, name="musteranna").id == "anna2"
    with pytest.raises(Nobody, match="each of anna1, anna2"):
        people.find(name="musteranna")


def test_who_takes_anothers_name_on_a_platform_is_not_taken_for_them(tmp_path: Path) -> None:
    people = listed(tmp_path, CANVAS_FILE)
    with pytest.raises(Nobody, match="another number"):
        people.find(numbers={CANVAS: "6666"}, name="musteranna")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Anna Muster_12_assignsubmission_file/a/01_x.ipynb", (MOODLE, "Anna Muster", "12", 0)),
        ("Anna Muster_12_assignsubmission_file_/01_x.ipynb", (MOODLE, "Anna Muster", "12", 0)),
        ("top/Anna Muster_12_assignsubmission_file_01_x.ipynb", (MOODLE, "Anna Muster", "12", 0)),
        ("musteranna_4711_890_01_x.ipynb", (CANVAS, "musteranna", "4711", 890)),
        ("musteranna_LATE_4711_890_01_x.ipynb", (CANVAS, "musteranna", "4711", 890)),
        ("müller_4711_890_01_x_2_3_y.ipynb", (CANVAS, "müller", "4711", 890)),
        ("01_x.ipynb", None),
        ("anna/01_x.ipynb", None),
    ],
)
def test_a_path_names_its_sender(path: str, found: tuple[str, str, str, int] | None) -> None:
    one = naming.sender(path.split("/"))
    assert (one and (one.platform, one.name, one.number, one.order)) == found
    if one is not None:
        assert one.file.startswith("01_x")
        assert one.late == ("LATE" in path)


CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=2, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_filling_a_cell_changes_no_other_byte(
    rows: list[list[str]], separator: str, end: str, mark: bool
) -> None:
    quoted = [['"{}"'.format(cell.replace('"', '""')) for cell in row] for row in rows]
    lines = [separator.join(row) for row in quoted]
    start = "\ufeff" if mark else ""
    table = Table((start + end.join(lines)).encode(), "x.csv")
    assert table.content() == (start + end.join(lines)).encode()
    table.fill(1, 1, "2.5")
    lines[1] = separator.join([quoted[1][0], "2.5", quoted[1][2]])
    assert table.content() == (start + end.join(lines)).encode()


def test_what_we_write_holds_no_formula_and_quotes_what_it_must() -> None:
    text = tables.written([["=1+1", 'a "b", c', "-2"]]).decode("utf-8-sig")
    assert text == '\'=1+1,"a ""b"", c",\'-2\r\n'
