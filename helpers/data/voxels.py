"""Voxel sizes: what is given, what a file says, and what cannot be."""

from collections.abc import Mapping, Sequence

from helpers.data.stack import DOUBTFUL

LEAST_NM, MOST_NM = 0.5, 10_000.0
"""No microscope's slices have smaller or larger voxels; what is outside has another unit."""

MAX_RATIO = 3.0
"""Pixels longer than this by their width are none: their sides have changed places."""

_UNITS = {"um": 1e3, "mm": 1e6, "m": 1e9, "Å": 0.1}


def voxel_size(
    given: Sequence[float] | None, said: Mapping[str, float]
) -> tuple[tuple[float, float, float], list[str]]:
    """Take the voxel size that was given, or else what the file says.

    Parameters
    ----------
    given : (float, float, float), optional
        (z, y, x), in nanometres.
    said : mapping of str to float
        What the file says of the axes z, y, x.

    Returns
    -------
    voxel_nm : (float, float, float)
    notes : list of str
        Where it is from, if from the file; and where the two differ.

    Raises
    ------
    ValueError
        If it is none, or neither says it.

    Examples
    --------
    >>> voxel_size(None, {"z": 50.0, "y": 10.0, "x": 10.0})
    ((50.0, 10.0, 10.0), ['Voxel size: 50, 10, 10 nm (z, y, x), as the file says.'])
    """
    # A picture's resolution for printing, such as 72 dpi, is no pixel size.
    said = {axis: length for axis, length in said.items() if LEAST_NM <= length <= MOST_NM}
    of_file = [said.get(axis) for axis in "zyx"]
    if given is None:
        if None in of_file:
            knows = _text([length or "?" for length in of_file])
            what = f"the file says ({knows})" if said else "the file says nothing of it"
            raise ValueError(
                f"voxel_nm is needed, and {what}: give slice distance and pixel size, (z, y, x), "
                f"in nanometres, for instance voxel_nm=({_text([n or 50 for n in of_file])})."
            )
        return check_voxel(of_file), [
            f"Voxel size: {_text(of_file)} nm (z, y, x), as the file says."
        ]
    voxel_nm = check_voxel(given)
    differ = [
        axis
        for axis, ours, theirs in zip("zyx", voxel_nm, of_file, strict=True)
        if theirs is not None and abs(ours - theirs) > 0.01 * max(ours, theirs)
    ]
    if not differ:
        return voxel_nm, []
    knows = _text([length or "?" for length in of_file])
    return voxel_nm, [
        f"{DOUBTFUL} voxel size {_text(voxel_nm)} nm (z, y, x) as given; the file says {knows}. "
        f"They differ in {', '.join(differ)}: is the right one used?"
    ]


def check_voxel(voxel_nm: Sequence[float]) -> tuple[float, float, float]:
    """Return a voxel size, or say what is wrong with it.

    Parameters
    ----------
    voxel_nm : (float, float, float)
        (z, y, x), in nanometres.

    Returns
    -------
    (float, float, float)

    Raises
    ------
    ValueError
        If it is not three lengths that voxels of an electron microscope have; with the unit or
        order that would fit.
    """
    try:
        z, y, x = (float(side) for side in voxel_nm)
    except (TypeError, ValueError):
        z = y = x = 0.0
    if not all(0 < side < float("inf") for side in (z, y, x)):
        raise ValueError(
            f"voxel_nm is {voxel_nm!r}; it must be three positive numbers (z, y, x) in nanometres."
        )
    if not all(LEAST_NM <= side <= MOST_NM for side in (z, y, x)):
        guess = "."
        for unit, scale in _UNITS.items():
            sides = [float(f"{side * scale:.6g}") for side in (z, y, x)]
            if all(LEAST_NM <= side <= MOST_NM for side in sides):
                guess = f"; this looks like {unit}: {_text(sides)}?"
                break
        raise ValueError(
            f"voxel_nm is {_text((z, y, x))}; it must be (z, y, x) in nanometres, each from "
            f"{LEAST_NM:g} to {MOST_NM:g}{guess}"
        )
    if max(y, x) > MAX_RATIO * min(y, x) or (z == y != x):
        raise ValueError(
            f"voxel_nm is {_text((z, y, x))}, with pixels {y:g} nm high and {x:g} nm wide; it must "
            f"be (z, y, x). Was (x, y, z) given, and {_text((x, y, z))} is meant?"
        )
    return z, y, x


def _text(lengths) -> str:
    return ", ".join(each if isinstance(each, str) else f"{each:g}" for each in lengths)
