"""Strokes: lines on slices, each with a class, and the small file that keeps them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from helpers.cache import write_whole
from helpers.data.stack import Stack
from helpers.labels import Label

NAMES = {
    "envelope": Label.NUCLEAR_ENVELOPE,
    "nucleus": Label.NUCLEUS,
    "cell": Label.CELL,
    "background": Label.BACKGROUND,
}
"""Classes as the file has them."""

_SHORT = {label: name for name, label in NAMES.items()}


@dataclass(frozen=True)
class Stroke:
    """One line on a slice.

    Attributes
    ----------
    number : int
        The slice.
    label : Label
        What is under the line.
    points : tuple of (float, float)
        (y, x) in pixels of the slice, from the first to the last, kept to a tenth of a pixel; a
        single one is a dot.
    """

    number: int
    label: Label
    points: tuple[tuple[float, float], ...]

    def __post_init__(self):
        # As the file has them, so that a forest learns the same from what was saved.
        rounded = tuple((round(float(y), 1), round(float(x), 1)) for y, x in self.points)
        object.__setattr__(self, "points", rounded)


@dataclass(frozen=True)
class Strokes:
    """Strokes on the slices of a stack.

    Attributes
    ----------
    shape : (int, int)
        Size (y, x) of the slices that they were drawn on, in pixels.
    strokes : tuple of Stroke
        In the order in which they were drawn.

    Examples
    --------
    >>> strokes = Strokes((100, 100)).add(Stroke(7, Label.NUCLEUS, ((50, 20), (50, 80))))
    >>> strokes.numbers, len(strokes)
    ((7,), 1)
    >>> rows, columns, labels = strokes.pixels(7, (10, 10))
    >>> rows.tolist(), columns.tolist(), set(labels.tolist())
    ([5, 5, 5, 5, 5, 5, 5], [2, 3, 4, 5, 6, 7, 8], {2})
    """

    shape: tuple[int, int]
    strokes: tuple[Stroke, ...] = ()

    def __len__(self) -> int:
        return len(self.strokes)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Slices that have strokes, ascending."""
        return tuple(sorted({stroke.number for stroke in self.strokes}))

    @property
    def classes(self) -> tuple[Label, ...]:
        """Classes that have strokes."""
        return tuple(label for label in Label if any(s.label == label for s in self.strokes))

    @property
    def are_enough(self) -> bool:
        """Whether a forest can learn from them: of the nucleus, and of something else."""
        return Label.NUCLEUS in self.classes and len(self.classes) > 1

    def rows(self) -> list[list]:
        """Return slice, class and points of each stroke, as lists and numbers alone."""
        return [[s.number, int(s.label), [list(point) for point in s.points]] for s in self.strokes]

    def add(self, *strokes: Stroke) -> "Strokes":
        """Return these strokes and more."""
        return replace(self, strokes=(*self.strokes, *strokes))

    def first(self, count: int) -> "Strokes":
        """Return the first strokes alone."""
        return replace(self, strokes=self.strokes[:count])

    def pixels(
        self, number: int, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the pixels under the strokes of a slice.

        Parameters
        ----------
        number : int
            The slice.
        shape : (int, int)
            Size (y, x) of the grid on which they are wanted; a line is one of its pixels wide.

        Returns
        -------
        rows, columns : (n,) array of int
        labels : (n,) array of uint8
            Where strokes cross, the last one counts.
        """
        drawn = self.picture(number, shape)
        rows, columns = np.nonzero(drawn)
        return rows, columns, drawn[rows, columns]

    def picture(self, number: int, shape: tuple[int, int], thickness: int = 1) -> np.ndarray:
        """Draw the strokes of a slice.

        Parameters
        ----------
        number : int
        shape : (int, int)
            Size (y, x) of the picture.
        thickness : int
            Width of the lines in its pixels.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`, and 0 where there is no stroke.
        """
        picture = np.zeros(shape, np.uint8)
        scale = np.array(shape) / self.shape
        for stroke in self.strokes:
            if stroke.number == number:
                # OpenCV draws no dot.
                points = np.floor(np.array([*stroke.points, stroke.points[-1]]) * scale).astype(
                    np.int32
                )
                points = np.clip(points, 0, np.array(shape) - 1)
                line = points[:, ::-1].reshape(-1, 1, 2)
                cv2.polylines(picture, [line], False, int(stroke.label), thickness)
        return picture

    def save(self, path: Path | str) -> None:
        """Write the strokes to a file, a line a stroke.

        Parameters
        ----------
        path : path
            Of the file, ``.json`` for instance.

        Raises
        ------
        helpers.cache.StorageError
            If it cannot be written.
        """
        rows = [
            json.dumps(
                {
                    "slice": stroke.number,
                    "class": _SHORT[stroke.label],
                    "points": stroke.points,
                }
            )
            for stroke in self.strokes
        ]
        text = f'{{"shape": {list(map(int, self.shape))}, "strokes": [\n'
        write_whole(Path(path), text + ",\n".join(rows) + "\n]}\n")

    @classmethod
    def load(cls, path: Path | str) -> "Strokes":
        """Read strokes from a file.

        Parameters
        ----------
        path : path
            Of a file that `save` wrote, or of that form.

        Returns
        -------
        Strokes

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it has no strokes of that form; the message says which entry is wrong.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            height, width = map(int, content["shape"])
            entries = list(content["strokes"])
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file of strokes {path}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} has no strokes ({type(error).__name__}: {error}). It must be JSON with "
                '"shape", [rows, columns] of the slices, and "strokes", a list.'
            ) from error
        read = [_stroke(entry, at, path) for at, entry in enumerate(entries, start=1)]
        strokes = cls((height, width), tuple(read))
        for at, stroke in enumerate(read, start=1):
            if not all(0 <= y < height and 0 <= x < width for y, x in stroke.points):
                raise ValueError(
                    f"stroke {at} in {path} has points outside of {height} x {width} pixels; "
                    "points are [row, column], from 0."
                )
        return strokes

    def check(self, stack: Stack) -> None:
        """Raise ValueError if these are not strokes on the slices of a stack."""
        absent = sorted(set(self.numbers) - set(stack.slice_numbers))
        if absent:
            raise ValueError(
                f"there are strokes on slices {', '.join(map(str, absent))}, which {stack.name} "
                "does not have; its slices have the numbers in the names of its files."
            )
        if tuple(self.shape) != tuple(stack.shape):
            raise ValueError(
                f"the strokes were drawn on slices of {self.shape[0]} x {self.shape[1]} pixels, "
                f"and those of {stack.name} have {stack.shape[0]} x {stack.shape[1]}. Open the "
                "stack as it was when they were drawn: with the same crop, for instance."
            )


def _stroke(entry, at: int, path: Path) -> Stroke:
    try:
        label = NAMES[entry["class"]]
        if not entry["points"]:
            raise ValueError("it has no points")
        return Stroke(int(entry["slice"]), label, entry["points"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"stroke {at} in {path} cannot be read ({type(error).__name__}: {error}). It needs "
            f'"slice", a number, "class", one of {", ".join(NAMES)}, and "points", a list of '
            "[row, column]."
        ) from error


def strokes_of(drawn: Iterable[Sequence], shape: tuple[int, int]) -> Strokes:
    """Make strokes of their `Strokes.rows`, as a drawing area sends them."""
    strokes = (Stroke(int(number), Label(label), points) for number, label, points in drawn)
    return Strokes(tuple(shape), tuple(strokes))
