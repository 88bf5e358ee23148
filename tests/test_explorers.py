"""Explorers: what the page holds, what the notebook shows, and both in real use."""

import functools
import json
import re
import sys

import numpy as np
import pytest
from browser import watch

from helpers.labels import colourise
from helpers.show import Slider, explorer

SIGMAS = [0.5, 1.0, 2.0, 4.0]
GREY = np.add.outer(np.arange(100), np.arange(150)).astype(np.uint8)


def ramp(gain, mode="plain"):
    image = np.clip(GREY * float(gain), 0, 255).astype(np.uint8)
    return (255 - image if mode == "inverse" else image), f"gain is {gain}, {mode}"


def make(**changes):
    arguments = {
        "sliders": {
            "gain": Slider("Gain", SIGMAS, start=1.0, unit="px"),
            "mode": ["plain", "inverse"],
        },
        "caption": "A ramp.",
        "alt": "Grey ramp",
    }
    return explorer(**{"function": ramp, **arguments, **changes})


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setenv("HELA_STATIC", "1")


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv("HELA_STATIC", raising=False)


def data_of(html):
    """Read the data back as the page's script does."""
    (payload,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload)


def ids_of(html):
    return re.findall(r'\bid="([^"]+)"', html)


# Sliders


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1, 0.1 + 0.2, 1], ("0.1", "0.3", "1.0")),
        ([1, 2, 10_000], ("1", "2", "10,000")),
        ([1e-7, 1.0], ("1e-07", "1")),
        (np.linspace(0, 1, 3), ("0.0", "0.5", "1.0")),
        (["Canny", "Sobel"], ("Canny", "Sobel")),
    ],
)
def test_values_are_written_plainly(values, texts):
    assert Slider("x", values).texts == texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": []}, "no values"),
        ({"values": [1, "a"]}, "only numbers or only text"),
        ({"values": [True, False]}, "only numbers or only text"),
        ({"values": [1, 2, 1]}, "twice"),
        ({"values": [1, 2], "start": 3}, "must be one of"),
    ],
)
def test_bad_slider_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Slider("Sigma", **arguments)


# What both modes refuse


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caption": " "}, "caption"),
        ({"alt": ""}, "alt"),
        ({"sliders": {}}, "no sliders"),
        ({"name": 'a" onload="'}, "name"),
        ({"max_frames": 7}, r"4 x 2 = 8 combinations; allowed are 7"),
    ],
)
@pytest.mark.parametrize("mode", ["static", "live"])
def test_bad_description_is_refused(mode, changes, message, request):
    request.getfixturevalue(mode)
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize("mode", ["static", "live"])
@pytest.mark.parametrize(
    "picture", [GREY.astype(float), GREY[None], np.zeros((0, 5), np.uint8), None]
)
def test_bad_picture_stops_with_the_values(mode, picture, request):
    request.getfixturevalue(mode)
    with pytest.raises(RuntimeError, match=r"Gain 1\.0 px|Gain 0\.5 px"):
        make(function=lambda gain, mode: picture)


# Static page


@pytest.mark.usefixtures("static")
def test_page_holds_every_combination_once():
    data = data_of(make().html)
    assert len(data["states"]) == len(data["frames"]) == 8
    assert data["states"][5] == [5, "gain is 2.0, inverse"]
    assert data["frames"].count(None) == 1, "only the picture in <img> is left out"
    same = data_of(make(function=lambda gain, mode: (GREY, mode)).html)
    assert len(same["frames"]) == 1
    assert {frame for frame, _ in same["states"]} == {0}


@pytest.mark.usefixtures("static")
def test_page_starts_without_javascript_at_the_start_values():
    page = make().html
    alt = "Grey ramp (Gain 1.0 px, mode plain)"
    assert re.search(rf'<img [^>]*src="data:image/webp;base64,[^"]+"[^>]*{re.escape(alt)}"', page)
    assert '<div class="hela-controls" hidden>' in page
    assert "Shown at Gain 1.0 px, mode plain." in page
    assert "gain is 1.0, plain</p>" in page
    assert re.search(r'<input type="range"[^>]* value="1" aria-valuetext="1\.0 px"', page)


@pytest.mark.usefixtures("static")
def test_pictures_of_classes_are_marked_for_the_choice_of_colours():
    assert "hela-classes" not in make().html
    labels = np.full((40, 40), 3, np.uint8)
    labels[10:20, 10:20] = 2
    page = make(function=lambda gain, mode: GREY if gain < 4 else colourise(labels)).html
    assert '<img class="dark-light hela-classes" ' in page


@pytest.mark.usefixtures("static")
def test_ids_are_unique_and_the_page_is_the_same_each_time():
    first, second, named = make(), make(caption="Another."), make(name="ramp")
    ids = ids_of(first.html + second.html + named.html)
    assert len(set(ids)) == len(ids) == 9
    assert "explorer-ramp" in ids
    assert set(re.findall(r'\bfor="([^"]+)"', first.html)) < set(ids_of(first.html))
    assert make().html == first.html


@pytest.mark.usefixtures("static")
def test_texts_are_escaped():
    evil = '</script><script>alert("1 & 2")</script>'
    explorer_ = make(
        function=lambda gain, mode: (GREY, evil),
        caption=evil,
        alt=evil,
        sliders={"gain": Slider(evil, [1, 2]), "mode": [evil, "b"]},
    )
    assert "<script>alert" not in explorer_.html
    assert explorer_.html.count("</script>") == 2
    assert data_of(explorer_.html)["states"][0][1] == evil


@pytest.mark.usefixtures("static")
def test_page_needs_nothing_from_elsewhere(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("ipywidgets")]:
        monkeypatch.delitem(sys.modules, module)
    explorer_ = make()
    assert "ipywidgets" not in sys.modules
    assert "http" not in explorer_.html
    assert explorer_.widget is None
    assert explorer_._repr_html_() == explorer_.html


@pytest.mark.usefixtures("static")
def test_sixty_pictures_of_a_slice_stay_under_4_mb():
    y, x = np.mgrid[:500, :500]
    rng = np.random.default_rng(1)
    organelles = sum(
        np.hypot(y - a, x - b) < r
        for a, b, r in zip(*rng.integers(0, 500, (2, 300)), rng.integers(2, 10, 300), strict=True)
    )
    slice_ = 190 - 40 * np.minimum(organelles, 2) - 30 * (np.hypot(y - 250, x - 240) < 150)

    def shifted(step):
        return np.roll(slice_, step, axis=1).astype(np.uint8)

    page = make(function=shifted, sliders={"step": list(range(60))}).html
    assert len(data_of(page)["frames"]) == 60
    assert 'width="500" height="500"' in page
    assert len(page) < 4e6


@pytest.mark.usefixtures("static")
def test_failure_names_the_values_that_caused_it():
    def fails_late(gain, mode):
        if gain == 4.0:
            raise ArithmeticError("no edges left")
        return GREY

    with pytest.raises(RuntimeError, match=r"Gain 4\.0 px, mode plain: ArithmeticError: no edges"):
        make(function=fails_late)


# Live, without a kernel


@pytest.mark.usefixtures("live")
def test_live_has_the_same_start_labels_values_and_caption():
    import ipywidgets

    explorer_ = make()
    picture, gain, mode, readout, caption, _ = explorer_.widget.children
    assert isinstance(gain, ipywidgets.SelectionSlider)
    assert isinstance(mode, ipywidgets.Dropdown)
    assert (gain.description, gain.label) == ("Gain", "1.0 px")
    assert [text for text, _ in gain.options] == ["0.5 px", "1.0 px", "2.0 px", "4.0 px"]
    assert (readout.value, caption.value) == ("gain is 1.0, plain", "A ramp.")
    assert explorer_.alt == "Grey ramp (Gain 1.0 px, mode plain)"
    assert f'alt="{explorer_.alt}"' in picture.value
    assert explorer_.html is None


@pytest.mark.usefixtures("live")
def test_live_control_changes_picture_and_text_and_remembers():
    calls = []

    def counted(gain, mode):
        calls.append((gain, mode))
        return ramp(gain, mode)

    picture, gain, mode, readout, *_ = make(function=counted).widget.children
    before = picture.value
    gain.value = 2
    assert picture.value != before
    assert readout.value == "gain is 2.0, plain"
    mode.value = 1
    assert readout.value == "gain is 2.0, inverse"
    assert 'alt="Grey ramp (Gain 2.0 px, mode inverse)"' in picture.value
    mode.value, gain.value = 0, 1
    assert picture.value == before
    assert calls == [(1.0, "plain"), (2.0, "plain"), (2.0, "inverse")]


@pytest.mark.usefixtures("live")
def test_live_error_is_shown_and_gone_after():
    def fails_at_four(gain, mode):
        if gain == 4.0:
            raise ArithmeticError("no <edges> left")
        return ramp(gain, mode)

    picture, gain, _, readout, *_ = make(function=fails_at_four).widget.children
    before = picture.value
    gain.value = 3
    assert "ArithmeticError: no &lt;edges&gt; left" in readout.value
    assert "Gain 4.0 px" in readout.value
    assert picture.value == before
    gain.value = 2
    assert readout.value == "gain is 2.0, plain"


@pytest.mark.usefixtures("live")
def test_missing_ipywidgets_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match="pip install ipywidgets"):
        make()


@pytest.mark.parametrize("mode", ["static", "live"])
def test_last_line_of_a_cell_shows_it(mode, request, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import RichOutput

    request.getfixturevalue(mode)
    # IPython warns where an environment is active that is not the one it runs in.
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    shown = []
    shell = InteractiveShell.instance()
    explorer_ = make()
    shell.display_pub.publish = lambda data, metadata=None, **_: shown.append(
        RichOutput(data, metadata)
    )
    try:
        formatted, _ = shell.display_formatter.format(explorer_)
    finally:
        InteractiveShell.clear_instance()
    assert formatted == {}, "it displays itself, so that nothing is shown twice"
    output, *scripts = shown
    if mode == "static":
        assert scripts == []
        assert output.data == {"text/html": explorer_.html, "text/plain": explorer_.alt}
    else:
        assert "application/vnd.jupyter.widget-view+json" in output.data
        (script,) = scripts
        assert "aria-valuetext" in script.data["text/html"]


# In a browser


@pytest.mark.any_font
@pytest.mark.parametrize("width_px", [1280, 390])
def test_page_works_from_a_file(browser, static, tmp_path, width_px):
    big = np.kron(GREY, np.ones((6, 6), np.uint8))
    first = make(function=lambda gain, mode: (big, "large") if gain == 4.0 else ramp(gain, mode))
    page_file = tmp_path / "page.html"
    second = make(caption="The second.", sliders={"gain": Slider("Gain", [1, 3])})
    page_file.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
        f'<meta name="viewport" content="width=device-width">{first.html}{second.html}</html>',
        encoding="utf-8",
    )
    page = browser.new_page(viewport={"width": width_px, "height": 900})
    log = watch(page)
    page.goto(page_file.as_uri())
    figure, other = page.locator("figure").all()
    slider, picture = figure.get_by_label("Gain"), figure.locator("img")
    others = other.inner_text(), other.locator("img").get_attribute("src")

    at_start = picture.screenshot()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert figure.get_by_role("status").inner_text() == "gain is 2.0, plain"
    assert figure.locator(".hela-value").inner_text() == "2.0 px"
    assert slider.get_attribute("aria-valuetext") == "2.0 px"
    assert picture.get_attribute("alt") == "Grey ramp (Gain 2.0 px, mode plain)"
    by_keyboard = picture.screenshot()
    assert by_keyboard != at_start
    page.keyboard.press("ArrowLeft")
    assert picture.screenshot() == at_start

    box = slider.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    assert figure.get_by_role("status").inner_text() == "gain is 0.5, plain"
    by_mouse = picture.screenshot()
    assert by_mouse not in (at_start, by_keyboard)
    figure.get_by_label("mode").select_option("inverse")
    assert figure.get_by_role("status").inner_text() == "gain is 0.5, inverse"
    assert picture.screenshot() != by_mouse

    slider.focus()
    page.keyboard.press("End")
    assert figure.get_by_role("status").inner_text() == "large"
    others_now = other.inner_text(), other.locator("img").get_attribute("src")
    assert others_now == others, "an explorer must leave its neighbours alone"
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert (log.errors, log.remote) == ([], [])
    page.close()


LONG = ("Gain", "Gaussian sigma of the first smoothing", "Unusually large kernel width, WWWWWW")
MEDIUM = ("sigma", "high threshold at quantile")


@functools.cache
def with_labels(labels, picture_px):
    image = np.zeros((60, picture_px), np.uint8)
    return make(
        function=lambda **at: (image, " ".join(map(str, at.values()))),
        sliders={f"s{at}": Slider(label, SIGMAS, unit="px") for at, label in enumerate(labels)},
    ).html


# Where each slider, its label and its value are; what the line below says is noted from now on.
LAYOUT = """() => {
    window.said = [];
    const line = document.querySelector("[role=status]");
    const note = () => said.push(line.innerText);
    new MutationObserver(note).observe(line, {childList: true, characterData: true, subtree: true});
    const values = [...document.querySelectorAll(".hela-value")];
    return [...document.querySelectorAll("input[type=range]")].map((slider, at) => ({
        label: slider.labels[0].innerText,
        box: slider.getBoundingClientRect(),
        text: slider.labels[0].getBoundingClientRect(),
        value: values[at].getBoundingClientRect(),
    }));
}"""


# The families are what the tests' fonts are called and, with the system's, what it takes for them.
@pytest.mark.any_font
@pytest.mark.parametrize("text_percent", [100, 200])
@pytest.mark.parametrize("family", ["sans-serif", "serif", "monospace"])
@pytest.mark.parametrize(("labels", "picture_px"), [(LONG, 150), (LONG, 500), (MEDIUM, 500)])
@pytest.mark.parametrize("width_px", [1280, 390])
def test_every_position_of_a_slider_can_be_hit(
    sheet, static, tmp_path, width_px, labels, picture_px, family, text_percent
):
    html = with_labels(labels, picture_px)
    page_file = tmp_path / "page.html"
    page_file.write_text(
        f'<!doctype html><html lang="en" style="font-family:{family};font-size:{text_percent}%">'
        '<meta charset="utf-8"><title>t</title>'
        f'<meta name="viewport" content="width=device-width">{html}</html>',
        encoding="utf-8",
    )
    sheet.set_viewport_size({"width": width_px, "height": 1500})
    sheet.goto(page_file.as_uri())
    found = sheet.evaluate(LAYOUT)
    assert [each["label"] for each in found] == list(labels)
    clicks, expected = [], [str(SIGMAS[0])] * len(labels)
    said = []
    for at, each in enumerate(found):
        box, text, value = each["box"], each["text"], each["value"]
        assert box["width"] >= 200
        beside = text["right"] <= box["x"] + 1
        assert beside or text["bottom"] <= box["y"] + 1, "the label lies on the slider"
        middle = value["y"] + value["height"] / 2
        with_label = text["y"] <= middle <= text["bottom"]
        assert with_label or box["y"] <= middle <= box["bottom"], "the value lies apart"
        for position in (3, 0, 2, 1):
            # The middle of the knob goes from half a knob inside one end to the other.
            across = 8 + (box["width"] - 16) * position / 3
            clicks.append((box["x"] + across, box["y"] + box["height"] / 2))
            expected[at] = str(SIGMAS[position])
            said.append(" ".join(expected))
    for x, y in clicks:
        sheet.mouse.click(x, y)
    assert sheet.evaluate("said") == said
    assert sheet.locator("img").bounding_box()["width"] <= picture_px
    assert sheet.evaluate("document.documentElement.scrollWidth") <= width_px


@pytest.mark.any_font
def test_page_works_by_touch_and_shows_a_picture_without_javascript(browser, static, tmp_path):
    page_file = tmp_path / "page.html"
    page_file.write_text(make().html, encoding="utf-8")
    phone = browser.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = phone.new_page()
    page.goto(page_file.as_uri())
    box = page.get_by_label("Gain").bounding_box()
    assert box["height"] >= 24, "WCAG 2.2, 2.5.8: target size"
    page.touchscreen.tap(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert page.get_by_role("status").inner_text() == "gain is 4.0, plain"
    phone.close()

    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("img").is_visible()
    assert not page.get_by_label("Gain").is_visible(), "no control that does nothing"
    said = page.locator("noscript p")
    assert said.is_visible()
    assert said.inner_text() == "Shown at Gain 1.0 px, mode plain."
    plain.close()
