"""Label maps of other programs: what their numbers and colours mean, where that is certain."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from helpers.data.folders import Picture
from helpers.data.formats import Slices, open_slices
from helpers.labels import PALETTES, Label

SAMPLED_SLICES = 9
WAYS = ("classes", "nucleus", "instances")
"""What `ids` may be, beside a mapping: the book's numbers; a mask; a number for each nucleus."""

MAX_LISTED = 8
Ids = str | Mapping | None


class ForeignLabels:
    """Label maps made elsewhere, read by slice number in the book's four classes.

    Made by `open_labels`.

    Attributes
    ----------
    where : str
        What they were opened from.
    numbers : tuple of int
        Slices that are there, ascending.
    counted : bool
        Whether `numbers` are places in a file or an array, from 1.
    ids : str, dict or None
        What the numbers mean; see `open_labels`.
    classes : tuple of Label, or None
        What the maps know; None for all four.
    notes : tuple of str
    """

    def __init__(self, slices: Slices, ids: Ids, others: Label):
        self._slices, self.ids, self._others = slices, ids, Label(others)
        self.where, self.numbers, self.counted = slices.where, slices.numbers, slices.counted
        self.notes = slices.notes
        self.classes = (Label.NUCLEUS,) if ids in ("nucleus", "instances") else None
        self._chosen: dict[int, int] | None = None

    @property
    def folder(self) -> str:
        """Where the maps are, for messages."""
        return self.where

    def __repr__(self) -> str:
        return f"ForeignLabels({self.where!r}, {len(self.numbers)} slices)"

    def read(self, number: int) -> np.ndarray:
        """Read the label map of a slice.

        Parameters
        ----------
        number : int
            One of `numbers`.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`, and 0 for what is not labelled.

        Raises
        ------
        TypeError, ValueError
            If the slice is not there, cannot be read, or has numbers that have no meaning.
        """
        theirs = self._numbers(number)
        if self.ids != "instances" or self._others == Label.NUCLEUS:
            return translate(theirs, self.ids, number)
        if self._chosen is None:
            self._chosen = self._follow()
        labels = np.where(theirs > 0, np.uint8(self._others), np.uint8(Label.CELL))
        labels[(theirs == self._chosen.get(number, 0)) & (theirs > 0)] = Label.NUCLEUS
        return labels

    def check_size(self, shape: tuple[int, int]) -> None:
        """Refuse label maps of another size than the slices.

        Parameters
        ----------
        shape : (int, int)
            Of a slice.

        Raises
        ------
        ValueError
            If one has another; found from the files' headers, where these have it.
        """
        for number in self.numbers:
            found = tuple(self._slices.form(number)[0][:2])
            if found != tuple(shape):
                turned = " They look transposed." if found == tuple(shape[::-1]) else ""
                raise ValueError(
                    f"labels are {found} in slice {number}, the slices {tuple(shape)}; they must "
                    f"agree.{turned} Bring them to that size with nearest-neighbour interpolation."
                )

    def check_meaning(self) -> None:
        """Refuse label maps of which it is not certain what their numbers mean.

        Raises
        ------
        TypeError, ValueError
            As `open_labels`.
        """
        count = len(self.numbers)
        counts: dict[int, int] = {}
        for place in np.linspace(0, count - 1, min(count, SAMPLED_SLICES)):
            number = self.numbers[round(place)]
            picture = self._slices.read(number)
            theirs = numbers_of(picture, f"slice {number} of {self.where}", self.ids)
            is_mask = picture.pixels.dtype.kind == "b"
            if picture.white_is_zero and not is_mask and not isinstance(self.ids, Mapping):
                raise ValueError(
                    f"{self.where} is stored with 0 as white; say what its stored numbers mean, "
                    "for instance ids={0: Label.NUCLEUS, 255: Label.CELL}."
                )
            for value, pixels in zip(*np.unique(theirs, return_counts=True), strict=True):
                counts[int(value)] = counts.get(int(value), 0) + int(pixels)
        if self.ids is None:
            check_that_these_are_classes(counts, self.where)

    def _numbers(self, number: int) -> np.ndarray:
        if number not in self.numbers:
            raise ValueError(f"{self.where} has no slice {number}; it has {_some(self.numbers)}.")
        return numbers_of(self._slices.read(number), f"slice {number} of {self.where}", self.ids)

    def _follow(self) -> dict[int, int]:
        """Follow the instance at the centre of the middle slice from slice to slice."""
        at = len(self.numbers) // 2
        middle = self.numbers[at]
        theirs = self._numbers(middle)
        first = int(theirs[theirs.shape[0] // 2, theirs.shape[1] // 2])
        if not first:
            raise ValueError(
                f"{self.where}: no instance covers the centre of slice {middle}, so that it is "
                "open which one is the nucleus. Name it, ids={7: Label.NUCLEUS, ...}; or take all, "
                "open_labels(..., ids='instances', others=Label.NUCLEUS)."
            )
        chosen = {middle: first}
        for numbers in (self.numbers[at + 1 :], self.numbers[:at][::-1]):
            last, mask, keeps = first, theirs == first, None
            for number in numbers:
                here = self._numbers(number)
                overlap = np.bincount(here[mask & (here > 0)].ravel().astype(np.int64))
                if keeps is None:  # Are instances numbered through the stack, or slice by slice?
                    keeps = last < len(overlap) and bool(overlap[last])
                if not overlap.size:
                    continue
                best = last if keeps else int(overlap.argmax())
                found = here == best
                if not found.any() or 2 * np.count_nonzero(found & mask) < found.sum():
                    if keeps and found.any():
                        chosen[number], mask = best, found
                    continue
                chosen[number], last, mask = best, best, found
        return chosen


def open_labels(
    where,
    *,
    ids: Ids = None,
    others: Label = Label.CELL,
    pattern: str | None = None,
    variable: str | None = None,
    channel: int | str | Mapping[str, int] | None = None,
    axes: str | None = None,
    shape: tuple[int, int] | None = None,
) -> ForeignLabels:
    """Open label maps that another program, or a person, made.

    What their numbers mean is taken where it is certain: the four classes of this book, as numbers
    or in its colours. Where it is not, it is asked for.

    Parameters
    ----------
    where : path, array, mapping of int to (y, x) array, or Stack
        All that `helpers.data.open_stack` opens, but for JPEG, which smears numbers. In pictures
        with a palette, the numbers count.
    ids : str or mapping, optional
        ``"nucleus"``: what is not 0 is nucleus, the rest not; ``"instances"``: each nucleus has a
        number, and the one at the centre is meant; ``"classes"``: the numbers are those of
        `helpers.labels.Label`, although they do not look so. Or a mapping of numbers, or of
        colours, ``(255, 0, 0)`` or ``"#ff0000"``, to `Label`; 0 for what is not labelled.
    others : Label
        Class of the instances that are not the one at the centre; with ``Label.NUCLEUS`` all are
        nuclei.
    pattern : str, optional
        Finds the slice number in the names of a folder's files; see `open_stack`.
    variable : str, optional
        Variable of MATLAB files, or data set of a file that has several.
    channel, axes
        As `open_stack` has them.
    shape : (int, int), optional
        Of a slice; tells the axes of a MATLAB stack.

    Returns
    -------
    ForeignLabels

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, TypeError, ValueError
        If there is nothing, a library is missing, a map cannot be read, or it is open what is
        meant; the message has the ``ids=`` that would fit.

    Examples
    --------
    >>> mask = np.zeros((2, 4, 5), np.uint8)
    >>> mask[:, 1:3, 1:3] = 255
    >>> np.unique(open_labels(mask, ids="nucleus").read(1)).tolist()
    [2, 3]
    """
    labels = unchecked_labels(
        where,
        ids=ids,
        others=others,
        pattern=pattern,
        dataset=variable,
        channel=channel,
        axes=axes,
        shape=shape,
    )
    labels.check_meaning()
    return labels


def unchecked_labels(where, *, ids: Ids = None, others: Label = Label.CELL, **form):
    """Open label maps as `open_labels` does, without reading any of them.

    Parameters
    ----------
    where, ids, others
        As `open_labels` has them.
    **form
        As `helpers.data.formats.open_slices` has it.

    Returns
    -------
    ForeignLabels
        Of which `ForeignLabels.check_meaning` is still to be called.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, ValueError
        As `open_labels`.
    """
    if isinstance(ids, str) and ids not in WAYS:
        raise ValueError(
            f"ids is {ids!r}; allowed are {', '.join(map(repr, WAYS))}, and a mapping of their "
            "numbers or colours to Label."
        )
    slices = open_slices(where, **form)
    if slices.is_lossy:
        raise ValueError(
            f"{slices.where} is JPEG, which smears the numbers of a label map; save it as PNG or "
            "TIFF from the program that made it."
        )
    return ForeignLabels(slices, normal_ids(ids), others)


def numbers_of(picture: Picture | np.ndarray, what: str, ids: Ids = None) -> np.ndarray:
    """Return the numbers of a label map; of a coloured one, those of its colours.

    Parameters
    ----------
    picture : Picture or array
        Whole numbers of any type, bool, or (y, x, 3) colours.
    what : str
        What to call it in messages.
    ids : mapping, optional
        Colours in it are allowed.

    Returns
    -------
    (y, x) array of integers

    Raises
    ------
    TypeError
        If it has values that are no whole numbers.
    ValueError
        If it has colours, and their meaning is not given.
    """
    picture = picture if isinstance(picture, Picture) else Picture(np.asarray(picture))
    pixels = picture.pixels
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4):
        colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1]
        if (colours == colours[..., :1]).all():
            pixels = colours[..., 0]
        elif colours.dtype == np.uint8:
            return _of_colours(colours, what, ids)
    if pixels.ndim != 2:
        raise ValueError(
            f"{what} has shape {pixels.shape}; a label map is one slice, (y, x), or (y, x, 3) "
            "colours of 8 bits."
        )
    if pixels.dtype.kind == "b":
        return (~pixels if picture.white_is_zero else pixels).astype(np.uint8)
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or (pixels != np.rint(pixels)).any():
            raise TypeError(
                f"{what} has {pixels.dtype} values that are no whole numbers, such as "
                f"{pixels.flat[int(np.argmax(pixels != np.rint(pixels)))]:.4g}. Of probabilities "
                "take what is most likely first: (p > 0.5), or p.argmax(axis) for several classes."
            )
        return pixels.astype(np.int64)
    if pixels.dtype.kind not in "ui":
        raise TypeError(f"{what} has type {pixels.dtype}; a label map has whole numbers.")
    return pixels


def _of_colours(colours: np.ndarray, what: str, ids: Ids) -> np.ndarray:
    """Return a number for each colour: 0xRRGGBB; of the book's own colours, its classes."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    codes = (red << 16) | (green << 8) | blue
    if isinstance(ids, Mapping):
        return codes
    found, counts = np.unique(codes, return_counts=True)
    for palette in PALETTES.values():
        own = {_code(colour): label for label, colour in palette.items()}
        if ids is None and set(found.tolist()) <= own.keys():
            return translate(codes, own, 0)
    often = found[np.argsort(-counts)][:MAX_LISTED]
    listed = ", ".join(f"'#{code:06x}': ..." for code in often)
    many = f" and {len(found) - len(often)} more" if len(found) > len(often) else ""
    raise ValueError(
        f"{what} is in colour, with {', '.join(f'#{code:06x}' for code in often)}{many}. Say what "
        f"each colour means: ids={{{listed}}}, with Label.NUCLEUS and so on, and 0 for no label."
    )


def _code(colour) -> int:
    red, green, blue = (int(each) for each in colour)
    return (red << 16) | (green << 8) | blue


def normal_ids(ids: Ids) -> Ids:
    """Return ids with numbers for keys: of a colour, 0xRRGGBB.

    Parameters
    ----------
    ids : str, mapping or None

    Returns
    -------
    str, dict of int to Label, or None

    Examples
    --------
    >>> normal_ids({"#ff0000": Label.NUCLEUS, (0, 0, 1): 0, 7: 3})
    {16711680: 2, 1: 0, 7: 3}
    """
    if not isinstance(ids, Mapping):
        return ids
    return {_key(key): int(label) for key, label in ids.items()}


def _key(key) -> int:
    if isinstance(key, tuple) and len(key) == 3:
        return _code(key)
    if isinstance(key, str) and re.fullmatch("#[0-9a-fA-F]{6}", key):
        return int(key[1:], 16)
    if not isinstance(key, str) and np.ndim(key) == 0 and key == int(key):
        return int(key)
    raise ValueError(
        f"ids has the key {key!r}; allowed are whole numbers, and colours as (255, 0, 0) or "
        "'#ff0000'."
    )


def check_that_these_are_classes(counts: Mapping[int, int], where: str) -> None:
    """Refuse a map whose numbers do not look like the four classes, with the ids that would fit.

    Parameters
    ----------
    counts : mapping of int to int
        Pixels of each number.
    where : str
        What to call the map.

    Raises
    ------
    ValueError
        If something else is meant, or may be.
    """
    found = {number for number, count in counts.items() if count}
    # 1, 2, 3 may be anyone's three classes: the envelope is a thin line around the nucleus.
    is_thin = counts.get(Label.NUCLEAR_ENVELOPE, 0) < counts.get(Label.NUCLEUS, 0)
    is_whole = Label.CELL in found or Label.BACKGROUND in found
    if found <= {*Label} and is_whole and (found != {1, 2, 3} or is_thin):
        return
    # What is not labelled is 0. With a 4 beside it these are no classes from 0 to 3; where most is
    # 0, they may be four instances.
    few = 3 * counts.get(0, 0) <= sum(counts.values())
    if found == {0} or (found <= {0, *Label} and Label.BACKGROUND in found and few):
        return
    has = ", ".join(map(str, sorted(found)[:MAX_LISTED])) + (
        f", ... ({len(found)} numbers)" if len(found) > MAX_LISTED else ""
    )
    classes = ", ".join(f"{label.value} {label.title}" for label in Label)
    raise ValueError(
        f"{where} has the numbers {has}; as the four classes ({classes}) that is not certain. Say "
        f"what they mean: {' or '.join(_fitting(found))}."
    )


def _fitting(found: set[int]) -> list[str]:
    """Return the ids= that would fit some numbers."""
    marked = sorted(found - {0})
    fits = []
    if len(marked) == 1:
        fits.append("ids='nucleus', if it marks the nucleus")
    elif found == {0, 1, 2, 3}:
        fits.append("ids={0: 1, 1: 2, 2: 3, 3: 4}, if they are the classes counted from 0")
    elif len(marked) > 4 or max(marked, default=0) > 4:
        fits.append("ids='instances', if each nucleus has a number")
    if len(found) <= MAX_LISTED:
        pairs = ", ".join(f"{number}: ..." for number in sorted(found))
        fits.append(f"ids={{{pairs}}}, with Label.NUCLEUS and so on, and 0 for no label")
    if found <= {0, *Label}:
        fits.append("ids='classes', if they are meant so")
    return fits


def translate(labels: np.ndarray, ids: Ids, number: int) -> np.ndarray:
    """Give a label map the class numbers of this book.

    Parameters
    ----------
    labels : (y, x) array
        Whole numbers.
    ids : str, mapping or None
        As `open_labels` has it.
    number : int
        Slice number, for messages.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    ValueError
        If a number occurs that `ids` does not have.
    """
    labels = np.asarray(labels)
    if ids in ("nucleus", "instances"):
        return np.where(labels != 0, np.uint8(Label.NUCLEUS), np.uint8(Label.CELL))
    known = normal_ids(ids) if isinstance(ids, Mapping) else {each: each for each in range(5)}
    result = np.zeros(labels.shape, np.uint8)
    is_known = np.zeros(labels.shape, bool)
    for theirs, ours in known.items():
        at = labels == theirs
        result[at] = ours
        is_known |= at
    if not is_known.all():
        others = ", ".join(map(str, np.unique(labels[~is_known])[:10].tolist()))
        raise ValueError(
            f"slice {number} has the numbers {others}, which ids does not have; "
            f"it has {', '.join(map(str, known))}. Add them, with the class 0 for no label."
        )
    return result


def match_numbers(labels: ForeignLabels, slices: Iterable[int]) -> None:
    """Refuse label maps that cannot be joined to slices by their numbers.

    Parameters
    ----------
    labels : ForeignLabels
    slices : iterable of int
        Numbers of the slices.

    Raises
    ------
    ValueError
        If neither has all numbers of the other, or places are given for numbers.
    """
    ours, theirs = tuple(slices), labels.numbers
    if labels.counted and ours != theirs:
        what = (
            f"labels are {len(theirs)} slices, the stack {len(ours)}"
            if len(ours) != len(theirs)
            else f"labels are counted 1 to {len(theirs)}, the slices are {_some(ours)}"
        )
        raise ValueError(
            f"{what}; they must agree. Where label maps have no numbers of their own, give them "
            "by slice number: {1: map, 4: map}, for instance dict(zip(stack.slice_numbers, maps))."
        )
    if not (set(theirs) <= set(ours) or set(ours) <= set(theirs)):
        raise ValueError(
            f"labels are of the slices {_some(theirs)}, the stack has {_some(ours)}; they must "
            "agree, and labels are never paired by their order. Rename the files, or give "
            "pattern= to find the right number in their names."
        )


def _some(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    shown = ", ".join(map(str, numbers[:MAX_LISTED]))
    return shown + (f", ... {numbers[-1]}" if len(numbers) > MAX_LISTED else "")
