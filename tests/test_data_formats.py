"""What can be opened: a row for every form, with what happens: opened, asked, or refused."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from microscope_files import write_dm, write_mrc, write_ser
from PIL import Image

from helpers.data import open_stack
from helpers.data.grey import GreyRule, grey_rule
from helpers.data.voxels import voxel_size

VOXEL_NM = (50.0, 10.0, 10.0)
SHAPE = (6, 20, 30)


def volume_of(dtype):
    """Return grey levels that rise along x, so that any conversion keeps their order."""
    volume = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float64)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (volume / 255).astype(kind)
    if kind == np.int8:
        return (volume - 128).astype(kind)
    step = 100 if kind.itemsize > 1 else 1
    return (volume * step - (9_000 if kind.kind == "i" else 0)).astype(kind)


EIGHT = volume_of(np.uint8)
SIXTEEN = volume_of(np.uint16)


# --- how each form is written; the first is a folder to write into --------------------------------


def tiff(**how):
    def write(folder, volume):
        tifffile.imwrite(folder / "cell.tif", volume, **how)
        return folder / "cell.tif"

    return write


def ome_tiff(folder, volume):
    sides = {"PhysicalSizeZ": 0.05, "PhysicalSizeY": 10, "PhysicalSizeX": 10}
    units = {"PhysicalSizeZUnit": "µm", "PhysicalSizeYUnit": "nm", "PhysicalSizeXUnit": "nm"}
    metadata = {"axes": "ZYX", **sides, **units}
    tifffile.imwrite(folder / "cell.ome.tif", volume, ome=True, metadata=metadata)
    return folder / "cell.ome.tif"


def slices(pattern, numbers=(1, 2, 3, 4, 5, 6)):
    def write(folder, volume):
        for number, image in zip(numbers, volume, strict=True):
            path = folder / pattern.format(number)
            if path.suffix == ".tif":
                tifffile.imwrite(path, image)
            elif path.suffix == ".npy":
                np.save(path, image)
            elif path.suffix in (".dm3", ".dm4"):
                write_dm(path, image, VOXEL_NM, int(path.suffix[-1]))
            else:
                Image.fromarray(image).save(path)
        return folder

    return write


def npy(folder, volume):
    np.save(folder / "cell.npy", volume)
    return folder / "cell.npy"


def npz(folder, volume):
    np.savez(folder / "cell.npz", volume=volume)
    return folder / "cell.npz"


def mrc(ending):
    return lambda folder, volume: write_mrc(folder / f"cell{ending}", volume, VOXEL_NM)


def dm(version):
    return lambda folder, volume: write_dm(folder / f"c.dm{version}", volume, VOXEL_NM, version)


def ser(folder, volume):
    return write_ser(folder / "cell.ser", volume, VOXEL_NM)


def emd(folder, volume):
    emd_writer = pytest.importorskip("rsciio.emd").file_writer
    sides = zip("zyx", volume.shape, VOXEL_NM, strict=True)
    axes = [
        {"name": name, "size": size, "scale": scale, "offset": 0, "units": "nm", "navigate": False}
        for name, size, scale in sides
    ]
    emd_writer(
        str(folder / "cell.emd"),
        {
            "data": volume,
            "axes": axes,
            "metadata": {"General": {"title": "cell"}, "Signal": {}, "Sample": {}},
            "original_metadata": {},
        },
    )
    return folder / "cell.emd"


def hdf5(name="volume", **attributes):
    def write(folder, volume):
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "cell.h5", "w") as file:
            file.create_dataset(name, data=volume, chunks=(1, *SHAPE[1:])).attrs.update(attributes)
            file.create_dataset("scale", data=[1.0, 2.0])
        return folder / "cell.h5"

    return write


def zarr_array(version):
    def write(folder, volume):
        zarr = pytest.importorskip("zarr", minversion="3")
        array = zarr.create_array(
            str(folder / "cell.zarr"),
            shape=volume.shape,
            dtype=volume.dtype,
            chunks=(1, *SHAPE[1:]),
            zarr_format=version,
        )
        array[:] = volume
        return folder / "cell.zarr"

    return write


def ome_zarr(version, axes="czyx"):
    """Write OME-Zarr 0.4 (Zarr 2) or 0.5 (Zarr 3), of two levels."""

    def write(folder, volume):
        zarr = pytest.importorskip("zarr", minversion="3")
        group = zarr.create_group(str(folder / "cell.ome.zarr"), zarr_format=version)
        whole = volume.reshape((1,) * (len(axes) - 3) + volume.shape)
        for level, data in enumerate((whole, whole[..., ::2, ::2])):
            kwargs = {"shape": data.shape, "dtype": data.dtype, "chunks": data.shape}
            group.create_array(str(level), **kwargs)[:] = data
        sides = dict(zip("zyx", (0.05, 0.01, 0.01), strict=True))
        scales = [
            [sides.get(axis, 1) * (1 + level if axis in "yx" else 1) for axis in axes]
            for level in (0, 1)
        ]
        named = [
            {"name": axis, "type": "space", "unit": "micrometer"}
            if axis in sides
            else {"name": axis}
            for axis in axes
        ]
        transformations = [[{"type": "scale", "scale": scale}] for scale in scales]
        datasets = [
            {"path": str(level), "coordinateTransformations": each}
            for level, each in enumerate(transformations)
        ]
        scale = {"version": "0.4", "axes": named, "datasets": datasets}
        found = {"multiscales": [scale]}
        group.attrs.update({"ome": found} if version == 3 else found)
        return folder / "cell.ome.zarr"

    return write


def nrrd(folder, volume):
    writer = pytest.importorskip("nrrd")
    header = {"spacings": [10.0, 10.0, 50.0], "units": ["nm"] * 3}
    writer.write(str(folder / "cell.nrrd"), volume, header, index_order="C")
    return folder / "cell.nrrd"


def nifti(folder, volume):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(volume.T, np.diag([0.01, 0.01, 0.05, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, folder / "cell.nii.gz")
    return folder / "cell.nii.gz"


def matlab(folder, volume):
    from scipy.io import savemat

    savemat(folder / "cell.mat", {"volume": np.moveaxis(volume, 0, -1), "voxel": [50, 10, 10]})
    return folder / "cell.mat::volume"


def matlab_73(folder, volume):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "cell.mat", "w", userblock_size=512) as file:
        file["volume"] = np.moveaxis(volume, 0, -1).T
    with (folder / "cell.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return folder / "cell.mat"


def h5py_array(folder, volume):
    h5py = pytest.importorskip("h5py")
    return h5py.File(hdf5()(folder, volume))["volume"]


def zarr_itself(folder, volume):
    return pytest.importorskip("zarr").open(str(zarr_array(2)(folder, volume)), mode="r")


NEEDS_SIZE = {}  # the file does not say how large its voxels are
KNOWS_SIZE = {"voxel_nm": None}
OPENED = {
    "TIFF slices": (slices("s_{}.tif"), EIGHT, NEEDS_SIZE),
    "TIFF slices, 16 bit": (slices("s_{:04d}.tif"), SIXTEEN, NEEDS_SIZE),
    "PNG slices": (slices("s_{}.png"), EIGHT, NEEDS_SIZE),
    "PNG slices, 16 bit": (slices("s_{}.png"), SIXTEEN, NEEDS_SIZE),
    "NumPy slices": (slices("s_{}.npy"), SIXTEEN, NEEDS_SIZE),
    "DM3 slices": (slices("s_{}.dm3"), SIXTEEN, {"voxel_nm": VOXEL_NM}),
    "slices from 0": (slices("s_{}.tif", range(6)), EIGHT, NEEDS_SIZE),
    "slices with gaps": (slices("s_{}.tif", (1, 2, 4, 6, 7, 9)), EIGHT, NEEDS_SIZE),
    "TIFF": (tiff(photometric="minisblack"), SIXTEEN, NEEDS_SIZE),
    "TIFF, signed": (tiff(photometric="minisblack"), volume_of(np.int16), NEEDS_SIZE),
    "TIFF, float": (tiff(photometric="minisblack"), volume_of(np.float32), NEEDS_SIZE),
    "TIFF, int32": (tiff(photometric="minisblack"), volume_of(np.int32), NEEDS_SIZE),
    "ImageJ": (
        tiff(imagej=True, resolution=(0.1, 0.1), metadata={"spacing": 50.0, "unit": "nm"}),
        SIXTEEN,
        KNOWS_SIZE,
    ),
    "ImageJ, times": (tiff(imagej=True, metadata={"axes": "TYX"}), EIGHT, NEEDS_SIZE),
    "OME-TIFF": (ome_tiff, SIXTEEN, KNOWS_SIZE),
    "NumPy file": (npy, SIXTEEN, NEEDS_SIZE),
    "NumPy archive": (npz, SIXTEEN, NEEDS_SIZE),
    "array": (lambda folder, volume: volume, volume_of(np.float32), NEEDS_SIZE),
    "memory map": (
        lambda folder, volume: np.load(npy(folder, volume), mmap_mode="r"),
        SIXTEEN,
        NEEDS_SIZE,
    ),
    "array of h5py": (h5py_array, SIXTEEN, NEEDS_SIZE),
    "array of zarr": (zarr_itself, SIXTEEN, NEEDS_SIZE),
    "by slice number": (
        lambda folder, volume: dict(zip((3, 5, 6, 7, 8, 9), volume, strict=True)),
        EIGHT,
        NEEDS_SIZE,
    ),
    "MRC, int8": (mrc(".mrc"), volume_of(np.int8), KNOWS_SIZE),
    "MRC, unsigned bytes": (mrc(".mrc"), EIGHT, KNOWS_SIZE),
    "MRC, int16": (mrc(".rec"), volume_of(np.int16), KNOWS_SIZE),
    "MRC, uint16": (mrc(".map"), SIXTEEN, KNOWS_SIZE),
    "MRC, float": (mrc(".mrc"), volume_of(np.float32), KNOWS_SIZE),
    "DM3": (dm(3), volume_of(np.int16), KNOWS_SIZE),
    "DM4": (dm(4), SIXTEEN, KNOWS_SIZE),
    "SER": (ser, SIXTEEN, KNOWS_SIZE),
    "EMD": (emd, SIXTEEN, KNOWS_SIZE),
    "HDF5": (hdf5(), SIXTEEN, NEEDS_SIZE),
    "HDF5 of Fiji": (hdf5(element_size_um=[0.05, 0.01, 0.01]), SIXTEEN, KNOWS_SIZE),
    "HDF5 of CREMI": (hdf5("volumes/raw", resolution=[50, 10, 10]), EIGHT, KNOWS_SIZE),
    "Zarr 2": (zarr_array(2), SIXTEEN, NEEDS_SIZE),
    "Zarr 3": (zarr_array(3), SIXTEEN, NEEDS_SIZE),
    "OME-Zarr 0.4": (ome_zarr(2), SIXTEEN, KNOWS_SIZE),
    "OME-Zarr 0.5": (ome_zarr(3, "tczyx"), SIXTEEN, KNOWS_SIZE),
    "NRRD": (nrrd, SIXTEEN, KNOWS_SIZE),
    "NIfTI": (nifti, volume_of(np.int16), KNOWS_SIZE),
    "MATLAB 5": (matlab, SIXTEEN, NEEDS_SIZE),
    "MATLAB 7.3": (matlab_73, SIXTEEN, NEEDS_SIZE),
}
NUMBERS = {
    "slices from 0": tuple(range(6)),
    "slices with gaps": (1, 2, 4, 6, 7, 9),
    "by slice number": (3, 5, 6, 7, 8, 9),
}


@pytest.mark.parametrize("form", OPENED)
def test_opened(tmp_path, form, capsys):
    write, volume, how = OPENED[form]
    if "DM" in form or "MRC" in form or form == "SER":
        pytest.importorskip("rsciio")
    cell = open_stack(write(tmp_path, volume), **{"voxel_nm": VOXEL_NM, **how})
    assert cell.slice_numbers == NUMBERS.get(form, (1, 2, 3, 4, 5, 6))
    assert (cell.shape, cell.voxel_nm) == (SHAPE[1:], VOXEL_NM)
    for number, expected in zip(cell.slice_numbers, volume, strict=True):
        image = cell.image(number)
        if volume.dtype == np.uint8:
            np.testing.assert_array_equal(image, expected)
        else:  # brighter stays brighter, over the whole range: to a grey level
            wanted = (expected.astype(float) - volume.min()) * 255 / np.ptp(volume.astype(float))
            np.testing.assert_allclose(image, wanted, atol=1.5)
    said = capsys.readouterr().out
    assert (f"Grey levels: {volume.dtype}" in said) == (volume.dtype != np.uint8)
    assert ("as the file says" in said) == (how == KNOWS_SIZE)
    assert said.strip() == "\n".join(cell.notes)


def test_mrc_bytes_without_a_hint_are_signed_and_it_is_said(tmp_path, capsys):
    pytest.importorskip("rsciio")
    volume = volume_of(np.int8)
    path = write_mrc(tmp_path / "cell.mrc", np.abs(volume // 2), VOXEL_NM)
    first = open_stack(path).image(1)
    assert "read as signed" in capsys.readouterr().out
    imod = write_mrc(tmp_path / "imod.mrc", volume, VOXEL_NM, stamp=(1146047817, 1))
    np.testing.assert_allclose(open_stack(imod).image(1), volume[0].astype(int) + 128, atol=1)
    assert first.max() > 200


def rgb(folder, volume):
    tifffile.imwrite(folder / "cell.tif", np.stack([volume, 255 - volume] * 2, -1)[..., :3])
    return folder / "cell.tif"


def hyperstack(axes):
    def write(folder, volume):
        shape = [SHAPE["zyx".index(axis)] if axis in "zyx" else 2 for axis in axes.lower()]
        data = np.zeros(shape, np.uint8)
        first = tuple(0 if axis not in "zyx" else slice(None) for axis in axes.lower())
        last = tuple(1 if axis not in "zyx" else slice(None) for axis in axes.lower())
        data[first], data[last] = 7, volume
        kind = {"ome": True} if "ome" in str(folder) else {"imagej": True}
        name = "cell.ome.tif" if "ome" in str(folder) else "cell.tif"
        tifffile.imwrite(folder / name, data, metadata={"axes": axes}, **kind)
        return folder / name

    return write


def with_masks(folder, volume):
    slices("raw_{:03d}.png", range(1, 4))(folder, volume[:3])
    return slices("seg_{:03d}.png", range(1, 4))(folder, volume[3:])


def two_kinds_of_names(folder, volume):
    slices("raw_{:03d}.png", range(1, 4))(folder, volume[:3])
    return slices("seg_{:03d}.png", range(4, 7))(folder, volume[3:])


def two_data_sets(folder, volume):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "cell.h5", "w") as file:
        file["raw"], file["labels"] = volume, volume
    return folder / "cell.h5"


HYPER = np.asarray(EIGHT)
ASKED = {  # what is written, what is said, what answers, and the first slice then
    "channels": (hyperstack("ZCYX"), r"has 2 channels.*channel=0", {"channel": 1}, HYPER[0]),
    "channels and times": (
        hyperstack("TZCYX"),
        r"has 2 times, 2 channels.*channel='t=0,c=0'",
        {"channel": "t=1,c=1"},
        HYPER[0],
    ),
    "an array of four axes": (
        lambda folder, volume: np.stack([volume, volume]),
        r"shape \(2, 6, 20, 30\); give \(z, y, x\).*axes='zcyx'",
        {"axes": "czyx", "channel": 1},
        HYPER[0],
    ),
    "OME-Zarr with channels": (
        lambda folder, volume: _two_channels(folder, volume),
        r"has 2 channels.*channel=0",
        {"channel": 1},
        HYPER[0],
    ),
    "pictures and masks": (
        with_masks,
        r"seg_001.png and raw_001.png are both slice 1.*pattern=r'\^seg_\(\\d\+\)'",
        {"pattern": r"^raw_(\d+)"},
        HYPER[0],
    ),
    "two kinds of names": (
        two_kinds_of_names,
        r"names of 2 kinds.*(raw|seg)_#.*pattern=r'",
        {"pattern": r"^seg_(\d+)"},
        HYPER[3],
    ),
    "two numbers that differ": (
        lambda folder, volume: (
            [tifffile.imwrite(folder / f"z{n}_t{9 - n}.tif", each) for n, each in enumerate(volume)]
            and folder
        ),
        r"differ in 2 numbers.*pattern=r'\^z\(\\d\+\)_t\\d\+' or pattern=",
        {"pattern": r"^z(\d+)_t"},
        HYPER[0],
    ),
    "two data sets": (two_data_sets, r"has the data sets labels, raw.*cell.h5::", None, None),
    "colours": (rgb, r"in colour.*channel=0 is red", {"channel": 1}, 255 - HYPER[0]),
    "no voxel size": (
        slices("s_{}.tif"),
        r"voxel_nm is needed.*\(z, y, x\), in nanometres",
        {"voxel_nm": VOXEL_NM},
        HYPER[0],
    ),
    "no number in a name": (
        lambda folder, volume: (
            [
                tifffile.imwrite(folder / f"{name}.tif", each)
                for name, each in zip(("1", "2", "last"), volume, strict=False)
            ]
            and folder
        ),
        "last.tif has no number in its name",
        {"pattern": r"(\d+)"},
        HYPER[0],
    ),
}


def _two_channels(folder, volume):
    zarr = pytest.importorskip("zarr", minversion="3")
    path = ome_zarr(2)(folder, volume)
    group = zarr.open_group(str(path), mode="r+")
    del group["0"]
    data = np.stack([volume * 0, volume])
    group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=data.shape)[:] = data
    return path


@pytest.mark.parametrize("form", ASKED)
def test_asked(tmp_path, form):
    write, words, answer, first = ASKED[form]
    where = write(tmp_path, EIGHT)
    given = {} if form == "no voxel size" else {"voxel_nm": VOXEL_NM}
    with pytest.raises(ValueError, match=words):
        open_stack(where, **given)
    if answer is None:
        where, answer, first = f"{where}::raw", {}, HYPER[0]
    cell = open_stack(where, **{**given, **answer})
    np.testing.assert_array_equal(cell.image(cell.slice_numbers[0]), first)


def test_ome_hyperstack_reads_the_channel_that_is_asked_for(tmp_path):
    folder = tmp_path / "ome"
    folder.mkdir()
    path = hyperstack("CZYX")(folder, EIGHT)
    with pytest.raises(ValueError, match="has 2 channels"):
        open_stack(path, voxel_nm=VOXEL_NM)
    np.testing.assert_array_equal(open_stack(path, voxel_nm=VOXEL_NM, channel=1).image(4), EIGHT[3])


def damaged(name):
    def write(folder, volume):
        (folder / name).write_bytes(b"nothing of that form" * 99)
        return folder / name

    return write


REFUSED = {
    "damaged MRC": (damaged("cell.mrc"), {}, r"cell.mrc cannot be read as mrc"),
    "damaged DM4": (damaged("cell.dm4"), {}, r"cell.dm4 cannot be read as digitalmicrograph"),
    "damaged SER": (damaged("cell.ser"), {}, r"cell.ser cannot be read as tia"),
    "damaged HDF5": (damaged("cell.h5"), {}, r"cell.h5 cannot be read as HDF5"),
    "damaged NRRD": (damaged("cell.nrrd"), {}, r"cell.nrrd cannot be read as NRRD"),
    "damaged NIfTI": (damaged("cell.nii"), {}, r"cell.nii cannot be read as NIfTI"),
    "damaged NumPy": (damaged("cell.npy"), {}, r"cell.npy cannot be read as a NumPy file"),
    "damaged MATLAB": (damaged("cell.mat"), {}, r"cell.mat cannot be read as a MATLAB file"),
    "another ending": (damaged("cell.xyz"), {}, r"of no form .*\.tif.*\.mrc.*\.zarr"),
    "a data set that is not there": (
        lambda folder, volume: f"{two_data_sets(folder, volume)}::seg",
        {},
        r"'seg' is none of them; name one",
    ),
    "one grey everywhere": (
        lambda folder, volume: np.full(SHAPE, 5, np.uint16),
        {},
        r"one grey level, 5, everywhere",
    ),
    "a mask": (lambda folder, volume: volume > 9, {}, r"bool.*a mask, not a slice"),
    "sizes in um": (
        slices("s_{}.tif"),
        {"voxel_nm": (0.05, 0.01, 0.01)},
        r"0.5 to 10000; this looks like um: 50, 10, 10\?",
    ),
    "sizes in m": (
        slices("s_{}.tif"),
        {"voxel_nm": (5e-8, 1e-8, 1e-8)},
        r"this looks like m: 50, 10, 10\?",
    ),
    "sizes as x, y, z": (
        slices("s_{}.tif"),
        {"voxel_nm": (10, 10, 50)},
        r"Was \(x, y, z\) given, and 50, 10, 10 is meant\?",
    ),
    "a crop outside": (
        slices("s_{}.tif"),
        {"crop": "0:20,0:31"},
        r"crop is '0:20,0:31'; .*inside 20 x 30 pixels",
    ),
    "a grey range upside down": (
        slices("s_{}.tif"),
        {"grey_range": (9, 3)},
        r"grey_range is \(9, 3\).*invert=True",
    ),
    "a channel where there are none": (
        slices("s_{}.tif"),
        {"channel": 1},
        r"channel is 1, and in .* there are none to choose from; leave it out",
    ),
    "a pattern that finds nothing": (
        slices("s_{}.tif"),
        {"pattern": r"z(\d+)"},
        "has no slice number that",
    ),
    "axes that do not fit": (
        lambda folder, volume: volume,
        {"axes": "zcyx"},
        r"axes is 'zcyx' and the shape \(6, 20, 30\)",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused(tmp_path, form):
    write, how, words = REFUSED[form]
    if any(ending in words for ending in ("mrc", "dm4", "ser ", "nrrd", "nii")):
        pytest.importorskip("rsciio")
        pytest.importorskip("nibabel")
        pytest.importorskip("nrrd")
    with pytest.raises((ValueError, TypeError), match=words):
        open_stack(write(tmp_path, EIGHT), **{"voxel_nm": VOXEL_NM, **how})


@pytest.mark.parametrize("name", ["cell.mrc", "cell.h5", "cell.nrrd", "cell.nii"])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, name):
    missing = {"cell.mrc": "rsciio", "cell.h5": "h5py", "cell.nrrd": "nrrd", "cell.nii": "nibabel"}
    monkeypatch.setattr(
        "helpers.data.microscopes.importlib.import_module", lambda module: _lacks(module)
    )
    path = damaged(name)(tmp_path, EIGHT)
    package = {"rsciio": "rosettasciio", "nrrd": "pynrrd"}.get(missing[name], missing[name])
    with pytest.raises(ModuleNotFoundError, match=rf"pip install {package}.*formats"):
        open_stack(path, voxel_nm=VOXEL_NM)


def _lacks(module):
    raise ModuleNotFoundError(f"No module named {module!r}", name=module)


# --- what pictures show ---------------------------------------------------------------------------


def test_white_is_zero_and_palettes_are_read_as_what_they_show(tmp_path):
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[::-1][None] * 257, 3, axis=0)
    hows = [{"photometric": "miniswhite"}, {"photometric": "palette", "colormap": ramp}]
    for how in hows:
        for number, each in enumerate(EIGHT, start=1):
            tifffile.imwrite(tmp_path / f"{number}.tif", each, **how)
        cell = open_stack(tmp_path, voxel_nm=VOXEL_NM)
        np.testing.assert_array_equal(cell.image(2), 255 - EIGHT[1])


def test_jpeg_slices(tmp_path):
    ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (20, 1))
    for number in (1, 2):
        Image.fromarray(ramp).save(tmp_path / f"{number}.jpg", quality=95)
        Image.fromarray(np.stack([ramp] * 3, -1)).save(tmp_path / f"{number + 2}.jpg")
    cell = open_stack(tmp_path, voxel_nm=VOXEL_NM, pattern=r"([12])")
    np.testing.assert_allclose(cell.image(2), ramp, atol=6)


def test_thumbnails_are_left_out_with_a_note(tmp_path, capsys):
    for number, each in enumerate(EIGHT, start=1):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif") as writer:
            writer.write(each)
            writer.write(each[::4, ::4], subfiletype=1)
    np.testing.assert_array_equal(open_stack(tmp_path, voxel_nm=VOXEL_NM).image(3), EIGHT[2])
    assert "Left out: 6 thumbnails" in capsys.readouterr().out
    one = open_stack(tmp_path / "1.tif", voxel_nm=VOXEL_NM)
    assert len(one) == 1
    assert "Left out: 1 thumbnails" in capsys.readouterr().out


def test_a_crop_and_inversion(tmp_path):
    path = tiff(photometric="minisblack")(tmp_path, EIGHT)
    cell = open_stack(path, voxel_nm=VOXEL_NM, crop="2:12,5:", invert=True, labels=EIGHT % 4 + 1)
    np.testing.assert_array_equal(cell.image(2), 255 - EIGHT[1, 2:12, 5:])
    np.testing.assert_array_equal(cell.labels(2), EIGHT[1, 2:12, 5:] % 4 + 1)
    same = open_stack(path, voxel_nm=VOXEL_NM, crop=np.s_[2:12, 5:])
    assert same.shape == cell.shape == (10, 25)


def test_pixels_that_are_not_square_are_resampled(capsys):
    y, x = np.mgrid[:60, :30]
    image = np.where(np.hypot(y - 30, 2 * (x - 15)) < 20, 200, 50).astype(np.uint8)
    truth = np.where(image > 100, 2, 3).astype(np.uint8)
    cell = open_stack(image[None], voxel_nm=(50, 10, 20), labels=truth[None])
    assert (cell.shape, cell.voxel_nm) == ((60, 60), (50, 10, 10))
    assert "not square: slices are resampled from 60 x 30 to 60 x 60" in capsys.readouterr().out
    disk = np.hypot(*(np.mgrid[:60, :60] - 30)) < 20
    assert np.mean((cell.image(1) > 125) == disk) > 0.97
    assert np.mean((cell.labels(1) == 2) == disk) > 0.97


def test_gaps_are_said_with_their_distance(tmp_path, capsys):
    slices("s_{}.tif", range(1, 18, 3))(tmp_path, EIGHT)
    open_stack(tmp_path, voxel_nm=VOXEL_NM)
    said = capsys.readouterr().out
    assert "neighbours lie 150 nm apart" in said
    assert "give 16.6667 instead" in said


# --- voxel sizes and grey levels ------------------------------------------------------------------


def test_voxel_sizes_of_file_and_argument():
    said = {"z": 50.0, "y": 10.0, "x": 10.0}
    assert voxel_size((50, 10, 10), said) == (VOXEL_NM, [])
    taken, (note,) = voxel_size((60, 10, 10), said)
    assert taken == (60, 10, 10)
    assert note.startswith("Doubtful: voxel size 60, 10, 10 nm")
    assert "as given; the file says 50, 10, 10. They differ in z" in note
    with pytest.raises(ValueError, match=r"the file says \(\?, 10, 10\).*voxel_nm=\(50, 10, 10\)"):
        voxel_size(None, {"y": 10.0, "x": 10.0})
    with pytest.raises(ValueError, match="the file says nothing"):
        voxel_size(None, {"y": 352_777.8, "x": 352_777.8})  # 72 dots an inch


def test_the_grey_rule_is_one_for_all_slices_and_leaves_padding_and_hot_pixels_out():
    rng = np.random.default_rng(1)
    volume = rng.normal(20_000, 2_000, (12, 100, 100)).astype(np.uint16)
    plain = grey_rule(lambda n: volume[n], range(12), volume.dtype)
    padded = volume.copy()
    padded[:, :20] = 0
    padded[3, 50, 50] = 65_535
    rule = grey_rule(lambda n: padded[n], range(12), padded.dtype)
    assert rule.low == pytest.approx(plain.low, abs=400)
    assert rule.high == pytest.approx(plain.high, abs=400)
    assert "0 to 65535 in 9 sampled slices" in rule.note
    assert rule.apply(padded[0]).min() == 0


def test_what_is_not_finite_is_said():
    volume = volume_of(np.float32)
    volume[:, 0, :15] = np.nan
    rule = grey_rule(lambda n: volume[n], range(6), volume.dtype)
    assert "2.5 % of the pixels are not finite" in rule.note
    assert (rule.apply(volume[0])[0, :15] == 0).all()


def test_a_given_range_is_kept_for_all_types():
    rule = GreyRule(0, 1000)
    for dtype in (np.uint16, np.int16, np.int32, np.float32, np.float64):
        found = rule.apply(np.array([[-5 if dtype != np.uint16 else 0, 500, 2000]], dtype))
        assert found.tolist() == [[0, 128, 255]]


def one_after_another(folder, volume):
    with tifffile.TiffWriter(folder / "cell.tif") as tiff_:
        for picture in volume:
            tiff_.write(picture, contiguous=False)
    return folder / "cell.tif"


CUT = {
    "one block": tiff(photometric="minisblack"),
    "ImageJ": tiff(imagej=True),
    "OME": tiff(ome=True),
    "compressed": tiff(compression="zlib"),
    "no metadata": tiff(metadata=None, photometric="minisblack"),
    "BigTIFF": tiff(bigtiff=True),
    "a slice after another": one_after_another,
}


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("form", CUT)
def test_a_tiff_that_was_copied_in_part_is_no_shorter_stack(tmp_path, form, share):
    path = CUT[form](tmp_path, np.repeat(EIGHT, 7, axis=0))
    assert len(open_stack(path, voxel_nm=VOXEL_NM)) == 42
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cell\.tif is cut off: it has \d+ bytes.*Copy it again"):
        open_stack(path, voxel_nm=VOXEL_NM)


def test_a_slice_that_was_copied_in_part_is_named(tmp_path):
    for number in (1, 2, 3):
        tifffile.imwrite(tmp_path / f"slice_{number}.tif", EIGHT[number])
    whole = (tmp_path / "slice_2.tif").read_bytes()
    (tmp_path / "slice_2.tif").write_bytes(whole[:-10])
    cell = open_stack(tmp_path, voxel_nm=VOXEL_NM)
    np.testing.assert_array_equal(cell.image(3), EIGHT[3])
    with pytest.raises(ValueError, match=r"slice 2, .*cannot be read: .*slice_2\.tif is cut off"):
        cell.image(2)


def test_pages_that_lead_back_are_damage(tmp_path):
    path = one_after_another(tmp_path, EIGHT)
    with tifffile.TiffFile(path) as tiff_:
        first, last = tiff_.pages[0].offset, tiff_.pages[5].offset
        n_tags = len(tiff_.pages[5].tags)
    with path.open("r+b") as file:
        file.seek(last + 2 + 12 * n_tags)
        file.write(first.to_bytes(4, "little"))
    with pytest.raises(ValueError, match="lead back"):
        open_stack(path, voxel_nm=VOXEL_NM)


def test_a_header_that_asks_for_more_than_the_memory_is_refused_unread(tmp_path):
    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    size = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(9))), chunk(b"IEND", b""))
    (tmp_path / "slice_1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(ValueError, match=r"slice 1, .*40000000000 pixels.*save it as a TIFF"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)

    path = tiff(compression="zlib")(tmp_path, EIGHT[:1])
    with tifffile.TiffFile(path) as tiff_:
        place = tiff_.pages[0].tags["ImageLength"].valueoffset
    with path.open("r+b") as file:
        file.seek(place)
        file.write((60_000).to_bytes(2, "little"))
    with pytest.raises(ValueError, match=r"is damaged: its header says that page 1 is 60000 x 30"):
        open_stack(path, voxel_nm=VOXEL_NM)


@pytest.mark.filterwarnings("ignore:.*zero-size array")
def test_a_tiff_of_no_pixels_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "slice_1.tif", np.zeros((0, 0), np.uint8))
    with pytest.raises(ValueError, match=r"slice 1 .*shape \(0, 0\).*at least one pixel"):
        open_stack(tmp_path, voxel_nm=VOXEL_NM)


def test_a_zarr_store_with_chunks_missing_says_so(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.open(
        str(tmp_path / "cell.zarr"), mode="w", shape=SHAPE, chunks=(3, 10, 30), dtype="u1"
    )
    array[:] = EIGHT
    assert open_stack(tmp_path / "cell.zarr", voxel_nm=VOXEL_NM).notes == ()
    chunks = [p for p in (tmp_path / "cell.zarr").rglob("*") if p.is_file()]
    next(path for path in chunks if not path.name.startswith((".z", "zarr"))).unlink()
    found = open_stack(tmp_path / "cell.zarr", voxel_nm=VOXEL_NM)
    assert "has 3 of 4 chunks; what the others would hold is read as 0" in found.notes[0]
