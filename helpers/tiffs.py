"""TIFF files: what their headers promise, checked before pixels are read, and pixel sizes."""

import struct

import tifffile

# How many bytes one byte of the file becomes at most, by compression: a deflated one 1032, of
# PackBits 64 and of LZW some 2700. What others can do has no such bound.
_EXPANDS = {1: 1, 5: 2731, 8: 1032, 32946: 1032, 32773: 64}
# Bytes of a value by the number of its type, TIFF 6.0 and BigTIFF.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}


class CutOffError(ValueError):
    """A file ends before what it says that it holds: it was not copied whole."""


def resolution_tags(pixel_size_nm: float | None) -> dict:
    """Return what `tifffile.imwrite` takes to write a pixel size into a TIFF.

    Parameters
    ----------
    pixel_size_nm : float, optional

    Returns
    -------
    dict

    Examples
    --------
    >>> resolution_tags(10)
    {'resolution': (1000000.0, 1000000.0), 'resolutionunit': 'CENTIMETER'}
    """
    if pixel_size_nm is None:
        return {}
    pixels_per_cm = 1e7 / pixel_size_nm
    return {"resolution": (pixels_per_cm, pixels_per_cm), "resolutionunit": "CENTIMETER"}


def check_whole(tiff: tifffile.TiffFile, *, n_pages: int | None = None) -> None:
    """Check that a TIFF holds what its pages, their tags and their sizes say, before it is read.

    tifffile takes a directory of pages that leads out of the file for the end of the pages, so
    that a stack copied by half would be a shorter stack; and a damaged header may ask for more
    memory than there is.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    n_pages : int, optional
        How many pages it must have.

    Raises
    ------
    CutOffError
        If the file is shorter, or has another number of pages.
    """
    end, found = _directories(tiff)
    _check_end(tiff, end)
    if n_pages not in (None, found):
        raise CutOffError(f"{_name(tiff)} is damaged: it has {found} pages in place of {n_pages}.")
    _check_end(tiff, _end_of_pixels(tiff))
    for page in tiff.pages:
        room = _EXPANDS.get(int(page.keyframe.compression))
        declared = page.size * page.keyframe.bitspersample // 8
        if room and declared > room * sum(page.databytecounts):
            raise CutOffError(
                f"{_name(tiff)} is damaged: its header says that page {page.index + 1} is "
                f"{' x '.join(map(str, page.shape))}, which its {sum(page.databytecounts)} bytes "
                "cannot hold. Copy it again from where it came from."
            )


def _check_end(tiff: tifffile.TiffFile, end: int) -> None:
    size = tiff.filehandle.size
    if end > size:
        raise CutOffError(
            f"{_name(tiff)} is cut off: it has {size} bytes, and says that it goes on to byte "
            f"{end} at least. Copy it again from where it came from."
        )


def _name(tiff: tifffile.TiffFile) -> str:
    return tiff.filehandle.path or "the file"


def _directories(tiff: tifffile.TiffFile) -> tuple[int, int | None]:
    """Return where the directories and the values of their tags end, and how many there are."""
    form, file = tiff.tiff, tiff.filehandle
    if form.is_ndpi or file.name.lower().endswith(".lsm"):  # Their directories are of other kinds.
        return 0, None
    ends, seen = [0], set()
    file.seek(8 if form.is_bigtiff else 4)
    place = struct.unpack(form.offsetformat, file.read(form.offsetsize))[0]
    while place:
        if place in seen:
            raise CutOffError(f"{_name(tiff)} is damaged: its pages lead back to the first ones.")
        seen.add(place)
        ends.append(place + form.tagnosize)
        if ends[-1] > file.size:
            break
        file.seek(place)
        count = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
        length = count * form.tagsize + form.offsetsize
        ends.append(ends[-1] + length)
        if ends[-1] > file.size:
            break
        tags = file.read(length)
        for start in range(0, count * form.tagsize, form.tagsize):
            _, kind = struct.unpack_from(form.tagformat1, tags, start)
            n_values, value = struct.unpack_from(form.tagformat2, tags, start + 4)
            n_bytes = n_values * _TYPE_BYTES.get(kind, 0)
            if n_bytes > form.tagoffsetthreshold:
                ends.append(struct.unpack(form.offsetformat, value)[0] + n_bytes)
        place = struct.unpack(form.offsetformat, tags[-form.offsetsize :])[0]
    return max(ends), len(seen)


def _end_of_pixels(tiff: tifffile.TiffFile) -> int:
    ends = [0]
    for page in tiff.pages:
        pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
        ends += [start + length for start, length in pieces if length]
    page, series = tiff.pages[0], tiff.series[0]
    if len(tiff.pages) == 1 and series.ndim > page.ndim and series.dataoffset is not None:
        # The slices of the stack lie behind its only page, as ImageJ writes above 4 GB.
        ends.append(series.dataoffset + series.size * series.dtype.itemsize)
    return max(ends)
