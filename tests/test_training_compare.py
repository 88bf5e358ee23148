"""What the chapters on pretrained networks share; no TensorFlow needed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_network import small_cell

from helpers import methods, settings
from helpers.labels import Label
from helpers.training import Recipe, compare

CELL = small_cell()


def sample_of(*numbers):
    return replace(CELL, source="sample", slice_numbers=numbers)


def test_sample_is_divided_by_name_and_no_test_slice_is_a_neighbour():
    split = compare.split_of(sample_of(71, 82, 118, 151, 170, 215, 260))
    assert split.train == (71, 118, 170, 215, 260)
    assert split.test == (82, 151)
    whole = compare.split_of(sample_of(48, 71, 82, 118, 121, 151, 170, 215, 220, 251, 260))
    assert whole.test == (48, 82, 151, 251)


def test_a_whole_stack_is_divided_by_blocks():
    assert compare.split_of(CELL).name == "blocks"


def test_slices_are_read_once_and_a_trial_has_few():
    read = []

    def image(number):
        read.append(number)
        return CELL.image(number)

    with settings.using(profile="quick"):
        cell = compare.for_training(replace(CELL, _image=image))
    assert cell.slice_numbers == CELL.slice_numbers
    np.testing.assert_array_equal(cell.image(5), cell.image(5))
    assert read == [5]
    with settings.using(profile="smoke"):
        assert len(compare.for_training(CELL)) == compare.TRIAL_SLICES < len(CELL)


def test_the_papers_epochs_need_its_slices(monkeypatch):
    sample = sample_of(71, 82, 118, 151, 170, 215, 260)
    with settings.using(profile="paper"):
        with pytest.raises(ValueError, match=r"5 slices.*30 steps.*160 of quick.*HELA_SOURCE=full"):
            compare.for_training(sample)
        with pytest.raises(ValueError, match="HELA_FEW_SLICES=1 trains all the same"):
            methods.run_all(sample, methods.METHODS[-1:])
        compare.check_epochs(replace(sample_of(*range(1, 301)), source="full"))
        monkeypatch.setenv("HELA_FEW_SLICES", "1")
        assert compare.for_training(sample).slice_numbers == sample.slice_numbers
    monkeypatch.delenv("HELA_FEW_SLICES")
    with settings.using(profile="quick"):
        compare.check_epochs(sample)


@pytest.mark.parametrize(("profile", "count"), [("smoke", 2), ("quick", 6), ("paper", 40)])
def test_profiles_score_some_or_all(profile, count):
    with settings.using(profile=profile):
        chosen = compare.some_of(tuple(range(1, 41)))
        assert len(chosen) == count
        assert (chosen[0], chosen[-1]) == (1, 40)
        assert compare.some_of((82, 151)) == (82, 151)


def test_smaller_recipe_costs_a_sixth():
    recipe = Recipe.of("segnet", "paper")
    small = compare.smaller(recipe, 180)
    assert small.total_steps(180) == 2 * recipe.total_steps(180) // 3
    assert small.input_shape == (180, 240, 3)
    assert (small.rate, small.batch) == (recipe.rate, recipe.batch)
    assert compare.smaller(Recipe.of("segnet", "smoke"), 5).total_steps(5) == 2


def test_scores_of_the_truth_are_perfect_and_of_half_of_it_are_not():
    truth = CELL.labels(8)
    half = truth.copy()
    rows, columns = np.nonzero(truth == Label.NUCLEUS)
    half[rows[::2], columns[::2]] = Label.CELL
    scores = compare.scores_of({8: truth}, CELL)
    assert scores.loc[8].eq(1).all()
    worse = compare.scores_of({8: half}, CELL).loc[8]
    assert worse["nucleus"] == pytest.approx(0.5, abs=0.01)
    assert worse["nuclear envelope"] == 1 > worse["accuracy"]


def test_tables_name_the_weights():
    record = {
        "weights": "random initialisation",
        "parameters": 17_246_660,
        "steps": 1200,
        "minutes": 2.04,
        "seconds_per_step": 0.517,
    }
    scores = pd.DataFrame({"accuracy": [0.5, 0.7], "nucleus": [0.2, np.nan]}, index=[1, 2])
    table = compare.summary_of([("VGG16", record, scores)])
    assert table.index.tolist() == [("VGG16", "random initialisation")]
    assert table["accuracy"].item() == pytest.approx(0.6)
    assert table["nucleus"].item() == pytest.approx(0.2)
    page = compare.styled(table).to_html()
    for text in ("random initialisation", ">17.2<", ">1,200<", ">2.0<", ">0.52<", ">0.600<"):
        assert text in page


def test_recipes_stand_side_by_side():
    table = compare.recipe_table({p: Recipe.of("unet", p) for p in ("quick", "paper")})
    assert table.loc["length"].tolist() == ["160 steps", "15 epochs"]
    assert table.loc["rate"].tolist() == ["0.002, cosine", "0.001, constant"]
    assert table.loc["input (px)"].tolist() == ["patches of 256", "patches of 128"]
    table = compare.recipe_table({p: Recipe.of("segnet", p) for p in ("quick", "paper")})
    assert table.loc["input (px)"].tolist() == ["192 x 256", "360 x 480"]
    assert table.loc["pretrained encoder"].tolist() == ["kept as it is", "learns"]


def test_the_cost_of_a_training_is_a_sentence():
    record = {
        "network": "unet",
        "weights": "ImageNet",
        "steps": 60,
        "minutes": 1.26,
        "device": "CPU",
        "precision": "float32",
    }
    assert compare.cost_of(record) == (
        "unet, ImageNet: 60 steps in 1.3 minutes, on CPU, in float32."
    )


def test_a_result_is_shown_beside_its_errors():
    result = np.full(CELL.shape, Label.CELL, np.uint8)
    figure = compare.plot_result(CELL, 8, result, source="Source: a test.")
    assert [axis.get_title() for axis in figure.axes] == [
        "slice 8: classes",
        "nucleus: right and wrong",
    ]
    painted = figure.axes[1].images[0].get_array()
    is_nucleus = CELL.labels(8) == Label.NUCLEUS
    grey = np.ptp(painted.astype(int), axis=-1) == 0
    assert not grey[is_nucleus].any()
    assert grey[~is_nucleus].all()
