"""The grid of configurations that the paper tried. Needs TensorFlow."""

from dataclasses import replace

import pandas as pd
import pytest
from tiny_network import KERAS_WARNING, small_cell

from helpers.training import Recipe, Split, compare
from helpers.training.compare import LOOKS, PAPER_GRID, Configuration

pytestmark = KERAS_WARNING

FOUND = pd.DataFrame(
    [
        {"layers": layers, "optimiser": name, "patch_px": size, "epochs": e, "accuracy": e / 20}
        for layers, name, size in ((10, "adam", 64), (20, "adam", 64), (20, "sgdm", 128))
        for e in (5, 10, 15)
    ]
)


def test_the_grid_has_what_the_paper_tried():
    assert len(set(PAPER_GRID)) * LOOKS == 54
    assert {each.layers for each in PAPER_GRID} == {10, 15, 20}
    assert {each.patch_px for each in PAPER_GRID} == {64, 128}


def test_each_training_is_looked_at_after_each_third(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'helpers[networks]'")
    folders = iter(range(9))
    train = compare.train
    monkeypatch.setattr(
        compare,
        "train",
        lambda *arguments, **options: train(
            *arguments, tmp_path / str(next(folders)), progress=False, **options
        ),
    )
    # Of 120 x 120 pixels there are 5 x 5 patches of 40 a slice: 3 steps an epoch.
    recipe = replace(Recipe.of("unet", "paper"), epochs=3, batch=8, patch_px=40, validation_items=4)
    configurations = [Configuration(10, "adam", 40), Configuration(20, "sgdm", 40)]
    table = compare.run_grid(small_cell(), Split((8,), (12,)), recipe, configurations)
    assert len(table) == LOOKS * len(configurations)
    assert table["layers"].tolist() == [10] * 3 + [20] * 3
    for _, one in table.groupby("layers"):
        assert one["epochs"].round(1).tolist() == pytest.approx([1, 1.9, 2.9], abs=0.1)
        assert one["minutes"].is_monotonic_increasing
    assert table["accuracy"].between(0, 1).all()
    assert table["accuracy"].nunique() > 1


def test_a_rate_that_changes_is_refused():
    recipe = replace(Recipe.of("unet", "paper"), schedule="cosine")
    with pytest.raises(ValueError, match="the grid needs 'constant'"):
        compare.run_grid(None, None, recipe)


def test_the_figure_has_a_panel_a_patch_size_and_a_line_a_configuration():
    figure = compare.plot_grid(FOUND)
    assert [axis.get_title() for axis in figure.axes] == ["patches of 64", "patches of 128"]
    assert [len(axis.lines) for axis in figure.axes] == [2, 1]
    colours = {line.get_color().tobytes() for line in figure.axes[0].lines}
    assert len(colours) == 1
    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 2
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["adam", "sgdm", "10 layers", "20 layers"]
