import numpy as np
import pytest
import scipy.io
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from real_data import need_files
from scipy.ndimage import distance_transform_edt
from skimage.metrics import hausdorff_distance
from skimage.segmentation import find_boundaries

from helpers import metrics
from helpers.labels import Label
from helpers.metrics.pixels import Cases

NUCLEUS = Label.NUCLEUS
BOUNDARY_METRICS = ("boundary_f", "hausdorff_95_nm", "average_boundary_distance_nm")

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
label_pairs = shapes.flatmap(
    lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(1, 4))] * 2)
)
mask_pairs = shapes.flatmap(lambda shape: st.tuples(*[arrays(bool, shape)] * 2))


def blobs(seed, shape=(90, 110)):
    """Label map of four classes in smooth patches."""
    rng = np.random.default_rng(seed)
    noise = np.kron(rng.random((4, shape[0] // 10, shape[1] // 10)), np.ones((1, 10, 10)))
    return (noise.argmax(axis=0) + 1).astype(np.uint8)


def disk(centre, radius, shape=(100, 120)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def boundary(mask):
    """Boundary pixels as scikit-image finds them; at the frame it finds none either."""
    return find_boundaries(mask, connectivity=1, mode="inner") & mask


def plain_distances(result, truth, pixel_size_nm):
    """Every distance from every boundary pixel to every other, the slow way."""
    here, there = (np.argwhere(boundary(mask)) for mask in (result, truth))
    all_nm = pixel_size_nm * np.sqrt(((here[:, None] - there[None]) ** 2).sum(axis=2))
    return all_nm.min(axis=1), all_nm.min(axis=0)


@given(label_pairs)
def test_counts_are_those_of_scikit_learn(pair):
    result, truth = pair
    matrix = metrics.confusion_matrix(result, truth)
    expected = sklearn.metrics.confusion_matrix(truth.ravel(), result.ravel(), labels=range(5))
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_allclose(
        metrics.accuracy(matrix), sklearn.metrics.accuracy_score(truth.ravel(), result.ravel())
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed):
    result, truth = blobs(seed), blobs(seed + 100)
    matrix = metrics.confusion_matrix(result, truth)
    for label in Label:
        found, known = (result == label).ravel(), (truth == label).ravel()
        assert known.any()
        for ours, theirs in (
            (metrics.jaccard, sklearn.metrics.jaccard_score),
            (metrics.dice, sklearn.metrics.f1_score),
            (metrics.accuracy_of, sklearn.metrics.accuracy_score),
        ):
            assert ours(matrix, label) == pytest.approx(theirs(known, found), abs=1e-12)
        assert metrics.jaccard_of_masks(found, known) == metrics.jaccard(matrix, label)
        tn, fp, fn, tp = sklearn.metrics.confusion_matrix(known, found).ravel()
        assert metrics.cases(matrix, label) == Cases(tp, fp, fn, tn)


@given(label_pairs, st.permutations(list(Label)))
def test_scores_obey_their_laws(pair, new_names):
    result, truth = pair
    matrix = metrics.confusion_matrix(result, truth)
    np.testing.assert_array_equal(matrix.T, metrics.confusion_matrix(truth, result))
    shuffled = np.random.default_rng(0).permutation(truth.size)
    again = metrics.confusion_matrix(result.ravel()[shuffled], truth.ravel()[shuffled])
    np.testing.assert_array_equal(matrix, again)

    rename = np.array([0, *new_names], dtype=np.uint8)
    renamed = metrics.confusion_matrix(rename[result], rename[truth])
    assert metrics.accuracy(renamed) == metrics.accuracy(matrix)
    assert metrics.accuracy(metrics.confusion_matrix(truth, truth)) == 1
    for label in Label:
        jaccard, dice = metrics.jaccard(matrix, label), metrics.dice(matrix, label)
        assert sum(metrics.cases(matrix, label)) == truth.size
        if not ((truth == label) | (result == label)).any():
            scores = (jaccard, dice, metrics.accuracy_of(matrix, label))
            assert np.isnan(scores).all()
            continue
        assert 0 <= jaccard <= dice <= 1
        assert dice == pytest.approx(2 * jaccard / (1 + jaccard))
        assert metrics.accuracy(matrix) <= metrics.accuracy_of(matrix, label) <= 1
        assert metrics.jaccard(matrix.T, label) == jaccard
        assert metrics.jaccard(renamed, new_names[label - 1]) == jaccard


def test_matrices_of_slices_add_up_to_that_of_the_stack():
    results, truths = (np.stack([blobs(s + more) for s in range(3)]) for more in (0, 50))
    slices = [metrics.confusion_matrix(*pair) for pair in zip(results, truths, strict=True)]
    np.testing.assert_array_equal(sum(slices), metrics.confusion_matrix(results, truths))


def test_class_in_one_picture_only_scores_0_and_in_neither_nan():
    nothing = np.full((20, 20), Label.CELL, np.uint8)
    nucleus = nothing.copy()
    nucleus[5:9, 5:9] = NUCLEUS
    missed = metrics.confusion_matrix(nothing, nucleus)
    invented = metrics.confusion_matrix(nucleus, nothing)
    for matrix in (missed, invented):
        assert metrics.jaccard(matrix, NUCLEUS) == metrics.dice(matrix, NUCLEUS) == 0
        assert metrics.accuracy_of(matrix, NUCLEUS) == metrics.accuracy(matrix) == 1 - 16 / 400
    absent = metrics.confusion_matrix(nothing, nothing)
    for score in (metrics.jaccard, metrics.dice, metrics.accuracy_of):
        assert np.isnan(score(absent, NUCLEUS))
        assert score(absent, Label.CELL) == 1
    assert np.isnan(metrics.accuracy(np.zeros((5, 5), int)))
    empty = np.zeros((3, 3), bool)
    assert np.isnan(metrics.jaccard_of_masks(empty, empty))
    assert metrics.jaccard_of_masks(empty, ~empty) == 0


def test_no_label_in_the_truth_is_left_out_and_in_the_result_wrong():
    truth = np.array([[2, 2, 0, 3]], np.uint8)
    result = np.array([[2, 0, 2, 3]], np.uint8)
    matrix = metrics.confusion_matrix(result, truth)
    assert matrix.sum() == 3
    assert matrix[NUCLEUS, 0] == 1
    assert metrics.cases(matrix, NUCLEUS) == Cases(1, 0, 1, 1)
    assert metrics.accuracy(matrix) == pytest.approx(2 / 3)


def test_inputs_stay_as_they_are_and_may_be_of_any_integer_type_and_order():
    result, truth = blobs(1), blobs(2)
    expected = metrics.confusion_matrix(result, truth)
    before = result.copy(), truth.copy()
    wide = metrics.confusion_matrix(np.asfortranarray(result.astype(np.int64)), truth[:])
    np.testing.assert_array_equal(wide, expected)
    np.testing.assert_array_equal(result, before[0])
    np.testing.assert_array_equal(truth, before[1])


def hausdorff_95(result, truth, *, pixel_size_nm):
    scores = metrics.boundary_scores(result, truth, pixel_size_nm=pixel_size_nm, tolerance_nm=1)
    return scores["hausdorff_95_nm"]


def boundary_f(result, truth, **sizes):
    return metrics.boundary_scores(result, truth, **sizes)["boundary_f"]


@pytest.mark.parametrize("seed", range(4))
def test_boundary_scores_are_those_of_all_distances(seed):
    rng = np.random.default_rng(seed)
    result = disk(rng.integers(30, 70, 2), 18) | disk(rng.integers(20, 80, 2), 9)
    truth = disk(rng.integers(35, 65, 2), 20) & ~disk(rng.integers(40, 60, 2), 5)
    there, back = plain_distances(result, truth, 10)
    assert there.max() > 50
    hausdorff = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hausdorff_95(result, truth, pixel_size_nm=10) == pytest.approx(hausdorff)
    average = metrics.average_boundary_distance(result, truth, pixel_size_nm=10)
    assert average == pytest.approx((there.mean() + back.mean()) / 2)
    # At most all of it: the distance of scikit-image, which has no percentile.
    complete = 10 * hausdorff_distance(boundary(result), boundary(truth))
    assert max(there.max(), back.max()) == pytest.approx(complete)
    for tolerance_nm in (10, 50, 85):
        precision, recall = np.mean(there <= tolerance_nm), np.mean(back <= tolerance_nm)
        ours = boundary_f(result, truth, pixel_size_nm=10, tolerance_nm=tolerance_nm)
        assert ours == pytest.approx(2 * precision * recall / (precision + recall))


def test_shifted_square_is_as_far_as_it_was_shifted():
    truth = np.zeros((80, 80), bool)
    truth[20:60, 20:60] = True
    result = np.roll(truth, 5, axis=1)
    # Of 156 boundary pixels, the 40 that moved out and 30 of the 40 that moved in are 5 px away;
    # the others are nearer to the two sides that moved along themselves.
    assert hausdorff_95(result, truth, pixel_size_nm=8.3) == pytest.approx(5 * 8.3)
    for tolerance_nm, expected in ((5 * 8.3, 1), (5 * 8.3 - 0.1, 86 / 156)):
        score = boundary_f(result, truth, pixel_size_nm=8.3, tolerance_nm=tolerance_nm)
        assert score == pytest.approx(expected)


@given(mask_pairs)
def test_boundary_scores_obey_their_laws(pair):
    result, truth = pair
    sizes = {"pixel_size_nm": 10, "tolerance_nm": 15}
    scores = metrics.boundary_scores(result, truth, **sizes)
    swapped = metrics.boundary_scores(truth, result, **sizes)
    assert scores == pytest.approx(swapped, nan_ok=True)
    edges = [boundary(mask).any() for mask in pair]
    assert np.isnan(scores["boundary_f"]) == (not any(edges))
    assert np.isnan(scores["hausdorff_95_nm"]) == (not all(edges))
    assert np.isnan(scores["average_boundary_distance_nm"]) == (not all(edges))
    if any(edges) and not all(edges):
        assert scores["boundary_f"] == 0
    if all(edges):
        assert 0 <= scores["boundary_f"] <= 1
        doubled = hausdorff_95(result, truth, pixel_size_nm=20)
        assert doubled == pytest.approx(2 * scores["hausdorff_95_nm"])
        same = metrics.boundary_scores(truth, truth, **sizes)
        assert [same[name] for name in BOUNDARY_METRICS] == [1, 0, 0]


def test_frame_of_the_picture_is_no_boundary():
    whole = np.ones((30, 30), bool)
    half = np.zeros((30, 30), bool)
    half[:, :10] = True
    shifted = np.zeros((30, 30), bool)
    shifted[:, :13] = True
    assert np.isnan(hausdorff_95(whole, half, pixel_size_nm=10))
    assert hausdorff_95(half, shifted, pixel_size_nm=10) == 30
    assert metrics.average_boundary_distance(half, shifted, pixel_size_nm=10) == 30


def test_table_has_every_score_and_leaves_out_what_has_no_label():
    result, truth = blobs(3), blobs(4)
    result[result == Label.BACKGROUND] = Label.CELL
    truth[truth == Label.BACKGROUND] = Label.CELL
    truth[:20] = 0
    table = metrics.score_slice(result, truth, pixel_size_nm=10)
    assert list(table.columns) == ["metric", "class", "value"]
    assert len(table) == 1 + 6 * len(Label)
    assert not table.duplicated(["metric", "class"]).any()

    value = table.set_index(["class", "metric"])["value"]
    matrix = metrics.confusion_matrix(result, truth)
    assert value["all", "accuracy"] == metrics.accuracy(matrix)
    assert value["nucleus", "jaccard"] == metrics.jaccard(matrix, NUCLEUS)
    assert value["background"].isna().all()
    assert value[value.index.get_level_values("class") != "background"].notna().all()

    other = result.copy()
    other[:20] = NUCLEUS
    assert metrics.score_slice(other, truth, pixel_size_nm=10).equals(table)
    found, known = (result == NUCLEUS) & (truth > 0), truth == NUCLEUS
    sizes = {"pixel_size_nm": 10, "tolerance_nm": metrics.TOLERANCE_NM}
    expected = metrics.boundary_scores(found, known, **sizes)
    assert value["nucleus"][list(BOUNDARY_METRICS)].to_dict() == expected


@pytest.mark.parametrize(
    ("result", "truth", "error", "words"),
    [
        (np.ones((2, 3), int), np.ones((3, 2), int), ValueError, r"\(2, 3\), truth \(3, 2\)"),
        (np.full((2, 2), 5), np.ones((2, 2), int), ValueError, "result has numbers from 5 to 5"),
        (
            np.ones((2, 2), int),
            np.array([[-1, 2], [2, 2]]),
            ValueError,
            "truth has numbers",
        ),
        (np.ones((2, 2)), np.ones((2, 2), int), TypeError, "float64; allowed are integers"),
        (np.ones((2, 2), int), np.ones((2, 2), bool), TypeError, "jaccard_of_masks"),
    ],
)
def test_wrong_labels_are_refused(result, truth, error, words):
    with pytest.raises(error, match=words):
        metrics.confusion_matrix(result, truth)
    with pytest.raises(error, match=words):
        metrics.score_slice(result, truth, pixel_size_nm=10)


def test_wrong_matrices_and_classes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4\); expected \(5, 5\)"):
        metrics.accuracy(np.ones((4, 4), int))
    for label in (0, 5):
        with pytest.raises(ValueError, match=f"label is {label}; allowed are 1 \\(nuclear"):
            metrics.jaccard(np.ones((5, 5), int), label)


@pytest.mark.parametrize(
    ("masks", "sizes", "error", "words"),
    [
        ((np.ones((2, 2), int),) * 2, (10, 10), TypeError, "allowed is bool"),
        ((np.ones((2, 2), bool), np.ones((2, 3), bool)), (10, 10), ValueError, "must agree"),
        ((np.ones((2, 2, 2), bool),) * 2, (10, 10), ValueError, "slice by slice"),
        ((np.ones((0, 2), bool),) * 2, (10, 10), ValueError, "with pixels"),
        ((np.ones((2, 2), bool),) * 2, (0, 10), ValueError, "pixel_size_nm is 0"),
        ((np.ones((2, 2), bool),) * 2, (10, np.nan), ValueError, "tolerance_nm is nan"),
    ],
)
def test_wrong_masks_and_sizes_are_refused(masks, sizes, error, words):
    pixel_size_nm, tolerance_nm = sizes
    with pytest.raises(error, match=words):
        metrics.boundary_scores(*masks, pixel_size_nm=pixel_size_nm, tolerance_nm=tolerance_nm)


def test_boundaries_of_a_real_slice_are_measured_exactly(data_dir):
    (path,) = need_files(data_dir, "hela-unet2/CODE/GroundTruth_4c/GT_Slice_170.mat")
    truth = scipy.io.loadmat(path)["groundTruth"]
    result = np.roll(truth, (3, 4), axis=(0, 1))
    value = metrics.score_slice(result, truth, pixel_size_nm=10).set_index(["class", "metric"])
    for label in Label:
        edges = [boundary(labels == label) for labels in (result, truth)]
        distances_px = [distance_transform_edt(~to)[of] for of, to in (edges, edges[::-1])]
        scores = value.loc[label.title, "value"]
        expected = 10 * max(np.percentile(each, 95) for each in distances_px)
        assert scores["hausdorff_95_nm"] == pytest.approx(expected)
        expected = 10 * np.mean([each.mean() for each in distances_px])
        assert scores["average_boundary_distance_nm"] == pytest.approx(expected)
    assert value.loc[("nucleus", "hausdorff_95_nm"), "value"] <= 50
