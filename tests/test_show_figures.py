"""Figures and painted slices."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import show
from helpers.labels import PALETTE, Label
from helpers.show.figures import COMPARE_ALPHA

GREY = np.full((200, 300), 120, dtype=np.uint8)


def disk(y, x, radius):
    rows, columns = np.ogrid[:200, :300]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def draw(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure


def is_colour(image, colour):
    return (image == np.array(colour, dtype=np.uint8)).all(axis=-1)


# Rows of images


def test_row_has_titles_a_scale_bar_on_the_first_and_no_open_figure():
    labels = np.full((200, 300), Label.CELL, dtype=np.uint8)
    figure = show.row(
        [GREY, labels], ["slice", "truth"], kind=["image", "labels"], pixel_size_nm=10
    )
    first, second = draw(figure).axes
    assert [axis.get_title() for axis in figure.axes] == ["slice", "truth"]
    assert (len(first.artists), len(second.artists)) == (1, 0)
    bar = first.artists[0]
    assert bar.txt_label.get_text() == "0.5 µm"
    assert bar.size_bar.get_children()[0].get_width() == pytest.approx(50)  # px of 10 nm
    assert tuple(second.images[0].get_array()[0, 0]) == PALETTE[Label.CELL]
    assert first.images[0].get_clim() == (0, 255)
    assert plt.get_fignums() == []


def test_long_row_becomes_a_grid_without_empty_frames():
    figure = draw(show.row([GREY] * 5, list("abcde")))
    assert sum(axis.axison for axis in figure.axes) == 0
    tops = [round(axis.get_position().y1, 3) for axis in figure.axes[:5]]
    assert len(set(tops[:3])) == len(set(tops[3:])) == 1
    assert tops[3] < tops[2]


@pytest.mark.parametrize(
    ("count", "columns", "grid"),
    [(1, None, (1, 1)), (3, None, (1, 3)), (4, None, (2, 2)), (4, 4, (1, 4)), (2, 5, (1, 2))],
)
def test_grid_of_panels(count, columns, grid):
    figure = show.row([GREY] * count, ["a"] * count, columns=columns)
    assert figure.axes[0].get_gridspec().get_geometry() == grid


@pytest.mark.parametrize(
    ("images", "titles", "kind", "message"),
    [
        ([], [], "image", "at least one"),
        ([GREY], ["a", "b"], "image", "1 images, 2 titles"),
        ([GREY], ["a"], ["image", "labels"], "2 kinds"),
        ([GREY], ["a"], "label", "allowed are 'image' and 'labels'"),
    ],
)
def test_bad_row_is_refused(images, titles, kind, message):
    with pytest.raises(ValueError, match=message):
        show.row(images, titles, kind=kind)


def test_note_and_legend_lie_outside_the_panels():
    long_note = "Source: a long name of a data set; profile: quick. " * 6
    figure = draw(show.row([GREY, GREY], ["a", "b"], key=show.COMPARE_COLOURS, source=long_note))
    panels = [axis.get_tightbbox() for axis in figure.axes]
    note, names = figure._supxlabel.get_window_extent(), figure.legends[0].get_texts()
    assert note.y1 <= min(box.y0 for box in panels)
    assert note.x1 <= figure.bbox.x1
    assert note.y0 >= -1
    assert min(text.get_window_extent().y0 for text in names) > max(box.y1 for box in panels)
    assert [text.get_text() for text in names] == [*show.COMPARE_COLOURS]
    alone = draw(show.row([GREY, GREY], ["a", "b"])).axes[0]
    assert figure.axes[0].get_window_extent().width >= 0.97 * alone.get_window_extent().width


def test_figure_of_a_chapter_has_the_style_and_the_source_and_is_shown_once():
    before = dict(plt.rcParams)
    figure, axes = show.subplots(1, 2, figsize=(6, 3), source="Source: phantom")
    assert plt.get_fignums() == []
    assert figure.get_supxlabel() == "Source: phantom"
    assert axes[0].title.get_fontsize() == 12
    assert figure.get_constrained_layout()
    assert dict(plt.rcParams) == before
    plain, _ = show.subplots(1, 2, figsize=(6, 3))
    assert figure.get_figheight() > plain.get_figheight() == 3
    assert plain.get_supxlabel() == ""


# Painted slices


def test_outlines_follow_the_edges_in_their_own_colours():
    centres = {"result": 90, "truth": 220}
    painted = show.outline(GREY, {name: disk(100, x, 50) for name, x in centres.items()})
    for x, colour in zip(centres.values(), show.OUTLINE_COLOURS, strict=False):
        rows, columns = np.nonzero(is_colour(painted, colour))
        distances = np.hypot(rows - 100, columns - x)
        assert 48 < distances.min() < distances.max() < 52
        directions = np.round(np.degrees(np.arctan2(rows - 100, columns - x)) / 5)
        assert len(set(directions)) == 73, "closed: a point every 5 degrees from -180 to 180"
    assert (painted[100, 90] == 120).all()
    assert (GREY == 120).all(), "the slice itself must not change"


def test_outlines_get_wider_with_the_slice():
    large = np.zeros((2000, 2000), np.uint8)
    mask = np.zeros_like(large, dtype=bool)
    mask[500:1500, 500:1500] = True
    column = is_colour(show.outline(large, {"a": mask}), show.OUTLINE_COLOURS[0])[1000, :1000]
    assert column.sum() == 12  # 2000 / 360 px to each side


def test_outlines_include_holes_and_allow_an_empty_mask():
    ring = disk(100, 150, 60) & ~disk(100, 150, 20)
    painted = is_colour(show.outline(GREY, {"a": ring}), show.OUTLINE_COLOURS[0])
    assert painted[100, 125:135].any()
    assert (show.outline(GREY, {"a": np.zeros_like(ring)}) == 120).all()


def test_bad_outlines_are_refused():
    with pytest.raises(ValueError, match=r"truth has shape \(3, 3\)"):
        show.outline(GREY, {"truth": np.ones((3, 3), bool)})
    with pytest.raises(ValueError, match="8 masks and only 7 colours"):
        show.outline(GREY, {str(n): GREY > 0 for n in range(8)})
    with pytest.raises(ValueError, match="must be uint8"):
        show.outline(GREY / 255, {})


def test_overlay_tints_masks_classes_and_regions():
    mask = disk(100, 150, 40)
    orange = np.array(show.OUTLINE_COLOURS[0])
    tinted = show.overlay(GREY, mask, alpha=0.5)
    np.testing.assert_array_equal(tinted[100, 150], np.rint((120 + orange) / 2))
    assert (tinted[~mask] == 120).all()

    classes = np.where(mask, Label.NUCLEUS, 0).astype(np.uint8)
    assert tuple(show.overlay(GREY, classes, alpha=1)[100, 150]) == PALETTE[Label.NUCLEUS]
    regions = np.where(mask, 1, 2).astype(np.int32)
    regions[0, 0] = 0
    painted = show.overlay(GREY, regions, alpha=1)
    assert tuple(painted[100, 150]) == show.OUTLINE_COLOURS[0]
    assert tuple(painted[0, 1]) == show.OUTLINE_COLOURS[1]
    assert (painted[0, 0] == 120).all()


def test_bad_overlay_is_refused():
    with pytest.raises(ValueError, match="alpha is 2"):
        show.overlay(GREY, GREY > 0, alpha=2)
    with pytest.raises(ValueError, match="must be bool or integers"):
        show.overlay(GREY, GREY / 2)


def test_compare_colours_every_pixel_by_its_outcome():
    result, truth = disk(100, 120, 60), disk(100, 180, 60)
    painted = show.compare(GREY, result, truth)
    assert (painted[~result & ~truth] == 120).all()
    for name, where in {
        "true positive": result & truth,
        "false positive": result & ~truth,
        "false negative": ~result & truth,
    }.items():
        alpha, colour = COMPARE_ALPHA[name], np.array(show.COMPARE_COLOURS[name])
        expected = np.rint((1 - alpha) * 120 + alpha * colour)
        assert (painted[where] == expected).all(), name
    with pytest.raises(ValueError, match="truth has shape"):
        show.compare(GREY, result, truth[1:])


# Parts of slices


@pytest.mark.parametrize("center", [(0, 0), (59, 3), (30.4, 79.9), (30, 40)])
def test_a_square_lies_inside_the_slice(center):
    rows, columns = show.square_around(center, 0.4, shape=(60, 80), pixel_size_nm=10)
    assert np.zeros((60, 80))[rows, columns].shape == (40, 40)
    assert 0 <= rows.start <= rows.stop <= 60
    assert 0 <= columns.start <= columns.stop <= 80


def test_a_square_around_a_place_in_the_middle_has_it_in_the_middle():
    rows, columns = show.square_around((30, 40), 0.2, shape=(60, 80), pixel_size_nm=10)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (20, 40, 30, 50)


def test_a_square_wider_than_the_slice_is_cut():
    rows, columns = show.square_around((30, 40), 50, shape=(60, 80), pixel_size_nm=10)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (0, 60, 10, 70)


def test_a_square_without_a_pixel_is_an_error():
    with pytest.raises(ValueError, match="no pixel of 100 nm"):
        show.square_around((30, 40), 0.01, shape=(60, 80), pixel_size_nm=100)


def test_lines_become_wider_in_large_pictures_only():
    for side, width in ((400, 1), (1000, 3), (2000, 5)):
        mask = np.zeros((side, side), bool)
        mask[side // 2] = True
        assert show.thicken(mask).sum() == width * side


def test_warnings_are_boxes_where_no_site_gives_them_a_style(monkeypatch):
    monkeypatch.setenv("HELA_STATIC", "0")
    assert "border: 1px solid" in show.warning_box("Not data", "Drawn.").html
    monkeypatch.setenv("HELA_STATIC", "1")
    box = show.warning_box("<Not> data", "Drawn.").html
    assert "border" not in box
    assert '<p class="admonition-title">&lt;Not&gt; data</p>\n<p>Drawn.</p>' in box
