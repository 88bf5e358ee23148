"""Label maps of others: a perfect map scores 1 in each form, or is asked for what it means."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_data_formats import hdf5, matlab, matlab_73, nifti, npy, npz, nrrd, zarr_array

from helpers import results
from helpers.data import open_labels, open_stack
from helpers.labels import PALETTE, PALETTES, Label, colourise
from helpers.settings import using

SHAPE = (6, 20, 30)  # that of test_data_formats
TRUTH = np.full(SHAPE, Label.CELL, np.uint8)
TRUTH[:, :3] = Label.BACKGROUND
TRUTH[:5, 6:15, 8:22] = Label.NUCLEAR_ENVELOPE
TRUTH[:5, 7:14, 9:21] = Label.NUCLEUS
NUCLEUS = TRUTH == Label.NUCLEUS
INSTANCES = np.where(NUCLEUS, 17, 0).astype(np.int32)
INSTANCES[:, 1:4, 24:28] = 5  # a neighbour
ZERO_BASED = {0: 1, 1: 2, 2: 3, 3: 4}


def renumbered():
    """Return instances with other numbers in each slice, as of programs that see one at a time."""
    maps = INSTANCES.copy()
    for place, each in enumerate(maps):
        each[INSTANCES[place] == 17] = 3 + place
        each[INSTANCES[place] == 5] = 20 - place
    return maps


@pytest.fixture
def stack(settings):
    with using(settings):
        yield open_stack(TRUTH * 50, voxel_nm=(50, 10, 10), labels=TRUTH, name="toy")


def png(folder, maps):
    for number, each in enumerate(maps, start=1):
        Image.fromarray(each).save(folder / f"z{number}.png")
    return folder


def palette_png(folder, maps):
    for number, each in enumerate(maps, start=1):
        picture = Image.fromarray(each).convert("P")
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
        picture.frombytes(each.tobytes())
        picture.save(folder / f"z{number}.png")
    return folder


def tiff(folder, maps):
    tifffile.imwrite(folder / "maps.tif", maps, photometric="minisblack")
    return folder / "maps.tif"


def colour_tiff(folder, maps):
    tifffile.imwrite(folder / "maps.tif", maps, photometric="rgb")
    return folder / "maps.tif"


def itself(folder, maps):
    return maps


def by_number(folder, maps):
    return dict(enumerate(maps, start=1))


def as_stack(folder, maps):
    return open_stack(maps, voxel_nm=(50, 10, 10))


COLOURED = np.stack([colourise(each) for each in TRUTH])
VAST = np.where(NUCLEUS[..., None], (200, 30, 9), (0, 0, 0)).astype(np.uint8)
READ = {  # how it is written, the maps, and ids
    "four classes, PNG": (png, TRUTH, None),
    "four classes, a palette": (palette_png, TRUTH, None),
    "four classes, TIFF": (tiff, TRUTH, None),
    "four classes, array": (itself, TRUTH, None),
    "four classes, int64": (itself, TRUTH.astype(np.int64), None),
    "four classes, double": (itself, TRUTH.astype(float), None),
    "four classes, by number": (by_number, TRUTH, None),
    "four classes, a Stack": (as_stack, TRUTH, None),
    "four classes, .npy": (npy, TRUTH, None),
    "four classes, .npz": (npz, TRUTH, None),
    "four classes, MATLAB 5": (matlab, TRUTH.astype(float), None),
    "four classes, MATLAB 7.3": (matlab_73, TRUTH, None),
    "four classes, NRRD": (nrrd, TRUTH, None),
    "four classes, NIfTI": (nifti, TRUTH, None),
    "four classes, HDF5": (hdf5(), TRUTH, None),
    "four classes, Zarr": (zarr_array(2), TRUTH, None),
    "the book's colours": (colour_tiff, COLOURED, None),
    "bool": (itself, NUCLEUS, "nucleus"),
    "0/1, TIFF": (tiff, NUCLEUS.astype(np.uint8), "nucleus"),
    "0/255, PNG": (png, NUCLEUS * np.uint8(255), "nucleus"),
    "0/255 in a table": (png, NUCLEUS * np.uint8(255), {255: Label.NUCLEUS, 0: Label.CELL}),
    "from 0, as nnU-Net": (nifti, TRUTH - np.uint8(1), ZERO_BASED),
    "instances, as Cellpose": (itself, INSTANCES, "instances"),
    "instances, 16 bit TIFF": (tiff, INSTANCES.astype(np.uint16), "instances"),
    "instances, numbered by slice": (itself, renumbered(), "instances"),
    "colours, as VAST": (
        colour_tiff,
        VAST,
        {(200, 30, 9): Label.NUCLEUS, "#000000": Label.CELL},
    ),
}


def is_whole(ids, form):
    return ids is None or ids == ZERO_BASED


@pytest.mark.parametrize("form", READ)
def test_a_perfect_map_scores_1(stack, tmp_path, form):
    write, maps, ids = READ[form]
    for library in ("nrrd", "nibabel", "h5py", "zarr"):
        if library[:4].lower() in write.__name__ or "HDF5" in form or "7.3" in form:
            pytest.importorskip(library)
    where = write(tmp_path, maps)
    classes = None if is_whole(ids, form) or isinstance(ids, str) else [Label.NUCLEUS]
    table = results.evaluate(where, stack, "theirs", ids=ids, classes=classes)
    jaccard = table.query("metric == 'jaccard'").dropna(subset=["value"])
    assert set(jaccard["slice"]) >= {1, 2, 3, 4, 5}
    assert (jaccard["value"] == 1).all()
    wanted = (
        {"nucleus"} if isinstance(ids, str) or not is_whole(ids, form) else set(jaccard["class"])
    )
    assert set(jaccard["class"]) == wanted

    # The same forms are ground truth.
    opened = open_stack(TRUTH * 50, voxel_nm=(50, 10, 10), labels=where, ids=ids)
    for number in opened.slice_numbers:
        found = opened.labels(number)
        np.testing.assert_array_equal(found == Label.NUCLEUS, NUCLEUS[number - 1])
        if is_whole(ids, form):
            np.testing.assert_array_equal(found, TRUTH[number - 1])


SPARSE = np.where(NUCLEUS, 4, 0).astype(np.uint8)
ASKED = {
    "0/1": (NUCLEUS.astype(np.uint8), r"numbers 0, 1; .*ids='nucleus'"),
    "bool": (NUCLEUS, r"numbers 0, 1; .*ids='nucleus'"),
    "0/255": (NUCLEUS * np.uint8(255), r"numbers 0, 255; .*ids='nucleus'.*ids=\{0: \.\.\., 255"),
    "only 1": (np.ones(SHAPE, np.uint8), r"numbers 1; .*ids='nucleus'"),
    "0 to 3": (TRUTH - np.uint8(1), r"numbers 0, 1, 2, 3; .*ids=\{0: 1, 1: 2, 2: 3, 3: 4\}"),
    "0 and 4": (SPARSE, r"numbers 0, 4; .*ids='nucleus'.*ids='classes'"),
    "1, 2, 3 of others": (
        np.where(NUCLEUS, 1, np.where(TRUTH == 1, 2, 3)).astype(np.uint8),
        r"numbers 1, 2, 3; .*ids=\{1: \.\.\., 2: \.\.\., 3: \.\.\.\}",
    ),
    "1 and 2, as ilastik": (1 + NUCLEUS.astype(np.uint8), r"numbers 1, 2; .*ids=\{1: "),
    "instances": (INSTANCES, r"numbers 0, 5, 17; .*ids='instances'"),
    "many instances": (
        np.arange(np.prod(SHAPE)).reshape(SHAPE) % 50,
        r"\(50 numbers\).*ids='instances'",
    ),
    "colours": (VAST, r"in colour, with #000000, #c81e09.*ids=\{'#000000': \.\.\., '#c81e09'"),
    "probabilities": (NUCLEUS * 0.7, r"no whole numbers, such as 0\.7.*p > 0\.5"),
    "not finite": (np.where(NUCLEUS, np.nan, 1.0), r"no whole numbers"),
}


@pytest.mark.parametrize("form", ASKED)
@pytest.mark.parametrize("use", ["score", "truth"])
def test_asked(stack, form, use, tmp_path):
    maps, words = ASKED[form]
    where = colour_tiff(tmp_path, maps) if form == "colours" else maps
    uses = {
        "score": lambda: results.evaluate(where, stack, "theirs"),
        "truth": lambda: open_stack(TRUTH * 50, voxel_nm=(50, 10, 10), labels=where),
    }
    with pytest.raises((TypeError, ValueError), match=words):
        uses[use]()


def test_what_is_certain_is_not_asked_for():
    ends = np.where(TRUTH == Label.BACKGROUND, TRUTH, Label.CELL).astype(np.uint8)
    partly = np.where(np.arange(30) < 5, 0, TRUTH).astype(np.uint8)
    for maps in (ends, partly, np.zeros(SHAPE, np.uint8)):
        np.testing.assert_array_equal(open_labels(maps).read(2), maps[1])
    for palette in PALETTES.values():
        assert palette.keys() == PALETTE.keys()
        colours = np.array([(9, 9, 9), *palette.values()], np.uint8)[TRUTH[0]]
        found = open_labels({4: colours}).read(4)
        np.testing.assert_array_equal(found, TRUTH[0])


def test_ids_that_are_none():
    with pytest.raises(ValueError, match="ids is 'nuclei'; allowed are 'classes', 'nucleus'"):
        open_labels(TRUTH, ids="nuclei")
    with pytest.raises(ValueError, match=r"ids has the key 'red'; .*'#ff0000'"):
        open_labels(TRUTH, ids={"red": 2})
    with pytest.raises(ValueError, match="slice 1 has the numbers 3, which ids does not have"):
        open_labels(TRUTH, ids={1: 1, 2: 2, 4: 4}).read(1)


def test_of_instances_the_one_at_the_centre_counts_or_all():
    assert (open_labels(INSTANCES, ids="instances").read(1)[2, 25]) == Label.CELL
    every = open_labels(INSTANCES, ids="instances", others=Label.NUCLEUS)
    assert (every.read(1)[2, 25]) == Label.NUCLEUS
    aside = np.roll(INSTANCES, 12, axis=2)
    with pytest.raises(ValueError, match=r"no instance covers the centre of slice 4.*others="):
        open_labels(aside, ids="instances").read(1)


def test_white_as_zero_is_asked_for_in_masks(tmp_path):
    for number, mask in enumerate(NUCLEUS, start=1):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, np.where(mask, 0, 255).astype(np.uint8), photometric="miniswhite")
    with pytest.raises(ValueError, match=r"stored with 0 as white.*ids=\{0: Label\.NUCLEUS"):
        open_labels(tmp_path, ids="nucleus")
    found = open_labels(tmp_path, ids={0: Label.NUCLEUS, 255: Label.CELL}).read(2)
    np.testing.assert_array_equal(found == Label.NUCLEUS, NUCLEUS[1])
    for number, mask in enumerate(NUCLEUS, start=1):  # of two values, what is shown is plain
        tifffile.imwrite(tmp_path / f"{number}.tif", mask, photometric="miniswhite")
    found = open_labels(tmp_path, ids="nucleus").read(2)
    np.testing.assert_array_equal(found == Label.NUCLEUS, ~NUCLEUS[1])


def test_jpeg_cannot_hold_labels(tmp_path):
    Image.fromarray(TRUTH[0]).save(tmp_path / "1.jpg")
    for where in (tmp_path, tmp_path / "1.jpg"):
        with pytest.raises(ValueError, match="is JPEG, which smears the numbers"):
            open_labels(where)


# --- joined by number -----------------------------------------------------------------------------


def numbered(folder, numbers):
    folder.mkdir(exist_ok=True)
    for number, each in zip(numbers, TRUTH, strict=False):
        tifffile.imwrite(folder / f"s_{number:03d}.tif", each)
    return folder


def opened(folder, labels):
    return open_stack(numbered(folder, (1, 2, 4, 6, 7, 9)), voxel_nm=(50, 10, 10), labels=labels)


def test_labels_join_by_number_and_may_be_few(tmp_path):
    cell = opened(tmp_path / "raw", numbered(tmp_path / "truth", (2, 6)))
    assert cell.labels(1) is None
    np.testing.assert_array_equal(cell.labels(6), TRUTH[1])
    more = opened(tmp_path / "raw", numbered(tmp_path / "all", (1, 2, 4, 6, 7, 9)))
    np.testing.assert_array_equal(more.labels(9), TRUTH[5])
    chosen = open_labels(tmp_path / "truth", pattern=r"s_(\d+)")
    np.testing.assert_array_equal(opened(tmp_path / "raw", chosen).labels(2), TRUTH[0])


def test_labels_are_never_paired_by_their_order(tmp_path):
    with pytest.raises(ValueError, match=r"of the slices 1 to 6, the stack has 1, 2, 4.*order"):
        opened(tmp_path / "raw", numbered(tmp_path / "truth", range(1, 7)))
    with pytest.raises(ValueError, match=r"counted 1 to 6, the slices are 1, 2, 4.*dict\(zip\("):
        opened(tmp_path / "raw", TRUTH)
    with pytest.raises(ValueError, match=r"labels are 4 slices, the stack 6; they must agree"):
        opened(tmp_path / "raw", TRUTH[:4])
    cell = opened(tmp_path / "raw", None)
    joined = opened(tmp_path / "raw", dict(zip(cell.slice_numbers, TRUTH, strict=True)))
    np.testing.assert_array_equal(joined.labels(9), TRUTH[5])


def test_labels_of_another_size_are_named(tmp_path):
    raw = numbered(tmp_path / "raw", range(1, 7))
    turned = np.ascontiguousarray(TRUTH.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"\(30, 20\) in slice 1, .*They look transposed"):
        open_stack(raw, voxel_nm=(50, 10, 10), labels=turned)
