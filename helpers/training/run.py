"""Trains a network, goes on where a training was interrupted, and keeps what came out."""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd

from helpers import settings as settings_module
from helpers.cache import locked, write_whole
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.machine import versions
from helpers.training import files
from helpers.training.device import choose_precision, device_name, need_tensorflow, precision_of
from helpers.training.history import as_table
from helpers.training.identity import differences, identify, name_of
from helpers.training.loop import Loop
from helpers.training.recipe import Recipe
from helpers.training.split import Split

_WEIGHTS, _HISTORY, _RECORD = "model.weights.h5", "history.csv", "record.json"
_IDENTITY = "identity.json"


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes
    ----------
    model : keras.Model
        With the trained weights.
    history : DataFrame
        A row a step; see `helpers.training.COLUMNS`.
    record : dict
        Profile, source, network, initial weights, split, seed, device, precision, steps, minutes,
        why it ended, share of the time spent waiting for data, versions.
    folder : Path
        Holds ``model.weights.h5``, ``history.csv``, ``record.json`` and ``identity.json``.
    reused : bool
        Whether it had been computed before.
    """

    model: object
    history: pd.DataFrame
    record: dict
    folder: Path
    reused: bool


def train(
    model,
    stack: Stack,
    split: Split,
    recipe: Recipe,
    folder: Path | None = None,
    *,
    seed: int = 0,
    initialisation: str | None = None,
    progress: bool | None = None,
    on_step: Callable[[dict], None] | None = None,
) -> Run:
    """Train a network, or take up what has been trained of it already.

    Killed at any moment and called again, it goes on from the last checkpoint; on a processor the
    final weights are then those of a training that was not killed. A training that has been
    finished, with the same data, split, recipe, seed, network, initial weights and code, is not
    computed again.

    Parameters
    ----------
    model : keras.Model
        From grey levels 0 to 255, (y, x, 1) or (y, x, 3), to the softmax of four classes. Made by
        `build`, it has the precision and the random weights that the run can be repeated with.
        Its weights change.
    stack : Stack
        Slices with ground truth.
    split : Split
    recipe : Recipe
    folder : Path, optional
        Of this training alone; by default one in the data folder, named after all that it
        depends on.
    seed : int
        For the order of the examples and for augmentation.
    initialisation : str, optional
        What the initial weights are, for tables; by default what the model says, as those of
        `helpers.networks` do.
    progress : bool, optional
        Show a bar with the time left and, in a running notebook, a figure that grows. By default
        not while the book is built.
    on_step : callable, optional
        Called after each step with its row of the history.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If the folder holds another training, the model does not fit the recipe, or the split
        names slices that the stack does not have.
    """
    tf = need_tensorflow()
    check_model(model, recipe)
    if not tf.config.list_physical_devices("GPU"):
        # On a GPU some layers have no way to do it; there a resumed training is only nearly equal.
        tf.config.experimental.enable_op_determinism()
    identity = identify(model, stack, split, recipe, seed)
    if folder is None:
        folder = settings_module.current().data_dir / "training" / name_of(identity)
    folder = Path(folder)
    with locked(folder, f"trains {model.name}"):
        _claim(folder, identity)
        finished = _load_finished(folder, model)
        if finished is not None:
            return finished
        loop = Loop(model, stack, split, recipe, folder, seed=seed)
        loop.run(progress=progress, on_step=on_step)
        record = {
            "source": stack.source,
            "profile": recipe.profile,
            "network": model.name,
            "weights": initialisation or getattr(model, "initialisation", "not stated"),
            "parameters": model.count_params(),
            "split": split.name,
            "train": list(split.train),
            "test": list(split.test),
            "seed": seed,
            "device": device_name(),
            "precision": precision_of(model),
            "class_weights": {
                label.title: float(weight)
                for label, weight in zip(Label, loop.class_weights, strict=True)
            },
            **loop.outcome(),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(),
        }
        return _store(folder, model, as_table(loop.rows), record)


def check_model(model, recipe: Recipe) -> None:
    """Say so where a model and a recipe do not fit.

    Parameters
    ----------
    model : keras.Model
    recipe : Recipe

    Raises
    ------
    ValueError
        If the input is not one of 1 or 3 channels at the recipe's size, the output not four
        classes at the size of the input, or the precision not the recipe's.
    """
    shape, out = tuple(model.input_shape), tuple(model.output_shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise ValueError(f"{model.name} takes {shape}; allowed are (n, y, x, 1) and (n, y, x, 3).")
    if len(out) != 4 or out[-1] != len(Label) or out[1:3] != shape[1:3]:
        raise ValueError(
            f"{model.name} returns {out} for {shape}; it must return {len(Label)} classes at the "
            "size of its input."
        )
    patch = recipe.patch_px
    if patch is None and None in shape[1:3]:
        raise ValueError(
            f"{model.name} takes inputs of any size, and the recipe has no patch_px. "
            "Give the network an input size, or the recipe patches."
        )
    if patch is not None and not all(side in (None, patch) for side in shape[1:3]):
        raise ValueError(
            f"{model.name} takes {shape[1]} x {shape[2]} and the recipe has patches of {patch}. "
            f"Make the network for {patch} x {patch}, or for any size."
        )
    if recipe.precision != "auto" and precision_of(model) != choose_precision(recipe.precision):
        raise ValueError(
            f"{model.name} computes in {precision_of(model)}, the recipe asks for "
            f"{recipe.precision}. Make it with helpers.training.build(..., "
            f"precision={recipe.precision!r})."
        )


def _claim(folder: Path, identity: dict) -> None:
    """Write into the folder what is trained there, or refuse it."""
    path = folder / _IDENTITY
    if path.exists():
        try:
            before = json.loads(path.read_text())
        except ValueError:
            before = {}
        other = differences(before, identity)
        if other:
            raise ValueError(
                f"{folder} holds another training: {'; '.join(other)} (there, here). "
                "Give this one a folder of its own, or remove that one."
            )
        return
    if any(folder.glob("checkpoint-*.npz")) or (folder / _RECORD).exists():
        raise ValueError(
            f"{folder} holds a training that does not say what it is: {_IDENTITY} is missing. "
            "Give this one a folder of its own, or remove that one."
        )
    write_whole(path, json.dumps(identity, indent=1).encode())


def _store(folder: Path, model, history: pd.DataFrame, record: dict) -> Run:
    write_whole(folder / _WEIGHTS, model.save_weights)
    write_whole(folder / _HISTORY, history.to_csv(index=False).encode())
    record["weights_sha256"] = _sha256(folder / _WEIGHTS)
    # Last: a folder with a record is finished.
    write_whole(folder / _RECORD, json.dumps(record, indent=1).encode())
    files.remove_checkpoints(folder)
    return Run(model, history, record, folder, reused=False)


def _load_finished(folder: Path, model) -> Run | None:
    path = folder / _RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        if _sha256(folder / _WEIGHTS) != record["weights_sha256"]:
            raise ValueError(f"{_WEIGHTS} is not what was stored")
        history = as_table(pd.read_csv(folder / _HISTORY).to_dict("records"))
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(
            f"The finished training in {folder} is damaged ({error}); it is done again.",
            stacklevel=3,
        )
        return None
    model.load_weights(folder / _WEIGHTS)
    return Run(model, history, record, folder, reused=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        sha = hashlib.sha256()
        while part := file.read(1 << 20):
            sha.update(part)
    return sha.hexdigest()
