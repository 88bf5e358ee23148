"""The field's other cells: single slices cut out of a file on a server, kept and checked."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from server import Fault

from helpers.data import DataError, download, load_stack, open_cell, ranges, whole_cell
from helpers.data.other_cells import CELLS
from helpers.settings import using

SHAPE = (6, 300, 400)
CELL = "1416-1932-171"
NAME = f"empiar-10478/ROI_{CELL}.tiff"


def volume(seed: int = 0, n_slices: int = SHAPE[0]) -> np.ndarray:
    # Even numbers only in smooth steps, so that deflate has something to do.
    noise = np.random.default_rng(seed).integers(0, 8, (n_slices, *SHAPE[1:]), dtype=np.uint8)
    return noise * 16 + np.arange(n_slices, dtype=np.uint8)[:, None, None]


def tiff_bytes(slices: np.ndarray, layout: str = "chained") -> bytes:
    """Write a TIFF as one or another program lays it out."""
    file = io.BytesIO()
    if layout in ("contiguous", "imagej"):
        tifffile.imwrite(file, slices, imagej=layout == "imagej", photometric="minisblack")
        return file.getvalue()
    options = {
        "strips": {"rowsperstrip": 8},
        "deflate": {"compression": "zlib", "rowsperstrip": 32},
        "predictor": {"compression": "zlib", "predictor": True, "rowsperstrip": 32},
        "packbits": {"compression": 32773, "rowsperstrip": 50},
        "tiles": {"tile": (64, 64)},
    }
    with tifffile.TiffWriter(
        file, bigtiff=layout == "bigtiff", byteorder=">" if layout == "motorola" else "<"
    ) as writer:
        for image in slices:
            writer.write(image, contiguous=False, metadata=None, **options.get(layout, {}))
    return file.getvalue()


LAYOUTS = ["chained", "strips", "deflate", "predictor", "packbits", "bigtiff", "motorola"]
LAYOUTS += ["contiguous", "imagej"]
BODY = tiff_bytes(volume())


@pytest.fixture(autouse=True)
def small(monkeypatch, server):
    """Let a small file stand for the one of 1.2 GB."""
    monkeypatch.setattr(whole_cell, "FULL_SHAPE", SHAPE)
    monkeypatch.setattr(whole_cell, "_verified", set())
    server.files[NAME] = BODY


@pytest.fixture(autouse=True)
def mirror(mirror):
    with using(mirror):
        yield mirror


@pytest.fixture
def folder(mirror):
    return mirror.data_dir / NAME.removesuffix(".tiff")


def failure(act) -> DataError:
    with pytest.raises(DataError) as caught:
        act()
    assert NAME in str(caught.value)
    assert caught.value.remedy
    return caught.value


def spans(server) -> list[str]:
    return [headers.get("Range") for _, _, headers in server.seen]


def test_a_name_that_no_cell_has_is_answered_with_all_names(server):
    assert len(set(CELLS)) == 18
    with pytest.raises(ValueError, match=r"1416-1932-171.*4320-1260-95.*Did you mean") as caught:
        open_cell("1416-1932-172")
    assert all(cell in str(caught.value) for cell in CELLS)
    assert server.seen == []


def test_a_cell_is_a_stack_of_the_field(server):
    cell = open_cell(f"ROI_{CELL}.tiff")
    assert (len(cell), cell.shape, cell.voxel_nm) == (6, SHAPE[1:], (50.0, 10.0, 10.0))
    assert CELL in cell.name
    assert cell.source == "other"
    assert "CC0" in cell.licence
    assert "10.1111/tra.12789" in cell.citation
    assert "EMPIAR-10478" in cell.citation
    assert cell.labels(1) is None
    assert cell.example == 4
    with pytest.raises(ValueError, match="no slice 7; it has 1 to 6"):
        cell.image(7)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_slices_are_what_the_file_holds(server, layout):
    server.files[NAME] = tiff_bytes(volume(), layout)
    cell = open_cell(CELL)
    for number in (6, 1, 3):
        assert np.array_equal(cell.image(number), volume()[number - 1])


@pytest.mark.parametrize("layout", ["chained", "strips", "bigtiff", "deflate", "imagej"])
def test_a_slice_costs_its_own_bytes_and_no_more(server, layout):
    server.files[NAME] = tiff_bytes(volume(), layout)
    with tifffile.TiffFile(io.BytesIO(server.files[NAME])) as tiff:
        own_bytes = sum(tiff.pages[1].databytecounts)
    cell = open_cell(CELL)
    assert server.sent_bytes < 8 * ranges.AHEAD_BYTES
    before, asked = server.sent_bytes, len(server.seen)
    cell.image(2)
    assert own_bytes <= server.sent_bytes - before < own_bytes + 1000
    assert len(server.seen) - asked == 1
    cell.image(2)
    open_cell(CELL).image(2)
    assert len(server.seen) - asked == 1


def test_what_is_there_is_used_without_a_network(server, folder):
    open_cell(CELL).image(2)
    server.stop()
    server.stop = lambda: None
    download._hosts.clear()
    cell = open_cell(CELL)
    assert np.array_equal(cell.image(2), volume()[1])
    error = failure(lambda: cell.image(3))
    assert "no connection" in error.reason
    assert "HELA_DATA_DIR" in error.remedy


def test_without_a_network_the_error_says_what_to_do(server, monkeypatch):
    def unknown(*_):
        raise OSError("not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    error = failure(lambda: open_cell(CELL))
    assert "no network" in error.reason
    assert "HELA_DATA_URL" in error.remedy


def test_a_kept_slice_is_a_tiff_with_its_hash(folder):
    open_cell(CELL).image(2)
    kept = folder / "slice_002.tiff"
    assert np.array_equal(tifffile.imread(kept), volume()[1])
    record = json.loads((folder / "slice_002.json").read_text())
    assert record == {"sha256": hashlib.sha256(kept.read_bytes()).hexdigest()}
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"index.json", "slice_002.json", "slice_002.tiff"}


@pytest.mark.parametrize("damage", ["changed", "cut", "empty"])
def test_a_changed_slice_is_fetched_anew_with_a_word(server, folder, damage):
    cell = open_cell(CELL)
    cell.image(2)
    kept = folder / "slice_002.tiff"
    good = kept.read_bytes()
    bad = {"changed": good[:-1] + bytes([good[-1] ^ 1]), "cut": good[:-900], "empty": b""}
    kept.write_bytes(bad[damage])
    asked = len(server.seen)
    with pytest.warns(UserWarning, match="Slice 2 .* fetched anew"):
        assert np.array_equal(cell.image(2), volume()[1])
    assert len(server.seen) == asked + 1
    assert kept.read_bytes() == good
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cell.image(2)


def test_a_slice_that_is_no_longer_what_was_recorded_is_refused(server, folder):
    server.has_etag = False
    cell = open_cell(CELL)
    cell.image(2)
    (folder / "slice_002.tiff").unlink()
    server.files[NAME] = tiff_bytes(volume(seed=1))
    assert len(server.files[NAME]) == len(BODY)
    error = failure(lambda: cell.image(2))
    assert "not what was recorded" in error.reason
    assert str(folder) in error.remedy
    assert not (folder / "slice_002.tiff").exists()


def test_a_slice_without_a_record_is_recorded(server, folder):
    cell = open_cell(CELL)
    cell.image(2)
    asked = len(server.seen)
    (folder / "slice_002.json").unlink()
    assert np.array_equal(cell.image(2), volume()[1])
    assert (folder / "slice_002.json").is_file()
    assert len(server.seen) == asked


def test_a_cut_connection_goes_on_where_it_stopped(server):
    cell = open_cell(CELL)
    before, asked = server.sent_bytes, len(server.seen)
    server.faults[NAME] = [Fault(cut_after=50_000), Fault(cut_after=1_000)]
    assert np.array_equal(cell.image(2), volume()[1])
    assert server.sent_bytes - before == SHAPE[1] * SHAPE[2]
    first, second, third = (int(span[6:].split("-")[0]) for span in spans(server)[asked:])
    assert (second - first, third - second) == (50_000, 1_000)


def test_a_connection_that_is_cut_each_time_is_given_up(server, folder):
    cell = open_cell(CELL)
    server.faults[NAME] = [Fault(cut_after=100)] * 50
    assert "cut" in failure(lambda: cell.image(2)).reason
    assert not (folder / "slice_002.tiff").exists()
    server.faults.clear()
    download._hosts.clear()
    assert np.array_equal(cell.image(2), volume()[1])


@pytest.mark.parametrize("place", ["index", "slice"])
def test_a_server_that_stumbles_is_asked_again(server, place):
    if place == "slice":
        cell = open_cell(CELL)
    server.faults[NAME] = [Fault(status=500), Fault(status=503)]
    if place == "index":
        cell = open_cell(CELL)
    assert np.array_equal(cell.image(5), volume()[4])
    assert server.faults[NAME] == []


def test_a_fault_within_the_index_is_not_taken_for_the_end_of_the_file(server, folder):
    server.faults[NAME] = [Fault(), Fault(), *[Fault(status=404)] * 9]
    assert "HTTP 404" in failure(lambda: open_cell(CELL)).reason
    assert not (folder / "index.json").exists()
    server.faults.clear()
    assert len(open_cell(CELL)) == 6


def test_a_file_that_is_not_there(server):
    server.files.clear()
    error = failure(lambda: open_cell(CELL))
    assert "HTTP 404" in error.reason
    assert f"{server.url}/{NAME}" in str(error)


@pytest.mark.parametrize("place", ["index", "slice"])
def test_a_server_without_ranges_sends_nothing_whole(server, folder, place):
    server.files[NAME] = large = tiff_bytes(volume(n_slices=40))
    if place == "slice":
        cell = open_cell(CELL)
    server.has_ranges = False
    taken = []
    chunks = download.Downloads.chunks

    def counted(self, response):
        for chunk in chunks(self, response):
            taken.append(len(chunk))
            yield chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download.Downloads, "chunks", counted)
        error = failure(lambda: open_cell(CELL) if place == "index" else cell.image(1))
    assert len(large) > 4_000_000
    assert taken == []
    assert "whole files only" in error.reason
    assert f'whole_cell.fetch_full("{CELL}")' in error.remedy
    assert str(folder) in error.remedy


@pytest.mark.parametrize("tells", ["etag", "size"])
def test_a_file_that_changed_since_the_index_was_read(server, folder, tells):
    server.has_etag = tells == "etag"
    cell = open_cell(CELL)
    cell.image(1)
    new = volume(seed=1) if tells == "etag" else volume(n_slices=7)
    server.files[NAME] = tiff_bytes(new)
    error = failure(lambda: cell.image(2))
    assert "is not the one that the index was read from" in error.reason
    assert "begin anew" in error.remedy
    assert str(folder) in error.remedy
    assert not (folder / "slice_002.tiff").exists()
    assert np.array_equal(cell.image(1), volume()[0])


def test_another_mirror_with_the_same_file_will_do(server, mirror):
    cell = open_cell(CELL)
    cell.image(1)
    server.files[f"there/{NAME}"] = BODY
    server.has_etag = False
    with using(replace(mirror, data_url=f"{server.url}/there")):
        assert np.array_equal(open_cell(CELL).image(2), volume()[1])
    assert server.asked(f"there/{NAME}") == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>log in</html>" * 500, "cannot be read as a TIFF"),
        (tiff_bytes(volume()[:, :50]), r"slice 1 is \(50, 400\) uint8, not \(300, 400\)"),
        (tiff_bytes(volume().astype(np.uint16)), "uint16"),
        (tiff_bytes(volume(), "tiles"), "tiles"),
        (BODY[:-1000], "ends within slice 6|cut off"),
        (BODY[: len(BODY) // 2], "cut off|ends within"),
    ],
    ids=["page", "rows", "dtype", "tiles", "end", "half"],
)
def test_what_is_not_the_stack_of_a_cell_is_refused(server, folder, body, said):
    server.files[NAME] = body
    with pytest.raises(DataError, match=said):
        open_cell(CELL)
    assert not (folder / "index.json").exists()
    assert server.sent_bytes <= max(len(body) // 3, 30_000)


def test_bytes_that_are_no_picture_are_not_kept(server, folder):
    server.files[NAME] = body = tiff_bytes(volume(), "deflate")
    cell = open_cell(CELL)
    start = cell._image.__self__.index.pages[1].starts[0]
    server.has_etag = False
    server.files[NAME] = body[:start] + b"\xff" * 5000 + body[start + 5000 :]
    cell._image.__self__.index = replace(cell._image.__self__.index, version=None)
    error = failure(lambda: cell.image(2))
    assert "cannot be read as a picture" in error.reason
    assert not (folder / "slice_002.tiff").exists()


def test_a_damaged_index_is_read_again(server, folder):
    open_cell(CELL)
    (folder / "index.json").write_text('{"url": ')
    assert np.array_equal(open_cell(CELL).image(6), volume()[5])
    assert json.loads((folder / "index.json").read_text())["size_bytes"] == len(BODY)


def test_a_header_that_asks_for_all_of_the_file_is_refused(server, monkeypatch):
    monkeypatch.setattr(ranges, "MOST_BYTES", 10_000)
    assert "longer than" in failure(lambda: open_cell(CELL)).reason
    assert server.sent_bytes <= 10_000


def test_the_whole_file_is_used_where_it_is(server, mirror):
    path = mirror.data_dir / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    cell = open_cell(CELL)
    assert len(cell) == 6
    assert np.array_equal(cell.image(4), volume()[3])
    assert server.seen == []
    assert (path.parent / f"{path.name}.json").is_file()


def test_the_whole_file_can_be_downloaded(server, mirror):
    assert whole_cell.fetch_full(CELL).read_bytes() == BODY
    asked = len(server.seen)
    assert np.array_equal(open_cell(CELL).image(4), volume()[3])
    assert len(server.seen) == asked


def test_the_papers_cell_comes_in_slices_too(server):
    server.files[whole_cell.FULL_NAME] = BODY
    for cell in (load_stack("full"), open_cell("1656-6756-329")):
        assert cell.source == "full"
        assert "paper's cell" in cell.name
        assert cell.notes[0].endswith(f"{server.url}/{whole_cell.FULL_NAME}.")
    before = server.sent_bytes
    assert np.array_equal(cell._image(5), volume()[4])
    assert server.sent_bytes - before == SHAPE[1] * SHAPE[2]
    server.files[whole_cell.FULL_NAME] = tiff_bytes(volume(n_slices=5))
    (whole_cell.path_of("1656-6756-329").with_suffix("") / "index.json").unlink()
    with pytest.raises(DataError, match="5 pages, not 6"):
        load_stack("full")


def test_without_a_mirror_it_comes_from_empiar(mirror, monkeypatch):
    asked = []

    def refuse(_, url, **__):
        asked.append(url)
        raise download.requests.ConnectTimeout

    monkeypatch.setattr(download, "_resolve", lambda *_: None)
    monkeypatch.setattr(download.requests.Session, "get", refuse)
    with using(replace(mirror, data_url=None)):
        failure(lambda: open_cell(CELL))
    folder = "https://ftp.ebi.ac.uk/empiar/world_availability/10478/data/ROIs"
    assert asked == [f"{folder}/ROI_{CELL}.tiff"]


def test_another_process_can_read_the_slices(server):
    cell = open_cell(CELL)
    again = pickle.loads(pickle.dumps(cell._image))
    assert np.array_equal(again(3), volume()[2])


def test_two_processes_fetch_a_slice_once(server, mirror, folder):
    open_cell(CELL)
    asked = len(server.seen)
    server.faults[NAME] = [Fault(wait_s=0.2)] * 2
    code = (
        "import sys\n"
        "from helpers.data import whole_cell, open_cell\n"
        "from helpers.settings import using\n"
        f"whole_cell.FULL_SHAPE = {SHAPE}\n"
        "with using(data_dir=__import__('pathlib').Path(sys.argv[1]), data_url=sys.argv[2]):\n"
        f"    cell = open_cell('{CELL}')\n"
        "    print('ready', flush=True); sys.stdin.readline()\n"
        "    print(int(cell.image(2).sum()))\n"
    )
    command = [sys.executable, "-c", code, mirror.data_dir, server.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in both]
    assert {text.split()[-1] for text in said} == {str(int(volume()[1].sum()))}
    assert len(server.seen) - asked == 1


def test_threads_fetch_each_slice_once(server):
    cell = open_cell(CELL)
    asked = len(server.seen)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(cell.image, [1, 2, 1, 2, 3, 1]))
    assert np.array_equal(images[3], volume()[1])
    assert len(server.seen) - asked == 3


def test_an_empty_file_is_no_cell(server):
    server.files[NAME] = b""
    assert "it is empty" in failure(lambda: open_cell(CELL)).reason


def test_a_folder_that_is_read_only_says_so(mirror, monkeypatch):
    cell = open_cell(CELL)

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("helpers.data.slices_by_range.write_whole", refuse)
    error = failure(lambda: cell.image(2))
    assert "read-only" in error.reason
    assert "HELA_DATA_DIR" in error.remedy
