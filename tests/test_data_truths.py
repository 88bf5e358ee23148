"""Ground truth of whole slices of the field, and of the whole central cell."""

import numpy as np
import pytest
import scipy.io
from real_data import need_files

from helpers import metrics
from helpers.data import DataError, field_truth, files, truths, whole_cell_truth
from helpers.data.published import published_name, read_label_map
from helpers.labels import Label
from helpers.settings import using

MASK = np.zeros((40, 50), bool)
MASK[5:20, 5:20] = MASK[25:35, 30:45] = True


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Let a file with these variables stand for whichever is asked for, and note its name."""
    asked = []

    def place(**variables):
        path = tmp_path / "truth.mat"
        scipy.io.savemat(path, variables, do_compression=True)
        monkeypatch.setattr(files, "fetch", lambda name: asked.append(name) or path)
        return asked

    return place


def test_the_files_are_published_ones():
    five = [truths._FIVE_CLASSES.format(number) for number in range(1, 301)]
    assert {*truths.FIELD_TRUTHS.values(), *five} <= set(files.names())


@pytest.mark.parametrize(("number", "in_name"), [(31, "030"), (131, "130"), (331, "330")])
def test_a_slice_of_the_field_has_the_file_of_the_number_before(put, number, in_name):
    asked = put(GT=MASK)
    field_truth(number)
    assert asked == [f"hela-unet2/CODE/GroundTruth_8000/Hela_slice_{in_name}_GT.mat"]


@pytest.mark.parametrize("kind", [bool, np.uint8, float])
def test_the_nuclei_of_a_field_are_labels_that_metrics_score(put, kind):
    put(GT=MASK.astype(kind))
    truth = field_truth(31)
    assert truth.dtype == np.uint8
    assert np.array_equal(truth == Label.NUCLEUS, MASK)
    assert np.array_equal(truth == Label.CELL, ~MASK)
    result = truth.copy()
    result[25:35, 30:45] = Label.CELL
    matrix = metrics.confusion_matrix(result, truth)
    assert metrics.jaccard(matrix, Label.NUCLEUS) == 225 / 375


@pytest.mark.parametrize("number", [30, 130, 32, 1, "31"])
def test_other_slices_of_the_field_have_none(number):
    with pytest.raises(ValueError, match="31, 131, 231, 331 have a ground truth"):
        field_truth(number)


def test_the_whole_cell_is_told_from_others(put):
    five = np.full((20, 20), 4, np.uint8)
    five[:5], five[5:15], five[8:12, 8:12], five[9:11, 9:11] = 3, 5, 1, 2
    asked = put(groundTruth=five)
    truth = whole_cell_truth(170)
    assert asked == ["hela-unet2/CODE/GroundTruth_5c/GT_Slice_170.mat"]
    assert np.array_equal(truth, five)
    cell = np.isin(truth, truths.CENTRAL_CELL)
    assert cell.sum() == 10 * 20
    assert metrics.jaccard_of_masks(cell, truth != 4) == 200 / 300


@pytest.mark.parametrize("number", [0, 301])
def test_the_papers_cell_has_300_slices(number):
    with pytest.raises(ValueError, match="1 to 300"):
        whole_cell_truth(number)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"other": MASK}, "GT in it is no map of numbers up to 1"),
        ({"GT": MASK * np.uint8(2)}, "no map"),
        ({"GT": MASK[None]}, "no map"),
        ({"GT": np.array(["a text"])}, "no map"),
    ],
    ids=["name", "numbers", "stack", "text"],
)
def test_a_file_that_is_no_such_map_is_refused(put, variables, said):
    put(**variables)
    with pytest.raises(DataError, match=said) as caught:
        field_truth(31)
    assert "truth.mat" in caught.value.remedy


def test_a_file_that_cannot_be_had_says_so(mirror, server):
    with using(mirror), pytest.raises(DataError, match=r"Hela_slice_130_GT\.mat.*HTTP 404"):
        field_truth(131)


@pytest.mark.parametrize("number", [31, 131, 231, 331])
def test_the_published_nuclei_of_the_field(data_dir, number):
    need_files(data_dir, truths.FIELD_TRUTHS[number])
    with using(data_dir=data_dir, data_url=None):
        truth = field_truth(number)
    assert truth.shape == (8192, 8192)
    assert 0.01 < np.mean(truth == Label.NUCLEUS) < 0.5


@pytest.mark.parametrize("number", [1, 118, 170, 260])
def test_the_published_five_classes_are_the_four_with_the_cell_told_apart(data_dir, number):
    five, four = truths._FIVE_CLASSES.format(number), published_name(number)
    paths = need_files(data_dir, five, four)
    with using(data_dir=data_dir, data_url=None):
        truth = whole_cell_truth(number)
    merged = np.where(truth == 5, np.uint8(Label.CELL), truth)
    assert np.mean(merged == read_label_map(paths[1])) > 0.95
