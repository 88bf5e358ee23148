"""A few strokes: the file, the rule, the forest, the tidying, and the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from drawn_stack import COUNT, MIDDLE, SHAPE, VOXEL_NM, drawn_slice, drawn_stack
from typer.testing import CliRunner

import helpers
from helpers import methods, results, strokes
from helpers.command import BAD_INPUT, app
from helpers.data import phantom_stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks
from helpers.phantom import Phantom
from helpers.strokes import forest
from helpers.strokes.drawn import Stroke
from helpers.strokes.features import grid_of
from helpers.strokes.live import Drawing, draw
from helpers.strokes.stacks import segment_by_strokes

DRAWN_ON = (7, 13, 17)


@pytest.fixture(scope="module")
def cell():
    return phantom_stack(Phantom(shape=(40, 300, 300), voxel_nm=(350, 66.7, 66.7)))


@pytest.fixture(scope="module")
def drawn():
    return strokes.simulate(drawn_stack(), DRAWN_ON, 12, seed=0)


def line(number, label, *points):
    return Stroke(number, label, points)


# The file


def test_strokes_come_back_as_they_were_saved(tmp_path, drawn):
    drawn.save(tmp_path / "strokes.json")
    again = strokes.Strokes.load(tmp_path / "strokes.json")
    assert again == drawn
    assert len((tmp_path / "strokes.json").read_text().splitlines()) == len(drawn) + 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "it must be JSON with"),
        ("{", "it must be JSON with"),
        ('{"shape": [9, 9], "strokes": [{"slice": 1}]}', "stroke 1 .* it needs"),
        (
            '{"shape": [9, 9], "strokes": [{"slice": 1, "class": "nuclei", "points": [[1, 1]]}]}',
            "one of envelope, nucleus, cell, background",
        ),
        (
            '{"shape": [9, 9], "strokes": [{"slice": 1, "class": "cell", "points": []}]}',
            "it has no points",
        ),
        (
            '{"shape": [9, 9], "strokes": [{"slice": 1, "class": "cell", "points": [[1, 9]]}]}',
            "outside of 9 x 9",
        ),
    ],
)
def test_a_file_of_another_form_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / "strokes.json").write_text(content)
    with pytest.raises(ValueError, match=f"(?i){message}"):
        strokes.Strokes.load(tmp_path / "strokes.json")


def test_no_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of strokes"):
        strokes.Strokes.load(tmp_path / "none.json")


def test_strokes_of_other_slices_are_refused(drawn):
    with pytest.raises(ValueError, match="slices 17, which"):
        drawn.check(replace(drawn_stack(), slice_numbers=(7, 13)))
    with pytest.raises(ValueError, match=r"180 pixels, and those of .* have 90 x 90"):
        drawn.check(replace(drawn_stack(), shape=(90, 90)))


def test_pixels_are_those_under_the_line():
    one = strokes.Strokes((40, 40)).add(line(1, Label.CELL, (10.5, 4.5), (10.5, 36.5)))
    rows, columns, labels = one.pixels(1, (20, 20))
    assert set(rows) == {5}
    assert columns.tolist() == [*range(2, 19)]
    assert set(labels) == {Label.CELL}
    dot = strokes.Strokes((40, 40)).add(line(1, Label.NUCLEUS, (39.9, 39.9)))
    assert [each.tolist() for each in dot.pixels(1, (20, 20))] == [[19], [19], [2]]
    assert dot.pixels(2, (20, 20))[0].size == 0


# The rule


def test_simulated_strokes_stay_in_their_class_and_can_be_repeated(drawn):
    grid = grid_of(SHAPE, VOXEL_NM[1])
    assert len(drawn) == 12
    assert {stroke.label for stroke in drawn.strokes} == set(Label)
    for stroke in drawn.strokes:
        known = drawn_slice(stroke.number)[1]
        under = [known[int(y), int(x)] == stroke.label for y, x in stroke.points]
        assert np.mean(under) > 0.8, "but for the rounding to the grid"
        first, last = np.array(stroke.points[0]), np.array(stroke.points[-1])
        assert np.hypot(*(last - first)) * VOXEL_NM[1] <= 3000 + 2 * 50
    assert grid == (128, 144)
    assert strokes.simulate(drawn_stack(), DRAWN_ON, 12, seed=0) == drawn
    assert strokes.simulate(drawn_stack(), DRAWN_ON, 12, seed=1) != drawn
    assert strokes.simulate(drawn_stack(), DRAWN_ON, 20, seed=0).first(12) == drawn


def test_a_slice_without_a_class_gets_no_stroke_of_it():
    def labels(number):
        return np.full(SHAPE, Label.CELL, np.uint8)

    empty = replace(drawn_stack(), _labels=labels)
    assert strokes.simulate(empty, (7,), 8).classes == (Label.CELL,)


def test_the_next_stroke_is_where_the_forest_is_least_sure():
    grid = grid_of(SHAPE, VOXEL_NM[1])
    unsure = np.zeros(grid, np.float32)
    unsure[100, 30] = 1
    stroke = strokes.next_stroke(
        MIDDLE, drawn_slice(MIDDLE)[1], unsure, pixel_size_nm=VOXEL_NM[1], seed=3
    )
    there = (np.array([100, 30]) + 0.5) * np.array(SHAPE) / grid
    assert np.allclose(stroke.points[0], there, atol=0.051)
    y, x = map(int, there)
    assert stroke.label == drawn_slice(MIDDLE)[1][y, x]


# The forest


def test_a_forest_labels_slices_that_nobody_drew_on(drawn):
    found = strokes.train(drawn, drawn_stack())
    scores = []
    for number in (10, 15):
        image, truth = drawn_slice(number)
        labels = found.segment(image)
        assert labels.shape == SHAPE
        assert set(np.unique(labels)) <= set(map(int, Label))
        scores.append(jaccard_of_masks(labels == Label.NUCLEUS, truth == Label.NUCLEUS))
    assert min(scores) > 0.9


def test_a_forest_can_be_repeated(drawn):
    image = drawn_slice(10)[0]
    one, two = (strokes.train(drawn, drawn_stack(), seed=1).probabilities(image) for _ in "ab")
    assert np.array_equal(one, two)
    assert np.allclose(one.sum(axis=-1), 1)


def test_classes_without_strokes_are_not_found(drawn):
    kept = tuple(s for s in drawn.strokes if s.label in (Label.NUCLEUS, Label.CELL))
    found = strokes.train(strokes.Strokes(drawn.shape, kept), drawn_stack())
    likely = found.probabilities(drawn_slice(10)[0])
    assert likely[..., Label.BACKGROUND - 1].max() == 0
    assert set(np.unique(found.label(drawn_slice(10)[0]))) == {Label.NUCLEUS, Label.CELL}


def test_too_few_strokes_say_what_is_missing(drawn):
    only = strokes.Strokes(drawn.shape, tuple(s for s in drawn.strokes if s.label == Label.CELL))
    with pytest.raises(ValueError, match=r"strokes of cell.*one at least on the nucleus"):
        strokes.train(only, drawn_stack())
    with pytest.raises(ValueError, match="strokes of nothing"):
        strokes.train(strokes.Strokes(drawn.shape), drawn_stack())


def test_without_scikit_learn_it_says_what_to_install(drawn, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        strokes.train(drawn, drawn_stack())


def test_tidying_keeps_one_nucleus_and_moves_its_boundary_to_the_membrane():
    image, truth = drawn_slice(MIDDLE)
    rough = truth.copy()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rough[(np.hypot(y - 90, x - 85) > 49) & (rough != Label.BACKGROUND)] = Label.CELL
    rough[5:25, 5:25] = Label.NUCLEUS
    labels = strokes.tidy(rough, image, pixel_size_nm=VOXEL_NM[1])
    assert not (labels[:30, :30] == Label.NUCLEUS).any()
    before, after = (
        jaccard_of_masks(each == Label.NUCLEUS, truth == Label.NUCLEUS) for each in (rough, labels)
    )
    assert before < 0.8
    assert after > 0.95


def test_nothing_found_stays_nothing():
    image = drawn_slice(MIDDLE)[0]
    labels = strokes.tidy(np.full(SHAPE, Label.CELL, np.uint8), image, pixel_size_nm=40)
    assert set(np.unique(labels)) == {Label.CELL}


def test_vgg16_describes_a_slice_by_trained_maps_alone(monkeypatch):
    networks = pytest.importorskip("helpers.networks", reason="networks need TensorFlow")
    from helpers.data import DataError
    from helpers.strokes import features

    features._network.cache_clear()
    monkeypatch.setattr(networks, "resolve_weights", lambda name: None)
    image = drawn_slice(MIDDLE)[0]
    with pytest.raises(DataError, match="random ones describe nothing"):
        strokes.features_of(image, "VGG16", pixel_size_nm=40)
    monkeypatch.undo()
    if networks.resolve_weights("vgg16_unet") is None:
        pytest.skip("no trained weights of VGG16 can be had")
    maps = strokes.features_of(image, "VGG16", pixel_size_nm=40)
    assert maps.shape == (*grid_of(SHAPE, 40), (256 + 512) // 4)
    both = strokes.features_of(image, "both", pixel_size_nm=40)
    assert np.allclose(both[..., -maps.shape[-1] :], maps)
    assert maps.std(axis=(0, 1)).max() > 0


# Stacks, and the command


def test_a_stack_is_labelled_once_and_goes_on_after_a_stop(tmp_path, drawn, monkeypatch):
    stack = replace(drawn_stack(), slice_numbers=(7, 10, 13, 17))
    maps = segment_by_strokes(stack, tmp_path, drawn, progress=False)
    assert maps.numbers == stack.slice_numbers
    before = {number: maps.path(number).read_bytes() for number in maps.numbers}
    maps.path(10).unlink()
    again = segment_by_strokes(stack, tmp_path, drawn, progress=False)
    assert {number: again.path(number).read_bytes() for number in again.numbers} == before
    monkeypatch.setattr(forest.Forest, "segment", lambda *given: pytest.fail("computed"))
    segment_by_strokes(stack, tmp_path, drawn, progress=False)
    with pytest.raises(ValueError, match="strokes"):
        segment_by_strokes(stack, tmp_path, drawn.first(8), progress=False)


def test_labels_of_other_weights_are_not_taken_for_these(tmp_path, drawn, monkeypatch):
    networks = pytest.importorskip("helpers.networks", reason="networks need TensorFlow")
    stack = replace(drawn_stack(), slice_numbers=(7, 13, 17))
    monkeypatch.setattr(forest, "features_of", lambda image, *_, **__: image[..., None] / 1.0)
    monkeypatch.setattr(forest, "grid_of", lambda shape, _: shape)
    monkeypatch.setattr(networks, "resolve_weights", lambda name: "hed")
    segment_by_strokes(stack, tmp_path, drawn, "VGG16", progress=False)
    monkeypatch.setattr(networks, "resolve_weights", lambda name: "imagenet")
    with pytest.raises(ValueError, match="weights"):
        segment_by_strokes(stack, tmp_path, drawn, "VGG16", progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("own")
    for number in range(1, COUNT + 1):
        tifffile.imwrite(top / f"cell_{number:04d}.tif", drawn_slice(number)[0])
    return top


def run(*arguments):
    made = CliRunner().invoke(app, [*map(str, arguments)])
    return made.exit_code, made.output


def test_the_command_takes_strokes(tmp_path, folder, drawn):
    drawn.save(tmp_path / "strokes.json")
    size = ("--voxel-nm", *VOXEL_NM)
    given = ("segment", folder, *size, "--strokes", tmp_path / "strokes.json")
    # Strokes on slices that --every leaves out count all the same.
    code, output = run(*given, "--every", 3, "--out", tmp_path / "out", "--quiet")
    assert code != BAD_INPUT, output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["mode"] == "strokes"
    true_um3 = sum(np.sum(drawn_slice(n)[1] == Label.NUCLEUS) for n in range(1, COUNT + 1))
    true_um3 *= np.prod(VOXEL_NM) / 1e9
    assert summary["volume_um3"] == pytest.approx(true_um3, rel=0.15)
    code, output = run(*given, "--mode", "published", "--out", tmp_path / "other")
    assert code == BAD_INPUT
    assert "no mode or centre" in output
    code, output = run(
        "segment", folder, *size, "--strokes", tmp_path / "no.json", "--out", tmp_path / "x"
    )
    assert code == BAD_INPUT
    assert "no file of strokes" in output


def test_the_call_takes_strokes(tmp_path, drawn):
    found = helpers.segment(drawn_stack(), tmp_path, strokes=drawn, every=4, progress=False)
    number = found.stack.slice_numbers[len(found.stack) // 2]
    truth = drawn_slice(number)[1] == Label.NUCLEUS
    assert jaccard_of_masks(found.maps.read(number) == Label.NUCLEUS, truth) > 0.9


# Beside the other methods


def test_strokes_have_their_row_beside_the_other_methods(cell):
    report = methods.run_all(cell, methods.ALSO[:1], progress=False)
    assert report["state"].tolist() == ["computed"]
    table = results.load_runs()
    assert set(table["method"]) == {"strokes"}
    drawn_on = set(table.loc[table["training"].astype(bool), "slice"])
    record = results.records().iloc[0]
    assert "20 strokes on" in record["split"]
    assert drawn_on
    again = methods.run_all(cell, methods.ALSO[:1], progress=False)
    assert again["state"].tolist() == ["was there"]


def test_what_is_missing_for_strokes_is_said(cell, monkeypatch):
    monkeypatch.setattr(methods.importlib.util, "find_spec", lambda name: None)
    report = methods.run_all(cell, methods.ALSO, progress=False)
    assert report["state"].tolist() == [methods.NO_SKLEARN] * 2


# The drawing area


def test_the_area_learns_from_what_is_drawn(drawn):
    pytest.importorskip("anywidget", reason="the area needs anywidget")
    area = draw(drawn_stack(), (10, 13))
    widget = area.widget
    assert widget.answer == ""
    assert "Draw on the nucleus" in widget.says
    widget.strokes = [[13, 2, [[90.0, 60.0], [90.0, 110.0]]]]
    assert widget.answer == ""
    widget.strokes = [*widget.strokes, [13, 3, [[20.0, 20.0], [20.0, 60.0]]]]
    assert widget.answer.startswith("data:image/webp")
    assert "Slice 13: nucleus" in widget.says
    assert area.strokes.numbers == (13,)
    first = widget.picture
    widget.number = 10
    assert widget.picture != first
    assert "Slice 10: nucleus" in widget.says
    widget.strokes = []
    assert (widget.answer, area.forest) == ("", None)


def test_the_area_begins_with_what_was_saved(drawn):
    pytest.importorskip("anywidget", reason="the area needs anywidget")
    area = draw(drawn_stack(), (10, 13), strokes=drawn)
    assert len(area.widget.strokes) == len(drawn)
    assert "Slice 13: nucleus" in area.widget.says


def test_a_page_without_a_kernel_says_what_would_be_there(monkeypatch):
    monkeypatch.setenv("HELA_STATIC", "1")
    area = draw(drawn_stack(), (10, 13))
    assert isinstance(area, Drawing)
    assert "slices 10, 13" in area._repr_html_()


def test_slices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"does not have the slices \[99\]"):
        draw(drawn_stack(), (13, 99))
