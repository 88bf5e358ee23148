"""From the nucleus of one slice to that of the next, on slices made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_stack import MIDDLE, SHAPE, drawn_slice, drawn_stack
from scipy import ndimage

from helpers import masks
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.traditional import Constants
from helpers.volume import Rules, next_nucleus, segment_stack
from helpers.volume.rules import Found, Prepared, _core

CONSTANTS = Constants.at(40.0)
ENVELOPE, CYTOPLASM, NUCLEUS = 90.0, 140.0, 150.0
Y, X = np.mgrid[:160, :160]

# The drawn cell has slices without nucleus: what is said of them, test_doubts.py tests.
pytestmark = pytest.mark.filterwarnings("ignore::helpers.traditional.doubts.DoubtWarning")


def ball(radius_px, y=80, x=80):
    return np.hypot(Y - y, X - x) < radius_px


LOBED = ball(30) | ball(16, x=122)


def slice_of(*inside, levels=None, background=None, outside=True) -> Prepared:
    """Make a slice: regions 1, 2, ... with a dark wall of four pixels, all in cytoplasm."""
    smoothed = np.full(Y.shape, CYTOPLASM, np.float32)
    walls = np.logical_or.reduce([ndimage.binary_dilation(mask, iterations=4) for mask in inside])
    smoothed[walls] = ENVELOPE
    regions = np.where(walls | (not outside), 0, len(inside) + 1).astype(np.int32)
    for number, (mask, level) in enumerate(
        zip(inside, levels or [NUCLEUS] * len(inside), strict=True), start=1
    ):
        smoothed[mask], regions[mask] = level, number
    nothing = np.zeros(Y.shape, bool)
    return Prepared(smoothed, regions, nothing if background is None else background)


def step(prepared, votes, *, gap_nm=300.0, nucleus=None, level=NUCLEUS, **rules) -> Found:
    neighbour = Found(votes if nucleus is None else nucleus, votes, level)
    return next_nucleus(prepared, neighbour, gap_nm, CONSTANTS, Rules(**rules), 40.0)


# --- from slice to slice -------------------------------------------------------------------------


def test_the_neighbour_finds_the_nucleus():
    found = step(slice_of(ball(30)), ball(34))
    assert jaccard(found.nucleus, ball(30)) > 0.9
    assert not found.nucleus[~ball(34)].any(), "the wall holds it"
    assert found.level == pytest.approx(NUCLEUS)


def test_an_invagination_stays_out_once_it_opens():
    pocket = ball(9)
    closed = slice_of(ball(34) & ~ball(14), pocket, levels=(NUCLEUS, 147.0))
    channel = pocket | ((np.abs(Y - 80) < 9) & (X > 80) & (X < 125))
    wide = ndimage.binary_dilation(channel, iterations=4)
    opened = slice_of(ball(34) & ~wide, channel, levels=(NUCLEUS, 147.0))
    inner = ball(4)

    found = step(closed, ball(34) & ~ball(12), nucleus=ball(34))
    assert found.nucleus[inner].all(), "as long as it is closed it is filled"
    assert not found.votes[inner].any(), "and has no vote"
    after = step(opened, found.votes, nucleus=found.nucleus)
    assert not after.nucleus[inner].any()
    assert jaccard(after.nucleus, ball(34) & ~wide) > 0.85

    found = step(closed, ball(34), nucleus=ball(34), holes_vote=True)
    assert found.votes[inner].all()
    after = step(opened, found.votes, nucleus=found.nucleus, holes_vote=True, brighter_level=99.0)
    assert after.nucleus[inner].any(), "what the rule is for"


@pytest.mark.parametrize(("level", "taken"), [(165.0, False), (156.0, True), (138.0, True)])
def test_a_region_may_be_darker_but_not_brighter(level, taken):
    lobe = ball(12, x=122)
    found = step(slice_of(ball(24), lobe, levels=(NUCLEUS, level)), LOBED, gap_nm=100.0)
    assert found.nucleus[ball(20)].all()
    assert found.nucleus[ball(6, x=122)].all() == taken
    assert found.nucleus[ball(6, x=122)].any() == taken


def test_grey_levels_can_be_left_aside():
    lobe = ball(12, x=122)
    bright = slice_of(ball(24), lobe, levels=(NUCLEUS, 175.0))
    assert step(bright, LOBED, gap_nm=100.0, brighter_level=np.inf).nucleus[ball(6, x=122)].all()
    dark = slice_of(ball(24), lobe, levels=(NUCLEUS, 125.0))
    assert not step(dark, LOBED, gap_nm=100.0).nucleus[ball(6, x=122)].any()
    assert step(dark, LOBED, gap_nm=100.0, darker_level=np.inf).nucleus[ball(6, x=122)].all()


def test_a_region_that_leaks_is_not_taken():
    leaking = ball(25, x=120) & ~ball(36)
    votes = ball(30) | ball(14, x=120)
    rules = {"gap_nm": 100.0, "core_fraction": 0.0}
    found = step(slice_of(ball(28), leaking), votes, **rules)
    assert found.nucleus[ball(24)].all()
    assert not found.nucleus[ball(5, x=125)].any()
    taken = step(slice_of(ball(28), leaking), votes, inside_fraction=0.0, **rules)
    assert taken.nucleus[ball(5, x=125)].all(), "what the rule is for"


def test_a_region_along_the_rim_needs_a_share_of_the_core():
    """It lies inside the neighbour, and a fifth of it in the core."""
    rim = ball(38) & ~ball(22) & (X > 100)
    prepared = slice_of(ball(17), rim)
    middle = ball(4, x=112)
    assert rim[middle].all()
    assert not step(prepared, ball(41)).nucleus[middle].any()
    assert step(prepared, ball(41), core_fraction=0.0).nucleus[middle].all()


def test_small_islands_are_kept_over_any_gap():
    votes = ball(30, x=60) | ball(8, x=125)
    for gap_nm in (300.0, 3_000.0):
        found = step(slice_of(ball(26, x=60), ball(6, x=125)), votes, gap_nm=gap_nm)
        assert found.nucleus[ball(5, x=125)].all()
        assert found.nucleus[ball(20, x=60)].all()


@pytest.mark.parametrize(("side", "found"), [(2, False), (4, True)])
def test_the_last_specks_are_no_nucleus(side, found):
    speck = np.zeros(Y.shape, bool)
    speck[80 : 80 + side, 80 : 80 + side] = True
    assert step(slice_of(speck), ball(7)).nucleus.any() == found


def test_nothing_grows_into_the_resin():
    resin = X > 112
    open_side = slice_of(ball(30))
    open_side.smoothed[(np.abs(Y - 80) < 15) & (X > 100)] = 200.0
    kept_out = step(replace(open_side, background=resin), ball(31))
    assert not (kept_out.nucleus & resin).any()
    assert not (kept_out.votes & resin).any()
    let_in = step(replace(open_side, background=resin), ball(31), without_background=False)
    assert (let_in.nucleus & resin).any(), "what the rule is for"


@pytest.mark.parametrize("gap_nm", [50.0, 100.0, 200.0])
def test_the_boundary_moves_no_farther_than_its_reach(gap_nm):
    bulge = ball(30) | ((np.abs(Y - 80) < 8) & (X > 80) & (X < 140))
    reach_px = Rules().reach_slope * gap_nm / 40
    found = step(slice_of(bulge), ball(31), gap_nm=gap_nm)
    assert found.nucleus.any()
    assert masks.distance_to(ball(31))[found.nucleus].max() <= 1.03 * reach_px
    anywhere = step(slice_of(bulge), ball(31), gap_nm=gap_nm, reach_slope=np.inf)
    assert anywhere.nucleus[80, 100:138].all()


def test_the_nucleus_ends_where_no_region_qualifies():
    nothing = np.zeros(Y.shape, bool)
    for prepared, votes in (
        (slice_of(ball(30)), nothing),
        (slice_of(nothing), ball(34)),
        (slice_of(nothing, outside=False), ball(34)),
        (slice_of(ball(12, y=25, x=25)), ball(34, x=110)),
    ):
        found = step(prepared, votes, level=147.0)
        assert not found.nucleus.any()
        assert not found.votes.any()
        assert found.level == 147.0


def test_a_level_that_is_not_known_rejects_nothing():
    found = step(slice_of(ball(10)), ball(13), level=float("nan"))
    assert found.nucleus[ball(9)].all()


def test_the_core_of_an_island_is_never_empty():
    votes = ball(30, x=60) | ball(4, x=125)
    shallow, deep = _core(votes, 5.0), _core(votes, 1_000.0)
    assert (deep <= shallow).all()
    assert (shallow <= votes).all()
    assert jaccard(shallow & (X < 100), ball(25, x=60)) > 0.9
    for core in (shallow, deep):
        assert core[80, 60]
        assert core[80, 125]
    at_the_border = X < 20
    assert not _core(at_the_border, 5.0)[:, :3].any(), "the slice's border is one too"
    assert not _core(np.zeros((5, 6), bool), 3.0).any()


@pytest.mark.parametrize(
    ("gaps", "bridge_nm", "found"), [(2, 150.0, True), (4, 150.0, False), (1, 0.0, False)]
)
def test_gaps_are_bridged_up_to_a_height(gaps, bridge_nm, found):
    slope = np.linspace(100, 200, SHAPE[1]).astype(np.uint8)
    has = slices_with_nucleus(np.tile(slope, (SHAPE[0], 1)), gaps, bridge_nm)
    assert all(has[number] for number in range(1, 6))
    assert not any(has[number] for number in range(6, 6 + gaps))
    assert [has[number] for number in range(6 + gaps, 13)] == [found] * (7 - gaps)


@pytest.mark.parametrize("blanks", [1, 2, 4])
def test_blank_slices_are_bridged_however_many(blanks):
    has = slices_with_nucleus(np.full(SHAPE, 150, np.uint8), blanks, 150.0)
    assert all(has.values())


def slices_with_nucleus(filler, count, bridge_nm) -> dict[int, bool]:
    """Put `count` slices of one kind between slices with a nucleus, from 6 on."""
    image = drawn_slice(MIDDLE)[0]
    missing = range(6, 6 + count)
    cell = drawn_stack(range(1, 13), lambda number: filler if number in missing else image)
    cell = replace(cell, voxel_nm=(50.0, 40.0, 40.0))
    rules = Rules(bridge_nm=bridge_nm, median_slices=1)
    run = segment_stack(cell, centre=3, rules=rules, workers=1, progress=False)
    return {number: bool((labels == Label.NUCLEUS).any()) for number, labels in run}


@pytest.mark.parametrize("number", [MIDDLE - 1, MIDDLE + 1])
def test_both_passes_start_from_the_centre(number):
    image = drawn_slice(5)[0]
    elsewhere = np.roll(image, -50, axis=1)

    def cell(centre):
        images = {MIDDLE: image, number: elsewhere}
        stack = drawn_stack(sorted(images), images.__getitem__)
        rules = Rules(median_slices=1)
        return dict(segment_stack(stack, centre=centre, rules=rules, workers=1, progress=False))

    assert (cell(number)[number] == Label.NUCLEUS).any(), "on its own it has one"
    assert not (cell(MIDDLE)[number] == Label.NUCLEUS).any(), "but not where that of the centre is"
