"""Slices into OME-Zarr: what is written, resumed, and said of damage."""

import shutil

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3")

from dataclasses import replace

from helpers.data.stack import Stack
from helpers.field import ngff
from helpers.field.convert import convert
from helpers.field.ngff import DamagedChunkError, open_field

VOXEL_NM = (50.0, 10.0, 10.0)
CHUNK = (4, 64, 64)


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, (10, 150, 131), dtype=np.uint8)


def stack_of(volume):
    return Stack(
        name="noise",
        source="own",
        slice_numbers=tuple(range(1, len(volume) + 1)),
        shape=volume.shape[1:],
        voxel_nm=VOXEL_NM,
        licence="",
        citation="",
        _image=lambda number: volume[number - 1],
    )


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pixels_levels_and_sizes(volume, tmp_path):
    field = convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    assert np.array_equal(field.read(slice(None)), volume)
    assert [array.shape for array in field.levels] == ngff.level_shapes(volume.shape)
    assert field.voxel_nm == VOXEL_NM
    part = volume[3, 10:12, 20:22]
    assert abs(int(field.read(3, level=1)[5, 10]) - part.mean()) <= 0.5


def test_the_validator_accepts_it(volume, tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05")
    convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    group = ngff.need_zarr().open_group(str(tmp_path / "f.zarr"), mode="r")
    image = models.Image.from_zarr(group)
    assert [axis.name for axis in image.ome_attributes.multiscales[0].axes] == ["z", "y", "x"]


def test_what_is_missing_is_written_and_nothing_else(volume, tmp_path):
    out = tmp_path / "f.zarr"
    convert(volume, out, voxel_nm=VOXEL_NM, chunk=CHUNK)
    whole = content(out)
    lost = ngff.chunk_path(out, 0, (1, 0, 1))
    kept = ngff.chunk_path(out, 0, (1, 0, 0))
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    convert(volume, out, voxel_nm=VOXEL_NM, chunk=CHUNK)
    assert content(out) == whole
    assert kept.stat().st_mtime_ns == stamp


def test_a_run_that_fails_in_the_middle_ends_with_the_same_bytes(volume, tmp_path, monkeypatch):
    convert(volume, tmp_path / "one.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    write, calls = ngff._write_rows, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(ngff, "_write_rows", failing)
    (tmp_path / "again").mkdir()
    out = tmp_path / "again" / "one.zarr"
    with pytest.raises(KeyboardInterrupt):
        convert(volume, out, voxel_nm=VOXEL_NM, chunk=CHUNK)
    monkeypatch.undo()
    convert(volume, out, voxel_nm=VOXEL_NM, chunk=CHUNK)
    assert content(out) == content(tmp_path / "one.zarr")


def test_a_damaged_slice_is_named_and_mended_later(volume, tmp_path):
    stack = stack_of(volume)

    def broken(number):
        if number == 6:
            raise ValueError("slice 6 is cut off")
        return volume[number - 1]

    field = convert(replace(stack, _image=broken), tmp_path / "f.zarr", chunk=CHUNK)
    assert field.damaged == (6,)
    assert "cut off" in field.about["damaged"]["6"]
    assert not field.read(5).any()
    assert np.array_equal(field.read(6), volume[6])
    field = convert(stack, tmp_path / "f.zarr", chunk=CHUNK)
    assert field.damaged == ()
    assert np.array_equal(field.read(slice(None)), volume)


def test_another_field_is_not_overwritten(volume, tmp_path):
    convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    with pytest.raises(ValueError, match="overwrite=True"):
        convert(volume[:5], tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    field = convert(volume[:5], tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK, overwrite=True)
    assert field.shape[0] == 5


def test_other_pictures_of_the_same_size_are_not_taken_for_these(volume, tmp_path):
    options = {"voxel_nm": VOXEL_NM, "chunk": CHUNK}
    convert(volume, tmp_path / "f.zarr", **options)
    other = volume.copy()
    other[7, 0, 0] ^= 1
    with pytest.raises(ValueError, match=r"slice 8 is another picture.*overwrite=True"):
        convert(other, tmp_path / "f.zarr", **options)
    assert np.array_equal(open_field(tmp_path / "f.zarr").read(slice(None)), volume)
    field = convert(other, tmp_path / "f.zarr", **options, overwrite=True)
    assert np.array_equal(field.read(slice(None)), other)


def test_a_damaged_chunk_is_named(volume, tmp_path):
    field = convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    ngff.chunk_path(tmp_path / "f.zarr", 0, (0, 0, 0)).write_bytes(b"no chunk")
    with pytest.raises(DamagedChunkError, match=r"level 0.*slices 1"):
        field.read(0)


@pytest.mark.parametrize("where", ["nothing.zarr", "empty.zarr"])
def test_what_is_no_field_is_said(tmp_path, where):
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises((FileNotFoundError, ValueError), match="convert"):
        open_field(tmp_path / where)


def test_bad_options_are_said(volume, tmp_path):
    with pytest.raises(ValueError, match="voxel_nm"):
        convert(volume, tmp_path / "f.zarr")
    with pytest.raises(ValueError, match="1 to 8"):
        convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, n_levels=0)
    with pytest.raises(ValueError, match="even"):
        convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=(4, 63, 64))
    assert not (tmp_path / "f.zarr").exists()


def test_a_box_beyond_the_field_is_filled(volume, tmp_path):
    field = convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    box = field.stack(slice(2, 9), (-5, 20), (120, 140), name="a box", fill=200)
    assert box.slice_numbers == tuple(range(3, 10))
    image = box.image(7)
    assert np.array_equal(image[5:, :11], volume[6, :20, 120:])
    # A little grain, the same each time: not one grey level, which would look lost.
    for beyond in (image[:5], image[:, 11:]):
        assert abs(beyond.mean() - 200) < 2
        assert 2 < beyond.std() < 6
    assert np.array_equal(box.image(7), image)


def test_it_is_read_over_http_without_the_rest(volume, tmp_path):
    pytest.importorskip("aiohttp")
    from server import FaultyServer

    convert(volume, tmp_path / "f.zarr", voxel_nm=VOXEL_NM, chunk=CHUNK)
    server = FaultyServer()
    try:
        for path, content_ in content(tmp_path / "f.zarr").items():
            server.files[f"f.zarr/{path.as_posix()}"] = content_
        field = open_field(f"{server.url}/f.zarr")
        box = field.read(slice(0, 4), slice(0, 64), slice(0, 64))
        assert np.array_equal(box, volume[:4, :64, :64])
        asked = {path for _, path, _ in server.seen if "/c/" in path}
        assert asked == {"f.zarr/0/c/0/0/0"}
    finally:
        server.stop()
        shutil.rmtree(tmp_path / "f.zarr")
