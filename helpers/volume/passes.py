"""What the passes up and down have found so far, in memory and, if asked, on disk."""

import hashlib
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from helpers.cache import TEMPORARY, write_whole
from helpers.volume.preparation import unpack_mask
from helpers.volume.propagation import Found


def order(numbers: tuple[int, ...], centre: int) -> list[int]:
    """Order slices as the two passes meet them: the centre, then one up, one down, and so on.

    Parameters
    ----------
    numbers : tuple of int
        Slice numbers, ascending.
    centre : int
        One of them.

    Returns
    -------
    list of int

    Examples
    --------
    >>> order((1, 2, 3, 4, 5, 6), 3)
    [3, 4, 2, 5, 1, 6]
    """
    up = [number for number in numbers if number > centre]
    down = [number for number in reversed(numbers) if number < centre]
    pairs = chain.from_iterable(zip_longest(up, down))
    return [centre, *(number for number in pairs if number is not None)]


@dataclass(frozen=True)
class Step:
    """Nucleus and background of one slice, a bit a pixel.

    Attributes
    ----------
    nucleus, votes, background : array of uint8
        From `numpy.packbits`.
    level : float
        See `helpers.volume.propagation.Found`.
    shape : (int, int)
        Of the slice.
    """

    nucleus: np.ndarray
    votes: np.ndarray
    background: np.ndarray
    level: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, found: Found, background: np.ndarray) -> "Step":
        """Pack what was found in a slice."""
        masks = (np.packbits(mask) for mask in (found.nucleus, found.votes, background))
        return cls(*masks, found.level, background.shape)

    def mask(self, name: str) -> np.ndarray:
        """Unpack `nucleus`, `votes` or `background`."""
        return unpack_mask(getattr(self, name), self.shape)

    @property
    def found(self) -> Found:
        """What the next slice needs to know."""
        return Found(self.mask("nucleus"), self.mask("votes"), self.level)

    def to_bytes(self) -> bytes:
        """Return the step as bytes; the same ones for the same step."""
        buffer = io.BytesIO()
        np.save(buffer, np.stack([self.nucleus, self.votes, self.background]))
        np.save(buffer, np.array([self.level, *self.shape]))
        return zlib.compress(buffer.getvalue(), 1)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Step":
        """Restore a step.

        Raises
        ------
        ValueError, zlib.error, EOFError
            If the bytes are not a whole step.
        """
        buffer = io.BytesIO(zlib.decompress(content))
        masks = np.load(buffer)
        level, height, width = np.load(buffer)
        return cls(*masks, float(level), (int(height), int(width)))


class Steps:
    """The steps of a run: the recent ones in memory, all of them in a folder, if there is one.

    Parameters
    ----------
    folder : Path, optional
        Where a run that was interrupted goes on.
    identity : mapping, optional
        What the steps depend on. Those of another run are not read: its label maps may have been
        discarded, and its steps left behind.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, object] | None = None):
        self.folder = folder
        self._run = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self._recent: dict[int, Step] = {}
        if folder is not None:
            folder.mkdir(exist_ok=True)

    def keep(self, number: int, step: Step) -> None:
        """Keep the step of a slice."""
        self._recent[number] = step
        if self.folder is not None:
            write_whole(self._path(number), step.to_bytes())

    def get(self, number: int) -> Step | None:
        """Return the step of a slice, or None if there is none, or none that can be read."""
        if number in self._recent or self.folder is None:
            return self._recent.get(number)
        try:
            step = Step.from_bytes(self._path(number).read_bytes())
        except (OSError, ValueError, EOFError, zlib.error):
            return None
        self._recent[number] = step
        return step

    @property
    def held(self) -> tuple[int, ...]:
        """Numbers of the slices in memory."""
        return tuple(self._recent)

    def forget(self, number: int) -> None:
        """Free the memory of a slice."""
        self._recent.pop(number, None)

    def discard(self) -> None:
        """Delete the folder: the run is complete."""
        if self.folder is None:
            return
        for path in (*self.folder.glob("*.step"), *self.folder.glob(TEMPORARY)):
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"slice_{number:04d}_{self._run}.step"
