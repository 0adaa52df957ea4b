"""Lab 01's sliders: what they show where no script runs, and what moving them changes."""

import base64
import html
import io
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import chromium
from tests.needs import needs
from tests.notebooks import outputs_of
from utils import plots
from utils.figures import perceptron as figures

ALT = "Four cards, and a line with two of them on its wrong side."
X = np.array([[2.0, 8.0], [8.0, 2.0], [12.0, 3.0], [9.0, 14.0]])
y = np.array([-1, 1, 1, -1])
PAGE = figures.sliders(X, y, np.array([0.0, 1.0]), -5.0, alt=ALT)


def test_the_picture_and_the_missed_cards_are_there_before_any_script_runs() -> None:
    assert f'<img alt="{html.escape(ALT)}"' in PAGE
    assert PAGE.count('type="range"') == 3
    assert PAGE.count("<circle") == 4
    assert PAGE.count("display:none") == 0  # all four are on the wrong side of y = 5
    assert "w = [0, 1], b = -5: 4 of 4 cards are on the wrong side." in PAGE


def test_the_line_is_drawn_where_the_axes_are_in_the_picture() -> None:
    """A black square that fills the axes, found again in the pixels."""
    fig, ax = plt.subplots(dpi=plots.SHARPNESS * plots.PAGE_DPI)
    ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), facecolor="black", title="above")
    ax.set(xlabel="below", ylabel="on the left", aspect="equal")
    image = plots.bundle(fig, alt=ALT)["text/html"]
    place = {
        side: float(share) for side, share in re.findall(r"(\w+):([\d.]+)%", figures._place(ax))
    }
    plt.close(fig)
    png = image.partition("base64,")[2].rstrip('">')
    dark = plt.imread(io.BytesIO(base64.b64decode(png)))[..., 0] < 0.5
    for side, size, axis in (("left", "width", 0), ("top", "height", 1)):
        inside = np.flatnonzero(dark.mean(axis=axis) > 0.6)
        length = dark.shape[1 - axis]
        assert abs(100 * inside[0] / length - place[side]) < 0.5
        assert abs(100 * len(inside) / length - place[size]) < 1


@needs("chromium")
def test_an_arrow_key_moves_the_line_and_counts_again(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><body>{PAGE}', encoding="utf-8")
    with chromium(tmp_path / "profile") as driver:
        driver.get(page.as_uri())
        w1, w2, b = driver.find_elements(By.TAG_NAME, "input")
        for slider, steps in ((w1, 10), (w2, -20), (b, 6)):
            slider.send_keys((Keys.ARROW_RIGHT if steps > 0 else Keys.ARROW_LEFT) * abs(steps))
        said = driver.find_element(By.TAG_NAME, "output").text
        assert said == "w = [1, -1], b = -2: 0 of 4 cards are on the wrong side."
        rings = driver.find_elements(By.TAG_NAME, "circle")
        assert not any(ring.is_displayed() for ring in rings)
        line = driver.find_element(By.TAG_NAME, "path").get_attribute("d")
        assert line is not None
        ends = np.array(re.findall(r"[-\d.]+", line), dtype=float).reshape(2, 2)
        assert np.allclose(ends @ [1.0, -1.0] - 2.0, 0.0, atol=1e-9)


def test_outside_a_notebook_it_is_its_alternative_text(capsys: pytest.CaptureFixture[str]) -> None:
    figures.by_hand(X, y, np.array([0.0, 1.0]), -5.0, alt=ALT)
    assert capsys.readouterr().out == f"[figure] {ALT}\n"


def test_in_a_notebook_it_is_html() -> None:
    source = (
        "import numpy as np\nfrom utils.figures import perceptron\n"
        "perceptron.by_hand(np.ones((1, 2)), np.array([1]), np.ones(2), 0.0, alt='one card')"
    )
    [[output]] = outputs_of(source)
    assert '<input type="range"' in output["data"]["text/html"]
    assert output["data"]["text/plain"] == "[figure] one card"
