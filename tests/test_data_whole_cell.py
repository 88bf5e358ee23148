"""The big TIFF: resumed, checked, recorded, and read slice by slice."""

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
import tifffile
from server import Fault

from helpers.data import DataError, download, whole_cell
from helpers.data.whole_cell import FULL_NAME
from helpers.settings import using

SHAPE = (12, 90, 110)


def stack(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def tiff_bytes(volume: np.ndarray, layout: str = "chained") -> bytes:
    """Write a TIFF whose headers lie as one or another program puts them."""
    file = io.BytesIO()
    if layout == "contiguous":
        tifffile.imwrite(file, volume, photometric="minisblack")
    elif layout == "imagej":
        tifffile.imwrite(file, volume, imagej=True)
    else:
        options = {"chained": {}, "strips": {"rowsperstrip": 8}, "packbits": {"compression": 32773}}
        with tifffile.TiffWriter(file) as writer:
            for i, image in enumerate(volume):
                # One page with a longer header breaks the equal distances.
                text = "x" * 1000 if layout == "uneven" and i == 5 else None
                writer.write(
                    image, contiguous=False, metadata=None, description=text,
                    **options.get(layout, {}),
                )  # fmt: skip
    return file.getvalue()


LAYOUTS = ["chained", "strips", "packbits", "uneven", "contiguous", "imagej"]
BODY = tiff_bytes(stack())


@pytest.fixture(autouse=True)
def small(monkeypatch, server):
    """Let a small stack stand for the big one, as in a new process."""
    monkeypatch.setattr(whole_cell, "FULL_SHAPE", SHAPE)
    monkeypatch.setattr(whole_cell, "_verified", set())
    server.files[FULL_NAME] = BODY


@pytest.fixture
def settings(settings):
    with using(settings):
        yield settings


@pytest.fixture
def mirror(mirror):
    with using(mirror):
        yield mirror


@pytest.fixture
def path(mirror):
    return mirror.data_dir / FULL_NAME


def names_beside(path) -> set[str]:
    beside = (p.name for p in path.parent.glob("*") if p.name != ".lock")
    return {name.removeprefix(path.name) for name in beside}


def place(path, body: bytes = BODY):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def in_a_new_process(monkeypatch):
    monkeypatch.setattr(whole_cell, "_verified", set())
    download._hosts.clear()


def fetch(mirror):
    return whole_cell.fetch_full()


def failure(mirror) -> DataError:
    with pytest.raises(DataError) as caught:
        fetch(mirror)
    assert FULL_NAME in str(caught.value)
    assert caught.value.remedy
    return caught.value


def ranges(server) -> list[str | None]:
    return [headers.get("Range") for _, _, headers in server.seen]


def test_it_is_downloaded_checked_and_recorded(mirror, path, server):
    assert not whole_cell.is_full_cached()
    assert fetch(mirror) == path
    assert path.read_bytes() == BODY
    assert names_beside(path) == {"", ".json"}
    record = json.loads(path.with_name(path.name + ".json").read_text())
    assert record == {"sha256": hashlib.sha256(BODY).hexdigest(), "size_bytes": len(BODY)}
    assert whole_cell.is_full_cached()
    assert fetch(mirror) == path
    assert len(server.seen) == 1


def test_the_bar_shows_while_it_downloads_and_not_after(mirror, capsys):
    whole_cell.fetch_full()
    assert "ROI_1656" in capsys.readouterr().err
    whole_cell.fetch_full()
    assert capsys.readouterr().err == ""


def test_a_cut_download_goes_on_where_it_stopped(mirror, path, server):
    server.faults[FULL_NAME] = [Fault(cut_after=70_000), Fault(cut_after=1_000)]
    assert fetch(mirror).read_bytes() == BODY
    assert server.sent_bytes == len(BODY)
    assert ranges(server) == [None, "bytes=70000-", "bytes=71000-"]
    assert names_beside(path) == {"", ".json"}


def test_a_later_process_goes_on_too(mirror, path, server, monkeypatch):
    server.faults[FULL_NAME] = [Fault(cut_after=70_000), *[Fault(status=503)] * 8]
    error = failure(mirror)
    assert "goes on where it stopped" in error.remedy
    assert names_beside(path) == {".part", ".part.json"}
    assert not whole_cell.is_full_cached()
    server.faults.clear()
    in_a_new_process(monkeypatch)
    assert fetch(mirror).read_bytes() == BODY
    assert server.sent_bytes == len(BODY)
    assert names_beside(path) == {"", ".json"}


def test_progress_earns_new_tries(mirror, server, monkeypatch):
    monkeypatch.setattr(whole_cell, "FRESH_START_BYTES", 10_000)
    server.faults[FULL_NAME] = [Fault(cut_after=11_000)] * 9
    assert fetch(mirror).read_bytes() == BODY
    assert len(server.seen) == 10


def test_ctrl_c_keeps_what_arrived(mirror, path, server, monkeypatch):
    original = download.Downloads.chunks

    def interrupted(self, response):
        yield next(original(self, response))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download.Downloads, "chunks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(mirror)
    assert path.with_name(path.name + ".part").stat().st_size == download.CHUNK_BYTES
    assert fetch(mirror).read_bytes() == BODY
    assert ranges(server)[-1] == f"bytes={download.CHUNK_BYTES}-"


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_two_versions_are_never_glued_together(mirror, path, server, heeds_if_range):
    server.heeds_if_range = heeds_if_range
    new = tiff_bytes(stack(seed=1))
    server.faults[FULL_NAME] = [Fault(cut_after=70_000, put_after=new)]
    assert fetch(mirror).read_bytes() == new
    assert names_beside(path) == {"", ".json"}


def test_a_file_that_shrank_is_fetched_from_its_start(mirror, server):
    server.heeds_if_range = False
    packed = tiff_bytes(stack() // 255, "packbits")
    assert len(packed) < 100_000
    server.faults[FULL_NAME] = [Fault(cut_after=100_000, put_after=packed)]
    assert fetch(mirror).read_bytes() == packed


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_server_that_always_begins_anew_is_given_up(mirror, server, monkeypatch, heeds_if_range):
    monkeypatch.setattr(whole_cell, "FRESH_START_BYTES", 10_000)
    server.heeds_if_range = heeds_if_range
    versions = [tiff_bytes(stack(seed=seed)) for seed in range(1, 60)]
    server.faults[FULL_NAME] = [Fault(cut_after=70_000, put_after=body) for body in versions]
    assert failure(mirror).reason.startswith(("the connection was cut", "the file changed"))
    assert len(server.seen) <= 2 * download.TRIES


@pytest.mark.parametrize("lacks", ["has_ranges", "has_etag"])
def test_a_server_that_cannot_resume_starts_again(mirror, path, server, lacks):
    setattr(server, lacks, False)
    server.faults[FULL_NAME] = [Fault(cut_after=70_000)]
    assert fetch(mirror).read_bytes() == BODY
    assert server.sent_bytes == 70_000 + len(BODY)
    assert names_beside(path) == {"", ".json"}


def test_a_part_of_unknown_origin_is_not_trusted(mirror, path, server):
    place(path.with_name(path.name + ".part"), b"?" * 5000)
    assert fetch(mirror).read_bytes() == BODY
    assert ranges(server) == [None]


def test_a_missing_file_leaves_nothing(mirror, path, server):
    server.files.clear()
    error = failure(mirror)
    assert "HTTP 404" in error.reason
    assert f"{server.url}/{FULL_NAME}" in str(error)
    assert "goes on" not in error.remedy
    assert names_beside(path) == set()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (tiff_bytes(stack()[:7]), "it has 7 pages, not 12"),
        (tiff_bytes(stack()[:, :50]), r"slice 1 is \(50, 110\) uint8, not \(90, 110\) uint8"),
        (tiff_bytes(stack().astype(np.uint16)), "uint16"),
        (b"<html>log in</html>", "cannot be read as a TIFF"),
        (tiff_bytes(stack(), "imagej")[:60_000], "pages|ends within|cannot be read"),
        (BODY[:-1000], "ends within slice 12"),
    ],
    ids=["pages", "rows", "dtype", "html", "headers-cut", "data-cut"],
)
def test_what_is_not_the_stack_is_not_kept(mirror, path, server, body, said):
    server.files[FULL_NAME] = body
    with pytest.raises(DataError, match=said):
        fetch(mirror)
    assert names_beside(path) == set()
    # Put there by hand, it is not used either, and not touched.
    place(path, body)
    assert not whole_cell.is_full_cached()
    with pytest.raises(DataError, match=f"(?s){said}.*Move .* away"):
        fetch(mirror)
    assert names_beside(path) == {""}
    assert path.read_bytes() == body


def test_the_disk_must_have_room(mirror, path, server, monkeypatch):
    usage = namedtuple("usage", "free")
    free = len(BODY) + whole_cell.SPARE_BYTES - 1
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(free))
    error = failure(mirror)
    assert "MB are needed" in error.reason
    assert "Free some space" in error.remedy
    assert names_beside(path) == set()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(free + 1))
    assert fetch(mirror) == path


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")]
)
def test_storage_faults(mirror, path, monkeypatch, number, said):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(whole_cell, "write_whole", fail)
        assert said in failure(mirror).reason
    assert names_beside(path) == set()


def test_a_change_after_the_first_use_is_noticed(mirror, path, monkeypatch):
    fetch(mirror)
    changed = bytearray(BODY)
    changed[-1] ^= 1
    path.write_bytes(changed)
    in_a_new_process(monkeypatch)
    error = failure(mirror)
    assert "differs from the one recorded" in error.reason
    assert str(path) in error.remedy
    with pytest.raises(DataError, match="differs"):
        whole_cell.read_slice(path, 1)
    assert path.read_bytes() == changed
    path.with_name(path.name + ".json").unlink()
    assert fetch(mirror) == path


def test_a_record_that_cannot_be_read_is_not_passed_over(mirror, path):
    place(path)
    path.with_name(path.name + ".json").write_text("{")
    assert ".json" in failure(mirror).remedy


def test_the_hash_is_computed_once_a_process(mirror, path, monkeypatch):
    fetch(mirror)

    def forbidden(*_):
        raise AssertionError("hashed again")

    monkeypatch.setattr("pooch.file_hash", forbidden)
    assert fetch(mirror) == path
    whole_cell.read_slice(path, 1)


def test_a_file_put_there_by_hand_is_recorded(mirror, path, server):
    place(path)
    assert whole_cell.is_full_cached()
    assert fetch(mirror) == path
    assert names_beside(path) == {"", ".json"}
    assert server.seen == []


def test_in_a_read_only_folder_it_works_unrecorded(mirror, path, monkeypatch):
    place(path)

    def fail(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(whole_cell, "write_whole", fail)
    with pytest.warns(UserWarning, match="could not be recorded"):
        assert fetch(mirror) == path
    assert names_beside(path) == {""}
    assert fetch(mirror) == path


def test_two_processes_do_not_write_at_once(mirror, path, server, capsys):
    code = (
        "import os, sys, time; from pathlib import Path; from helpers.cache import locked\n"
        "with locked(Path(sys.argv[2]).parent, 'downloads it'):\n"
        "    print('locked', flush=True); time.sleep(2); os.rename(*sys.argv[1:])"
    )
    made = path.parents[1] / "made by the other"
    place(made)
    command = [sys.executable, "-c", code, made, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"locked"
        assert fetch(mirror) == path
    assert "which downloads it" in capsys.readouterr().out
    assert path.read_bytes() == BODY
    assert server.seen == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_slices_are_read_from_the_file(mirror, path, server, layout):
    place(path, tiff_bytes(stack(), layout))
    for number in (12, 1, 2, 7):
        image = whole_cell.read_slice(path, number)
        assert image.dtype == np.uint8
        assert np.array_equal(image, stack()[number - 1])
    assert server.seen == []


def test_without_a_mirror_it_comes_from_empiar(settings, monkeypatch):
    asked = []

    def refuse(_, url, **__):
        asked.append(url)
        raise download.requests.ConnectTimeout

    monkeypatch.setattr(download, "_resolve", lambda *_: None)
    monkeypatch.setattr(download.requests.Session, "get", refuse)
    assert "no connection" in failure(settings).reason
    assert asked == [whole_cell.FULL_URL]
