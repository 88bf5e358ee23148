"""A picture to move and zoom: what the page holds, and how it behaves in a browser."""

import base64
import io
import json
import re

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import touch, visits
from PIL import Image

from helpers.labels import colourise
from helpers.show import pyramids
from helpers.show.pyramids import Outline, pyramid

HEIGHT, WIDTH = 600, 801


def half(level):
    rows, columns = (n % 2 for n in level.shape[:2])
    level = cv2.copyMakeBorder(level, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
    return cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def pyramid_of(full, count):
    levels = [full]
    while len(levels) < count:
        levels.append(half(levels[-1]))
    return levels


def blobs(height=HEIGHT, width=WIDTH):
    """Draw a smooth picture that is nowhere like elsewhere."""
    noise = np.random.default_rng(2).random((height, width), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 12)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


LEVELS = pyramid_of(blobs(), 3)
SQUARE = np.array([(100, 150), (100, 250), (200, 250), (200, 150)])
FIRST = Outline("cell 1", SQUARE, ("volume 812 µm³", "sphericity <0.6>"))
SECOND = Outline("cell 2", SQUARE + np.array((300, 450)), ("volume 95 µm³",))


def make(levels=LEVELS, outlines=(FIRST, SECOND), **changes):
    words = {"caption": "A field.", "alt": "Some cells", "pixel_nm": 10}
    return pyramid(levels, outlines, **{**words, **changes})


def data_of(html):
    (payload,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload)


def body_of(html):
    """Cut the styles and the script off."""
    return html.partition("</style>")[2].partition("<script")[0]


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"))


# The page


@pytest.mark.parametrize("tile_px", [256, 100])
def test_tiles_put_together_are_the_levels(tile_px):
    html = make(tile_px=tile_px).html
    data = data_of(html)
    assert (data["size"], data["last"], data["tile"]) == ([WIDTH, HEIGHT], [201, 150], tile_px)
    assert len(data["levels"]) == 2, "the last level is in the page as a picture"
    for rows, level in zip(data["levels"], LEVELS, strict=False):
        whole = np.vstack([np.hstack([decoded(tile) for tile in row]) for row in rows])
        assert whole.shape == level.shape
        assert np.abs(whole.astype(int) - level).mean() < 3
    (start,) = re.findall(r'<img [^>]*src="([^"]+)"', html)
    assert np.abs(decoded(start).astype(int) - LEVELS[-1]).mean() < 3


def test_page_starts_without_javascript_with_the_outlines_and_what_is_said_of_them():
    html = make().html
    assert re.search(r'<img [^>]*width="201" height="150" alt="Some cells">', html)
    # The middle of pixel (100, 150) is half a pixel from its corner.
    assert html.count('d="M150.5 100.5L250.5 100.5L250.5 200.5L150.5 200.5Z"') == 2
    assert f'viewBox="0 0 {WIDTH} {HEIGHT}"' in html
    assert "<li><strong>cell 1</strong><span>volume 812 µm³</span>" in html
    assert "<span>sphericity &lt;0.6&gt;</span></li>" in html
    assert "tabindex" not in body_of(html), "no control that does nothing"
    bare = body_of(make(outlines=()).html)
    assert "<details" not in bare
    assert 'class="hela-chosen"' not in bare


def test_page_is_the_same_each_time_escapes_texts_and_needs_nothing_from_elsewhere():
    evil = '</script><b onclick="a">'
    shown = make(alt=evil, caption=evil, outlines=[Outline(evil, SQUARE, (evil,))])
    assert shown.html.count("</script>") == 2
    assert "<b " not in shown.html
    assert repr(shown) == evil
    assert "http" not in shown.html
    assert make().html == make().html
    assert 'id="pyramid-field"' in make(name="field").html
    ids = {
        re.search(r'<figure[^>]* id="([^"]+)"', each.html)[1]
        for each in (make(), make(outlines=[FIRST]), make(pixel_nm=20), make(caption="Another."))
    }
    assert len(ids) == 4


def test_colour_is_kept_and_pictures_of_classes_are_marked():
    classes = np.full((64, 64), 3, np.uint8)
    classes[10:40, 10:40] = 2
    assert '<img class="dark-light hela-classes"' in make([colourise(classes)], ()).html
    assert '<img class="dark-light"' in make().html


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caption": " "}, "text for caption"),
        ({"alt": ""}, "text for alt"),
        ({"name": "a b"}, "name is 'a b'"),
        ({"pixel_nm": 0}, "pixel_nm is 0"),
        ({"tile_px": 8}, "tile_px is 8; allowed are whole numbers from 32 to 4096"),
        ({"tile_px": 64.0}, r"tile_px is 64\.0"),
        ({"levels": []}, "no levels"),
        ({"levels": [LEVELS[0].astype(float)]}, r"Level 0 .* float64 .*must be uint8"),
        ({"levels": [LEVELS[0], LEVELS[2]]}, r"Level 1 has shape \(150, 201\).* \(300, 401\)"),
        ({"levels": [LEVELS[0], LEVELS[1][:, :400]]}, "rounded up"),
        ({"levels": [LEVELS[0], np.dstack([LEVELS[1]] * 3)]}, r"shape \(300, 401, 3\)"),
        ({"outlines": [FIRST, FIRST]}, "one name, cell 1"),
        ({"outlines": [Outline(" ", SQUARE)]}, "name of outline 1"),
        ({"outlines": [Outline("a", SQUARE[:2])]}, "at least three points"),
        ({"outlines": [Outline("a", SQUARE.T)]}, r"shape \(2, 4\)"),
        ({"outlines": [Outline("a", SQUARE * np.nan)]}, "not all finite"),
        ({"outlines": [Outline("a", SQUARE, "one text")]}, "give a tuple"),
        ({"outlines": [Outline("a", SQUARE + np.array((500, 0)))]}, "to row 700, .* has 600 rows"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_too_much_for_a_page_is_refused_early_and_says_where_to_begin(monkeypatch):
    size = len(make().html)
    monkeypatch.setattr(pyramids, "MAX_BYTES", size // 3)
    asked = []
    encode = pyramids.encode_picture
    monkeypatch.setattr(
        pyramids, "encode_picture", lambda *given: asked.append(given) or encode(*given)
    )
    with pytest.raises(ValueError, match=r"With level 0, 600 x 801 .*begin with level 1: .* 2 tim"):
        make(tile_px=64)
    assert len(asked) < 1 + 5 * 7 + 10 * 13, "it stops at the first row that is too much"


# In a browser


@pytest.fixture
def visit(browser, tmp_path):
    """Open figures in a page; return the first one's view, the page and what it complained of."""
    with visits(browser, tmp_path) as visit_page:

        def open_page(*figures, **options):
            page, log = visit_page(*figures, **options)
            settle(page)
            return page.locator(".hela-view").first, page, log

        yield open_page


def settle(page):
    """Wait until what was asked for is drawn and its tiles are decoded."""
    page.wait_for_timeout(250)


def seen(view):
    """Read which part of the full size is in view: left, top, width, height."""
    return [float(part) for part in view.locator("svg").get_attribute("viewBox").split()]


def tiles(view):
    """Return level, left, top, right and bottom of each tile in the page, in pixels of the view."""
    return view.evaluate(
        """view => [...view.querySelectorAll("img[data-level]")].map(tile => {
            const box = tile.getBoundingClientRect(), of = view.getBoundingClientRect();
            return [Number(tile.dataset.level), box.left - of.left, box.top - of.top,
                box.right - of.left, box.bottom - of.top];
        })"""
    )


def expected(view):
    """Cut out of the full size what is in view, as large as the view."""
    left, top, width, height = seen(view)
    box = view.bounding_box()
    across, down = round(box["width"]), round(box["height"])
    # Of the middle of each of the view's pixels: where it is in the full size.
    x = left + (np.arange(across) + 0.5) * width / across - 0.5
    y = top + (np.arange(down) + 0.5) * height / down - 0.5
    grid = (each.astype(np.float32) for each in np.meshgrid(x, y))
    return cv2.remap(LEVELS[0], *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def error(view):
    """Return by how many grey levels the view differs from the full size."""
    shown = np.asarray(Image.open(io.BytesIO(view.screenshot())).convert("L"), dtype=int)
    rows, columns = (min(a, b) for a, b in zip(shown.shape, expected(view).shape, strict=True))
    # Its scale bar is in the lower right corner.
    rows = rows * 4 // 5
    return np.abs(shown[:rows, :columns] - expected(view)[:rows, :columns]).mean()


def zoom_in(page, times=1):
    for _ in range(times):
        page.get_by_role("button", name="Zoom in").first.click()
    settle(page)


def middle_of(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.any_font
@pytest.mark.parametrize("width_px", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_works_from_a_file(visit, width_px, scheme):
    view, page, log = visit(make(outlines=()), width_px=width_px, color_scheme=scheme)
    box = view.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(WIDTH / HEIGHT, rel=0.01)
    assert seen(view) == pytest.approx([0, 0, WIDTH, HEIGHT], abs=1)
    assert {tile[0] for tile in tiles(view)} == ({0} if width_px == 1280 else {1})
    assert error(view) < 3
    zoom_in(page, 3)
    left, top, width, height = seen(view)
    assert width == pytest.approx(WIDTH / 1.5**3, rel=0.01)
    assert left + width / 2 == pytest.approx(WIDTH / 2, abs=1)
    assert top + height / 2 == pytest.approx(HEIGHT / 2, abs=1)
    assert {tile[0] for tile in tiles(view)} == {0}
    assert error(view) < 3
    page.get_by_role("button", name="Zoom out").click()
    settle(page)
    assert seen(view)[2] == pytest.approx(WIDTH / 1.5**2, rel=0.01)
    page.get_by_role("button", name="Whole picture").click()
    settle(page)
    assert seen(view) == pytest.approx([0, 0, WIDTH, HEIGHT], abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert (log.errors, log.remote) == ([], [])


def test_only_tiles_in_view_of_the_level_that_is_needed_are_in_the_page(visit):
    view, page, _ = visit(make(tile_px=64), width_px=390)
    found = {}
    for times in (0, 2, 2):
        zoom_in(page, times)
        box, placed = view.bounding_box(), tiles(view)
        levels = {tile[0] for tile in placed}
        assert len(levels) == 1, "the others are gone once these can be seen"
        found[levels.pop()] = len(placed)
        for _, left, top, right, bottom in placed:
            assert left < box["width"]
            assert right > 0
            assert top < box["height"]
            assert bottom > 0
        covered = np.zeros((int(box["height"]), int(box["width"])), int)
        for _, *edges in placed:
            left, top, right, bottom = (max(0, round(each)) for each in edges)
            covered[top:bottom, left:right] += 1
        assert (covered == 1).all(), "no gap, and nothing twice"
    assert found.keys() == {0, 1}
    assert found[1] == 5 * 7
    assert found[0] < 10 * 13 / 4


def test_screens_with_small_pixels_get_the_finer_level(visit):
    wanted = []
    for ratio in (1, 2):
        view, _, _ = visit(make(), width_px=390, device_scale_factor=ratio)
        wanted.append({tile[0] for tile in tiles(view)})
    assert wanted == [{1}, {0}]


def test_mouse_drags_the_picture_along_and_not_beyond_its_edge(visit):
    view, page, _ = visit(make(outlines=()))
    zoom_in(page, 3)
    x, y = middle_of(view)
    left, top, width, _ = seen(view)
    scale = view.bounding_box()["width"] / width
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)
    settle(page)
    assert seen(view)[:2] == pytest.approx([left + 60 / scale, top - 40 / scale], abs=0.5)
    assert error(view) < 3
    for _ in range(3):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 400, y + 300, steps=3)
        page.mouse.up()
    settle(page)
    assert seen(view)[:2] == pytest.approx([0, 0], abs=0.01)


def test_keys_move_and_zoom(visit):
    view, page, _ = visit(make())
    view.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("+")
    page.keyboard.press("=")
    settle(page)
    left, top, width, height = seen(view)
    assert width == pytest.approx(WIDTH / 1.25**2, rel=0.01)
    scrolled = page.evaluate("scrollY")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    settle(page)
    assert seen(view)[:2] == pytest.approx([left + width / 10, top - height / 10], abs=1)
    assert page.evaluate("scrollY") == scrolled
    page.keyboard.press("-")
    settle(page)
    assert seen(view)[2] == pytest.approx(WIDTH / 1.25, rel=0.01)
    page.keyboard.press("Home")
    settle(page)
    assert seen(view)[2] == pytest.approx(WIDTH, rel=0.01)


def test_wheel_scrolls_the_page_and_zooms_about_the_pointer_with_control(visit):
    view, page, _ = visit(make())
    box = view.bounding_box()
    x, y = 0.25 * box["width"], 0.75 * box["height"]
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -70)
    page.keyboard.up("Control")
    settle(page)
    left, top, width, height = seen(view)
    assert width < 0.6 * WIDTH
    assert left + 0.25 * width == pytest.approx(0.25 * WIDTH, abs=2)
    assert top + 0.75 * height == pytest.approx(0.75 * HEIGHT, abs=2)
    assert page.evaluate("scrollY") == 0
    page.mouse.wheel(0, 200)
    settle(page)
    assert page.evaluate("scrollY") == 200
    assert seen(view)[2] == pytest.approx(width)


def test_fingers_zoom_then_move_the_picture_and_scroll_the_page_where_it_is_whole(visit):
    view, page, _ = visit(make(), width_px=390, has_touch=True)
    x, y = middle_of(view)

    def move(*moments):
        touch(page, *moments)
        settle(page)

    move(*([(x - apart, y), (x + apart, y)] for apart in (30, 40, 50, 60)))
    _, top, width, _ = seen(view)
    assert width == pytest.approx(WIDTH / 2, rel=0.1)
    move(*([(x, y - step)] for step in range(0, 60, 10)))
    assert seen(view)[1] > top + 40
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Whole picture").click()
    move(*([(x, y - step)] for step in range(0, 120, 20)))
    assert page.evaluate("scrollY") > 0
    assert seen(view)[2] == pytest.approx(WIDTH, rel=0.01)


def test_scale_bar_is_true_at_any_zoom(visit):
    view, page, _ = visit(make())
    lengths = set()
    for times in (0, 2, 2):
        zoom_in(page, times)
        bar = view.locator(".hela-scale")
        length_um = float(bar.inner_text().removesuffix("µm"))
        bar_px = bar.evaluate("bar => parseFloat(bar.style.width)")
        box = view.bounding_box()
        assert bar_px <= box["width"] / 4
        across_um = seen(view)[2] * 10 / 1000
        assert length_um / bar_px * box["width"] == pytest.approx(across_um, rel=0.01)
        lengths.add(length_um)
    assert len(lengths) > 1


def chosen(page):
    return page.locator(".hela-chosen").first.inner_text()


def pressed(view):
    cells = view.get_by_role("button")
    return [cell.get_attribute("aria-pressed") for cell in cells.all()]


def test_click_on_a_cell_says_what_is_known_of_it_and_a_drag_does_not(visit):
    view, page, log = visit(make())
    assert chosen(page) == "No cell is chosen."
    cell = view.get_by_role("button", name="cell 1, volume 812 µm³, sphericity <0.6>")
    # The polygon lies where its points are in the picture.
    box, of = cell.locator("path").first.bounding_box(), view.bounding_box()
    scale = of["width"] / WIDTH
    assert box["x"] - of["x"] == pytest.approx(150.5 * scale, abs=4)
    assert box["y"] - of["y"] == pytest.approx(100.5 * scale, abs=4)
    assert box["width"] == pytest.approx(100 * scale, abs=8)
    page.mouse.click(*middle_of(cell))
    assert chosen(page).split("\n") == ["cell 1", "volume 812 µm³", "sphericity <0.6>"]
    assert pressed(view) == ["true", "false"]
    assert seen(view)[2] == pytest.approx(WIDTH, rel=0.01), "a click does not move the picture"

    zoom_in(page, 1)
    x, y = middle_of(view.get_by_role("button", name="cell 2"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y - 30, steps=3)
    page.mouse.up()
    assert chosen(page).startswith("cell 1"), "a drag chooses nothing"
    page.mouse.click(x - 30, y - 30)
    assert chosen(page).split("\n") == ["cell 2", "volume 95 µm³"]
    page.keyboard.press("Escape")
    assert chosen(page) == "No cell is chosen."
    assert pressed(view) == ["false", "false"]
    assert view.locator(".hela-top").count() == 0
    assert (log.errors, log.remote) == ([], [])


def test_keys_reach_each_cell_bring_it_into_view_and_enter_zooms_to_it(visit):
    view, page, _ = visit(make())
    zoom_in(page, 3)
    view.focus()
    page.keyboard.press("Tab")
    settle(page)
    assert chosen(page).startswith("cell 1")
    left, top, width, height = seen(view)
    assert left < 150
    assert top < 100
    assert left + width > 250
    assert top + height > 200
    page.keyboard.press("Tab")
    settle(page)
    assert chosen(page).startswith("cell 2")
    stroke = view.locator(".hela-cell:focus path").first.evaluate(
        "path => getComputedStyle(path).strokeWidth"
    )
    assert stroke == "8px", "focus is to be seen"
    page.keyboard.press("Enter")
    settle(page)
    left, top, width, height = seen(view)
    assert left + width / 2 == pytest.approx(650.5, abs=2)
    assert top + height / 2 == pytest.approx(450.5, abs=2)
    assert height == pytest.approx(HEIGHT / 4, rel=0.01), "four times, and no more"
    assert pressed(view) == ["false", "true"]


def test_list_leads_to_each_cell(visit):
    view, page, _ = visit(make(), width_px=390)
    item = page.locator("li").get_by_role("button", name="cell 2")
    assert not item.is_visible(), "the list is folded"
    page.get_by_text("All cells (2)").click()
    assert item.bounding_box()["height"] >= 24, "WCAG 2.2, 2.5.8: target size"
    item.click()
    settle(page)
    assert chosen(page).startswith("cell 2")
    left, _, width, _ = seen(view)
    assert left + width / 2 == pytest.approx(650.5, abs=2)
    assert width < 300


def test_outlines_can_be_hidden(visit):
    view, page, _ = visit(make())
    switch = page.get_by_role("button", name="Outlines")
    switch.click()
    assert switch.get_attribute("aria-pressed") == "false"
    assert not view.locator("path").first.is_visible()
    assert view.get_by_role("button").count() == 0, "no focus on what is not to be seen"
    assert error(view) < 3
    switch.click()
    assert view.locator("path").first.is_visible()
    assert switch.get_attribute("aria-pressed") == "true"


def test_outlines_keep_their_width(visit):
    view, page, _ = visit(make(outlines=[FIRST], levels=[np.zeros_like(LEVELS[0])]))
    widths = set()
    for times in (0, 2):
        zoom_in(page, times)
        path = view.locator(".hela-cell path").first
        box, inner = path.bounding_box(), 100 * view.bounding_box()["width"] / seen(view)[2]
        widths.add(round(box["width"] - inner))
    assert widths == {4}


def test_same_figure_twice_and_another_one_all_work(visit):
    one, other = make(), make(caption="Another.", outlines=[SECOND])
    _, page, log = visit(one, one, other)
    views = page.locator(".hela-view").all()
    page.get_by_role("button", name="Zoom in").nth(1).click()
    settle(page)
    assert [round(seen(view)[2]) for view in views] == [801, 534, 801]
    views[2].get_by_role("button", name="cell 2").click()
    said = [each.inner_text() for each in page.locator(".hela-chosen").all()]
    assert said[:2] == ["No cell is chosen."] * 2
    assert said[2].startswith("cell 2")
    assert (log.errors, log.remote) == ([], [])


def test_it_follows_the_width_of_the_page(visit):
    view, page, _ = visit(make())
    zoom_in(page, 2)
    before = seen(view)
    page.set_viewport_size({"width": 390, "height": 900})
    settle(page)
    assert seen(view) == pytest.approx(before, abs=2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(visit, scheme):
    view, page, _ = visit(make(), color_scheme=scheme)
    page.locator("summary").click()
    view.get_by_role("button", name="cell 1").click()
    # Pictures inside the page would be copied into the report.
    page.evaluate("for (const image of document.images) image.src = ''")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []


def test_without_javascript_there_are_the_picture_and_the_list(visit):
    view, page, _ = visit(make(), java_script_enabled=False)
    assert view.locator("img").get_attribute("alt") == "Some cells"
    box, of = view.locator("img").bounding_box(), view.bounding_box()
    assert (box["width"], box["height"]) == pytest.approx((of["width"], of["height"]), abs=1)
    assert view.locator("path").first.is_visible()
    assert page.get_by_text("sphericity <0.6>").is_visible()
    assert not page.locator("button").first.is_visible(), "no control that does nothing"
