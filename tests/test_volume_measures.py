"""Volume, surface and sphericity: shapes of known size, and what is no whole nucleus."""

import math
import tracemalloc

import numpy as np
import pytest
from real_data import need_files

from helpers.data import published
from helpers.labels import Label
from helpers.volume.measures import measure_nucleus

PAPER_NM = (50.0, 10.0, 10.0)
SECOND_CELL_NM = (100.0, 10.0, 10.0)
COARSE_NM = (300.0, 40.0, 40.0)


def ellipsoid(radii_um, voxel_nm, *, step=1, margin=6, first=1):
    """Cut an ellipsoid into slices; its centre lies between voxels."""
    radii = np.multiply(radii_um, 1000) / voxel_nm
    shape = (2 * radii + 2 * margin + 1).astype(int)
    centre = shape / 2 + (0.3, 0.2, 0.4)
    z, y, x = (((np.arange(n) - c) / r) ** 2 for n, c, r in zip(shape, centre, radii, strict=True))
    plane = y[:, None] + x
    return [(first + k, plane + z[k] < 1) for k in range(0, shape[0], step)]


def spheroid(polar_um, equatorial_um):
    """Exact volume, surface and sphericity of a spheroid."""
    c, a = polar_um, equatorial_um
    volume = 4 / 3 * math.pi * a * a * c
    if c == a:
        area = 4 * math.pi * a * a
    elif c < a:
        e = math.sqrt(1 - c * c / a / a)
        area = 2 * math.pi * a * a * (1 + (1 - e * e) / e * math.atanh(e))
    else:
        e = math.sqrt(1 - a * a / c / c)
        area = 2 * math.pi * a * a * (1 + c / (a * e) * math.asin(e))
    return volume, area, math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area


def closed(faces):
    """Whether each edge belongs to two triangles, once in each direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    one, other = np.unique(edges, axis=0), np.unique(edges[:, ::-1], axis=0)
    return len(one) == len(edges) and np.array_equal(one, other)


def enclosed(points, faces):
    a, b, c = (points[faces[:, corner]].astype(float) for corner in range(3))
    return abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6


@pytest.mark.parametrize(
    ("polar_um", "equatorial_um", "voxel_nm", "step"),
    [
        (3, 3, PAPER_NM, 1),
        (3, 3, PAPER_NM, 2),
        (3, 3, PAPER_NM, 10),
        (0.5, 0.5, PAPER_NM, 1),
        (3, 3, SECOND_CELL_NM, 1),
        (6, 6, COARSE_NM, 1),
        (3, 3, COARSE_NM, 1),
        (0.5, 0.5, (10, 10, 10), 1),
        (2, 2, (10, 40, 40), 1),
        (2, 2, (50, 13, 17), 1),
        (1, 4, PAPER_NM, 1),
        (6, 2, PAPER_NM, 1),
        (2, 4, SECOND_CELL_NM, 1),
        (4, 8, COARSE_NM, 1),
    ],
)
def test_spheroids_have_their_size(polar_um, equatorial_um, voxel_nm, step):
    radii = (polar_um, equatorial_um, equatorial_um)
    found = measure_nucleus(ellipsoid(radii, voxel_nm, step=step), voxel_nm=voxel_nm)
    volume, area, sphericity = spheroid(polar_um, equatorial_um)
    assert found.volume_um3 == pytest.approx(volume, rel=0.01)
    assert found.surface_um2 == pytest.approx(area, rel=0.02)
    assert found.sphericity == pytest.approx(sphericity, rel=0.02)
    assert found.note == ""


@pytest.mark.parametrize("voxel_nm", [PAPER_NM, COARSE_NM])
def test_ellipsoid_of_three_axes_has_its_size(voxel_nm):
    a, b, c = 5.0, 4.0, 2.5
    found = measure_nucleus(ellipsoid((c, a, b), voxel_nm), voxel_nm=voxel_nm)
    assert found.volume_um3 == pytest.approx(4 / 3 * math.pi * a * b * c, rel=0.01)
    p = 1.6075  # Knud Thomsen's formula, itself within 1.061 %
    mean = ((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3
    assert found.surface_um2 == pytest.approx(4 * math.pi * mean ** (1 / p), rel=0.02)


def test_mesh_for_display_is_closed_in_place_and_within_its_budget():
    radii = (1.5, 2.0, 3.0)
    slices = ellipsoid(radii, PAPER_NM, first=41)
    for budget in (20_000, 3_000):
        found = measure_nucleus(slices, voxel_nm=PAPER_NM, max_triangles=budget)
        assert 0.6 * budget < len(found.faces) <= budget
        assert closed(found.faces)
        assert enclosed(found.vertices_um, found.faces) == pytest.approx(found.volume_um3, rel=0.02)
        extent = np.ptp(found.vertices_um, axis=0)
        assert extent == pytest.approx(2 * np.array(radii), rel=0.03)
        middle = found.vertices_um.min(axis=0) + extent / 2
        curve = found.areas
        assert middle[0] == pytest.approx(np.average(curve.z_um, weights=curve.area_um2), abs=0.05)
        rows, columns = np.nonzero(slices[len(slices) // 2][1])
        assert middle[1:] == pytest.approx([0.01 * rows.mean(), 0.01 * columns.mean()], abs=0.05)


def test_area_curve_has_every_slice_in_order_with_its_height():
    mask = np.zeros((30, 40), bool)
    mask[5:15, 8:28] = True
    empty = np.zeros_like(mask)
    found = measure_nucleus([(9, empty), (7, mask), (8, mask), (6, empty)], voxel_nm=PAPER_NM)
    assert list(found.areas.columns) == ["slice", "z_um", "area_um2"]
    assert found.areas["slice"].tolist() == [6, 7, 8, 9]
    assert found.areas["z_um"].tolist() == pytest.approx([0.25, 0.3, 0.35, 0.4])
    assert found.areas["area_um2"].tolist() == pytest.approx([0, 0.02, 0.02, 0])
    assert found.volume_um3 == pytest.approx(2 * 0.02 * 0.05)


def test_table_names_measures_and_units():
    found = measure_nucleus(ellipsoid((1, 1, 1), PAPER_NM), voxel_nm=PAPER_NM)
    rows = found.table().set_index("measure")
    assert rows["unit"].to_dict() == {
        "volume": "µm³",
        "surface area": "µm²",
        "sphericity": "",
        "scale of the surface": "nm",
        "largest section": "µm²",
        "slices with nucleus": "",
    }
    assert rows.loc["volume", "value"] == found.volume_um3
    assert rows.loc["scale of the surface", "value"] == pytest.approx(50)
    assert rows.loc["largest section", "value"] == pytest.approx(math.pi, rel=0.01)
    assert rows.loc["slices with nucleus", "value"] == 40


def test_labels_count_nucleus_only_and_shuffled_slices_give_the_same():
    slices = ellipsoid((1, 1.5, 1), PAPER_NM)
    labelled = []
    for number, mask in slices:
        labels = np.full(mask.shape, Label.CELL, np.uint8)
        labels[mask] = Label.NUCLEUS
        labels[:2], labels[-2:] = Label.NUCLEAR_ENVELOPE, Label.BACKGROUND
        labelled.append((number, labels))
    expected = measure_nucleus(slices, voxel_nm=PAPER_NM)
    found = measure_nucleus(iter(labelled[::-1]), voxel_nm=PAPER_NM)
    assert found.table().equals(expected.table())
    assert np.array_equal(found.vertices_um, expected.vertices_um)
    assert np.array_equal(found.faces, expected.faces)


def test_finer_scale_finds_more_surface():
    rng = np.random.default_rng(0)
    slices = ellipsoid((2, 2, 2), PAPER_NM, margin=30)
    rough = [(n, np.roll(mask, rng.integers(-12, 13, 2), axis=(0, 1))) for n, mask in slices]
    fine = measure_nucleus(rough, voxel_nm=PAPER_NM)
    smooth = measure_nucleus(rough, voxel_nm=PAPER_NM, smoothing_nm=150)
    assert (fine.smoothing_nm, smooth.smoothing_nm) == (pytest.approx(50), 150)
    assert fine.surface_um2 > smooth.surface_um2 > 4 * math.pi * 4
    assert fine.volume_um3 == smooth.volume_um3


def test_sparse_slices_give_a_volume_and_say_why_there_is_no_surface():
    slices = ellipsoid((3, 3, 3), PAPER_NM)
    chosen = [slices[k] for k in (0, 10, 21, 50, 60, 64, 90, 105, 120, 132)]
    found = measure_nucleus(chosen, voxel_nm=PAPER_NM)
    areas = found.areas
    by_hand = sum(
        (areas.z_um[k + 1] - areas.z_um[k]) * (areas.area_um2[k + 1] + areas.area_um2[k]) / 2
        for k in range(len(areas) - 1)
    )
    assert found.volume_um3 == pytest.approx(by_hand)
    assert found.volume_um3 == pytest.approx(36 * math.pi, rel=0.05)
    assert math.isnan(found.surface_um2)
    assert math.isnan(found.sphericity)
    assert "No surface: neighbouring slices lie 4 to 29 slice distances apart" in found.note
    assert found.vertices_um.shape == found.faces.shape == (0, 3)


def test_one_missing_slice_is_bridged_and_gaps_beyond_the_nucleus_do_not_matter():
    slices = [pair for pair in ellipsoid((2, 2, 2), PAPER_NM) if pair[0] not in (30, 55)]
    slices.append((500, np.zeros_like(slices[0][1])))
    found = measure_nucleus(slices, voxel_nm=PAPER_NM)
    volume, area, _ = spheroid(2, 2)
    assert found.volume_um3 == pytest.approx(volume, rel=0.01)
    assert found.surface_um2 == pytest.approx(area, rel=0.02)
    assert found.smoothing_nm == pytest.approx(50)


def test_ball_cut_by_the_border_has_no_cut_in_its_surface_and_no_sphericity():
    def cap(height_um):
        return math.pi * height_um**2 * (6 - height_um) / 3, 4 * math.pi * height_um

    slices = ellipsoid((2, 2, 2), PAPER_NM)
    assert (len(slices), slices[0][1].shape[1]) == (93, 413)
    # The centre is at voxel 46.8 and, across, 206.9; what is left of it ends at 40 and at 169.5.
    upper = measure_nucleus(slices[:41], voxel_nm=PAPER_NM)
    left = measure_nucleus([(n, m[:, :170]) for n, m in slices], voxel_nm=PAPER_NM)
    for found, height_um, name in (
        (upper, 2 - 6.8 * 0.05, "last slice"),
        (left, 2 - 37.4 * 0.01, "right edge"),
    ):
        volume, area = cap(height_um)
        assert found.volume_um3 == pytest.approx(volume, rel=0.01)
        assert found.surface_um2 == pytest.approx(area, rel=0.02)
        assert math.isnan(found.sphericity)
        assert f"border of the stack ({name})" in found.note
        assert not closed(found.faces)


def test_ball_that_ends_just_before_the_border_is_whole():
    slices = ellipsoid((4, 4, 4), COARSE_NM)
    columns = np.flatnonzero(np.any([mask for _, mask in slices], axis=(0, 1)))
    slices = [(n, mask[:, columns[0] - 1 : columns[-1] + 2]) for n, mask in slices]
    found = measure_nucleus(slices, voxel_nm=COARSE_NM)
    assert found.surface_um2 == pytest.approx(4 * math.pi * 4**2, rel=0.02)
    assert found.sphericity == pytest.approx(1, abs=0.02)


def test_islands_and_holes_are_measured_and_said():
    outer = ellipsoid((2, 2, 2), PAPER_NM)
    volume, area, _ = spheroid(2, 2)
    two = [(n, np.hstack([mask, np.zeros((len(mask), 20), bool), mask])) for n, mask in outer]
    found = measure_nucleus(two, voxel_nm=PAPER_NM)
    assert found.volume_um3 == pytest.approx(2 * volume, rel=0.01)
    assert found.surface_um2 == pytest.approx(2 * area, rel=0.02)
    assert "2 separate bodies are measured together; all but the largest have 50 %" in found.note

    inner = dict(ellipsoid((1, 1, 1), PAPER_NM, margin=0, first=27))
    hollow = []
    for number, mask in outer:
        mask = mask.copy()
        if number in inner:
            hole = inner[number]
            corner = [(n - m) // 2 for n, m in zip(mask.shape, hole.shape, strict=True)]
            mask[tuple(slice(c, c + n) for c, n in zip(corner, hole.shape, strict=True))] &= ~hole
        hollow.append((number, mask))
    found = measure_nucleus(hollow, voxel_nm=PAPER_NM)
    assert found.volume_um3 == pytest.approx(volume * 7 / 8, rel=0.01)
    assert found.surface_um2 == pytest.approx(area * 5 / 4, rel=0.02)
    assert found.note == "Holes inside: 1. Their walls count as surface."


def test_nothing_one_slice_one_pixel_and_everything():
    empty = np.zeros((60, 60), bool)
    found = measure_nucleus([(n, empty) for n in range(1, 5)], voxel_nm=PAPER_NM)
    assert (found.volume_um3, found.surface_um2) == (0, 0)
    assert math.isnan(found.sphericity)
    assert found.note == "No slice has any nucleus."
    assert len(found.areas) == 4
    assert len(found.faces) == 0

    full = ~empty
    found = measure_nucleus([(3, full)], voxel_nm=PAPER_NM)
    assert math.isnan(found.volume_um3)
    assert math.isnan(found.surface_um2)
    assert "give its neighbours too" in found.note

    found = measure_nucleus([(n, full) for n in (1, 2, 3)], voxel_nm=PAPER_NM)
    assert found.volume_um3 == pytest.approx(2 * 0.05 * 0.36)
    assert found.surface_um2 == 0
    assert math.isnan(found.sphericity)
    assert "first slice, last slice, upper edge, lower edge, left edge, right edge" in found.note

    dot = empty.copy()
    dot[30, 30] = True
    found = measure_nucleus([(1, empty), (2, dot), (3, empty)], voxel_nm=PAPER_NM)
    assert found.volume_um3 == pytest.approx(0.05 * 0.01 * 0.01)
    assert found.surface_um2 > 0

    found = measure_nucleus([(1, full[:3, :3]), (2, full[:3, :3])], voxel_nm=PAPER_NM)
    assert math.isnan(found.surface_um2)
    assert "narrower than two slice distances" in found.note


@pytest.mark.parametrize(
    ("slices", "changes", "error", "message"),
    [
        ([], {}, ValueError, "no slices to measure"),
        ([(1, np.zeros((4, 4)))], {}, TypeError, "slice 1 has dtype float64"),
        ([(1, np.zeros((4, 4), np.uint8))], {}, ValueError, "slice 1 has numbers from 0"),
        ([(1.5, np.zeros((4, 4), bool))], {}, TypeError, "slice number is 1.5"),
        ([(-1, np.zeros((4, 4), bool))], {}, ValueError, "numbered from 0 or 1"),
        ([(1, np.zeros((4, 4), bool))] * 2, {}, ValueError, "slice 1 comes twice"),
        (
            [(1, np.zeros((4, 4), bool)), (2, np.zeros((4, 5), bool))],
            {},
            ValueError,
            r"slice 2 has shape \(4, 5\)",
        ),
        ([], {"voxel_nm": (50, 10)}, ValueError, "three lengths"),
        ([], {"voxel_nm": (50, 0, 10)}, ValueError, r"voxel_nm\[1\] is 0"),
        ([], {"max_triangles": 5}, ValueError, "max_triangles is 5"),
        ([], {"smoothing_nm": -1}, ValueError, "smoothing_nm is -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(slices, changes, error, message):
    with pytest.raises(error, match=message):
        measure_nucleus(slices, **{"voxel_nm": PAPER_NM, **changes})


def test_memory_does_not_grow_with_the_size_of_slices_that_have_gone_by():
    def big_slices(count):
        for number in range(1, count + 1):
            mask = np.zeros((1000, 1000), bool)
            mask[400:600, 400:600] = 3 < number < count - 3
            yield number, mask

    peaks = []
    for count in (20, 60):
        tracemalloc.start()
        measure_nucleus(big_slices(count), voxel_nm=PAPER_NM)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 40 * 1_000_000 / 2, "a slice kept whole has 1 MB"


def test_real_nucleus_is_the_same_from_fewer_slices_at_the_same_scale(data_dir):
    need_files(data_dir, *map(published.published_name, range(16, 273, 4)))
    fine, coarse = (
        measure_nucleus(
            ((number, published.published_labels(number)) for number in range(16, 273, step)),
            voxel_nm=published.PAPER_VOXEL_NM,
            smoothing_nm=400,
        )
        for step in (4, 8)
    )
    assert coarse.volume_um3 == pytest.approx(fine.volume_um3, rel=0.01)
    assert coarse.surface_um2 == pytest.approx(fine.surface_um2, rel=0.02)
    marked = fine.areas.loc[fine.areas["area_um2"] > 0, "slice"]
    assert (marked.min(), marked.max()) == (24, 260), "the ground truth has 24 to 262"
