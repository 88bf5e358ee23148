import json
import multiprocessing
import os
import tracemalloc

import numpy as np
import pytest
import tifffile

from helpers import cache
from helpers.cache import StorageError
from helpers.label_maps import IDENTITY, DamagedLabelMapError, LabelMaps, PackedLabels

IDENTITY_A = {"method": "a", "seed": 1, "shape": (40, 60)}


@pytest.fixture
def labels():
    map_ = np.full((40, 60), 3, np.uint8)
    map_[10:30, 15:45] = 1
    map_[12:28, 17:43] = 2
    map_[:4] = 4
    return map_


@pytest.fixture
def maps(tmp_path):
    return LabelMaps(tmp_path / "run", IDENTITY_A)


def test_what_is_written_is_read(maps, labels):
    assert maps.numbers == ()
    assert not maps.has(170)
    path = maps.write(170, labels)
    maps.write(2, np.zeros((3, 4), np.uint8))  # nothing labelled
    maps.write(12345, labels[:, ::2])  # not contiguous
    assert path == maps.path(170)
    assert maps.numbers == (2, 170, 12345)
    assert maps.has(170)
    np.testing.assert_array_equal(maps.read(170), labels)
    np.testing.assert_array_equal(maps.read(12345), labels[:, ::2])
    np.testing.assert_array_equal(tifffile.imread(path), labels)
    assert maps.missing([170, 1, 2]) == (1,)


def test_bytes_depend_on_labels_alone(tmp_path, labels):
    one = LabelMaps(tmp_path / "one", {"a": 1}).write(1, labels)
    two = LabelMaps(tmp_path / "two", {"b": 2}).write(7, np.asfortranarray(labels))
    assert one.read_bytes() == two.read_bytes()
    with tifffile.TiffFile(one) as file:
        assert not {"DateTime", "Software"} & {tag.name for tag in file.pages[0].tags}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.ones((4, 4)), TypeError, r"slice 9 have dtype float64; allowed is uint8"),
        (np.ones((4, 4, 3), np.uint8), ValueError, r"slice 9 have shape \(4, 4, 3\)"),
        (np.ones((0, 4), np.uint8), ValueError, r"slice 9 have shape \(0, 4\)"),
        (np.full((4, 4), 5, np.uint8), ValueError, r"slice 9 have numbers up to 5; allowed are 1"),
    ],
)
def test_wrong_labels_are_refused_and_nothing_is_lost(maps, labels, wrong, error, message):
    maps.write(9, labels)
    with pytest.raises(error, match=message):
        maps.write(9, wrong)
    np.testing.assert_array_equal(maps.read(9), labels)


@pytest.mark.parametrize("number", [-1, 1.5])
def test_numbers_are_slice_numbers(maps, number):
    assert maps.path(0).name == "labels_0000.tif"
    with pytest.raises(ValueError, match="slice numbers are whole, from 0"):
        maps.path(number)


def test_the_same_identity_goes_on(maps, labels):
    maps.write(3, labels)
    again = LabelMaps(maps.folder, {"shape": [40, 60], "seed": 1, "method": "a"})
    assert again.numbers == (3,)


def test_another_identity_is_refused_by_name(maps, labels):
    maps.write(3, labels)
    with pytest.raises(ValueError, match="another run: profile is missing there, ") as caught:
        LabelMaps(maps.folder, {**IDENTITY_A, "seed": 2, "profile": "quick"})
    text = str(caught.value)
    assert "seed is 1 there, 2 here" in text
    assert "method" not in text
    assert "overwrite=True" in text
    assert "LabelMaps.discard" in text
    assert maps.numbers == (3,)


def test_overwrite_and_discard_delete_label_maps_alone(maps, labels):
    maps.write(3, labels)
    (maps.folder / "notes.txt").write_text("mine")
    other = LabelMaps(maps.folder, {"method": "b"}, overwrite=True)
    assert other.numbers == ()
    assert json.loads((maps.folder / IDENTITY).read_text()) == {"method": "b"}
    LabelMaps.discard(maps.folder)
    assert [path.name for path in maps.folder.iterdir()] == ["notes.txt"]
    (maps.folder / "notes.txt").unlink()
    LabelMaps.discard(maps.folder)
    assert not maps.folder.exists()
    LabelMaps.discard(maps.folder)


def test_overwrite_keeps_the_same_identity(maps, labels):
    maps.write(3, labels)
    assert LabelMaps(maps.folder, IDENTITY_A, overwrite=True).numbers == (3,)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["slice_0001.tif", "raw_001.tif", "notes.txt"])
def test_a_folder_of_other_files_is_refused_and_stays_as_it_was(name, overwrite, tmp_path):
    (tmp_path / name).write_bytes(b"a slice of mine")
    with pytest.raises(ValueError, match=f"such as {name}. Take a new or an empty folder") as said:
        LabelMaps(tmp_path, IDENTITY_A, overwrite=overwrite)
    assert "discard" not in str(said.value)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a slice of mine"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_pictures_that_nothing_is_known_of_are_never_touched(maps, labels, overwrite):
    maps.write(3, labels)
    (maps.folder / IDENTITY).unlink()
    (maps.folder / "slice_0001.png").write_bytes(b"a user's slice")
    before = {path.name: path.read_bytes() for path in maps.folder.iterdir()}
    with pytest.raises(ValueError, match=r"such as labels_0003\.tif. Take a new or an") as caught:
        LabelMaps(maps.folder, IDENTITY_A, overwrite=overwrite)
    assert "discard" not in str(caught.value)
    LabelMaps.discard(maps.folder)
    assert {path.name: path.read_bytes() for path in maps.folder.iterdir()} == before


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_damaged_identity_counts_as_nothing_known(maps, labels, content):
    maps.write(3, labels)
    (maps.folder / IDENTITY).write_text(content)
    assert LabelMaps(maps.folder, IDENTITY_A).numbers == ()
    assert json.loads((maps.folder / IDENTITY).read_text()) == {**IDENTITY_A, "shape": [40, 60]}


def test_a_folder_can_be_read_and_nothing_is_written(maps, labels):
    maps.write(3, labels)
    before = sorted(maps.folder.iterdir())
    found = LabelMaps(maps.folder)
    assert found.numbers == (3,)
    np.testing.assert_array_equal(found.read(3), labels)
    assert found.identity["seed"] == 1
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        LabelMaps(maps.folder / "none")
    assert sorted(maps.folder.iterdir()) == before


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), np.int64(3)])
def test_identity_must_be_json(tmp_path, value):
    with pytest.raises(TypeError, match=r"identity\['seed'\] is .* JSON cannot hold"):
        LabelMaps(tmp_path / "run", {"seed": value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_a_cut_file_is_reported_with_its_slice(maps, labels, keep):
    rng = np.random.default_rng(0)
    whole = maps.write(5, rng.integers(0, 5, (64, 64), dtype=np.uint8)).read_bytes()
    maps.write(6, labels)
    end = int(len(whole) * keep) if 0 < keep < 1 else keep
    maps.path(5).write_bytes(whole[:end])
    with pytest.raises(DamagedLabelMapError, match=r"slice 5 is damaged .*labels_0005\.tif"):
        maps.read(5)
    assert maps.damaged() == (5,)
    assert maps.missing([4, 5, 6]) == (4, 5)
    maps.write(5, labels)
    assert maps.damaged() == ()


def test_no_flipped_bit_reads_as_another_map(maps, labels):
    path = maps.write(3, labels)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        colours = tiff.pages[0].tags["ColorMap"]
    places = set(range(len(whole))) - {colours.valueoffset + each for each in range(2 * 768)}
    damaged = 0
    for bit in sorted(8 * place + each for place in places for each in range(8)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            # What only concerns how the file is shown, such as its resolution, may go unseen.
            np.testing.assert_array_equal(maps.read(3), labels)
        except DamagedLabelMapError:
            damaged += 1
    assert damaged > 4 * len(places)


def test_a_header_that_asks_for_gigabytes_is_damaged_before_it_is_read(maps, labels):
    path = maps.write(3, labels)
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[0].tags["ImageWidth"].valueoffset
    with path.open("r+b") as file:
        file.seek(place)
        file.write((2**30).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedLabelMapError, match=r"slice 3.*40 x 1073741824.*cannot hold"):
            maps.read(3)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_map_of_other_labels_than_were_written_is_damaged(maps, labels):
    path = maps.write(3, labels)
    tifffile.imwrite(path, labels[::-1], photometric="minisblack", metadata=None)
    with pytest.raises(DamagedLabelMapError, match=r"slice 3.*not those that were written"):
        maps.read(3)
    assert maps.missing([3]) == (3,)


def test_label_maps_are_not_written_through_a_link(tmp_path, maps, labels):
    maps.write(3, labels)
    link = tmp_path / "link"
    link.symlink_to(maps.folder, target_is_directory=True)
    with pytest.raises(ValueError, match=r"link is a link to .*run; label maps are not written"):
        LabelMaps(link, {"another": 1}, overwrite=True)
    LabelMaps.discard(link)
    assert LabelMaps(link).read(3).any()


def test_a_picture_that_is_no_label_map_is_damaged(maps):
    tifffile.imwrite(maps.path(5), np.full((4, 4), 200, np.uint8))
    with pytest.raises(DamagedLabelMapError, match="numbers up to 200"):
        maps.read(5)


def test_a_missing_slice_is_named(maps, labels):
    maps.write(3, labels)
    with pytest.raises(ValueError, match=r"has no slice 4; it has: 3\."):
        maps.read(4)


def test_an_interrupted_write_leaves_the_old_slice(maps, labels, monkeypatch):
    maps.write(3, labels)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        maps.write(3, labels[::-1].copy())
    monkeypatch.undo()
    np.testing.assert_array_equal(maps.read(3), labels)
    assert sorted(path.name for path in maps.folder.iterdir()) == [IDENTITY, "labels_0003.tif"]


def test_left_overs_are_removed_and_never_count(maps, labels):
    maps.write(3, labels)
    (maps.folder / ".abc.tmp.labels_0004.tif").write_bytes(b"half")
    (maps.folder / "labels_0009.tiff").write_bytes(b"not ours")
    again = LabelMaps(maps.folder, IDENTITY_A)
    assert again.numbers == (3,)
    assert sorted(path.name for path in maps.folder.iterdir()) == [
        IDENTITY,
        "labels_0003.tif",
        "labels_0009.tiff",
    ]


def test_opening_while_another_writes_loses_nothing(maps, labels, monkeypatch):
    replace, opened = os.replace, []

    def open_first(source, target):
        if not opened:
            opened.append(LabelMaps(maps.folder, IDENTITY_A))  # removes the temporary file
        replace(source, target)

    monkeypatch.setattr(cache.os, "replace", open_first)
    maps.write(3, labels)
    assert opened
    np.testing.assert_array_equal(maps.read(3), labels)


def test_a_folder_that_vanished_is_an_error(maps, labels):
    LabelMaps.discard(maps.folder)
    with pytest.raises(StorageError, match="cannot be written"):
        maps.write(3, labels)


def _write_every_other(folder, first):
    maps = LabelMaps(folder, IDENTITY_A)
    for number in range(first, 41, 2):
        maps.write(number, np.full((50, 50), 1 + number % 4, np.uint8))


def test_two_processes_write_different_slices(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=_write_every_other, args=(tmp_path / "run", first)) for first in (1, 2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    maps = LabelMaps(tmp_path / "run", IDENTITY_A)
    assert maps.numbers == tuple(range(1, 41))
    assert all((maps.read(number) == 1 + number % 4).all() for number in maps.numbers)


def test_label_maps_in_memory_are_small_and_the_same():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 5, (20, 20), np.uint8), 100, 0), 100, 1)
    packed = PackedLabels()
    packed[7] = labels
    packed[3] = labels[::-1]
    assert list(packed) == [7, 3]
    assert all(
        np.array_equal(packed[number], wanted)
        for number, wanted in [(7, labels), (3, labels[::-1])]
    )
    assert packed[7].dtype == np.uint8
    assert [found.shape for found in packed.values()] == [(2000, 2000)] * 2
    assert sum(file.nbytes for file in packed._files.values()) < labels.nbytes / 20
    del packed[7]
    assert 7 not in packed
