"""Writes files as microscopes and other programs do, as far as their readers look."""

import struct
from pathlib import Path

import numpy as np


def write_mrc(path: Path, volume: np.ndarray, voxel_nm=None, *, stamp=(0, 0)) -> Path:
    """Write an MRC file: a header of 1024 bytes, and the voxels."""
    mode = {"int8": 0, "uint8": 0, "int16": 1, "float32": 2, "uint16": 6}[str(volume.dtype)]
    depth, height, width = volume.shape
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, width, height, depth, mode)
    struct.pack_into("<3i", header, 28, width, height, depth)
    if voxel_nm:
        z, y, x = voxel_nm
        struct.pack_into("<3f", header, 40, 10 * width * x, 10 * height * y, 10 * depth * z)
    struct.pack_into("<3f3i", header, 52, 90, 90, 90, 1, 2, 3)
    if volume.dtype.itemsize == 1 and not stamp[0]:
        struct.pack_into("<2f", header, 76, volume.min(), volume.max())
    struct.pack_into("<2i", header, 152, *stamp)
    header[208:216] = b"MAP \x44\x44\0\0"
    path.write_bytes(bytes(header) + volume.tobytes())
    return path


def write_dm(path: Path, picture: np.ndarray, voxel_nm, version: int = 3) -> Path:
    """Write a DM3 or DM4 file of one picture or stack; voxel_nm as (z, y, x)."""
    size = ">i" if version == 3 else ">q"
    codes = {
        "uint8": (10, 6),
        "int8": (9, 9),
        "uint16": (4, 10),
        "int16": (2, 1),
        "float32": (6, 2),
    }
    code, kind = codes[str(picture.dtype)]

    def tag(name, kind_byte, content):
        content = content if version == 3 else struct.pack(">q", len(content)) + content
        return bytes([kind_byte]) + struct.pack(">h", len(name)) + name.encode() + content

    def group(name, *tags):
        return tag(name, 20, bytes([1, 0]) + struct.pack(size, len(tags)) + b"".join(tags))

    def data(name, info, content):
        head = b"%%%%" + struct.pack(size, len(info))
        return tag(name, 21, head + b"".join(struct.pack(size, each) for each in info) + content)

    def number(name, code, form, value):
        return data(name, [code], struct.pack(form, value))

    def text(name, value):
        return data(name, [20, 4, len(value)], value.encode("utf-16-le"))

    lengths = voxel_nm[::-1][: picture.ndim]
    dimensions = [
        group("", number("Origin", 6, "<f", 0), number("Scale", 6, "<f", each), text("Units", "nm"))
        for each in lengths
    ]
    image = group(
        "",
        group(
            "ImageData",
            group(
                "Calibrations",
                group(
                    "Brightness",
                    number("Origin", 6, "<f", 0),
                    number("Scale", 6, "<f", 1),
                    text("Units", "e"),
                ),
                group("Dimension", *dimensions),
            ),
            data("Data", [20, code, picture.size], picture.tobytes()),
            number("DataType", 5, "<I", kind),
            group("Dimensions", *(number("", 5, "<I", side) for side in picture.shape[::-1])),
            number("PixelDepth", 5, "<I", picture.itemsize),
        ),
        group("ImageTags", number("Nothing", 5, "<I", 0)),
        text("Name", "cell"),
    )
    tags = group("ImageList", image)
    whole = struct.pack(">i", version) + struct.pack(size, 0) + struct.pack(">i", 1)
    path.write_bytes(whole + bytes([1, 0]) + struct.pack(size, 1) + tags + bytes(8))
    return path


def write_ser(path: Path, volume: np.ndarray, voxel_nm) -> Path:
    """Write a SER file of TIA: a series of pictures, with lengths in metres."""
    count, height, width = volume.shape
    kind = {"uint8": 1, "uint16": 2, "int16": 5, "float32": 7}[str(volume.dtype)]
    z, y, x = (length * 1e-9 for length in voxel_nm)
    head = struct.pack("<3H4I", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, count, count)
    unit, name = b"meters", b"Position"
    dimension = struct.pack("<I2dI", count, 0.0, z, 0)
    dimension += struct.pack("<I", len(name)) + name + struct.pack("<I", len(unit)) + unit
    at = len(head) + 8 + len(dimension)
    head += struct.pack("<2I", at, 1) + dimension
    elements = [
        struct.pack("<2dI2dIH2I", 0, x, 0, 0, y, 0, kind, width, height) + each[::-1].tobytes()
        for each in volume
    ]
    start = at + 8 * count
    offsets = [start + place * len(elements[0]) for place in range(count)]
    tags = [start + len(elements[0]) * count + place * 8 for place in range(count)]
    arrays = struct.pack(f"<{count}I", *offsets) + struct.pack(f"<{count}I", *tags)
    path.write_bytes(head + arrays + b"".join(elements) + struct.pack("<2HI", 0x4152, 0, 0) * count)
    return path
