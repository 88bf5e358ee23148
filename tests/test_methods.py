"""All methods with one call: what is computed, what is not computed again, what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import cache, methods, results
from helpers.data import phantom_stack
from helpers.label_maps import LabelMaps
from helpers.phantom import Phantom
from helpers.results.published import CURVES
from helpers.settings import using
from helpers.training.compare import split_of

TRADITIONAL = tuple(each for each in methods.METHODS if each.family is None)
U_NET = next(each for each in methods.METHODS if each.work == "paper_unet")


@pytest.fixture(autouse=True)
def _in_use(settings):
    with using(settings):
        yield


@pytest.fixture(scope="module")
def cell():
    """Draw each slice once, not once a test."""
    drawn = phantom_stack(Phantom(shape=(12, 300, 300)))
    images, labels = (
        {number: read(number) for number in drawn.slice_numbers}
        for read in (drawn.image, drawn.labels)
    )
    return replace(drawn, _image=images.__getitem__, _labels=labels.__getitem__)


def states(report):
    return report.set_index(["method", "run"])["state"].to_dict()


def test_traditional_methods_run_side_by_side_and_not_again(cell):
    first = methods.run_all(cell, TRADITIONAL, progress=False)
    assert set(first["state"]) == {"computed"}
    assert (first["minutes"] > 0).all()

    table = results.load_runs()
    _, slices = methods.slices_of(cell, "smoke")
    for each in TRADITIONAL:
        own = table[(table["method"] == each.method) & (table["run"] == each.run)]
        assert set(own["slice"]) == set(slices)
    costs = results.records().set_index("run")["seconds_per_slice"]
    assert (costs > 0.001).all()

    again = methods.run_all(cell, TRADITIONAL, workers=1, progress=False)
    assert set(again["state"]) == {"was there"}
    after = results.records().set_index("run")["seconds_per_slice"]
    assert after.equals(costs)


def test_the_label_maps_are_those_of_the_method(cell):
    from helpers import traditional

    methods.run_method(TRADITIONAL[0], cell)
    maps = results.label_maps("image processing", "2D", source="phantom")
    assert isinstance(maps, LabelMaps)
    for number in maps.numbers:
        expected = traditional.segment_slice(cell.image(number), pixel_size_nm=cell.pixel_size_nm)
        assert np.array_equal(maps.read(number), expected)


@pytest.mark.parametrize("method", TRADITIONAL[:2], ids=lambda each: each.run)
def test_other_code_is_computed_again(cell, monkeypatch, method):
    assert methods.run_method(method, cell) == "computed"
    code = results.records()["code"].tolist()
    whole = cache._file_meaning
    monkeypatch.setattr(
        cache,
        "_file_meaning",
        lambda path, at: "other" if path.parent.name == "traditional" else whole(path, at),
    )
    assert methods.run_method(method, cell) == "computed"
    assert methods.run_method(method, cell) == "was there"
    assert results.records()["code"].tolist() != code


def test_another_cell_of_the_same_name_is_computed_again(cell):
    """Other pixels, or another ground truth: what was there is not this cell's."""
    darker = replace(cell, _image=lambda number: cell.image(number) // 2)
    corrected = replace(cell, _labels=lambda number: np.roll(cell.labels(number), 9, axis=0))
    for method in TRADITIONAL[:2]:
        found = [methods.run_method(method, each) for each in (cell, cell, darker, darker)]
        assert found == ["computed", "was there", "computed", "was there"]
        methods.run_method(method, cell)
        before = results.load_runs()
        assert methods.run_method(method, corrected) == "computed"
        assert not results.load_runs()["value"].equals(before["value"])


def test_a_label_map_that_is_gone_is_computed_again(cell):
    methods.run_method(TRADITIONAL[1], cell)
    maps = results.label_maps("image processing", "3D", source="phantom")
    lost = maps.numbers[0]
    before = maps.read(lost)
    maps.path(lost).unlink()
    assert methods.run_method(TRADITIONAL[1], cell) == "computed"
    assert np.array_equal(maps.read(lost), before)


def test_label_maps_of_the_third_dimension_are_kept_once(cell, settings):
    methods.run_method(TRADITIONAL[1], cell)
    assert not list((settings.data_dir / "volume").rglob("*.tif"))


def test_without_tensorflow_the_networks_are_left_out_and_say_so(cell, monkeypatch):
    monkeypatch.setattr(methods, "has_tensorflow", lambda: False)
    report = methods.run_all(cell, (TRADITIONAL[0], U_NET), progress=False)
    assert states(report) == {
        ("image processing", "2D"): "computed",
        ("U-Net", "no skips"): methods.NO_TENSORFLOW,
    }
    assert results.records()["method"].tolist() == ["image processing"]


def test_what_a_method_raises_is_raised(cell):
    def broken(number):
        raise OSError(f"slice {number} is damaged")

    with pytest.raises(OSError, match="is damaged"):
        methods.run_all(replace(cell, _image=broken), TRADITIONAL[:1], progress=False)


def test_a_profile_changes_how_many_slices(cell):
    trial, few = methods.slices_of(cell, "smoke")
    assert set(few) <= set(trial.slice_numbers) <= set(cell.slice_numbers)
    assert len(few) == methods.SLICES["smoke"]
    # Of both kinds, so that a trial run shows what a result would.
    assert set(few) & set(split_of(trial).train)
    assert set(few) & set(split_of(trial).test)
    assert methods.slices_of(cell, "paper") == (cell, cell.slice_numbers)


def test_every_method_of_the_paper_has_its_curve():
    names = {each.method for each in methods.METHODS}
    assert names == {c.method for c in CURVES if not c.method.startswith("later")}


def test_a_network_is_trained_scored_and_not_trained_again(cell, monkeypatch):
    pytest.importorskip("tensorflow", reason="networks need TensorFlow")
    import helpers.training

    texts = []
    assert methods.run_method(U_NET, cell, report=texts.append) == "computed"
    assert "step 1" in texts
    record = results.records().iloc[0]
    assert record["training_minutes"] > 0
    assert record["weights"] == "random initialisation"
    trained = set(record["training_slices"])
    assert trained
    table = results.load_runs()
    assert set(table.loc[table["training"], "slice"]) <= trained
    assert not set(table.loc[~table["training"], "slice"]) & trained

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(helpers.training, "train", never)
    assert methods.run_method(U_NET, cell) == "was there"
    with pytest.raises(AssertionError, match="trained again"):
        methods.run_method(U_NET, cell, seed=1)
