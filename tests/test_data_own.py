"""A reader's own slices: what can be opened, in which order, and what is said of what cannot."""

import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers.data import formats, open_stack

VOXEL_NM = (50, 10, 10)


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 20, 30), dtype=np.uint8)


def write_folder(folder, slices, pattern="slice_{}.tif", first=1):
    """Write slices one file each; numbers without leading zeros, so that text order is wrong."""
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(slices, start=first):
        path = folder / pattern.format(number)
        if path.suffix.lower() == ".png":
            Image.fromarray(image).save(path, format="PNG")
        else:
            tifffile.imwrite(path, image)
    return folder


def assert_same(cell, volume, first=1):
    assert cell.slice_numbers == tuple(range(first, first + len(volume)))
    assert cell.shape == volume.shape[1:]
    for number, expected in enumerate(volume, start=first):
        np.testing.assert_array_equal(cell.image(number), expected)


@pytest.mark.parametrize("pattern", ["slice_{}.tif", "{}.TIFF", "cell 2 z{}.png"])
def test_a_folder_is_read_in_the_order_of_the_numbers(tmp_path, volume, pattern):
    # 8 to 12: as text, 10 would come before 8.
    folder = write_folder(tmp_path / "cell", volume, pattern, first=8)
    (folder / "notes.txt").write_text("not a slice")
    (folder / "._slice_9.tif").write_bytes(b"macOS keeps such files")
    (folder / "old.tif").mkdir()
    cell = open_stack(folder, voxel_nm=VOXEL_NM)
    assert_same(cell, volume, first=8)
    assert (cell.source, cell.voxel_nm, cell.labels(8)) == ("own", (50.0, 10.0, 10.0), None)


def test_other_numerals_are_no_numbers(tmp_path, volume):
    folder = write_folder(tmp_path / "cell", volume[:2], "x²{}.tif")
    assert_same(open_stack(folder, voxel_nm=VOXEL_NM), volume[:2])
    write_folder(folder, volume[1:2], "x²0{}.tif")
    with pytest.raises(ValueError, match=r"x²1.tif and x²01.tif are both slice 1"):
        open_stack(folder, voxel_nm=VOXEL_NM)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "zlib"},
        {"compression": "packbits", "photometric": "minisblack"},
        {"tile": (16, 16)},
        {"bigtiff": True},
        {"imagej": True},
        # One page that names a stack after it, as ImageJ writes more than 4 GB.
        {"imagej": True, "truncate": True},
    ],
)
def test_a_tiff_of_several_pages(tmp_path, volume, how):
    tifffile.imwrite(tmp_path / "cell.tif", volume, **how)
    assert_same(open_stack(tmp_path / "cell.tif", voxel_nm=VOXEL_NM), volume)


@pytest.mark.parametrize("name", ["slice.tif", "slice.png"])
def test_a_single_picture_is_a_stack_of_one(tmp_path, volume, name):
    write_folder(tmp_path, volume[:1], name)
    assert_same(open_stack(str(tmp_path / name), voxel_nm=VOXEL_NM), volume[:1])


def test_an_array_and_a_memory_map(tmp_path, volume):
    assert_same(open_stack(volume, voxel_nm=VOXEL_NM), volume)
    np.save(tmp_path / "cell.npy", volume)
    mapped = np.load(tmp_path / "cell.npy", mmap_mode="r")
    assert_same(open_stack(mapped, voxel_nm=VOXEL_NM), volume)


def test_labels_of_another_form_than_the_slices(tmp_path, volume):
    truth = volume % 5
    folder = write_folder(tmp_path / "truth", truth, "{}.png")
    cell = open_stack(volume, voxel_nm=VOXEL_NM, labels=folder)
    for number in cell.slice_numbers:
        np.testing.assert_array_equal(cell.labels(number), truth[number - 1])


def test_labels_that_are_no_classes_are_reported(volume):
    truth = np.full((20, *volume.shape[1:]), 3, np.uint8)
    truth[0, 3, 4] = 255
    long = np.resize(volume, truth.shape)
    with pytest.raises(ValueError, match=r"has the numbers 3, 255; .* 2 nucleus.*ids="):
        open_stack(long, voxel_nm=VOXEL_NM, labels=truth)
    # Where opening does not look, reading does.
    cell = open_stack(long, voxel_nm=VOXEL_NM, labels=truth[::-1].take([*range(18), 19, 18], 0))
    assert (cell.labels(1) == 3).all()
    with pytest.raises(ValueError, match="slice 19 has the numbers 255"):
        cell.labels(19)


@pytest.mark.parametrize("cut", [np.s_[:4], np.s_[:, :19]])
def test_labels_must_fit_the_slices(volume, cut):
    with pytest.raises(ValueError, match=r"labels are .* they must agree"):
        open_stack(volume, voxel_nm=VOXEL_NM, labels=volume[cut])


def test_labels_must_be_whole_numbers(volume):
    with pytest.raises(TypeError, match=r"slice 1 .* float64 values that are no whole numbers"):
        open_stack(volume, voxel_nm=VOXEL_NM, labels=volume / 255)


def test_nothing_at_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*missing"):
        open_stack(tmp_path / "missing", voxel_nm=VOXEL_NM)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*missing.tif"):
        open_stack(tmp_path / "missing.tif", voxel_nm=VOXEL_NM)


def test_a_folder_without_slices(tmp_path):
    (tmp_path / "slice_1.gif").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has no slices; allowed .* \.tif, \.tiff, \.png"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)
    with pytest.raises(ValueError, match=r"slice_1.gif is of no form .* \.tif"):
        open_stack(tmp_path / "slice_1.gif", voxel_nm=VOXEL_NM)


def test_a_folder_of_two_kinds_of_pictures(tmp_path, volume):
    write_folder(tmp_path, volume, "{}.png")
    write_folder(tmp_path, volume, "{}.tif")
    with pytest.raises(ValueError, match="TIFF and PNG"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)


def test_a_folder_with_a_file_of_several_pages(tmp_path, volume):
    write_folder(tmp_path, volume)
    tifffile.imwrite(tmp_path / "slice_3.tif", volume, photometric="minisblack")
    with pytest.raises(ValueError, match=r"slice_3.tif has 5 pages"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)


@pytest.mark.parametrize("pattern", ["{}.png", "{}.tif"])
@pytest.mark.parametrize("which", [0, 3])
def test_what_is_not_grey_uint8_of_one_size(tmp_path, volume, pattern, which):
    def replace_one(other):
        slices = list(volume)
        slices[which] = other
        write_folder(tmp_path, slices, pattern)

    one = volume[which]
    replace_one(np.stack([one, one, 255 - one], axis=-1))
    with pytest.raises(
        ValueError, match=rf"slice {which + 1} .* in colour.*\(20, 30, 3\).*channel"
    ):
        open_stack(tmp_path, voxel_nm=VOXEL_NM).image(which + 1)

    replace_one(np.stack([one] * 3, axis=-1))  # grey, whatever it is stored as
    assert_same(open_stack(tmp_path, voxel_nm=VOXEL_NM), volume)

    replace_one(one.astype(np.uint16))
    with pytest.raises(TypeError, match=r"slice [24] is uint(8|16), slice 1 uint.*one type"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)

    replace_one(one[:, :-1])
    with pytest.raises(ValueError, match=r"is \(20, (29|30)\), slice 1 .* one size"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)


def test_pictures_with_a_palette(tmp_path, volume):
    picture = Image.fromarray(volume[0]).convert("P")
    picture.putpalette([255 - grey for grey in range(256) for _ in range(3)])
    picture.save(tmp_path / "1.png")
    assert_same(open_stack(tmp_path, voxel_nm=VOXEL_NM), 255 - volume[:1])
    picture.putpalette([grey for level in range(256) for grey in (level, 0, 9)])
    picture.save(tmp_path / "1.png")
    with pytest.raises(ValueError, match=r"slice 1 .* is in colour of a palette"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)


def test_a_stack_that_tifffile_took_for_colour(tmp_path, volume):
    tifffile.imwrite(tmp_path / "cell.tif", volume[:3], photometric="rgb", planarconfig="separate")
    with pytest.raises(ValueError, match="photometric='minisblack'"):
        open_stack(tmp_path / "cell.tif", voxel_nm=VOXEL_NM)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_a_tiff_cut_short_is_reported_when_it_is_read(tmp_path, volume, compression):
    write_folder(tmp_path, volume)
    path = tmp_path / "slice_2.tif"
    tifffile.imwrite(path, volume[1], compression=compression)
    path.write_bytes(path.read_bytes()[:-200])
    cell = open_stack(tmp_path, voxel_nm=VOXEL_NM)
    np.testing.assert_array_equal(cell.image(1), volume[0])
    with pytest.raises(ValueError, match=r"slice 2, .*slice_2.tif, cannot be read: .*Replace"):
        cell.image(2)


def test_a_png_cut_short_is_reported_when_it_is_read(tmp_path, volume):
    write_folder(tmp_path, volume, "{}.png")
    path = tmp_path / "2.png"
    path.write_bytes(path.read_bytes()[:-200])
    cell = open_stack(tmp_path, voxel_nm=VOXEL_NM)
    with pytest.raises(ValueError, match=r"slice 2, .*2.png, cannot be read: .*truncated"):
        cell.image(2)


@pytest.mark.parametrize("name", ["2.png", "2.tif"])
@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_files_that_are_no_pictures(tmp_path, volume, name, content):
    write_folder(tmp_path, volume, "{}" + name[1:])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name},? cannot be read"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)
    with pytest.raises(ValueError, match=rf"{name},? cannot be read"):
        open_stack(tmp_path / name, voxel_nm=VOXEL_NM)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((20, 30), r"give \(z, y, x\).*newaxis"),
        ((5, 20, 30, 3), r"give \(z, y, x\).*axes="),
        ((0, 20, 30), "at least one"),
        ((5, 0, 30), "at least one pixel"),
    ],
)
def test_arrays_that_are_no_stacks(shape, message):
    with pytest.raises(ValueError, match=message):
        open_stack(np.zeros(shape, np.uint8), voxel_nm=VOXEL_NM)


@pytest.mark.parametrize(
    "voxel_nm", [10, "10", (10, 10), (50, 10, 0), (50, -10, 10), (50, 10, np.nan), ("a",) * 3]
)
def test_voxel_sizes_that_are_none(volume, voxel_nm):
    with pytest.raises(ValueError, match=r"voxel_nm is .* three positive numbers \(z, y, x\)"):
        open_stack(volume, voxel_nm=voxel_nm)


@pytest.mark.parametrize("pattern", ["{}.png", "{}.tif"])
def test_opening_reads_one_slice_and_no_more(tmp_path, volume, monkeypatch, pattern):
    read = []
    original = formats.read_picture
    monkeypatch.setattr(
        formats, "read_picture", lambda path, *more: read.append(path.stem) or original(path, *more)
    )
    cell = open_stack(write_folder(tmp_path, volume, pattern), voxel_nm=VOXEL_NM)
    assert read == ["1"]
    cell.image(4)
    assert read == ["1", "4"]


@pytest.mark.parametrize("kind", ["png", "tif", "pages"])
def test_memory_stays_flat(tmp_path, kind):
    side, count = 400, 30
    slices = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    if kind == "pages":
        where = tmp_path / "cell.tif"
        tifffile.imwrite(where, slices, compression="zlib", photometric="minisblack")
    else:
        where = write_folder(tmp_path, slices, "{}." + kind)
    expected = slices.mean(axis=(1, 2))
    del slices
    open_stack(where, voxel_nm=VOXEL_NM).image(2)  # what the decoders load once does not count
    tracemalloc.start()
    cell = open_stack(where, voxel_nm=VOXEL_NM)
    means = [cell.image(number).mean() for number in cell.slice_numbers]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert means == pytest.approx(expected)
    # All thirty would be 30 slices; one, its packed bytes and a copy are a few.
    assert peak_bytes < 8 * side * side
