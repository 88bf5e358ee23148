"""Stacks from every source, with and without a network."""

import shutil

import numpy as np
import pytest
from real_data import files_of_slice, need_files, need_slices, open_second_cell

from helpers import data
from helpers.cache import digest_of
from helpers.data import DataError, figures, files, published, sources, whole_cell
from helpers.data.download import Downloads
from helpers.labels import Label
from helpers.phantom.field import PhantomField
from helpers.settings import Settings, using


@pytest.fixture
def real(data_dir) -> Settings:
    return Settings(profile="quick", source="auto", data_dir=data_dir, data_url=None)


@pytest.fixture
def settings(settings):
    with using(settings):
        yield settings


@pytest.fixture
def mirror(mirror):
    with using(mirror):
        yield mirror


def copy_slices(real: Settings, folder, numbers) -> None:
    """Put the files of some sample slices into another data folder."""
    need_slices(real.data_dir, *numbers)
    for number in numbers:
        for name in files_of_slice(number):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(real.data_dir / name, folder / name)


@pytest.fixture
def offline(monkeypatch):
    """Cut the network off."""

    def refuse(*_args, **_kwargs):
        raise DataError("a file", "there is no network", "Connect.")

    monkeypatch.setattr(files, "is_reachable", lambda *_args, **_kwargs: False)
    monkeypatch.setattr(Downloads, "get", refuse)


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_the_phantom(settings):
    assert sources.resolve_source() == "phantom"
    cell = sources.load_stack()
    assert cell.source == "phantom"
    assert "not data" in cell.note()
    assert "trial run" in cell.note()


def test_auto_takes_the_sample_where_it_can_be_downloaded(settings, monkeypatch):
    monkeypatch.setattr(files, "is_reachable", lambda *_args, **_kwargs: True)
    assert sources.resolve_source() == "sample"


def test_auto_takes_the_full_stack_where_it_is(settings, monkeypatch):
    monkeypatch.setattr(whole_cell, "is_full_cached", lambda: True)
    assert sources.resolve_source() == "full"


def test_the_environment_names_the_source_of_auto(settings):
    with using(source="full"):
        assert sources.resolve_source() == "full"
        assert sources.resolve_source("phantom") == "phantom"


def test_unknown_sources_are_refused(settings):
    with pytest.raises(ValueError, match="auto, phantom, sample, full"):
        sources.load_stack("real")


@pytest.mark.usefixtures("offline")
def test_the_sample_without_files_or_network_says_so(settings):
    with pytest.raises(DataError, match="none of its slices"):
        sources.load_stack("sample")


@pytest.mark.usefixtures("offline")
def test_slices_without_files_are_left_out_with_a_warning(real, settings):
    copy_slices(real, settings.data_dir, [71, 170])
    with pytest.warns(UserWarning, match=r"Slices 48, 82, .*260 of the sample are left out"):
        cell = sources.load_stack("sample")
    assert cell.slice_numbers == (71, 170)
    with pytest.raises(ValueError, match="has no slice 82; it has 71, 170"):
        cell.image(82)


def test_the_sample_comes_from_a_mirror(real, mirror, server):
    need_slices(real.data_dir, 71)
    for name in files_of_slice(71):
        server.files[name] = (real.data_dir / name).read_bytes()
    with pytest.warns(UserWarning, match="left out"):
        cell = sources.load_stack("sample")
    assert cell.slice_numbers == (71,)
    assert cell.image(71).shape == (2000, 2000)


@pytest.mark.usefixtures("offline")
def test_a_real_slice_lies_on_its_ground_truth(real, settings):
    copy_slices(real, settings.data_dir, [71, 170])
    with pytest.warns(UserWarning, match="left out"):
        cell = sources.load_stack("sample")
    for number in (71, 170):
        image, truth = cell.image(number), cell.labels(number)
        assert (image.dtype, image.shape) == (np.uint8, (2000, 2000))
        means = {label: image[truth == label].mean() for label in Label}
        # The envelope is the darkest class only where slice and line coincide.
        assert means[Label.NUCLEAR_ENVELOPE] < min(
            means[Label.NUCLEUS], means[Label.CELL], means[Label.BACKGROUND]
        )
        assert means[Label.BACKGROUND] > 185
        several = cell.nuclei(number) == Label.NUCLEUS
        assert np.count_nonzero(several) >= np.count_nonzero(truth == Label.NUCLEUS)
    table = cell.table()
    assert table.loc[170, "native size (px)"] == "2333 x 1750"
    assert table.loc[71, "native pixel (nm)"] == pytest.approx(27.2, abs=0.1)


@pytest.mark.parametrize("number", [71, 82, 118, 151, 170, 215])
def test_published_overlays_lie_on_the_ground_truth(data_dir, real, number):
    figure, _ = need_files(data_dir, figures.panel_figure(number), published.published_name(number))
    overlay = figures.read_overlay(figure, "a")
    with using(real):
        truth = published.published_labels(number) == Label.NUCLEUS
    # 0.985 without the two pixels that the frame hides.
    agreement = np.count_nonzero(overlay & truth) / np.count_nonzero(overlay | truth)
    assert agreement > 0.99


def test_overlays_have_four_panels(tmp_path):
    with pytest.raises(ValueError, match="a, b, c, d"):
        figures.read_overlay(tmp_path / "figure.png", "e")
    with pytest.raises(ValueError, match="cannot be read"):
        figures.read_overlay(tmp_path / "figure.png", "a")


def test_the_phantom_is_a_stack_like_the_others(settings):
    cell = sources.load_stack("phantom")
    number = cell.nearest(24)
    assert cell.image(number).shape == cell.labels(number).shape == cell.shape
    assert cell.nuclei(number).dtype == np.uint8
    assert len(cell.table()) == len(cell)
    with pytest.raises(ValueError, match=r"no slice 0; it has 1 to 48"):
        cell.labels(0)


def test_the_full_stack_reads_single_slices(tmp_path, monkeypatch):
    asked = []

    def read(_path, number):
        asked.append(number)
        return np.full((2000, 2000), number % 256, np.uint8)

    monkeypatch.setattr(whole_cell, "path_of", lambda _cell: tmp_path)
    monkeypatch.setattr(whole_cell, "fetch_full", lambda _cell: tmp_path)
    monkeypatch.setattr(whole_cell, "count_slices", lambda _path: 300)
    monkeypatch.setattr(whole_cell, "read_slice", read)
    cell = sources.load_stack("full")
    assert (len(cell), cell.voxel_nm) == (300, (50.0, 10.0, 10.0))
    assert cell.image(7)[0, 0] == 7
    assert asked == [7]


def test_a_slice_unlike_the_others_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_cell, "path_of", lambda _cell: tmp_path)
    monkeypatch.setattr(whole_cell, "fetch_full", lambda _cell: tmp_path)
    monkeypatch.setattr(whole_cell, "count_slices", lambda _path: 300)
    monkeypatch.setattr(whole_cell, "read_slice", lambda *_a, **_k: np.zeros((5, 5), np.uint8))
    cell = sources.load_stack("full")
    with pytest.raises(ValueError, match=r"slice 9 .* is uint8 \(5, 5\)"):
        cell.image(9)


def test_chapters_show_a_slice_with_a_nucleus(settings):
    cell = sources.load_stack("phantom")
    assert cell.example == 25
    assert cell.some(3) == (1, 25, 48)
    assert cell.some(100) == cell.slice_numbers


def test_the_authors_published_nine_results(real, settings):
    assert figures.authors_result(220) is None
    need_files(real.data_dir, figures.panel_figure(118))
    with using(real):
        mask = figures.authors_result(118)
    assert mask.shape == figures.SHAPE
    assert 0.05 < mask.mean() < 0.3


@pytest.mark.usefixtures("offline")
def test_second_cell_without_its_files_says_so(settings):
    with pytest.raises(DataError, match="second cell"):
        published.second_cell()


def test_second_cell(data_dir):
    cell = open_second_cell(least=1)
    assert len(cell) <= 24
    assert cell.image(cell.slice_numbers[0]).std() > 5
    assert cell.labels(cell.slice_numbers[0]) is None


def test_a_synthetic_field_is_a_stack_like_any_other():
    known = [PhantomField((6, 96, 96), (2500, 320, 320), n_cells=n) for n in (3, 4)]
    stack, other = map(data.phantom_stack, known)
    assert (stack.name, stack.source) == ("a synthetic field, not data", "phantom")
    np.testing.assert_array_equal(stack.labels(3), known[0].labels(3))
    assert digest_of(stack) != digest_of(other)
