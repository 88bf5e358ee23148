"""A run over a stack that is killed, or meets a bad slice."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from drawn_stack import COUNT, drawn_slice, drawn_stack

from helpers.cache import write_whole
from helpers.data import open_stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.volume import SliceError, passes, segment_stack, segment_to_folder

QUIET = {"workers": 1, "progress": False}
HERE = Path(__file__).parent
SLOW_RUN = """
import sys, time
from drawn_stack import drawn_stack
from helpers.label_maps import LabelMaps
from helpers.volume import segment_to_folder

write = LabelMaps.write

def slowly(*arguments):
    time.sleep(0.05)
    write(*arguments)

LabelMaps.write = slowly
folder, mode, workers = sys.argv[1:]
segment_to_folder(drawn_stack(), folder, mode=mode, workers=int(workers), progress=False)
"""

# The drawn cell has slices without nucleus: what is said of them, test_doubts.py tests.
pytestmark = pytest.mark.filterwarnings("ignore::helpers.traditional.doubts.DoubtWarning")


def content(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def written(folder: Path) -> list[int]:
    """Numbers of the label maps in a folder."""
    return sorted(int(path.stem[-4:]) for path in folder.glob("labels_*.tif"))


def whole_run(folder: Path, **options) -> dict[str, bytes]:
    segment_to_folder(drawn_stack(), folder, **QUIET, **options)
    files = content(folder)
    assert len(files) == COUNT + 1, "a label map a slice, and what they are"
    return files


# --- interrupted ---------------------------------------------------------------------------------


def kill_after(maps: int, folder: Path, mode: str, workers: int) -> None:
    """Start a run and kill it, with no warning, as soon as it has written some label maps."""
    arguments = [sys.executable, "-c", SLOW_RUN, folder, mode, str(workers)]
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    run = subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": path})
    try:
        end = time.monotonic() + 60
        while len(written(folder)) < maps:
            assert run.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end, "it has written nothing"
            time.sleep(0.002)
    finally:
        run.kill()
    assert run.wait() == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(("mode", "workers"), [("improved", 2), ("published", 1)])
def test_a_run_that_was_killed_ends_with_the_same_bytes(mode, workers, tmp_path):
    uninterrupted = whole_run(tmp_path / "one", mode=mode)
    folder = tmp_path / "two"
    for maps in (3, 9):
        kill_after(maps, folder, mode, workers)
        assert maps <= len(written(folder)) < COUNT, "it was in the middle"
        for number in written(folder):
            name = f"labels_{number:04d}.tif"
            assert (folder / name).read_bytes() == uninterrupted[name]
    assert whole_run(folder, mode=mode) == uninterrupted


@pytest.mark.parametrize("writes", [0, 1, 2, 5, 20])
def test_a_disk_that_is_full_loses_nothing(writes, tmp_path, monkeypatch):
    uninterrupted = whole_run(tmp_path / "one")
    left = iter(range(writes))

    def until_full(path, file):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        write_whole(path, file)

    folder = tmp_path / "two"
    with monkeypatch.context() as patch:
        patch.setattr("helpers.label_maps.write_whole", until_full)
        with pytest.raises(OSError, match="No space left"):
            segment_to_folder(drawn_stack(), folder, **QUIET)
    assert whole_run(folder) == uninterrupted


def test_damaged_maps_of_a_run_are_made_again(tmp_path):
    uninterrupted = whole_run(tmp_path)
    for number, damage in (
        (3, b""),
        (9, b"no label map"),
        (14, uninterrupted["labels_0014.tif"][:99]),
    ):
        (tmp_path / f"labels_{number:04d}.tif").write_bytes(damage)
    (tmp_path / ".0123.tmp.labels_0020.tif").write_bytes(b"half of a m")
    assert whole_run(tmp_path) == uninterrupted


def test_the_folder_of_another_run_is_refused(tmp_path):
    before = whole_run(tmp_path)
    for cell, options, words in (
        (drawn_stack(), {"mode": "published"}, "mode is"),
        (drawn_stack(), {"centre": 10}, "centre is null there, 10 here"),
        (drawn_stack(range(1, 20)), {}, "pictures is"),
        (replace(drawn_stack(), voxel_nm=(300.0, 41.0, 41.0)), {}, "pictures is"),
        (drawn_stack(image=lambda number: drawn_slice(number)[0] ^ 1), {}, "pictures is"),
    ):
        with pytest.raises(ValueError, match=f"label maps of another run: .*{words}.*discard"):
            segment_to_folder(cell, tmp_path, **options, **QUIET)
    assert content(tmp_path) == before


def test_the_same_pictures_under_another_name_are_the_same(tmp_path, monkeypatch):
    before = whole_run(tmp_path)
    monkeypatch.setattr(passes, "prepare", None)
    segment_to_folder(replace(drawn_stack(), name="renamed"), tmp_path, **QUIET)
    assert content(tmp_path) == before


def test_maps_do_not_join_the_pictures_they_are_made_of(tmp_path):
    for number in range(10, 15):
        tifffile.imwrite(tmp_path / f"slice_{number:04d}.tif", drawn_slice(number)[0])
    before = content(tmp_path)
    with pytest.raises(ValueError, match="has files that are no label maps of this book"):
        segment_to_folder(open_stack(tmp_path, voxel_nm=(300, 40, 40)), tmp_path, **QUIET)
    assert content(tmp_path) == before


def test_what_is_done_is_read_and_not_computed(tmp_path, monkeypatch):
    uninterrupted = whole_run(tmp_path)
    monkeypatch.setattr(passes, "prepare", None)
    assert whole_run(tmp_path) == uninterrupted


def test_one_map_that_is_lost_is_made_again(tmp_path):
    uninterrupted = whole_run(tmp_path)
    (tmp_path / "labels_0009.tif").unlink()
    assert whole_run(tmp_path) == uninterrupted


# --- bad slices ----------------------------------------------------------------------------------

BAD = 16


def bad_slice(how):
    """Return what reads slices, of which one is bad."""

    def image(number):
        if number != BAD:
            return drawn_slice(number)[0]
        if how is None:
            raise OSError("the page is cut off")
        return how(drawn_slice(number)[0])

    return image


WAYS = {
    "corrupt": (None, "the page is cut off"),
    "wrong dtype": (lambda image: image.astype(np.float32), "slice 16 of a drawn cell is float32"),
    "wrong shape": (lambda image: image[:-1], r"is uint8 \(169, 180\); expected uint8 \(170, 180"),
    "colours": (lambda image: np.dstack([image] * 3), r"is uint8 \(170, 180, 3\)"),
}


@pytest.mark.parametrize(("how", "reason"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_slice_stops_the_run_in_its_turn(how, reason, workers):
    done = []
    run = segment_stack(drawn_stack(image=bad_slice(how)), workers=workers, progress=False)
    with pytest.raises(SliceError, match=rf"Slice 16 .*{reason}.*errors='skip'") as caught:
        done.extend(number for number, _ in run)
    assert caught.value.number == BAD
    assert done, "the slices before it"
    assert max(done) < BAD


def test_a_folder_with_a_bad_slice_is_finished_once_it_is_repaired(tmp_path):
    folder = tmp_path / "two"
    with pytest.raises(SliceError, match="Slice 16"):
        segment_to_folder(drawn_stack(image=bad_slice(None)), folder, **QUIET)
    assert whole_run(folder) == whole_run(tmp_path / "one")


@pytest.mark.parametrize(("how", "reason"), WAYS.values(), ids=WAYS)
def test_a_bad_slice_can_be_left_out(how, reason, tmp_path):
    cell = drawn_stack(image=bad_slice(how))
    with pytest.warns(UserWarning, match=f"Slice 16 is left out: .*{reason}") as warned:
        maps = segment_to_folder(cell, tmp_path, errors="skip", **QUIET)
    assert len([each for each in warned if "left out" in str(each.message)]) == 1
    assert maps.numbers == tuple(number for number in range(1, COUNT + 1) if number != BAD)
    result = {number: maps.read(number) for number in maps.numbers}
    good = dict(segment_stack(drawn_stack(), **QUIET))
    for number in range(1, BAD - 2):
        np.testing.assert_array_equal(result[number], good[number], err_msg="it is far away")
    for number in range(BAD + 1, 21):
        truth = drawn_slice(number)[1] == Label.NUCLEUS
        assert jaccard(result[number] == Label.NUCLEUS, truth) > 0.9


def test_a_slice_left_out_is_tried_again(tmp_path):
    cell = drawn_stack(image=bad_slice(None))
    for _ in range(2):
        with pytest.warns(UserWarning, match="Slice 16 is left out"):
            segment_to_folder(cell, tmp_path, errors="skip", **QUIET)
    with pytest.raises(ValueError, match=r"pictures is .* overwrite=True"):
        segment_to_folder(drawn_stack(), tmp_path, errors="skip", **QUIET)
    maps = segment_to_folder(drawn_stack(), tmp_path, errors="skip", overwrite=True, **QUIET)
    truth = drawn_slice(BAD)[1] == Label.NUCLEUS
    assert jaccard(maps.read(BAD) == Label.NUCLEUS, truth) > 0.92


def test_a_bad_centre_can_be_left_out():
    cell = drawn_stack(image=bad_slice(None))
    with pytest.warns(UserWarning, match="Slice 16 is left out"):
        result = dict(segment_stack(cell, errors="skip", centre=BAD, **QUIET))
    for number in (13, 15, 17, 19):
        truth = drawn_slice(number)[1] == Label.NUCLEUS
        assert jaccard(result[number] == Label.NUCLEUS, truth) > 0.92


def test_a_stack_of_nothing_but_bad_slices():
    def unreadable(_number):
        raise OSError("gone")

    with pytest.raises(SliceError, match="gone"):
        list(segment_stack(drawn_stack(image=unreadable), **QUIET))
    with pytest.warns(UserWarning, match="is left out") as warned:
        result = list(segment_stack(drawn_stack(image=unreadable), errors="skip", **QUIET))
    assert result == []
    assert len(warned) == COUNT
