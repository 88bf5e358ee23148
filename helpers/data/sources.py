"""Opens the slices the book works on, whatever their source, as a `Stack`."""

from helpers import settings
from helpers.data import files, whole_cell
from helpers.data.figures import SAMPLE_SLICES
from helpers.data.published import full_stack, sample_stack
from helpers.data.stack import Stack
from helpers.data.synthetic import phantom_stack
from helpers.settings import SOURCES, check_choice


def resolve_source(source: str = "auto") -> str:
    """Decide which data source to use.

    Parameters
    ----------
    source : {"auto", "phantom", "sample", "full"}
        ``auto`` is what ``HELA_SOURCE`` names or, where it names none, the full stack if it is
        in the data folder, else the sample if it is there or can be downloaded, else the phantom.

    Returns
    -------
    {"phantom", "sample", "full"}

    Raises
    ------
    ValueError
        If there is no such source.
    """
    check_choice(source, "source", SOURCES)
    if source == "auto":
        source = settings.current().source
    if source != "auto":
        return source
    if whole_cell.is_full_cached():
        return "full"
    cached = (files.is_cached(entry.figure) for entry in SAMPLE_SLICES.values())
    if any(cached) or files.is_reachable():
        return "sample"
    return "phantom"


def load_stack(source: str = "auto") -> Stack:
    """Open the slices the book works on.

    Parameters
    ----------
    source : {"auto", "phantom", "sample", "full"}
        See `resolve_source`. Of ``full``, each slice is downloaded when it is first asked for,
        unless the whole file is there.

    Returns
    -------
    Stack
        Its `Stack.source` says which source it is.

    Raises
    ------
    ValueError
        If there is no such source.
    helpers.data.DataError
        If the source was asked for by name and cannot be had.

    Examples
    --------
    >>> cell = load_stack("phantom")
    >>> len(cell), cell.image(24).shape, cell.source
    (48, (500, 500), 'phantom')
    """
    openers = {"phantom": phantom_stack, "sample": sample_stack, "full": full_stack}
    return openers[resolve_source(source)]()
