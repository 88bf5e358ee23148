"""The thirty cells that the authors cut out: listed by GitHub, checked by Git's hashes."""

import io
import json
import pickle
import subprocess

import numpy as np
import pytest
import tifffile
from server import Fault

from helpers.data import DataError, cut_cells, figures, open_cut_cell
from helpers.settings import using

SHAPE = (60, 80)
CELL = "Hela_ROI_02_30_6005_4739_81"
OTHERS = ("Hela_ROI_01_30_876_1665_81", "Hela_ROI_23_30_6816_1601_341")
LIST = f"{cut_cells.FOLDER}/cells.json"
SLICES = f"{cut_cells.FOLDER}/{CELL}.json"
ONE = f"{cut_cells.FOLDER}/{CELL}/ROI_6005_4739_81_z0001.tif"


def image(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, SHAPE, dtype=np.uint8)


def tiff(number: int) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image(number))
    return file.getvalue()


def listing(entries) -> bytes:
    """Write what GitHub's interface answers for a folder (REST, "Get repository content")."""
    return json.dumps(
        [
            {"name": name, "path": f"Code/{name}", "sha": sha, "size": size, "type": kind}
            for name, sha, size, kind in entries
        ]
    ).encode()


@pytest.fixture(autouse=True)
def repository(monkeypatch, server):
    """Let the local server have one of the cells, with slices 1, 2 and 4."""
    monkeypatch.setattr(figures, "SHAPE", SHAPE)
    folders = [(name, f"{at:040x}", 0, "dir") for at, name in enumerate((*OTHERS, CELL))]
    server.files[LIST] = listing([*folders, ("Fig1.m", "a" * 40, 7, "file")])
    names = {n: f"ROI_6005_4739_81_z{n:04d}.tif" for n in (1, 2, 4)}
    entries = [
        (name, cut_cells.git_hash(tiff(n)), len(tiff(n)), "file") for n, name in names.items()
    ]
    server.files[SLICES] = listing(entries)
    for n, name in names.items():
        server.files[f"{cut_cells.FOLDER}/{CELL}/{name}"] = tiff(n)


@pytest.fixture(autouse=True)
def mirror(mirror):
    with using(mirror):
        yield mirror


def failure(act, name) -> DataError:
    with pytest.raises(DataError) as caught:
        act()
    assert name in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_the_hash_is_the_one_of_git(tmp_path):
    path = tmp_path / "slice.tif"
    path.write_bytes(tiff(1))
    told = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert cut_cells.git_hash(tiff(1)) == told.stdout.strip()


def test_a_cell_is_a_stack_and_only_what_is_read_is_fetched(server):
    cell = open_cut_cell(2)
    assert (cell.slice_numbers, cell.shape, cell.source) == ((1, 2, 4), SHAPE, "other")
    assert cell.voxel_nm == (50.0, 10.0, 10.0)
    assert "row 6005, column 4739, slice 81" in cell.name
    assert "not the raw pixels" in cell.notes[0]
    assert [path for _, path, _ in server.seen] == [LIST, SLICES]
    assert np.array_equal(cell.image(4), image(4))
    assert len(server.seen) == 3


def test_a_second_time_the_network_is_not_asked(server):
    open_cut_cell(2).image(1)
    asked = len(server.seen)
    again = pickle.loads(pickle.dumps(open_cut_cell(2)))
    assert np.array_equal(again.image(1), image(1))
    assert len(server.seen) == asked


@pytest.mark.parametrize("number", [0, 31, "2", None])
def test_there_are_thirty(server, number):
    with pytest.raises(ValueError, match="the cells 1 to 30"):
        open_cut_cell(number)
    assert server.seen == []


def test_a_cell_that_the_list_lacks_is_named():
    assert "cell 5 is not in the list" in str(failure(lambda: open_cut_cell(5), LIST))


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b'{"message": "Not Found"}', b"[1, 2]", b'[{"name": 3}]', b"\xff"]
)
def test_what_is_no_list_is_refused_and_not_kept(server, mirror, answer):
    whole = server.files[LIST]
    server.files[LIST] = answer
    failure(lambda: open_cut_cell(2), LIST)
    server.files[LIST] = whole
    assert len(open_cut_cell(2)) == 3


def test_too_many_questions_are_said(server):
    server.faults[LIST] = [Fault(status=403, headers={"X-RateLimit-Remaining": "0"})] * 9
    assert "403" in str(failure(lambda: open_cut_cell(2), LIST))


def test_a_slice_that_is_damaged_on_the_disk_is_fetched_anew(server, mirror):
    cell = open_cut_cell(2)
    cell.image(1)
    (mirror.data_dir / ONE).write_bytes(b"something else")
    assert np.array_equal(cell.image(1), image(1))
    assert server.asked(ONE) == 2


def test_a_slice_that_was_damaged_on_its_way_is_asked_for_again(server):
    server.faults[ONE] = [Fault(body=b"x" * 50)]
    assert np.array_equal(open_cut_cell(2).image(1), image(1))


def test_a_cut_is_mended(server):
    server.faults[ONE] = [Fault(cut_after=100)]
    assert np.array_equal(open_cut_cell(2).image(1), image(1))


def test_another_file_than_the_list_says_is_never_used(server, mirror):
    server.files[ONE] = tiff(9)
    caught = failure(lambda: open_cut_cell(2).image(1), ONE)
    assert "hash" in caught.reason
    assert "delete" in caught.remedy
    assert not (mirror.data_dir / ONE).exists()


def test_a_folder_that_has_everything_needs_no_network(server, mirror):
    for number in (1, 2, 4):
        open_cut_cell(2).image(number)
    server.stop()
    assert np.array_equal(open_cut_cell(2).image(2), image(2))


def test_without_a_mirror_the_addresses_are_the_authors(monkeypatch, settings):
    asked = {}

    def note(store, name):
        asked[name] = store.get_url(name)
        raise DataError(name, "not now", "none")

    monkeypatch.setattr(cut_cells.files, "fetch_from", note)
    with using(settings), pytest.raises(DataError):
        open_cut_cell(2)
    repository = "reyesaldasoro/HeLa-Cell-Segmentation"
    assert asked == {LIST: f"https://api.github.com/repos/{repository}/contents/Code"}
