"""The published numbers, recomputed from the published files."""

import pytest
from real_data import need_files, open_sample

from helpers import results
from helpers.data import figures, load_stack
from helpers.results import published, selection
from helpers.settings import Settings, using

CENTRAL = (71, 216)
"""Slices, first and after the last, in which the authors' outputs differ little."""
METHODS = ("image processing", "VGG16", "ResNet18", "Inception-ResNet-v2", "U-Net")


@pytest.fixture(scope="module")
def published_settings(data_dir):
    need_files(data_dir, *published.FIGURES.values())
    return Settings(profile="quick", source="sample", data_dir=data_dir, data_url=None)


@pytest.fixture(scope="module")
def table(published_settings):
    with using(published_settings):
        return results.load_published()


@pytest.mark.parametrize(
    ("window", "digits", "means"),
    [
        ((47, 254), 2, (0.93, 0.90, 0.88, 0.89)),
        ((75, 225), 3, (0.955, 0.931, 0.920, 0.924, 0.759)),
        # U-Net: 0.584 over 29 to 260; on 27 and 28 its curve is 0.
        ((27, 260), 3, (0.825, 0.842, 0.813, 0.823, 0.579)),
    ],
)
def test_published_means(table, window, digits, means):
    found = selection.summary(results.select(table, window=window))["mean"].droplevel(
        ["origin", "run"]
    )
    assert tuple(found[list(METHODS)].round(digits))[: len(means)] == means


def test_published_rows_say_what_they_are(table):
    assert set(table["origin"]) == {"published"}
    assert len(table) == 7 * 300 + 3 * 300 + 4 * 246
    assert table["value"].notna().all()
    assert table["value"].between(0, 1).all()
    unet = table[(table["method"] == "U-Net") & (table["metric"] == "jaccard")]
    assert unet["training"].sum() == 40
    assert unet["present"].sum() == 239
    assert table.loc[table["method"] == "VGG16", "training"].isna().all()
    assert (table.loc[~table["present"], "value"] == 0).all()


def test_curves_can_be_chosen_and_ordered(published_settings):
    with using(published_settings):
        found = results.load_published(["VGG16", "image processing", "none"])
    assert list(found["method"].unique()) == ["VGG16", "image processing"]


def test_test_only_leaves_out_what_may_have_been_trained_on(table):
    found = selection.summary(results.select(table, window=(75, 225), test_only=True))
    assert set(found.index.get_level_values("method")) == {"image processing", "U-Net"}
    assert found["slices"].droplevel(["origin", "run"])["U-Net"] == 151 - 40


def test_a_damaged_figure_is_named(monkeypatch, tmp_path):
    (tmp_path / "figure.fig").write_bytes(b"MATLAB 5.0 no")
    monkeypatch.setattr(published.files, "fetch", lambda *_, **__: tmp_path / "figure.fig")
    with pytest.raises(ValueError, match=r"figure\.fig cannot be read as a MATLAB figure"):
        results.load_published()


@pytest.fixture
def own(published_settings, data_dir, tmp_path):
    """Use the published files, and a results folder of the test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    for each in data_dir.iterdir():
        if each.name != "results":
            (folder / each.name).symlink_to(each)
    with using(published_settings, data_dir=folder):
        yield


def test_another_cell_has_no_recovered_segmentations(own):
    stack = load_stack("phantom")
    with pytest.raises(ValueError, match="no slice that the published figures show"):
        results.evaluate_recovered(stack)


def test_the_authors_later_segmentations_score_above_their_curve(own, table, data_dir):
    stack = open_sample()
    shown = [n for n in stack.slice_numbers if n in figures.PANEL_SLICES]
    need_files(data_dir, *map(figures.panel_figure, shown))
    recovered = results.evaluate_recovered(stack)
    assert set(recovered["origin"]) == {"recovered"}
    assert set(recovered["class"]) == {"nucleus"}
    image_processing = recovered[recovered["method"] == "image processing"]
    found = results.by_slice(results.select(image_processing, window=None)).iloc[:, 0]
    assert set(found.index) <= set(figures.PANEL_SLICES)
    curve = results.by_slice(results.select(table, window=None))["image processing"]
    better_by = found - curve[found.index]
    # The figures are of 2022, a later output than the curve's: the more so the nearer to the ends,
    # .197 on slice 48 and .142 on 251. What the curve was scored against is not recorded.
    assert better_by.min() > 0
    assert found.min() > 0.85
    central = found.index.intersection(range(*CENTRAL))
    assert better_by[central].max() < 0.06
    assert (found[central] > 0.93).all()
