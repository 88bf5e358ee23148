"""Label maps of a stack, kept small: in a folder that survives being interrupted, or in memory."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path

import cv2
import numpy as np
import tifffile

from helpers import tiffs
from helpers.cache import TEMPORARY, storing, write_whole
from helpers.labels import PALETTES, Label

IDENTITY = "label-maps.json"
"""Name of the file that says what the label maps of a folder are."""

# Measured on the published ground truth, 2000 x 2000: 11 ms and 44 kB a slice. Level 1 is no
# faster (12 ms, 71 kB); PackBits takes 6 ms and 101 kB; zstd is faster still, but few programs
# read it in a TIFF.
_COMPRESSION = {"compression": "zlib", "compressionargs": {"level": 6}}
# Slices are called slice_0001.tif: what is computed from them must not take their names.
_NAME = re.compile(r"labels_(\d{4,})\.tif")


_COLOURS = np.full((3, 256), 0xFFFF, np.uint16)
for _label, _colour in PALETTES["paper"].items():
    _COLOURS[:, _label] = np.multiply(_colour, 0x101)


class DamagedLabelMapError(RuntimeError):
    """A label map is there and cannot be read; the message names the slice and the file."""


class PackedLabels(MutableMapping):
    """Label maps in memory by slice number, each compressed to about a hundredth.

    The 300 slices of the paper's cell are 1.2 GB as arrays, and a few MB so.

    Examples
    --------
    >>> packed = PackedLabels()
    >>> packed[118] = np.full((2000, 2000), 2, np.uint8)
    >>> packed[118].shape, int(packed[118].max()), len(packed)
    ((2000, 2000), 2, 1)
    """

    def __init__(self):
        self._files: dict[int, np.ndarray] = {}

    def __setitem__(self, number: int, labels: np.ndarray) -> None:
        self._files[number] = cv2.imencode(".png", labels, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1]

    def __getitem__(self, number: int) -> np.ndarray:
        return cv2.imdecode(self._files[number], cv2.IMREAD_UNCHANGED)

    def __delitem__(self, number: int) -> None:
        del self._files[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class LabelMaps:
    """Label maps of one method and run, one TIFF file a slice.

    What is there is complete: a file gets its name when all of it is written. Several processes
    may write into one folder. The bytes depend on the labels and the pixel size alone. The files
    have a colour table, so that Fiji and others show the classes in the paper's colours, and a
    digest of their labels, checked when they are read.

    Parameters
    ----------
    folder : Path or str
        Made where it is not.
    identity : mapping of str to what JSON can hold, optional
        What the label maps depend on: the code, its parameters, and the content of the pictures
        (see `helpers.cache.digest_of`). It is written to the folder when it is made; later it must
        be the same. Without it the folder is read, and nothing is written to it.
    overwrite : bool
        Whether label maps of another identity are deleted.
    pixel_size_nm : float, optional
        Side of a pixel; it is written into the files' resolution, where other programs find it.

    Raises
    ------
    TypeError
        If `identity` has an entry that JSON cannot hold.
    ValueError
        If the folder has label maps of another identity, or files that are none of this book:
        the pictures themselves, for example; or if it is a link.
    FileNotFoundError
        If there is no identity, and no folder to read.
    helpers.cache.StorageError
        If the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path | str,
        identity: Mapping[str, object] | None = None,
        *,
        overwrite: bool = False,
        pixel_size_nm: float | None = None,
    ):
        self.folder = Path(folder)
        self._pixel_size_nm = pixel_size_nm
        there = _identity_of(self.folder)
        if identity is None:
            if not self.folder.is_dir():
                raise FileNotFoundError(f"there is no folder {self.folder}.")
            self.identity = there or {}
            return
        self.identity = as_json(identity)
        if self.folder.is_symlink():
            raise ValueError(
                f"{self.folder} is a link to {self.folder.resolve()}; label maps are not written "
                "through links, whose end may be another's. Give that folder itself."
            )
        if there != self.identity:
            if there is None:
                self._check_that_it_is_ours()
            elif there and not overwrite:
                raise ValueError(self._other(there))
            else:  # What cannot be read counts as nothing known.
                self.discard(self.folder)
            with storing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(self.identity, indent=1, sort_keys=True) + "\n"
            write_whole(self.folder / IDENTITY, content)
        for left_over in self.folder.glob(TEMPORARY):
            _remove(left_over)

    def __repr__(self) -> str:
        return f"LabelMaps({str(self.folder)!r}, {len(self.numbers)} slices)"

    @staticmethod
    def discard(folder: Path | str) -> None:
        """Delete the label maps of a folder and their identity, and nothing else in it.

        A folder that does not say that it has label maps is left as it is.

        Parameters
        ----------
        folder : Path or str
            Deleted too if that leaves it empty. A link is left as it is.
        """
        folder = Path(folder)
        if not folder.is_dir() or folder.is_symlink():
            return
        if (folder / IDENTITY).is_file():
            # The identity goes last: maps without one are refused, never taken for another's.
            for path in (*_files(folder).values(), *folder.glob(TEMPORARY), folder / IDENTITY):
                path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the slices that are there, in order."""
        return tuple(_files(self.folder))

    def path(self, number: int) -> Path:
        """Return where the label map of a slice is, or would be.

        Parameters
        ----------
        number : int
            Slice number, from 0.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If `number` is not a slice number.
        """
        if number != int(number) or number < 0:
            raise ValueError(f"number is {number!r}; slice numbers are whole, from 0.")
        return self.folder / f"labels_{int(number):04d}.tif"

    def has(self, number: int) -> bool:
        """Tell whether a slice is there, without reading it."""
        return self.path(number).exists()

    def read(self, number: int) -> np.ndarray:
        """Read a label map.

        Parameters
        ----------
        number : int

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`, and 0 for "not labelled".

        Raises
        ------
        ValueError
            If it is not there.
        DamagedLabelMapError
            If the file is not a whole label map.
        """
        path = self.path(number)
        try:
            # From memory: a damaged length asks the file for no more than it has.
            with tifffile.TiffFile(io.BytesIO(path.read_bytes())) as tiff:
                tiffs.check_whole(tiff, n_pages=1)
                labels = _checked(tiff.pages.first.asarray(maxworkers=1), number)
                if tiff.pages.first.description != _digest(labels):
                    raise ValueError("its labels are not those that were written")
                return labels
        except FileNotFoundError:
            have = ", ".join(map(str, self.numbers)) or "none"
            raise ValueError(f"{self.folder} has no slice {number}; it has: {have}.") from None
        except OSError:
            raise
        except Exception as error:  # A damaged file makes tifffile raise whatever it meets.
            raise DamagedLabelMapError(
                f"The label map of slice {number} is damaged ({error}): {path}. "
                "Delete the file and compute the slice again; the others are not concerned."
            ) from error

    def write(self, number: int, labels: np.ndarray) -> Path:
        """Store a label map: all of it, or, if that fails, nothing.

        Parameters
        ----------
        number : int
            Slice number, from 0. A label map of that slice is replaced.
        labels : (y, x) array of uint8
            Numbers of `helpers.labels.Label`, and 0 for "not labelled".

        Returns
        -------
        Path
            The file.

        Raises
        ------
        TypeError
            If the labels are not uint8.
        ValueError
            If they are not one slice, or have other numbers.
        helpers.cache.StorageError
            If they cannot be written.
        """
        path, labels = self.path(number), _checked(labels, number)
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            np.ascontiguousarray(labels),
            byteorder="<",
            photometric="palette",
            colormap=_COLOURS,
            **tiffs.resolution_tags(self._pixel_size_nm),
            description=_digest(labels),
            metadata=None,
            software=False,
            maxworkers=1,
            **_COMPRESSION,
        )
        write_whole(path, buffer.getvalue())
        return path

    def damaged(self) -> tuple[int, ...]:
        """Read all slices and return the numbers of those that cannot be read."""
        return tuple(number for number in self.numbers if not self._is_whole(number))

    def missing(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Return, of the slices wanted, those still to be computed: not there, or damaged."""
        return tuple(
            number for number in numbers if not (self.has(number) and self._is_whole(number))
        )

    def _is_whole(self, number: int) -> bool:
        try:
            self.read(number)
        except DamagedLabelMapError:
            return False
        return True

    def _check_that_it_is_ours(self) -> None:
        """Refuse a folder with files of others: slices, perhaps, which these must not join."""
        if not self.folder.is_dir():
            return
        others = sorted(path.name for path in self.folder.iterdir() if path.name[0] != ".")
        # Unless another process has begun to write the same ones just now.
        if others and _identity_of(self.folder) != self.identity:
            raise ValueError(
                f"{self.folder} has files that are no label maps of this book (no {IDENTITY} is "
                f"beside them), such as {others[0]}. Take a new or an empty folder."
            )

    def _other(self, there: dict) -> str:
        differ = [
            f"{key} is {_text(there, key)} there, {_text(self.identity, key)} here"
            for key in sorted({*there, *self.identity})
            if _text(there, key) != _text(self.identity, key)
        ]
        return (
            f"{self.folder} has label maps of another run: {'; '.join(differ)}. Take another "
            "folder; or, if these are not needed, delete them, and nothing else, with "
            f"LabelMaps.discard({str(self.folder)!r}) or overwrite=True."
        )


def _identity_of(folder: Path) -> dict | None:
    """Read what a folder says of itself: None if nothing, {} if that cannot be read."""
    try:
        there = json.loads((folder / IDENTITY).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}
    return there if isinstance(there, dict) else {}


def _files(folder: Path) -> dict[int, Path]:
    found = {}
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def _digest(labels: np.ndarray) -> str:
    """Return what tells these labels from all others."""
    digest = hashlib.blake2b(f"{labels.shape} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(labels))
    return f"blake2b {digest.hexdigest()}"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # On Windows, another process is writing it.
        return


def _checked(labels: np.ndarray, number: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.dtype != np.uint8:
        raise TypeError(
            f"labels of slice {number} have dtype {labels.dtype}; allowed is uint8. "
            "For a map of other integers: labels.astype(numpy.uint8)."
        )
    if labels.ndim != 2 or not labels.size:
        raise ValueError(
            f"labels of slice {number} have shape {labels.shape}; allowed is one slice (y, x)."
        )
    if labels.max() > max(Label):
        raise ValueError(
            f"labels of slice {number} have numbers up to {labels.max()}; allowed are 1 to "
            f"{max(Label):d}, see helpers.labels.Label, and 0 for no label."
        )
    return labels


def as_json(identity: Mapping[str, object]) -> dict:
    """Bring an identity to what JSON gives back, so that the two can be compared.

    Parameters
    ----------
    identity : mapping

    Returns
    -------
    dict

    Raises
    ------
    TypeError
        If it has an entry that JSON cannot hold.
    """
    plain = {}
    for key, value in identity.items():
        try:
            plain[str(key)] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"identity[{key!r}] is {value!r}, which JSON cannot hold ({error}); allowed are "
                "text, finite numbers, bool, None, and lists and mappings of these."
            ) from None
    return plain


def _text(identity: Mapping[str, object], key: str) -> str:
    return json.dumps(identity[key], sort_keys=True) if key in identity else "missing"
