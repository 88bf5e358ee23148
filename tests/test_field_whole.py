"""A whole field in one command: what it leaves, what it refuses, and what ends it."""

import errno
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

pytest.importorskip("zarr", minversion="3")

from test_field_cells import phantom
from zarr.storage import _local

from helpers import field as field_room
from helpers.cache import StorageError
from helpers.command import BAD_INPUT, DOUBTS, app
from helpers.data import phantom_stack
from helpers.field import joining, ngff, whole

VOXEL_NM = (600.0, 40.0, 40.0)


@pytest.fixture(scope="module")
def truth():
    return phantom(1, n_cells=5)


@pytest.fixture(scope="module")
def slices(truth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    for number in truth.slice_numbers:
        tifffile.imwrite(folder / f"s_{number:03d}.tif", truth.image(number))
    return folder


@pytest.fixture(scope="module")
def done(slices, tmp_path_factory):
    out = tmp_path_factory.mktemp("done")
    return run(slices, "--out", out, "--voxel-nm", *VOXEL_NM), out


def run(*arguments):
    arguments = [*map(str, arguments), "--workers", "0", "--quiet"]
    found = CliRunner().invoke(app, ["field", *arguments], catch_exceptions=False)
    return found.exit_code, found.output


def files_of(out):
    """Return what a run leaves, but for its times and who had the lock."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in (whole.SUMMARY, ".lock", ".lock-holder.json")
    }


def test_slices_in_cells_out(done, truth):
    (code, output), out = done
    assert code == DOUBTS, output
    assert "the side of the field cuts the cell" in output
    table = pd.read_csv(out / whole.TABLE)
    assert len(field_room.match(table, truth.cells)) == len(table) == 5
    told = json.loads((out / whole.SUMMARY).read_text())
    assert told["cells"] == 5
    assert set(told["seconds"]) == {"find", "segment", "join"}
    page = (out / whole.REPORT).read_text(encoding="utf-8")
    assert page.count('class="hela-cell"') == 5
    assert "the side of the field cuts the cell" in page
    instances = field_room.open_field(out / joining.INSTANCES)
    assert set(np.unique(instances.read(slice(None)))) == set(range(6))


def test_every_nucleus_is_found_however_much_of_its_box_is_resin(done, truth):
    _, out = done
    pairs = field_room.match(pd.read_csv(out / whole.TABLE), truth.cells)
    classes = field_room.open_field(out / joining.CLASSES).read(slice(None))
    owner = field_room.open_field(out / joining.INSTANCES).read(slice(None))
    labels = np.stack([truth.labels(n) for n in truth.slice_numbers])
    true_owner = np.stack([truth.instances(n) for n in truth.slice_numbers])
    for row in pairs.itertuples():
        ours = (classes == 2) & (owner == row.cell)
        theirs = (labels == 2) & (true_owner == row.true_cell)
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.93


@pytest.mark.parametrize("name", [joining.CLASSES, joining.INSTANCES])
def test_the_validator_accepts_the_labels(done, name):
    models = pytest.importorskip("ome_zarr_models.v05")
    group = ngff.need_zarr().open_group(str(done[1] / name), mode="r")
    told = models.ImageLabel.from_zarr(group).ome_attributes.image_label
    values = {each.label_value for each in told.colors}
    assert values == ({1, 2, 3, 4} if name == joining.CLASSES else set(range(1, 6)))


def test_the_same_again_changes_nothing(done):
    _, out = done
    before = files_of(out)
    stamps = {name: (out / name).stat().st_mtime_ns for name in before}
    code, _ = run(out / whole.FIELD, "--out", out)
    assert code == DOUBTS
    assert files_of(out) == before
    kept = [name for name in before if name not in (whole.TABLE, whole.REPORT)]
    assert {n: (out / n).stat().st_mtime_ns for n in kept} == {n: stamps[n] for n in kept}


def test_another_field_is_refused_until_it_may_replace(tmp_path):
    for name, seed, count in (("a", 0, 5), ("b", 3, 4)):
        field_room.convert(phantom_stack(phantom(seed, (12, 768, 768), count)), tmp_path / name)
    assert run(tmp_path / "a", "--out", tmp_path / "out")[0] in (0, DOUBTS)
    code, output = run(tmp_path / "b", "--out", tmp_path / "out")
    assert code == BAD_INPUT
    assert "another field" in output
    assert "--overwrite" in output
    assert run(tmp_path / "b", "--out", tmp_path / "out", "--overwrite")[0] in (0, DOUBTS)
    table = pd.read_csv(tmp_path / "out" / whole.TABLE)
    assert len(list((tmp_path / "out" / "cells").iterdir())) == len(table) == 4
    run(tmp_path / "b", "--out", tmp_path / "new")
    assert files_of(tmp_path / "new") == files_of(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing.zarr",), "nothing.zarr"),
        (("http://127.0.0.1:9/field.zarr",), "127.0.0.1"),
        (("SLICES",), "voxel"),
        (("FIELD", "--voxel-nm", 50, 10, 10), "leave it out"),
    ],
)
def test_what_is_wrong_is_said(slices, done, tmp_path, arguments, said):
    known = {"SLICES": slices, "FIELD": done[1] / whole.FIELD}
    arguments = [known.get(each, each) for each in arguments]
    code, output = run(*arguments, "--out", tmp_path / "out")
    assert code == BAD_INPUT
    assert said in output


def test_a_scheduler_has_workers_of_its_own(done, tmp_path):
    arguments = [
        "field",
        str(done[1]),
        "--out",
        str(tmp_path),
        "--scheduler",
        "tcp://1",
        "--workers",
        "2",
    ]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == BAD_INPUT
    assert "leave --workers out" in found.output


def test_a_dry_run_writes_nothing(slices, tmp_path):
    code, output = run(slices, "--out", tmp_path / "out", "--voxel-nm", *VOXEL_NM, "--dry-run")
    assert code == 0
    assert "24 slices of 768 x 768 pixels; voxel 600 x 40 x 40 nm" in output
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_killed_goes_on_to_the_same_files(done, tmp_path):
    _, out = done
    command = [sys.executable, "-m", "helpers", "field", str(out / whole.FIELD)]
    command += ["--out", str(tmp_path / "out"), "--workers", "0", "--quiet"]
    begun = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while len(list((tmp_path / "out").glob("cells/*/measures.json"))) < 2:
            assert begun.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        begun.kill()
        begun.wait()
    assert run(out / whole.FIELD, "--out", tmp_path / "out")[0] == DOUBTS
    theirs = {name: body for name, body in files_of(out).items() if "field.zarr" not in name}
    assert files_of(tmp_path / "out") == theirs


def test_a_full_disk_is_named_and_nothing_is_lost(done, tmp_path, monkeypatch):
    _, out = done
    result = field_room.segment_field(out / whole.FIELD, tmp_path / "out", progress=False)
    theirs = files_of(tmp_path / "out")
    for path in (tmp_path / "out" / joining.INSTANCES).glob("0/c/2/*/*"):
        path.unlink()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_local, "_put", full)
        with pytest.raises(StorageError, match="disk is full"):
            field_room.segment_field(result.field, tmp_path / "out", progress=False)
    field_room.segment_field(result.field, tmp_path / "out", progress=False)
    assert files_of(tmp_path / "out") == theirs


def test_a_damaged_chunk_costs_its_slices_and_is_named(done, tmp_path):
    damaged = tmp_path / "damaged.zarr"
    table = pd.read_csv(done[1] / whole.TABLE).set_index("cell")
    pixels = field_room.open_field(done[1] / whole.FIELD).read(slice(None))
    field_room.convert(pixels, damaged, voxel_nm=VOXEL_NM, chunk=(8, 128, 128))
    row = table.loc[1]
    place = (0, *(int(row[name] * 1000 / 40) // 128 for name in ("y_um", "x_um")))
    ngff.chunk_path(damaged, 0, place).write_bytes(b"no chunk")
    result = field_room.segment_field(damaged, tmp_path / "out", progress=False)
    told = result.cells.set_index("cell")
    lost = 8 - (row["first"] - 1)
    assert f"slices that cannot be read: {lost}" in told.loc[1, "doubts"]
    assert result.damaged == list(range(1, 9))
    assert "slice 3 of the field cannot be read" in result.doubts
    assert (told["failed"] == "").all()
    assert 0.3 < told.loc[1, "volume_um3"] / table.loc[1, "volume_um3"] < 1.1
    apart = np.hypot(table["y_um"] - row["y_um"], table["x_um"] - row["x_um"])
    far = table.index[apart > 18]
    assert len(far)
    for number in far:
        assert told.loc[number, "volume_um3"] == table.loc[number, "volume_um3"]
