"""A field of many cells: into OME-Zarr, read back, and its cells found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.data.stack import Stack
from helpers.phantom.field import PhantomField

pytest.importorskip("zarr", reason="a field is kept in Zarr")
pytest.importorskip("dask", reason="a field is worked on by Dask")

from helpers.field.convert import convert
from helpers.field.find import find_cells, match
from helpers.field.ngff import open_field

FIELD = PhantomField((20, 384, 384), (700.0, 105.0, 105.0), n_cells=8)


@pytest.fixture(scope="module")
def planes():
    """Return the slices, drawn once."""
    return {number: FIELD.image(number) for number in FIELD.slice_numbers}


def stack_of(image) -> Stack:
    return Stack(
        name="a synthetic field",
        source="phantom",
        slice_numbers=tuple(FIELD.slice_numbers),
        shape=FIELD.shape[1:],
        voxel_nm=FIELD.voxel_nm,
        licence="",
        citation="",
        _image=image,
    )


@pytest.fixture(scope="module")
def field(planes, tmp_path_factory):
    return convert(stack_of(planes.get), tmp_path_factory.mktemp("field") / "f.zarr")


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_slices_come_back_as_they_were(field, planes):
    assert field.shape == FIELD.shape
    assert np.allclose(field.voxel_nm, FIELD.voxel_nm)
    for place in (0, 7, 19):
        assert np.array_equal(field.read(place), planes[place + 1])


def test_the_metadata_are_valid(field):
    models = pytest.importorskip("ome_zarr_models", reason="the validator is not installed")
    import zarr

    models.open_ome_zarr(zarr.open_group(field.where, mode="r"))


def test_a_run_that_was_stopped_ends_with_the_same_bytes(field, planes, tmp_path):
    def stops(number):
        if number > 9:
            raise MemoryError("stopped")
        return planes[number]

    out = tmp_path / field.where.rstrip("/").rpartition("/")[2]
    with pytest.raises(MemoryError):
        convert(stack_of(stops), out)
    convert(stack_of(planes.get), out)
    assert files_of(out) == files_of(Path(field.where))


def test_a_damaged_slice_is_named_and_written_when_it_is_mended(planes, tmp_path):
    def broken(number):
        if number == 11:
            raise OSError("it is cut off")
        return planes[number]

    found = convert(stack_of(broken), tmp_path / "f.zarr")
    assert set(found.damaged) == {11}
    assert not found.read(10).any()
    assert np.array_equal(found.read(11), planes[12])
    mended = convert(stack_of(planes.get), tmp_path / "f.zarr")
    assert not mended.damaged
    assert np.array_equal(open_field(tmp_path / "f.zarr").read(10), planes[11])


def test_another_field_is_not_overwritten(field, planes, tmp_path):
    small = replace(stack_of(planes.get), slice_numbers=(1, 2, 3))
    convert(small, tmp_path / "f.zarr")
    with pytest.raises(ValueError, match="another field"):
        convert(stack_of(planes.get), tmp_path / "f.zarr")


def test_all_cells_are_found_and_nothing_else(field):
    found = find_cells(field)
    pairs = match(found, FIELD.cells)
    assert len(found) == len(FIELD.cells) == len(pairs) == 8
    again = find_cells(field)
    assert again.equals(found)
