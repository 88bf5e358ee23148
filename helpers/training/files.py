"""The state of a training in files that are whole or not there."""

import json
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from helpers.cache import write_whole

_PATTERN = "checkpoint-*.npz"
_KEPT = 2
_META = "meta"


def save_checkpoint(folder: Path, variables: list, meta: dict) -> Path:
    """Store the state of a training, and remove all but the last two.

    Parameters
    ----------
    folder : Path
    variables : list of keras.Variable
        Of the model and of the optimiser, always in the same order.
    meta : dict
        What else there is to the state, fit for JSON; ``meta["step"]`` names the file.

    Returns
    -------
    Path
    """
    arrays = {f"v{at:05d}": _as_stored(variable) for at, variable in enumerate(variables)}
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    path = folder / f"checkpoint-{meta['step']:08d}.npz"

    def write(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)

    write_whole(path, write)
    for old in sorted(folder.glob(_PATTERN))[:-_KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, variables: list) -> dict | None:
    """Take up the latest state that is whole.

    Parameters
    ----------
    folder : Path
    variables : list of keras.Variable
        As for `save_checkpoint`; they are set only once all of the file has been read.

    Returns
    -------
    dict or None
        The `meta` it was stored with; None where there is no state. A damaged file is passed
        over with a warning.
    """
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            arrays, meta = _read(path, variables)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"{path.name} is damaged ({error}); training goes on from the checkpoint before.",
                stacklevel=2,
            )
            continue
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        return meta
    return None


def remove_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished training needs.

    Parameters
    ----------
    folder : Path
    """
    for path in folder.glob(_PATTERN):
        with suppress(OSError):
            path.unlink()


def _as_stored(variable) -> np.ndarray:
    array = np.asarray(variable.value)
    # numpy's files do not know bfloat16; float32 holds it exactly.
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)


def _read(path: Path, variables: list) -> tuple[list[np.ndarray], dict]:
    # np.load would leave a file open that it cannot read.
    with path.open("rb") as file, np.load(file) as stored:
        meta = json.loads(stored[_META].tobytes())
        if len(stored.files) != len(variables) + 1:
            raise ValueError(f"{len(stored.files) - 1} arrays for {len(variables)} variables")
        arrays = [stored[f"v{at:05d}"] for at in range(len(variables))]
    for array, variable in zip(arrays, variables, strict=True):
        if array.shape != tuple(variable.shape):
            raise ValueError(f"shape {array.shape} for {variable.path}, {tuple(variable.shape)}")
    return arrays, meta
