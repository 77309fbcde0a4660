"""The page in a browser: what is moved moves, by pointer and by keyboard, without a request and without an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sgdsl.report.write import write_report
from tests.report.browser import NAMES, Browser, browser, program
from tests.train.small import Fit, clusters

pytestmark = pytest.mark.skipif(program() is None, reason=f"no browser here: none of {', '.join(NAMES)} is installed")

PIXELS = "document.querySelector('.view:not([hidden]) canvas.large').toDataURL()"


@pytest.fixture(scope="module")
def opened(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as made:
        made.open(pictures / "report.html")
        yield made


@pytest.fixture
def page(opened: Browser, pictures: Path) -> Iterator[Browser]:
    """Freshly loaded; whatever a test does, nothing may be requested and no error may be said."""
    opened.size(1100, 800)
    opened.scheme("light")
    opened.open(pictures / "report.html")
    yield opened
    assert opened.errors == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)


def choose(page: Browser, key: str, value: str) -> None:
    """An option of a select element."""
    page.value(f"document.getElementById('{key}').value = '{value}'")
    page.value(f"document.getElementById('{key}').dispatchEvent(new Event('change'))")


def focused(page: Browser) -> str:
    return str(page.value("document.activeElement.id || document.activeElement.className"))


def test_tab_reaches_every_control(page: Browser) -> None:
    """The skip link first; then theme, choice of sliders, both sliders, classes, choosers; each has a name."""
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(focused(page))
    assert reached[0] == "skip"
    wanted = ["theme", "view", "slider-0-0", "slider-0-1", "class-0-0", "traversed-0"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    unnamed = page.value("[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).length")
    assert unnamed == 0


def test_a_slider_moves_and_the_picture_changes(page: Browser) -> None:
    """By arrow keys, there and back; what is said aloud follows."""
    before = page.value(PIXELS)
    page.value("document.getElementById('slider-0-0').focus()")
    page.press("ArrowRight")
    page.press("ArrowRight")
    after = page.value(PIXELS)
    assert after != before
    assert page.value("document.activeElement.getAttribute('aria-valuetext')") == "+1.25 standard deviations"
    assert "at +1.25 standard deviations" in page.value(
        "document.querySelector('canvas.large').getAttribute('aria-label')"
    )
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert page.value(PIXELS) == before


def test_the_canvas_shows_the_place_of_the_sprite(page: Browser) -> None:
    """Pixel by pixel the tile of the class and the sliders' places, cut out here by its own arithmetic."""
    same = page.value("""(() => {
        const set = (id, value) => {
            const slider = document.getElementById(id);
            slider.value = value;
            slider.dispatchEvent(new Event('input', {bubbles: true}));
        };
        set('slider-0-0', 7); set('slider-0-1', 1);
        document.getElementById('class-0-2').click();
        const canvas = document.querySelector('#view-0 canvas.large');
        const sheet = document.createElement('canvas');
        const sprite = document.getElementById(canvas.dataset.source);
        sheet.width = sprite.naturalWidth; sheet.height = sprite.naturalHeight;
        sheet.getContext('2d').drawImage(sprite, 0, 0);
        const tile = sheet.getContext('2d').getImageData(7 * 5, (2 * 9 + 1) * 6, 5, 6).data;
        const shown = canvas.getContext('2d').getImageData(0, 0, 5, 6).data;
        return tile.length === 120 && tile.every((v, i) => v === shown[i]) && new Set(tile).size > 2;
    })()""")
    assert same is True


def test_classes_change_the_picture(page: Browser) -> None:
    """Arrow keys in the group of classes."""
    before = page.value(PIXELS)
    page.value("document.getElementById('class-0-0').focus()")
    page.press("ArrowRight")
    assert focused(page) == "class-0-1"
    assert page.value(PIXELS) != before
    assert "y = 1" in page.value("document.querySelector('canvas.large').getAttribute('aria-label')")


def test_other_sliders_and_classes_of_traversals_can_be_chosen(page: Browser) -> None:
    """Choosers show one part and hide the others."""
    shown = "[...document.querySelectorAll('.view')].map((v) => v.offsetParent !== null)"
    assert page.value(shown) == [True, False]
    choose(page, "view", "1")
    assert page.value(shown) == [False, True]
    parts = "[...document.querySelectorAll('.choices [data-choice]')].map((v) => v.offsetParent !== null)"
    assert page.value(parts) == [True, False, False]
    choose(page, "traversed-0", "2")
    assert page.value(parts) == [False, False, True]


def test_light_and_dark(page: Browser) -> None:
    """As the system says, until the button says otherwise."""
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.value(paper)
    page.scheme("dark")
    dark = page.value(paper)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    page.value("document.getElementById('theme').click()")
    assert page.value("document.getElementById('theme').textContent") == "Theme: light"
    assert page.value(paper) == light
    page.scheme("light")
    page.value("document.getElementById('theme').click()")
    assert page.value(paper) == dark


@pytest.mark.parametrize("width", [360, 390, 1100])
def test_nothing_is_wider_than_the_page(page: Browser, width: int) -> None:
    """A phone and a desktop: wide tables scroll by themselves."""
    page.size(width, 800, phone=width < 600)
    assert page.value("document.documentElement.scrollWidth") <= width


def test_a_model_without_pictures_draws_numbers(page: Browser, fitted: Fit, tmp_path: Path) -> None:
    """Bars move with the slider, and are redrawn in the other theme."""
    page.open(write_report(fitted(clusters(), out=tmp_path / "run")))
    before = page.value(PIXELS)
    page.value("document.getElementById('slider-0-0').focus()")
    page.press("ArrowLeft")
    after = page.value(PIXELS)
    assert after != before
    page.scheme("dark")
    assert page.value("new Promise((r) => setTimeout(() => r(" + PIXELS + "), 100))") != after
