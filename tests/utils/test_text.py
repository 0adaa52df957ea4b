"""Texts to learn from: styles, files of one's own, downloads, and what is wrong with them."""

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from utils.data import text
from utils.data.root import DataError
from utils.data.text import Corpus, corpus

PLAYS = "First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 200
REAL_DATA = os.environ.get("LAB_DATA", "")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what a test prints is what it checks."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the official address of "shakespeare" serves, with PLAYS in it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "input.txt").write_text(PLAYS, encoding="utf-8")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    content = PLAYS.encode()
    style = replace(
        text.STYLES["shakespeare"],
        url=f"http://127.0.0.1:{server.server_port}/input.txt",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setitem(text.STYLES, "shakespeare", style)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder
    server.shutdown()
    server.server_close()


def style_file(root: Path, name: str) -> Path:
    path = root / text.STYLES[name].path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_the_embedded_texts_are_there_long_and_the_same_each_time(tmp_path: Path) -> None:
    for name in text.EMBEDDED:
        loaded = corpus(name, root=tmp_path)
        assert loaded == corpus(name, root=tmp_path)
        assert len(loaded.text) > 300_000
        assert "\r" not in loaded.text


def test_no_paragraph_of_the_documentation_is_both_trained_on_and_held_out(tmp_path: Path) -> None:
    loaded = corpus("english", root=tmp_path)
    paragraphs = loaded.text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_held_out_part_is_the_last_tenth_and_nothing_is_lost() -> None:
    one = Corpus("letters", "abcdefghij" * 1000)
    assert one.train + one.held_out == one.text
    assert len(one.held_out) == 1000
    assert repr(one) == "letters: 10,000 characters, 10 different ones"


def test_without_a_name_it_is_shakespeare_where_the_data_root_has_it_else_english(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert corpus(root=tmp_path).name == "english"
    style_file(tmp_path, "shakespeare").write_text(PLAYS, encoding="utf-8")
    loaded = corpus(root=tmp_path)
    assert (loaded.name, loaded.text) == ("shakespeare", PLAYS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("english: ")
    assert str(tmp_path) in lines[1]


def test_lab_data_names_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style_file(tmp_path, "soseki").write_text("吾輩は猫である。\n" * 2000, encoding="utf-8")
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    assert corpus("soseki").text.startswith("吾輩は猫")


@pytest.mark.parametrize("name", text.STYLES)
def test_a_style_that_is_not_there_says_how_to_get_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as error:
        corpus(name, root=tmp_path)
    told = str(error.value)
    assert str(tmp_path / text.STYLES[name].path) in told
    assert "python -m utils.data.text" in told or text.STYLES[name].source in told


# Files of one's own


def test_any_utf8_file_is_a_text_with_unix_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    lines = "Grüße aus 東京 🐈" * 1000
    path.write_bytes(b"\xef\xbb\xbf" + f"{lines}\r\nEnde\rfin\n".encode())
    loaded = corpus(path)
    assert loaded.name == "letters.txt"
    assert loaded.text == f"{lines}\nEnde\nfin\n"
    assert corpus(str(path)) == loaded


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\r\n\t", "is empty"),
        (b"too short", "9 characters, too few"),
        ("naïve ".encode("latin-1") * 3000, "is not UTF-8 at byte 2"),
        ("plain".encode("utf-16") * 3000, "is not UTF-8 at byte 0"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_learned_from_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        corpus(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_that_is_neither_a_style_nor_a_file_lists_the_styles(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"neither a style nor a file here: name one of shakespeare"
    ):
        corpus("Shakespear")
    with pytest.raises(DataError, match="is a folder"):
        corpus(tmp_path)


# Downloads


def test_a_download_puts_the_official_file_in_its_place(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    path = text.download("shakespeare", root)
    assert path == root / text.STYLES["shakespeare"].path
    assert corpus("shakespeare", root=root).text == PLAYS
    (mirror / "input.txt").unlink()
    assert text.download("shakespeare", root) == path  # what is there is not fetched again


def test_a_file_that_is_not_the_official_one_is_kept_and_replaced(
    mirror: Path, tmp_path: Path
) -> None:
    path = style_file(tmp_path, "shakespeare")
    path.write_text("mine", encoding="utf-8")
    text.download("shakespeare", tmp_path)
    assert path.read_text(encoding="utf-8") == PLAYS
    assert path.with_name("input.txt.broken").read_text(encoding="utf-8") == "mine"


def test_a_download_with_another_content_changes_nothing(mirror: Path, tmp_path: Path) -> None:
    (mirror / "input.txt").write_text(PLAYS.replace("hear", "here"), encoding="utf-8")
    with pytest.raises(DataError, match="SHA-256 differs"):
        text.download("shakespeare", tmp_path / "root")
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


def test_a_failed_download_is_one_sentence_on_the_command_line(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mirror / "input.txt").unlink()
    assert text.main(["shakespeare", "--root", str(tmp_path / "root")]) == 1
    told = capsys.readouterr().err
    assert "could not be downloaded" in told
    assert told.count("\n") == 1


def test_the_command_line_downloads_and_lists(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text.main(["shakespeare", "--root", str(tmp_path)]) == 0
    assert text.main(["--root", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()[-6:]
    assert [line.split()[0] for line in lines] == [*text.STYLES, *text.EMBEDDED]
    assert "; is in " in lines[0]
    assert "; is not in " in lines[1]


def test_a_text_without_one_address_says_where_it_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text.main(["soseki", "--root", str(tmp_path)]) == 1
    assert "aozora.gr.jp" in capsys.readouterr().err


@pytest.mark.skipif(not REAL_DATA, reason="LAB_DATA is not set, so no real text was read")
@pytest.mark.parametrize(
    ("name", "kinds"), [("shakespeare", 65), ("tolstoy", 104), ("speeches", 91), ("soseki", 3046)]
)
def test_the_real_texts_have_their_characters(name: str, kinds: int) -> None:
    assert len(set(corpus(name).text)) == kinds
