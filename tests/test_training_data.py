"""What networks learn from: splits, recipes, prepared slices, patches. Needs no TensorFlow."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data import sources
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.training import (
    Recipe,
    Split,
    class_weights,
    items_of,
    load_slices,
    patch_corners,
)
from helpers.training.prepare import Preparation, Slices, resize_labels
from helpers.training.recipe import FAMILIES

SAMPLE = (71, 82, 118, 151, 170, 215, 260)
CELL = sources.load_stack("phantom")


def distance(split):
    return min(abs(a - b) for a in split.train for b in split.test)


def test_tensorflow_is_not_needed_to_divide_slices():
    code = "import sys, helpers.training; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_papers_split_is_random_60_to_40():
    split = Split.paper(range(1, 301), seed=3)
    assert (len(split.train), len(split.test), split.name) == (180, 120, "paper")
    assert sorted(split.train + split.test) == list(range(1, 301))
    assert split == Split.paper(reversed(range(1, 301)), seed=3)
    assert split != Split.paper(range(1, 301), seed=4)
    assert distance(split) == 1


@pytest.mark.parametrize("seed", range(5))
def test_blocks_keep_test_slices_away_from_training_slices(seed):
    split = Split.blocks(range(1, 301), seed)
    assert len(split.train) == 180
    assert 60 <= len(split.test) <= 120
    assert distance(split) == 6


def test_blocks_fit_every_source():
    phantom = Split.blocks(CELL.slice_numbers)
    assert distance(phantom) >= 2
    assert len(phantom.test) >= 10
    sample = Split.blocks(SAMPLE, seed=1)
    assert sorted(sample.train + sample.test) == list(SAMPLE)
    assert (len(sample.train), len(sample.test)) == (4, 3)


@given(
    numbers=st.sets(st.integers(1, 300), min_size=2, max_size=60),
    seed=st.integers(0, 9),
    gap=st.integers(0, 3),
)
def test_blocks_never_break_their_promise(numbers, seed, gap):
    try:
        split = Split.blocks(numbers, seed, gap=gap)
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return
    assert distance(split) > gap
    assert set(split.train) | set(split.test) <= numbers


def test_slices_can_be_named():
    split = Split(train=(170, 71), test=[82])
    assert (split.train, split.test, split.name) == ((71, 170), (82,), "given")
    with pytest.raises(ValueError, match=r"Slices 71 are in train and in test"):
        Split(train=(71, 82), test=(71,))
    with pytest.raises(ValueError, match=r"train names no slice"):
        Split(train=(), test=(71,))
    with pytest.raises(ValueError, match=r"names a slice twice"):
        Split(train=(71, 71), test=())
    with pytest.raises(ValueError, match=r"1 slices to divide; give at least 2"):
        Split.blocks([7])
    with pytest.raises(ValueError, match=r"fraction is 1.5; it must be between"):
        Split.paper(SAMPLE, fraction=1.5)


def test_recipes_are_the_papers():
    vgg, deeplab, unet = (Recipe.of(name, "paper") for name in ("segnet", "resnet18", "unet"))
    assert Recipe.of("inception", "paper") == deeplab
    assert Recipe.of("skips", "paper") == vgg
    assert (vgg.rate, vgg.l2, vgg.batch, vgg.epochs) == (1e-3, 5e-4, 4, 100)
    assert vgg.rate_at(99, 0.99) == 1e-3
    assert (deeplab.rate, deeplab.l2, deeplab.batch, deeplab.epochs) == (1e-3, 5e-3, 8, 30)
    assert [deeplab.rate_at(epoch, 0) for epoch in (9, 10, 20)] == pytest.approx([1e-3, 3e-4, 9e-5])
    assert (unet.optimiser, unet.rate, unet.batch, unet.epochs) == ("rmsprop", 1e-3, 64, 15)
    assert (unet.reflect, unet.shift_px, unet.patch_px) == (False, 0, 128)
    # The paper's numbers: 4500 are 45 x 100, 660 are 22 x 30, a partial batch dropped.
    assert (vgg.total_steps(180), deeplab.total_steps(180)) == (4500, 660)
    assert {r.image_px for r in (vgg, deeplab)} == {(360, 480)}


def test_a_profile_changes_numbers_alone():
    for family in FAMILIES:
        quick, smoke = (Recipe.of(family, profile) for profile in ("quick", "smoke"))
        assert smoke.steps <= 5
        assert (quick.optimiser, quick.schedule) == ("adam", "cosine")
        assert (
            replace(
                smoke,
                **{
                    name: getattr(quick, name)
                    for name in ("profile", "batch", "steps", "image_px", "validate_every")
                },
                validation_items=quick.validation_items,
            )
            == quick
        )
    assert quick.batch * quick.patch_px**2 == 8 * 128**2
    assert [quick.rate_at(0, at) for at in (0, 0.03, 0.06, 0.53, 1)] == pytest.approx(
        [0, 1e-3, 2e-3, 1e-3, 0]
    )
    # What ends by the clock depends on the machine.
    assert quick.max_minutes is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "give one of them"),
        ({"steps": None}, "give one of them"),
        ({"optimiser": "sgd"}, "optimiser is 'sgd'; allowed are sgdm, adam, rmsprop"),
        ({"rate": float("nan")}, "rate is nan; it must be a number above 0"),
        ({"max_minutes": 0}, "max_minutes is 0"),
        ({"warm_up": 1.0}, "warm_up is 1.0; it must be from 0 to below 1"),
        ({"shift_px": -1}, "shift_px is -1; it must not be below 0"),
        ({"class_weights": (1, 2)}, "give four numbers"),
        ({"validate_every": 0}, "validate_every is 0; it must be at least 1"),
    ],
)
def test_a_recipe_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        replace(Recipe.of("segnet", "quick"), **change)


def test_patches_are_the_papers():
    odd = range(101, 180, 2)
    assert len(patch_corners(1, (2000, 2000), 128)) == 30 * 30
    assert len(patch_corners(len(odd), (2000, 2000), 128)) == 36_000
    assert len(patch_corners(len(range(1, 300, 2)), (2000, 2000), 128)) == 135_000
    corners = patch_corners(2, (200, 130), 64)
    assert corners[1].tolist() == [0, 0, 32]
    assert corners.max(axis=0).tolist() == [1, 128, 64]
    with pytest.raises(ValueError, match=r"patch_px is 256; it must be from 1 to the slice's side"):
        patch_corners(1, (200, 130), 256)


def test_patches_are_cut_where_they_lie():
    slices = Slices(
        (3, 5),
        np.random.default_rng(0).integers(0, 255, (2, 200, 130), dtype=np.uint8),
        np.full((2, 200, 130), 3, np.uint8),
    )
    recipe = replace(Recipe.of("unet", "paper"), patch_px=64)
    items = items_of(slices, recipe)
    images, labels = items.some(10_000)
    assert len(items) == len(images) == len(labels) == 2 * 5 * 3
    np.testing.assert_array_equal(images[-1], slices.images[1, 128:192, 64:128])
    assert len(items.some(4)[0]) == 4
    with pytest.raises(ValueError, match=r"quarter_turns needs a square input; this one is 200 x"):
        items_of(slices, replace(recipe, patch_px=None, quarter_turns=True))


def test_slices_and_labels_stay_together_when_resized():
    number = CELL.example
    seen = load_slices(CELL, [number], Preparation(), shape=(360, 480))
    assert seen.images.shape == seen.labels.shape == (1, 360, 480)
    for label in Label:
        # The centre of each class keeps its place, in parts of the slice.
        centres = [
            np.argwhere(labels == label).mean(axis=0) / labels.shape
            for labels in (seen.labels[0], CELL.labels(number))
        ]
        np.testing.assert_allclose(*centres, atol=2e-3)
    shares = [np.mean(labels == Label.NUCLEUS) for labels in (seen.labels, CELL.labels(number))]
    assert shares[0] == pytest.approx(shares[1], abs=2e-3)


def test_smoothing_is_the_papers_and_scales():
    grain = np.random.default_rng(1).integers(0, 256, (96, 96), dtype=np.uint8)
    ours = Preparation().image(grain, pixel_size_nm=10, shape=(96, 96))
    paper = cv2.GaussianBlur(grain.astype(np.float32), (7, 7), 2, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(ours, np.rint(paper))
    coarse = Preparation().image(grain, pixel_size_nm=40, shape=(96, 96))
    assert ours.std() < coarse.std() < grain.std()
    assert Preparation(pixel_size_nm=20).image(grain, pixel_size_nm=10).shape == (48, 48)


def test_labels_are_never_mixed():
    labels = np.full((50, 50), Label.BACKGROUND, np.uint8)
    labels[:, :20] = Label.NUCLEAR_ENVELOPE
    assert set(np.unique(resize_labels(labels, (33, 47)))) == {1, 4}


def test_either_ground_truth_can_be_learnt():
    number = CELL.example
    one, several = (
        load_slices(CELL, [number], Preparation(), shape=(200, 200), several_nuclei=which)
        for which in (False, True)
    )
    nuclei = [np.count_nonzero(slices.labels == Label.NUCLEUS) for slices in (one, several)]
    assert nuclei[0] < nuclei[1]
    blind = Stack(
        "no truth", "own", (1,), (9, 9), (50, 10, 10), "", "", lambda _: np.zeros((9, 9), np.uint8)
    )
    with pytest.raises(ValueError, match=r"Slice 1 of no truth has no ground truth; networks"):
        load_slices(blind, [1], Preparation())


def test_class_weights():
    labels = np.repeat(np.array([1, 2, 3, 4], np.uint8), [1, 10, 50, 39]).reshape(1, 10, 10)
    slices = Slices((1,), labels, labels)
    recipe = Recipe.of("segnet", "paper")
    np.testing.assert_allclose(
        class_weights(slices, recipe), [24.5, 2.45, 0.49, 24.5 / 39], rtol=1e-6
    )
    softened = class_weights(slices, replace(recipe, class_weights="softened"))
    np.testing.assert_allclose(softened**2, class_weights(slices, recipe), rtol=1e-5)
    uniform = replace(recipe, class_weights="uniform")
    assert class_weights(slices, uniform).tolist() == [1, 1, 1, 1]
    given_ = replace(recipe, class_weights=(5, 1, 1, 2))
    assert class_weights(slices, given_).tolist() == [5, 1, 1, 2]
