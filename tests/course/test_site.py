"""The site, built small, in two languages: no answers, no other host, sound links, accessible, at
home on a phone."""

import html
import json
import re
import runpy
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import install
from grading.answer.say import speaking
from grading.course.files import CourseError
from grading.course.languages.speech import Speech
from grading.course.outline import outline
from grading.course.release import release
from grading.course.site import build, outputs
from grading.course.site.faults import faults, given_away
from grading.course.site.labs import page
from grading.course.site.pages import SPHINX
from tests import browser
from tests.labs import ROOT
from tests.needs import needs
from tests.tiny_course import LAB, SOURCE, points_of, write_source

ADDRESS = "https://github.com/someone/course"
DRAWS = """
# %% [markdown]
# A formula, $\\lVert w \\rVert \\ge 0$, and one with cases:
#
# $$f(z) = \\begin{cases} z & z \\ge 0 \\\\ 0 & z < 0 \\end{cases}$$

# %%
import matplotlib.pyplot as plt

from utils import plots
from utils.pipeline import pictures, schedules

fig, ax = plt.subplots()
plots.show(fig, alt="Empty axes, to a <reader>.")
pictures.step_through(schedules.simulate(schedules.parse("F0 B0")), alt="One rank, two actions.")
"""
PAGES = ["index.html", f"labs/{LAB}.html", "docs/grading.html", "reference/grading.check.html"]
JAPANESE = {
    "Doubling": "2倍",
    "You double a number.": "数を2倍にします。",
    "Twice x.": "xの2倍。",
    "download the notebook": "ノートブックを保存",
    "A check answers at once": "すぐに答えるチェック",
    "This page is not translated yet; it is in English.": "このページは英語です。",
}
WORKSHOP = """\
# 講習会

## 席

[席](#席)、[採点](grading.md)、[測定](../benchmarks.md#seats)、[ラボ](../../labs/ja/01_tiny.ipynb)
"""
JAPANESE_PAGES = ["ja/index.html", f"ja/labs/{LAB}.html", "ja/docs/grading.html"]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of one lab that draws, with this one's guides; from a public repository. Half of the
    lab, and one guide, are in Japanese."""
    root = tmp_path_factory.mktemp("course")
    write_source(root, SOURCE + DRAWS)
    listed = (root / "course.yml").read_text("utf-8")
    other = "{name: ja, title: 日本語, finished: false}"
    (root / "course.yml").write_text(listed.replace("true}]", f"true}}, {other}]"), "utf-8")
    (root / "locale" / "ja").mkdir(parents=True)
    for catalogue in (LAB, "course"):
        entries = "\n\n".join(f'msgid "{one}"\nmsgstr "{to}"' for one, to in JAPANESE.items())
        (root / "locale" / "ja" / f"{catalogue}.po").write_text(entries, "utf-8")
    release(root, None, points_of)
    for name in ("README.md", "CONTRIBUTING.md"):
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("ja"))
    (root / "docs" / "ja").mkdir()
    (root / "docs" / "ja" / "workshop.md").write_text(WORKSHOP, "utf-8")
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "remote", "add", "origin", f"{ADDRESS}.git"], check=True)
    return root


@pytest.fixture(scope="module")
def site(course: Path) -> Path:
    assert build.build(course, points_of=points_of) == 0
    return course / "build" / "site"


def text_of(page: Path) -> str:
    """A page's text, without its markup."""
    return html.unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))


def test_the_site_has_no_fault(site: Path) -> None:
    assert faults(site) == []
    assert all((site / page).exists() for page in (*PAGES, *JAPANESE_PAGES))


def test_a_lab_is_shown_as_it_ran_and_without_its_answers(site: Path) -> None:
    shown = text_of(site / f"labs/{LAB}.html")
    for there in (
        '"""Twice x."""',
        "your code here",
        "double passed",
        "guess passed",
        "scale smoke",
    ):
        assert there in shown
    for answer in ("return x + x", 'guess = "yes"', "Because addition doubles"):
        assert answer in SOURCE
        assert not any(answer in text_of(page) for page in site.rglob("*.html"))
        assert not any(answer in page.read_text("utf-8") for page in site.rglob("*.ipynb"))


def test_a_line_of_an_answer_is_found_wherever_it_is(tmp_path: Path) -> None:
    for name in ("index", f"labs/{LAB}", "labs/02_later"):
        page = tmp_path / f"{name}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text("<pre>\n  <b>return</b> x &lt; 1\n</pre>", encoding="utf-8")
    assert given_away(tmp_path, {LAB: {"return x < 1", "return 2"}}) == [
        f"index.html: an answer of {LAB} is there: return x < 1",
        f"labs/{LAB}.html: an answer of {LAB} is there: return x < 1",
    ]


def test_what_learners_write_themselves_is_known_by_its_lines(course: Path, site: Path) -> None:
    given = nbformat.read(course / "labs" / f"{LAB}.ipynb", as_version=4)
    ran = nbformat.read(course / "build" / "executed" / f"{LAB}.ipynb", as_version=4)
    (lab, _) = outline(course)
    answers = page(lab, given, ran, []).answers
    assert {"return x + x", 'guess = "yes"', "Because addition doubles."} <= answers
    assert not {"def double(x: float) -> float:", 'check("double")'} & answers


def test_the_notebook_to_download_is_the_learners(course: Path, site: Path) -> None:
    page = (site / f"labs/{LAB}.html").read_text(encoding="utf-8")
    assert f'href="{LAB}.ipynb" download' in page
    downloaded = (site / f"labs/{LAB}.ipynb").read_bytes()
    assert downloaded == (course / "labs" / f"{LAB}.ipynb").read_bytes()


def test_binder_opens_the_lab_where_the_repository_is_public(site: Path) -> None:
    page = (site / f"labs/{LAB}.html").read_text(encoding="utf-8")
    (link,) = set(re.findall(r'href="(https://mybinder[^"]*)"', page))
    assert html.unescape(link) == (
        f"https://mybinder.org/v2/gh/someone/course/HEAD?urlpath=lab/tree/labs/{LAB}.ipynb"
    )
    assert ADDRESS in (site / "index.html").read_text(encoding="utf-8")


def test_without_a_public_repository_there_are_no_such_links(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = {"title": "", "terms": "", "language": "en", "address": None}
    monkeypatch.setenv("SITE", json.dumps(site))
    options = runpy.run_path(str(SPHINX / "conf.py"))["html_theme_options"]
    assert not {"launch_buttons", "repository_url"} & set(options)


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b"),
        ("git@github.com:a/b.c.git", "https://github.com/a/b.c"),
        ("/srv/git/course", None),
        ("https://git.example.org/a/b", None),
        ("", None),
    ],
)
def test_an_address_is_public_or_none(tmp_path: Path, origin: str, address: str | None) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if origin:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", origin], check=True)
    assert build.public_address(tmp_path) == address


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="nowhere.html">x</a>', "there is nothing at nowhere.html"),
        ('<a href="#nowhere">x</a>', "there is no such place: #nowhere"),
        ('<a href="other.html#nowhere">x</a>', "there is no such place: other.html#nowhere"),
        ('<a href="other.html#here">x</a><a href="https://example.org">x</a>', None),
        ('<img src="other.html">', "a picture has no alternative text: other.html"),
        ('<img src="https://example.org/a" alt="a">', "it loads from another host: https://ex"),
        ('<script src="//example.org/a"></script>', "it loads from another host: //example.org/a"),
        ('<b style="background: url(//x.org/a)">x</b>', "it loads from another host: //x.org/a"),
        ('<img src="data:image/png;base64,AA" alt="a">', None),
    ],
)
def test_a_fault_of_a_page_is_told(tmp_path: Path, body: str, fault: str | None) -> None:
    (tmp_path / "index.html").write_text(body, encoding="utf-8")
    (tmp_path / "other.html").write_text('<p id="here">x</p>', encoding="utf-8")
    found = faults(tmp_path)
    assert [one.startswith(f"index.html: {fault}") for one in found] == [True] * bool(fault)


def test_a_style_sheet_that_asks_another_host_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("b { src: url('https://example.org/a.woff') }", "utf-8")
    assert faults(tmp_path) == ["a.css: it loads from another host: https://example.org/a.woff"]


def test_a_site_of_no_lab_is_refused(course: Path) -> None:
    with pytest.raises(CourseError, match='There is no lab "7"'):
        build.build(course, "7", points_of)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browser.chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@needs("chromium")
@pytest.mark.parametrize("page", [*PAGES, *JAPANESE_PAGES])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_page_is_accessible_and_asks_no_other_host(
    driver: WebDriver, served: str, page: str, mode: str
) -> None:
    driver.get(f"{served}/{page}")
    # Colours on their way from one theme to the other are nobody's.
    driver.execute_script(
        "document.head.insertAdjacentHTML('beforeend',"
        "'<style>*{transition:none!important}</style>');"
        "document.documentElement.dataset.theme = arguments[0]",
        mode,
    )
    assert browser.barriers(driver) == []
    loaded = driver.execute_script(
        "return performance.getEntriesByType('resource').map(r => r.name)"
    )
    assert loaded
    assert [name for name in loaded if not name.startswith((served, "data:"))] == []


@needs("chromium")
@pytest.mark.parametrize("page", [*PAGES, *JAPANESE_PAGES])
def test_a_page_fits_a_phone(driver: WebDriver, served: str, page: str) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver.get(f"{served}/{page}")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs("chromium")
def test_the_stepper_steps_in_the_page(driver: WebDriver, served: str) -> None:
    driver.get(f"{served}/labs/{LAB}.html")
    says = driver.find_element(By.CSS_SELECTOR, ".stepper output")
    before = says.text
    driver.find_element(By.CSS_SELECTOR, ".stepper input").send_keys(Keys.ARROW_LEFT)
    assert says.text != before
    # What lies over the picture is placed by its edges: no theme may put a frame around it.
    driver.execute_script("document.documentElement.dataset.theme = 'dark'")
    picture = driver.find_element(By.CSS_SELECTOR, ".stepper img")
    assert picture.value_of_css_property("padding") == "0px"


@needs("chromium")
@pytest.mark.parametrize(
    ("folder", "words", "page"),
    [
        ("", "workshop", "docs/workshop.html"),
        ("ja", "を2倍に", f"ja/labs/{LAB}.html"),
        ("ja", "講習", "ja/docs/workshop.html"),
        ("ja", "席", "ja/docs/workshop.html"),
    ],
)
def test_the_search_needs_no_server(
    driver: WebDriver, site: Path, folder: str, words: str, page: str
) -> None:
    driver.get((site / folder / "search.html").as_uri() + f"?q={quote(words)}")
    listed = browser.wait(
        lambda: driver.find_elements(By.CSS_SELECTOR, "#search-results li a"), "nothing is found"
    )
    assert any(f"site/{page}" in (one.get_attribute("href") or "") for one in listed)


def test_a_lab_in_another_language_has_the_same_outputs(site: Path) -> None:
    shown = text_of(site / f"ja/labs/{LAB}.html")
    for there in (
        '"""xの2倍。"""',
        "2倍",
        "数を2倍にします。",
        "double passed",
        "ノートブックを保存",
    ):
        assert there in shown
    original, page = (site / f"{at}labs/{LAB}.html" for at in ("", "ja/"))
    pictures = [
        re.findall(r'src="([^"]*/labs/[^"]*png)"', one.read_text("utf-8"))
        for one in (original, page)
    ]
    assert pictures[0]
    assert [f"../{one}" for one in pictures[0]] == pictures[1]


def test_a_lab_in_another_language_is_downloaded_and_opened_in_it(course: Path, site: Path) -> None:
    downloaded = (site / f"ja/labs/{LAB}.ipynb").read_bytes()
    assert downloaded == (course / "labs" / "ja" / f"{LAB}.ipynb").read_bytes()
    page = (site / f"ja/labs/{LAB}.html").read_text(encoding="utf-8")
    (link,) = set(re.findall(r'href="(https://mybinder[^"]*)"', page))
    assert link.endswith(f"lab/tree/labs/ja/{LAB}.ipynb")


@pytest.mark.parametrize("page", ["index", f"labs/{LAB}", "docs/grading", "search"])
def test_every_page_leads_to_itself_in_the_other_language(site: Path, page: str) -> None:
    for folder, other, title in (("", "ja/", "日本語"), ("ja/", "", "English")):
        file = site / f"{folder}{page}.html"
        link = re.search(
            r'<a class="[^"]*language" href="([^"]*)"[^>]*>(.*?)</a>', file.read_text("utf-8")
        )
        assert link is not None
        assert (file.parent / link[1]).resolve() == (site / f"{other}{page}.html").resolve()
        assert link[2] == title


def test_what_is_not_translated_says_so_and_what_is_does_not(site: Path) -> None:
    said = {
        page: "このページは英語です。" in text_of(site / "ja" / f"{page}.html")
        for page in ("index", f"labs/{LAB}", "docs/workshop", "docs/grading", "learners")
    }
    assert [*said.values()] == [False, False, False, True, True]
    assert '<div lang="en">' in (site / "ja/docs/grading.html").read_text("utf-8")
    assert '<html lang="ja"' in (site / "ja/docs/grading.html").read_text("utf-8")


def test_what_the_checks_displayed_is_said_in_the_language_of_the_page() -> None:
    speech = Speech(
        {
            "passed": "合格",
            "{score} of {of} point{plural}": "{of}点中{score}点",
            "a zero": "ゼロ",
            "the course so far": "ここまで",
            "{score} of {standings} points": "{standings}点中{score}点",
            '{which}? Measured: you guessed "{first}", and so it is.': "{which}？「{first}」です。",
            "loss {n}": "損失{n}",
        }
    )
    parts = [{"title": "a zero", "points": 2, "passed": True}]
    about = {"lab": LAB, "exercise": "double", "score": 2, "points": 2, "parts": parts}
    result = new_output("display_data", {"text/plain": ""}, metadata={"grading": about})
    printed = 'loss 1\nwhich? Measured: you guessed "a", and so it is.\n'
    table = "01 · Tiny        2 of 2 points\nthe course so far      2 of 10 points"
    cells = [
        new_code_cell(source, outputs=[output])
        for source, output in (
            ('check("double")', result),
            ("f()", new_output("stream", name="stdout", text=printed)),
            ("progress()", new_output("display_data", {"text/plain": table})),
        )
    ]
    with speaking(speech):
        for cell in cells:
            outputs.said(cell)
    judged, lines, standing = (cell.outputs[0] for cell in cells)
    assert judged.data["text/plain"].split() == ["double", "2点中2点", "合格", "合格", "ゼロ"]
    assert "2点中2点" in judged.data["text/html"]
    assert lines.text == "loss 1\nwhich？「a」です。\n"
    assert standing.data["text/html"] == (
        "<pre>01 · Tiny        2点中2点\nここまで      10点中2点</pre>"
    )


def test_the_dev_container_installs_the_course() -> None:
    given = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    version = re.fullmatch(r"[\w./]+/python:(3\.\d+)", given["image"])
    assert version is not None
    assert version[1] in install.SUPPORTED
    python, script = given["postCreateCommand"].split()
    assert python == "python3"
    assert (ROOT / script).exists()
    interpreter = given["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == str(install.VENV.relative_to(ROOT) / "bin" / "python")
