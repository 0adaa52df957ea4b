"""Texts to learn from, called styles, and any UTF-8 file of the learner's own.

    text.corpus("shakespeare")      # from the data root, see `utils.data.root`
    text.corpus("python")           # comes with Python, and so does "english"
    text.corpus("my_letters.txt")   # a file
    text.corpus()                   # Shakespeare where the data root has it, otherwise "english"

`python -m utils.data.text shakespeare [--root DIR]` downloads a text; without a name it lists all.
"""

import argparse
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlretrieve

from utils.data.download import download_folder, fetch, file_fault
from utils.data.root import DataError, data_root

SMALLEST = 10_000  # characters: with fewer there is little to learn and nothing to hold out
HELD_OUT = 0.1  # the share of a text, at its end, that is not trained on


@dataclass(frozen=True)
class Style:
    """A text in the data root: where it lies there, and where it comes from.

    source: the official page of the text. url, size, sha256: of the very file, where one address
    has it; else the page says how to get the text.
    """

    title: str
    path: str
    source: str
    url: str = ""
    size: int = 0
    sha256: str = ""


STYLES = {
    "shakespeare": Style(
        "40,000 lines of Shakespeare's plays",
        "text/tinyshakespeare/input.txt",
        "https://github.com/karpathy/char-rnn",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "tolstoy": Style(
        "War and Peace, by Leo Tolstoy, in English",
        "text/war-and-peace/input.txt",
        "https://www.gutenberg.org/ebooks/2600",
    ),
    "speeches": Style(
        "speeches of President Obama, 2009 to 2017",
        "text/obama-speeches/input.txt",
        "https://obamawhitehouse.archives.gov/briefing-room/speeches-and-remarks",
    ),
    "soseki": Style(
        "I Am a Cat, by Natsume Sōseki, in Japanese",
        "text/soseki-neko/input.txt",
        "https://www.aozora.gr.jp/cards/000148/card789.html",
    ),
}
EMBEDDED = {
    "english": "the documentation that comes with Python",
    "python": "program source: Python's standard library",
}

# What "python" is made of: modules of every Python from 3.11 on, some 3 million characters.
_MODULES = """
    argparse ast asyncio/base_events asyncio/streams asyncio/tasks bdb calendar collections
    configparser contextlib copy csv dataclasses datetime difflib dis doctest email/message enum
    fractions functools gettext heapq http/client http/server imaplib inspect json/encoder logging
    mailbox optparse pathlib pdb pickle platform pstats pydoc queue random shutil smtplib socket
    statistics subprocess tarfile tempfile threading traceback types typing unittest/case
    unittest/mock urllib/parse urllib/request uuid weakref zipfile
"""


@dataclass(frozen=True, repr=False)
class Corpus:
    """A text to learn from.

    name: a style's, or the file's; text: all of it, with "\\n" at the end of each line.
    """

    name: str
    text: str

    @property
    def train(self) -> str:
        """The first nine tenths."""
        return self.text[: self._cut]

    @property
    def held_out(self) -> str:
        """The last tenth, which no training may see."""
        return self.text[self._cut :]

    @property
    def _cut(self) -> int:
        return round(len(self.text) * (1 - HELD_OUT))

    def __repr__(self) -> str:
        kinds = len(set(self.text))
        return f"{self.name}: {len(self.text):,} characters, {kinds:,} different ones"


def corpus(name: str | Path = "", root: str | Path | None = None) -> Corpus:
    """A text by the name of its style, or from a file; one printed line says which and whence.

    name: "shakespeare", "tolstoy", "speeches", "soseki" (from the data root), "english", "python"
    (these come with Python), or the path of a file in UTF-8. Empty: Shakespeare where the data root
    has it, otherwise "english". root: the data root, instead of `utils.data.root`'s.

    Raises DataError for a name that is neither, and for a file that is missing, empty, no UTF-8 or
    too short to learn from.
    """
    folder, _ = data_root(root)
    if str(name) in ("", "."):
        has_plays = (folder / STYLES["shakespeare"].path).exists()
        name = "shakespeare" if has_plays else "english"
    if name in EMBEDDED:
        loaded = Corpus(str(name), _embedded(str(name)))
        print(f"{loaded} ({EMBEDDED[loaded.name]}).")
        return loaded
    path = _style_file(str(name), folder) if name in STYLES else _own_file(Path(name))
    loaded = Corpus(str(name) if name in STYLES else path.name, _read(path))
    print(f"{loaded} (from {path}).")
    return loaded


def download(name: str, root: str | Path | None = None) -> Path:
    """Put a style's file into the data root, if it is not there; returns its path.

    The file is moved into place once its SHA-256 agrees, so a failed download changes nothing; one
    that was there and is not the official one is kept as NAME.broken.
    Raises DataError if the text cannot be had or written.
    """
    if name not in STYLES:
        raise DataError(f"There is no text {name!r} to download: choose {', '.join(STYLES)}.")
    folder, _ = data_root(root)
    style, path = STYLES[name], folder / STYLES[name].path
    if path.exists() and not (style.sha256 and file_fault(path, style.size, style.sha256)):
        return path
    if not style.url:
        raise DataError(_by_hand(name, path))
    command = f"`python -m utils.data.text {name}`"
    with download_folder(name, command, folder, path.parent) as temporary:
        fresh = temporary / path.name
        fetch(name, f"{style.size:,} bytes", command, lambda: urlretrieve(style.url, fresh))
        fault = file_fault(fresh, style.size, style.sha256)
        if fault:
            raise DataError(f"What {style.url} sent {fault}: try again.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.broken"))
        fresh.replace(path)
    return path


def _by_hand(name: str, path: Path) -> str:
    style = STYLES[name]
    return (
        f"{name} ({style.title}) has no single file to download: take the text from {style.source} "
        f"and save it in UTF-8 as {path}."
    )


def _style_file(name: str, folder: Path) -> Path:
    path = folder / STYLES[name].path
    if path.exists():
        return path
    if STYLES[name].url:
        raise DataError(
            f"{path} is not there: run `python -m utils.data.text {name}` to download it, set "
            'LAB_DATA to a folder that has it, or take "english" or "python", which need no file.'
        )
    raise DataError(f"{path} is not there. {_by_hand(name, path)}")


def _own_file(path: Path) -> Path:
    path = path.expanduser()
    if path.is_file():
        return path
    styles = ", ".join([*STYLES, *EMBEDDED])
    is_what = "is a folder" if path.is_dir() else "is neither a style nor a file here"
    raise DataError(f"{str(path)!r} {is_what}: name one of {styles}, or a file's path.")


def _read(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark, its lines ending in \\n."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 at byte {error.start:,} ({error.object[error.start]:#04x}). "
            "Save it as UTF-8 in your editor, or convert it with `iconv -f ITS-ENCODING -t UTF-8`."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{path} is empty: a text to learn from needs characters.")
    if len(text) < SMALLEST:
        raise DataError(
            f"{path} has {len(text):,} characters, too few to learn from: it takes at least "
            f"{SMALLEST:,}, and half a million are good."
        )
    return text


def _embedded(name: str) -> str:
    return _documentation() if name == "english" else _source()


def _documentation() -> str:
    """Python's own topics, by name; a paragraph that stands in several is taken once.

    Without that the held-out part would hold what was trained on.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            "This Python comes without its documentation (pydoc_data.topics): take "
            'corpus("python"), or a file of your own.'
        ) from error
    paragraphs = (part for _, topic in sorted(topics.items()) for part in topic.split("\n\n"))
    return "\n\n".join(dict.fromkeys(part.strip("\n") for part in paragraphs if part.strip()))


def _source() -> str:
    folder = Path(sysconfig.get_paths()["stdlib"])
    # 3.13 made a package of pathlib.
    found = [_first_of(folder, name) for name in _MODULES.split()]
    return "\n\n".join(path.read_text(encoding="utf-8") for path in found)


def _first_of(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.py", folder / name / "__init__.py"):
        if path.exists():
            return path
    raise DataError(
        f"This Python comes without the source of its module {name}: take "
        'corpus("english"), or a file of your own.'
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line: download one text, or list all. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.data.text", description="Texts to learn from."
    )
    parser.add_argument("name", nargs="?", choices=list(STYLES))
    parser.add_argument("--root", metavar="DIR", help="where to (default: LAB_DATA, else data/)")
    asked = parser.parse_args(arguments)
    if asked.name is None:
        folder, _ = data_root(asked.root)
        for name, style in STYLES.items():
            there = "is" if (folder / style.path).exists() else "is not"
            print(f"{name:<12} {style.title} ({style.source}); {there} in {folder}")
        for name, title in EMBEDDED.items():
            print(f"{name:<12} {title}; always there")
        return 0
    try:
        print(f"{asked.name} is {download(asked.name, asked.root)}")
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
