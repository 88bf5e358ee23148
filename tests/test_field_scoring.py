"""A field's results scored: against the authors' whole slices, and against any label maps."""

import cv2
import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

pytest.importorskip("zarr", minversion="3")

from test_field_cells import phantom

from helpers import field as field_room
from helpers import scoring
from helpers.command import BAD_INPUT, app
from helpers.data import phantom_stack, truths
from helpers.field import convert
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks
from helpers.metrics.objects import match_pieces

PIXEL_NM = 40.0


@pytest.fixture(scope="module")
def truth():
    return phantom(1, n_cells=5)


@pytest.fixture(scope="module")
def result(truth, tmp_path_factory):
    """Return the folder of a result: the truth itself, but for a nucleus that slice 4 lacks."""
    out = tmp_path_factory.mktemp("result")
    labels = np.stack([truth.labels(number) for number in truth.slice_numbers])
    pieces, numbered = scoring_pieces(labels[3] == Label.NUCLEUS)
    assert pieces > 2
    labels[3][numbered == 1] = Label.CELL
    convert(labels, out / "classes.zarr", voxel_nm=(600.0, PIXEL_NM, PIXEL_NM))
    return out


def scoring_pieces(mask):
    count, numbered = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return count - 1, numbered


@pytest.fixture
def published(truth, monkeypatch, tmp_path):
    """Let the synthetic field's slices 3 and 4 stand for the ones that the authors drew."""
    for number in (3, 4):
        mask = truth.labels(number) == Label.NUCLEUS
        scipy.io.savemat(tmp_path / f"Hela_slice_{number - 1:03d}_GT.mat", {"GT": mask})
    names = {number: f"Hela_slice_{number - 1:03d}_GT.mat" for number in (3, 4)}
    monkeypatch.setattr(truths, "FIELD_TRUTHS", names)
    monkeypatch.setattr(scoring, "FIELD_SLICES", (len(truth.slice_numbers),))
    monkeypatch.setattr(truths.files, "fetch", lambda name: tmp_path / name)
    return tmp_path


def test_pieces_that_are_one_in_the_truth_and_two_in_the_result():
    truth = np.zeros((20, 40), bool)
    truth[5:15, 5:35] = True
    halves = truth.copy()
    halves[:, 18:22] = False
    assert match_pieces(truth, truth) == (1, 1, 1)
    assert match_pieces(halves, truth) == (1, 2, 0)
    halves[5:15, 18:21] = True
    halves[:, 30:] = False
    assert match_pieces(halves, truth) == (1, 2, 1)


def test_no_pieces_at_all():
    none = np.zeros((5, 5), bool)
    assert match_pieces(none, none) == (0, 0, 0)
    assert match_pieces(none, ~none) == (1, 0, 0)


@pytest.mark.parametrize("form", ["published", "folder"])
def test_a_field_is_scored_against_the_slices_that_the_authors_drew(result, truth, published, form):
    found = scoring.score(result, "published" if form == "published" else published)
    assert found.count == 2
    assert found.doubts == []
    nucleus = found.by_slice.query("`class` == 'nucleus' and metric == 'jaccard'")
    lacking = truth.labels(4) == Label.NUCLEUS
    whole = lacking.copy()
    lacking[scoring_pieces(lacking)[1] == 1] = False
    assert dict(zip(nucleus["slice"], nucleus["value"], strict=True)) == {
        3: 1.0,
        4: pytest.approx(jaccard_of_masks(lacking, whole)),
    }
    assert set(found.by_slice["class"]) == {"nucleus"}  # Cell and background were not drawn.
    rows = found.nuclei.set_index("slice")
    assert rows.loc[3, "true"] == rows.loc[3, "found"] == rows.loc[3, "matched"]
    assert rows.loc[4, "true"] - 1 == rows.loc[4, "found"] == rows.loc[4, "matched"]
    assert "hausdorff_95_nm" in found.table  # the pixel size is the field's


def test_by_the_number_in_its_name_a_truth_would_be_another_slice(result, published):
    """So that the rule that shifts it is seen to matter."""
    taken_at_its_word = scoring.score(result, published, ids="nucleus", pattern=r"slice_(\d+)")
    table = taken_at_its_word.by_slice.query("`class` == 'nucleus' and metric == 'jaccard'")
    assert table["value"].max() < 0.99


def test_a_folder_called_published_is_not_passed_over(result, published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "published").mkdir()
    with pytest.raises(ValueError, match=r"Write \./published"):
        scoring.score(result, "published")


def test_a_part_of_the_field_may_have_other_slices_and_is_doubted(result, published, monkeypatch):
    monkeypatch.setattr(scoring, "FIELD_SLICES", (517, 518))
    assert "no slice numbers of its own" in scoring.score(result, "published").doubts[0]


def test_other_label_maps_score_a_field_too(result, truth):
    found = scoring.score(result, phantom_truth(truth))
    assert found.count == len(truth.slice_numbers)
    assert found.nuclei["true"].sum() == found.nuclei["matched"].sum() + 1
    assert found.table.loc["cell", "jaccard"] > 0.99


def phantom_truth(truth):
    return {number: truth.labels(number) for number in phantom_stack(truth).slice_numbers}


def test_the_command_counts_nuclei(result, published):
    told = CliRunner().invoke(app, ["evaluate", str(result), "published"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    found = scoring.score(result, "published").nuclei
    line = f"{found['matched'].sum()} of {found['true'].sum()} found, 0 that are none"
    assert line in told.output


def test_a_field_that_is_not_the_papers_has_none_of_its_slices(result, published, monkeypatch):
    monkeypatch.setattr(truths, "FIELD_TRUTHS", {331: "none"})
    told = CliRunner().invoke(app, ["evaluate", str(result), "published"])
    assert told.exit_code == BAD_INPUT
    assert "331" in told.output


def test_a_whole_field_is_scored(tmp_path, truth):
    slices = phantom_stack(truth)
    field_room.segment_field(slices, tmp_path / "out")
    found = scoring.score(tmp_path / "out", phantom_truth(truth))
    true, _, both = found.nuclei[["true", "found", "matched"]].sum()
    assert both / true > 0.9
    assert found.table.loc["nucleus", "jaccard"] > 0.9
