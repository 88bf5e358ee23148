"""The turning surface: what the page holds, and how it behaves in a browser."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from browser import touch, visits
from skimage import measure

from helpers.show.surfaces import MAX_TRIANGLES, surface

TETRAHEDRON = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], float)
SIDES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def mesh_of(volume, spacing_um=0.1):
    points, faces, _, _ = measure.marching_cubes(np.pad(volume, 1).astype(np.float32), 0.5)
    return points * spacing_um, faces


def letter():
    """Return an L, seen along the slices: upper left, lower left and lower right filled.

    Its upper slices are the stroke downwards only, so that it is narrower at the top.
    """
    volume = np.zeros((40, 40, 40), bool)
    volume[:, :, :14] = True
    volume[20:, 26:, :] = True
    return mesh_of(volume)


def ball(cells):
    grid = np.indices((cells,) * 3) - (cells - 1) / 2
    return mesh_of((grid**2).sum(axis=0) < (0.45 * cells) ** 2)


def make(mesh=(TETRAHEDRON, SIDES), **changes):
    texts = {"caption": "A solid.", "alt": "Some solid"}
    return surface(*mesh, **{**texts, **changes})


def data_of(html):
    (payload,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload)


def mesh_in(html):
    """Read the mesh back as the page's script does: points (x, y, z) from its corner."""
    data = data_of(html)
    points = np.frombuffer(base64.b64decode(data["points"]), "<u2").reshape(-1, 3)
    faces = np.frombuffer(base64.b64decode(data["faces"]), "<u4" if data["wide"] else "<u2")
    return points * data["step_um"], faces.reshape(-1, 3)


# The page


def test_page_holds_the_mesh_to_a_thousandth_of_a_percent():
    points, faces = letter()
    stored, stored_faces = mesh_in(make((points, faces)).html)
    expected = points[:, ::-1] - points.min(axis=0)[::-1]
    assert np.abs(stored - expected).max() < 1e-5 * np.ptp(points)
    assert {frozenset(face) for face in stored_faces.tolist()} == {
        frozenset(face) for face in faces.tolist()
    }


@pytest.mark.parametrize("turned", [False, True])
def test_triangles_face_outwards_however_they_came(turned):
    points, faces = letter()
    stored, faces = mesh_in(make((points, faces[:, ::-1] if turned else faces)).html)
    a, b, c = (stored[faces[:, corner]] for corner in range(3))
    assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0


def test_twenty_thousand_triangles_stay_under_350_kb():
    mesh = ball(52)
    assert 18_000 < len(mesh[1]) < 22_000
    assert len(make(mesh).html.encode()) < 350_000 * len(mesh[1]) / 20_000


def test_page_is_the_same_each_time_escapes_texts_and_needs_nothing_from_elsewhere():
    shown = make(alt='a < "b"', caption="</script><b>bold</b>")
    assert shown.html == make(alt='a < "b"', caption="</script><b>bold</b>").html
    assert shown._repr_html_() == shown.html
    assert repr(shown) == 'a < "b"'
    assert 'aria-label="a &lt; &quot;b&quot;"' in shown.html
    assert "&lt;/script&gt;&lt;b&gt;bold" in shown.html
    assert "http" not in shown.html
    assert 'id="surface-solid"' in make(name="solid").html
    (one,), (other,) = (
        re.findall(r'<figure[^>]* id="([^"]+)"', make(caption=caption).html)
        for caption in ("One.", "Other.")
    )
    assert one != other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caption": " "}, "text for caption"),
        ({"alt": ""}, "text for alt"),
        ({"name": "a b"}, "name is 'a b'"),
        ({"slice_distance_nm": 0}, "slice_distance_nm is 0"),
        ({"mesh": (TETRAHEDRON[:, :2], SIDES)}, r"vertices_um has shape \(4, 2\)"),
        ({"mesh": (TETRAHEDRON, SIDES[0])}, r"faces has shape \(3,\)"),
        ({"mesh": (TETRAHEDRON, SIDES[:0])}, "no faces"),
        ({"mesh": (TETRAHEDRON * np.nan, SIDES)}, "not finite"),
        ({"mesh": (TETRAHEDRON, SIDES * 1.0)}, "must be integers"),
        ({"mesh": (TETRAHEDRON, SIDES + 1)}, "points 1 to 4; there are 0 to 3"),
        ({"mesh": (TETRAHEDRON, np.tile(SIDES, (MAX_TRIANGLES, 1)))}, "allowed are 50,000"),
        ({"mesh": (TETRAHEDRON * 0, SIDES)}, "extent of the mesh"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


# In a browser


@pytest.fixture
def visit(browser, tmp_path):
    """Open figures in a page; return its canvas, the page and what it complained about."""
    with visits(browser, tmp_path) as visit_page:

        def open_page(*figures, **options):
            page, log = visit_page(*figures, **{"reduced_motion": "reduce", **options})
            settle(page)
            return page.locator("canvas").first, page, log

        yield open_page


def settle(page):
    """Wait until what was asked for is drawn, and drawn sharp."""
    page.wait_for_timeout(350)


def picture(canvas):
    """Read the canvas as (y, x, 4), red, green, blue and opacity."""
    uri = canvas.evaluate("canvas => canvas.toDataURL()")
    encoded = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def press(page, canvas, *keys):
    canvas.focus()
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def extent(mask):
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1], columns[0], columns[-1]


FROM_THE_SIDE = ["ArrowLeft"] * 5 + ["ArrowUp"] * 4  # nearly; the last step goes a little below
FROM_ABOVE = ["ArrowLeft"] * 5 + ["ArrowDown"] * 14


@pytest.mark.parametrize("width_px", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_works_from_a_file(visit, width_px, scheme):
    canvas, page, log = visit(make(letter()), width_px=width_px, color_scheme=scheme)
    assert canvas.get_attribute("aria-label") == "Some solid"
    first = picture(canvas)
    assert (first[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all(), "the page's background shows"
    assert 0.1 < (first[..., 3] > 0).mean() < 0.7
    shades = np.unique(first[first[..., 3] > 0], axis=0)
    assert len(shades) > 3
    assert shades[:, 2].min() > 60, "no face is lost in the dark"

    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 20, steps=3)
    page.mouse.up()
    settle(page)
    dragged = picture(canvas)
    assert not np.array_equal(dragged, first)
    page.mouse.move(*middle)
    settle(page)
    assert np.array_equal(picture(canvas), dragged), "it moves only while the button is down"

    press(page, canvas, "Home")
    assert np.array_equal(picture(canvas), first)
    press(page, canvas, "ArrowRight")
    assert not np.array_equal(picture(canvas), first)
    press(page, canvas, "ArrowLeft", "ArrowUp", "+")
    assert (picture(canvas)[..., 3] > 0).sum() > 1.1 * (first[..., 3] > 0).sum()
    page.get_by_role("button", name="Reset").click()
    settle(page)
    assert np.array_equal(picture(canvas), first)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert (log.errors, log.remote) == ([], [])


def test_view_from_above_is_the_slice_and_slice_one_is_at_the_top(visit):
    canvas, page, _ = visit(make(letter()))
    press(page, canvas, *FROM_ABOVE)
    solid = picture(canvas)[..., 3] > 0
    top, bottom, left, right = extent(solid)
    assert bottom - top == pytest.approx(right - left, rel=0.05)
    inset = (bottom - top) // 8
    assert solid[top + inset, left + inset]
    assert not solid[top + inset, right - inset]
    assert solid[bottom - inset, left + inset]
    assert solid[bottom - inset, right - inset]

    press(page, canvas, "Home", *FROM_THE_SIDE)
    solid = picture(canvas)[..., 3] > 0
    top, bottom, *_ = extent(solid)
    widths = solid.sum(axis=1)
    inset = (bottom - top) // 8
    assert widths[top + inset] < 0.5 * widths[bottom - inset]


def test_scale_bar_is_true_at_any_zoom(visit):
    canvas, page, _ = visit(make(letter()))
    lengths = set()
    for zoom in ([], ["-"] * 4, ["+"] * 3):
        press(page, canvas, "Home", *FROM_ABOVE, *zoom)
        _, _, left, right = extent(picture(canvas)[..., 3] > 0)
        bar = page.locator(".hela-scale")
        length_um = float(bar.inner_text().removesuffix("µm"))
        bar_px = bar.evaluate("bar => parseFloat(bar.style.width)")
        lengths.add((length_um, round(bar_px)))
        on_page = canvas.evaluate("canvas => canvas.clientWidth / canvas.width")
        assert (right - left) * on_page / bar_px * length_um == pytest.approx(4.0, rel=0.02)
    assert len(lengths) == 3


def test_slider_cuts_along_a_slice_and_shows_its_face(visit):
    canvas, page, log = visit(make(letter(), slice_distance_nm=100))
    press(page, canvas, *FROM_ABOVE)

    def faces():
        seen = picture(canvas)
        return ((seen[..., 0] > 200) & (seen[..., 2] < 50)).sum(), (seen[..., 3] > 0).sum()

    slider, said = page.get_by_label("Cut down to"), page.locator("output")
    assert said.inner_text() == "whole"
    cut, whole = faces()
    assert cut == 0
    slider.fill("10")
    settle(page)
    assert said.inner_text() == slider.get_attribute("aria-valuetext") == "slice 11"
    stroke, _ = faces()
    # Above the foot only the stroke is cut: 14 of 40 columns; the foot is seen behind it.
    assert stroke / whole == pytest.approx(14 * 40 / (14 * 40 + 26 * 14), rel=0.05)
    slider.fill("30")
    settle(page)
    all_of_it, shown = faces()
    assert all_of_it == pytest.approx(shown, rel=0.03)
    press(page, canvas, "Home")
    assert said.inner_text() == "whole"
    assert log.errors == []

    canvas, page, _ = visit(make(letter()))
    page.get_by_label("Cut down to").fill("50")
    assert page.locator("output").inner_text() == "2.05 µm", "heights where slices are not known"


@pytest.mark.parametrize("spacing_um", [0.1, 0.07, 0.013])
def test_a_whole_body_shows_no_cut(visit, spacing_um):
    points, faces = ball(24)
    canvas, page, _ = visit(make((points / 0.1 * spacing_um, faces)))
    press(page, canvas, *FROM_ABOVE)
    seen = picture(canvas)
    assert ((seen[..., 0] > 200) & (seen[..., 2] < 50)).sum() == 0


def test_it_turns_by_itself_until_touched_and_not_where_motion_is_unwanted(visit):
    canvas, page, _ = visit(make(letter()), reduced_motion="no-preference")
    first = picture(canvas)
    settle(page)
    assert not np.array_equal(picture(canvas), first)
    page.get_by_role("button", name="Stop").click()
    settle(page)
    stopped = picture(canvas)
    settle(page)
    assert np.array_equal(picture(canvas), stopped)
    page.get_by_role("button", name="Turn").click()
    settle(page)
    assert not np.array_equal(picture(canvas), stopped)
    canvas.click()
    assert page.get_by_role("button", name="Turn").is_visible()

    canvas, page, _ = visit(make(letter()), reduced_motion="reduce")
    first = picture(canvas)
    settle(page)
    assert np.array_equal(picture(canvas), first)


def test_wheel_scrolls_the_page_and_zooms_with_control(visit):
    canvas, page, _ = visit(make(letter()))
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = (picture(canvas)[..., 3] > 0).sum()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -20)
    page.keyboard.up("Control")
    settle(page)
    assert (picture(canvas)[..., 3] > 0).sum() > 1.1 * before
    assert page.evaluate("scrollY") == 0
    page.mouse.wheel(0, 200)
    settle(page)
    assert page.evaluate("scrollY") == 200


def test_fingers_turn_it_zoom_it_and_still_scroll_the_page(visit):
    canvas, page, _ = visit(make(letter()), width_px=390, has_touch=True)
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def move(*moments):
        touch(page, *moments)
        settle(page)

    first = picture(canvas)
    move(*([(x + step, y)] for step in (0, 20, 40, 60)))
    turned = picture(canvas)
    assert not np.array_equal(turned, first)
    move(*([(x - apart, y), (x + apart, y)] for apart in (30, 40, 50, 60)))
    assert (picture(canvas)[..., 3] > 0).sum() > 1.2 * (turned[..., 3] > 0).sum()
    assert page.evaluate("scrollY") == 0
    move(*([(x, y - step)] for step in range(0, 120, 20)))
    assert page.evaluate("scrollY") > 0


def test_same_figure_twice_and_another_one_all_work(visit):
    one, other = make(letter()), make(ball(20), caption="A ball.")
    _, page, log = visit(one, one, other)
    canvases = page.locator("canvas").all()
    pictures = [picture(canvas) for canvas in canvases]
    assert np.array_equal(pictures[0], pictures[1])
    press(page, canvases[1], "ArrowRight")
    assert np.array_equal(picture(canvases[0]), pictures[0])
    assert not np.array_equal(picture(canvases[1]), pictures[1])
    assert (picture(canvases[2])[..., 3] > 0).any()
    assert (log.errors, log.remote) == ([], [])


def test_without_javascript_it_says_what_there_would_be(visit):
    canvas, page, _ = visit(make(), java_script_enabled=False)
    assert not canvas.is_visible()
    assert not page.locator("button").first.is_visible()
    assert "It shows: Some solid" in page.locator("noscript p").inner_text()
    assert page.locator("figcaption").is_visible()
