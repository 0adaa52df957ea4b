"""What is wrong with a built site: an answer in it, a link into nothing, a picture without a text,
what a page would load from another host."""

import html
import re
from collections.abc import Iterator, Mapping, Set
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, as opposed to where a link leads.
_LOADS = {("link", "href"), ("use", "href"), ("object", "data"), ("video", "poster")}


class _Reader(HTMLParser):
    """Collects a page's ids, links, loads and pictures without a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids = set[str]()
        self.links, self.loads, self.silent = list[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.loads += [
            value for name, value in given.items() if name == "src" or (tag, name) in _LOADS
        ]
        self.loads += re.findall(r"url\(([^)]+)\)", given.get("style", ""))
        if tag == "img" and not given.get("alt", "").strip():
            self.silent.append(given.get("src", ""))


def _pages(site: Path) -> list[Path]:
    """The themes keep pieces of pages in _static."""
    files = sorted(site.rglob("*.html"))
    return [file for file in files if "_static" not in file.parts]


def faults(site: Path) -> list[str]:
    """A sentence for each fault of the pages and style sheets in this folder."""
    site = site.resolve()
    pages = {file: _Reader(file.read_text(encoding="utf-8")) for file in _pages(site)}
    found = list[str]()
    for file, page in pages.items():
        at = file.relative_to(site)
        found += [f"{at}: a picture has no alternative text: {src}" for src in page.silent]
        for address in [*page.links, *page.loads]:
            loaded = address in page.loads
            found += (f"{at}: {fault}" for fault in _faults_of(address, loaded, file, site, pages))
    for sheet in sorted(site.rglob("*.css")):
        for address in re.findall(r"""url\(\s*["']?([^"')]+)""", sheet.read_text(encoding="utf-8")):
            at = sheet.relative_to(site)
            found += (f"{at}: {fault}" for fault in _faults_of(address, True, sheet, site, pages))
    return list(dict.fromkeys(found))


def given_away(site: Path, answers: Mapping[str, Set[str]]) -> list[str]:
    """A sentence for each line of an answer that a page shows. answers: lines by a lab's name."""
    site, found = site.resolve(), list[str]()
    for file in _pages(site):
        text = html.unescape(re.sub("<[^>]*>", "", file.read_text(encoding="utf-8")))
        shown = {line.strip() for line in text.splitlines()}
        for lab, lines in answers.items():
            # A line of everyday code may be another lab's, or of `utils`, which all have anyway.
            if file.stem == lab or file.parent.name not in ("labs", "reference"):
                at = file.relative_to(site)
                found += (
                    f"{at}: an answer of {lab} is there: {it}" for it in sorted(shown & lines)
                )
    return found


def _faults_of(
    address: str, loaded: bool, file: Path, site: Path, pages: dict[Path, _Reader]
) -> Iterator[str]:
    """loaded: whether a browser fetches it by itself, without being asked to."""
    parts = urlsplit(address.strip())
    if parts.scheme in ("data", "mailto") or (address.startswith("#") and loaded):
        return
    if parts.scheme or parts.netloc:
        if loaded:
            yield f"it loads from another host: {address}"
        return
    path = unquote(parts.path)
    target = (
        file if not path else (site if path.startswith("/") else file.parent) / path.lstrip("/")
    )
    target = target.resolve() if target == file or not target.is_dir() else target / "index.html"
    if not target.exists():
        yield f"there is nothing at {address}"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        yield f"there is no such place: {address}"
