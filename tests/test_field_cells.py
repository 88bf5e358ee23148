"""Cells of a phantom field: found, segmented one a task, and joined."""

import json
import os
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3")

from helpers.data import phantom_stack
from helpers.field import cells, find, joining, ngff, tasks
from helpers.field.convert import convert
from helpers.phantom.field import PhantomField


def phantom(seed, shape=(24, 768, 768), n_cells=4):
    return PhantomField(shape, (600.0, 40.0, 40.0), n_cells=n_cells, seed=seed)


@pytest.fixture(scope="module")
def truth():
    return phantom(0)


@pytest.fixture(scope="module")
def field(truth, tmp_path_factory):
    return convert(phantom_stack(truth), tmp_path_factory.mktemp("field") / "f.zarr")


@pytest.fixture(scope="module")
def found(field):
    return find.find_cells(field)


@pytest.fixture(scope="module")
def result(field, found, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    table = cells.segment_cells(field, found, out)
    return out, table, joining.join_cells(field, table, out)


@pytest.mark.parametrize("seed", [3, 4])
def test_cells_that_touch_are_found_and_nothing_else(seed, tmp_path):
    # Coarse pixels: only the coarse level is looked at in any case.
    known = PhantomField((16, 480, 480), (900.0, 160.0, 160.0), n_cells=20, seed=seed)
    table = find.find_cells(convert(phantom_stack(known), tmp_path / "f.zarr", n_levels=1))
    pairs = find.match(table, known.cells)
    assert len(pairs) >= 0.95 * len(known.cells)
    assert len(pairs) >= 0.95 * len(table)
    cut = known.cells.set_index("cell")["is_cut"]
    reported = table.set_index("cell")["is_cut"]
    assert all(reported[row.cell] for row in pairs.itertuples() if cut[row.true_cell])


def test_chunks_and_runs_give_the_same_table(field, found, tmp_path):
    other = convert(
        field.levels[0][:], tmp_path / "g.zarr", voxel_nm=field.voxel_nm, chunk=(3, 100, 130)
    )
    again = find.find_cells(other)
    assert again.to_csv() == found.to_csv()
    assert again.attrs == found.attrs


def test_the_whole_nucleus_in_the_middle_is_found(truth, found, result):
    _, table, (classes, instances) = result
    pairs = find.match(table, truth.cells)
    whole = [
        row for row in pairs.itertuples() if not found.set_index("cell").loc[row.cell, "is_cut"]
    ]
    assert whole
    place = 12
    labels, owner = truth.labels(place + 1), truth.instances(place + 1)
    for row in whole:
        ours = (classes.read(place) == 2) & (instances.read(place) == row.cell)
        theirs = (labels == 2) & (owner == row.true_cell)
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9
    to_true = np.zeros(len(table) + 1, int)
    to_true[pairs["cell"]] = pairs["true_cell"]
    is_cell = owner > 0
    assert (to_true[instances.read(place)] == owner)[is_cell].mean() > 0.9


def test_a_cut_cell_says_so(result):
    _, table, _ = result
    assert table.loc[table["is_cut"], "doubts"].str.contains("side of the field").all()


def test_a_second_run_computes_nothing_and_a_lost_cell_comes_back(
    field, found, result, monkeypatch
):
    out, table, _ = result
    files = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    stamps = {p: p.stat().st_mtime_ns for p in files}
    again = cells.segment_cells(field, found, out)
    joining.join_cells(field, again, out)
    assert again.to_csv() == table.to_csv()
    assert {p: p.stat().st_mtime_ns for p in files} == stamps
    shutil.rmtree(cells.folder_of(out, 3))
    ngff.chunk_path(out / joining.INSTANCES, 0, (0, 0, 0)).unlink()
    assemble_again = cells.segment_cells(field, found, out)
    joining.join_cells(field, assemble_again, out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == files


def test_a_failed_cell_takes_no_other_with_it(field, found, tmp_path):
    folder = cells.folder_of(tmp_path, 3)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where a folder is needed")
    table = cells.segment_cells(field, found, tmp_path)
    assert table["failed"].astype(bool).tolist() == [n == 3 for n in table["cell"]]
    assert table.loc[table["cell"] == 3, "volume_um3"].isna().all()
    _, instances = joining.join_cells(field, table, tmp_path)
    assert 3 not in np.unique(instances.read(slice(None), level=2))


def test_measures_are_written(result):
    out, table, _ = result
    told = json.loads((cells.folder_of(out, 3) / cells.MEASURES).read_text())
    assert told["measures"]["volume_um3"] == table.set_index("cell").loc[3, "volume_um3"]


def test_overlaps_do_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    whole = np.s_[0:8, 0:9]
    parts = [
        (
            number,
            whole,
            rng.choice([0, 1, 2, 3], (8, 9)).astype(np.uint8),
            rng.integers(0, 3, (8, 9)),
        )
        for number in range(1, 5)
    ]
    dark = rng.random((8, 9)) > 0.3
    one, other = joining.settle(dark, parts), joining.settle(dark, parts[::-1])
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _end_worker(marker, value):
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), 9)
    return value


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    pytest.importorskip("distributed")
    todo = {n: (_end_worker, tmp_path / "killed", n * n) for n in range(4)}
    with tasks.cluster(workers=2) as client:
        assert tasks.all_of(tasks.run(todo, client)) == {n: n * n for n in range(4)}
    assert (tmp_path / "killed").exists()


def test_a_scheduler_that_ends_is_said():
    pytest.importorskip("distributed")
    with tasks.cluster(workers=1) as client:
        found = tasks.run({n: (_slow, n) for n in range(8)}, client)
        assert next(found) == (0, 0, None)
        client.cluster.close()
        with pytest.raises(OSError, match="run it again"):
            list(found)


def _slow(value):
    time.sleep(0.3)
    return value


def test_a_scheduler_that_is_not_there_is_said(monkeypatch):
    distributed = pytest.importorskip("distributed")

    def silent(*_, **__):
        raise OSError("Timed out")

    monkeypatch.setattr(distributed, "Client", silent)
    with pytest.raises(OSError, match="dask scheduler"), tasks.cluster("tcp://127.0.0.1:1"):
        pass


def test_simulated_time():
    assert tasks.simulate([[2.0] * 30], 15) == 4.0
    assert tasks.simulate([[1.0], [1.0, 1.0]], 2, overhead_s=0.5) == 3.0
