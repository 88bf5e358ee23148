"""Trains a network, goes on where a training was interrupted, and takes up what is finished."""

import contextlib
import dataclasses
import json
import math
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pooch

from helpers import settings
from helpers.cache import digest_of, key_of, locked, write_whole
from helpers.data.stack import Stack
from helpers.ground_truth.balance import median_frequency_weights
from helpers.labels import Label
from helpers.machine import versions
from helpers.traditional import smooth
from helpers.training import examples, prepare
from helpers.training import fit as fit_module
from helpers.training.device import choose_precision, device_name, need_tensorflow, precision_of
from helpers.training.examples import items_of
from helpers.training.fit import class_weights, fit, remove_checkpoints
from helpers.training.history import as_table
from helpers.training.prepare import load_slices
from helpers.training.recipe import Recipe
from helpers.training.split import Split

MAX_VALIDATION_SLICES = 10
"""So many test slices are read to watch a training, evenly spread; patches come from these."""

_WEIGHTS, _HISTORY, _RECORD = "model.weights.h5", "history.csv", "record.json"
_IDENTITY = "identity.json"
_OF_A_TRAINING = ("checkpoint*", _RECORD)
_LONGEST_TEXT = 70
# What is computed is the same, or nearly, with any of these.
_NOT_COUNTED = ("precision",)


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes
    ----------
    model : keras.Model
        With the trained weights.
    history : DataFrame
        A row a step; its columns are `helpers.training.history.COLUMNS`.
    record : dict
        Profile, source, network, initial weights, split, seed, steps, minutes, why it ended, and
        where it was trained: device, precision and versions.
    folder : Path
        Holds ``model.weights.h5``, ``history.csv``, ``record.json`` and ``identity.json``.
    reused : bool
        Whether it had been computed before, here or on another computer.
    """

    model: object
    history: pd.DataFrame
    record: dict
    folder: Path
    reused: bool


@dataclass(frozen=True)
class _Origin:
    """What a model that has been trained began with: the `train` of this process left it so."""

    now: str
    initial: str
    weights: str


_origins: "weakref.WeakKeyDictionary[object, _Origin]" = weakref.WeakKeyDictionary()


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

    A training that has been finished, with the same pictures, ground truth, split, recipe, seed,
    network, initial weights and code, is not computed again, whatever computer, precision, Python
    or Keras it was computed with. One that was killed goes on from its last checkpoint (they are
    ten minutes apart), and on a processor its final weights are then those of a training that was
    not killed. One that is interrupted by hand, or by an error, leaves the model's weights as they
    were before.

    Parameters
    ----------
    model : keras.Model
        From grey levels 0 to 255, (y, x, 1) or (y, x, 3), to the softmax of four classes. Made by
        `build`, it has the precision and the random weights that the run can be repeated with.
        Its weights change.
    stack : Stack
        Slices with ground truth, of which those of the split are read.
    split : Split
        Which slices it is trained on, and which it is watched on.
    recipe : Recipe
        How.
    folder : Path, optional
        Of this training alone; by default one in the data folder, named after all that it
        depends on.
    seed : int
        For the order of the examples, for augmentation and for dropout.
    initialisation : str, optional
        What the initial weights are, for tables; by default what the model says, as those of
        `helpers.networks` do, or, where it has been trained before, that it has.
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
        If the folder holds another training, the model does not fit the recipe (its encoder is to
        be frozen, and it has none, for instance), or the split names slices that the stack does
        not have or that have no ground truth.
    FloatingPointError
        If the loss is no longer a number.
    helpers.cache.StorageError
        If the training cannot be stored. What is finished can be taken up from a folder that is
        read-only.
    """
    need_tensorflow()
    check_model(model, recipe)
    from helpers.networks.layers import encoder_kept

    with encoder_kept(model) if recipe.frozen else contextlib.nullcontext():
        return _take_up_or_train(
            model, stack, split, recipe, folder, seed, initialisation, progress, on_step
        )


def _take_up_or_train(
    model, stack, split, recipe, folder, seed, initialisation, progress, on_step
) -> Run:
    tf = need_tensorflow()
    identity = identify(model, stack, split, recipe, seed)
    weights = initialisation or getattr(model, "initialisation", "not stated")
    origin = _origins.get(model)
    if origin is not None and origin.now == identity["initial_weights"]:
        # A cell that is run again has the trained model; its result is there.
        first = identity | {"initial_weights": origin.initial}
        finished = _finished(folder, first, stack, model)
        if finished is not None:
            return finished
        weights = initialisation or f"{origin.weights}, then trained"
    finished = _finished(folder, identity, stack, model)
    if finished is None:
        place = _place(folder, identity, stack)
        with locked(place, f"trains {model.name}"):
            _claim(place, identity, is_named=folder is not None)
            # Another process may have done it while this one waited.
            finished = _finished(folder, identity, stack, model)
            if finished is None:
                if not tf.config.list_physical_devices("GPU"):
                    # On a GPU some layers have no way to do it; a resumed training is nearly equal.
                    tf.config.experimental.enable_op_determinism()
                about = {"source": stack.source, "weights": weights}
                finished = _train(
                    model, stack, split, recipe, place, about, seed, progress, on_step
                )
    _origins[model] = _Origin(_digest_of_weights(model), identity["initial_weights"], weights)
    return finished


def _train(model, stack, split, recipe, folder, about, seed, progress, on_step) -> Run:
    _, height, width, _ = model.input_shape
    options = {
        "shape": None if recipe.patch_px else (height, width),
        "several_nuclei": recipe.several_nuclei,
    }
    slices = load_slices(stack, split.train, recipe.preparation, **options)
    weights = class_weights(slices, recipe)
    items, seen = items_of(slices, recipe), None
    if split.test:
        few = min(recipe.validation_items, MAX_VALIDATION_SLICES)
        every = math.ceil(len(split.test) / few)
        watched = load_slices(stack, split.test[::every], recipe.preparation, **options)
        seen = items_of(watched, recipe).some(recipe.validation_items)
    before = model.get_weights()
    try:
        rows, outcome = fit(
            model,
            items,
            seen,
            weights,
            recipe,
            folder,
            seed=seed,
            progress=progress,
            on_step=on_step,
        )
    except BaseException:
        model.set_weights(before)
        raise
    record = {
        **about,
        "profile": recipe.profile,
        "network": model.name,
        "parameters": model.count_params(),
        "split": split.name,
        "train": list(split.train),
        "test": list(split.test),
        "seed": seed,
        "device": device_name(),
        "precision": precision_of(model),
        "class_weights": {
            label.title: float(weight) for label, weight in zip(Label, weights, strict=True)
        },
        **outcome,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
    }
    write_whole(folder / _WEIGHTS, model.save_weights)
    history = as_table(rows)
    write_whole(folder / _HISTORY, history.to_csv(index=False))
    record["weights_sha256"] = pooch.file_hash(str(folder / _WEIGHTS))
    # Last: a folder with a record is finished.
    write_whole(folder / _RECORD, json.dumps(record, indent=1))
    remove_checkpoints(folder)
    return Run(model, history, record, folder, reused=False)


def check_model(model, recipe: Recipe) -> None:
    """Say so where a model and a recipe do not fit.

    Parameters
    ----------
    model : keras.Model
        Any.
    recipe : Recipe
        That it is to be trained with.

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


# What makes two trainings the same


def identify(model, stack: Stack, split: Split, recipe: Recipe, seed: int) -> dict:
    """Describe a training by all that its outcome depends on.

    Parameters
    ----------
    model : keras.Model
        With its initial weights.
    stack : Stack
        Its pictures and labels in the split count, not its name.
    split : Split
        Training and test slices.
    recipe : Recipe
        All of it but the precision.
    seed : int
        Of the examples.

    Returns
    -------
    dict
        Fit for JSON.
    """
    truth = "nuclei" if recipe.several_nuclei else "labels"
    numbers = dataclasses.asdict(recipe)
    kept = {name: value for name, value in numbers.items() if name not in _NOT_COUNTED}
    identity = {
        "slices": digest_of(stack, (*split.train, *split.test), of=("image", truth)),
        "split": dataclasses.asdict(split),
        "recipe": kept,
        "seed": seed,
        "network": model.name,
        "layers": key_of("", layers=_architecture(model)),
        "initial_weights": _digest_of_weights(model),
        "code": key_of(_code(model)),
    }
    return json.loads(json.dumps(identity))


def differences(one: dict, other: dict, prefix: str = "") -> list[str]:
    """Say in which entries two identities differ.

    Parameters
    ----------
    one, other : dict
        From `identify`.
    prefix : str
        Put before the names.

    Returns
    -------
    list of str
        ``name: value of one, value of other``.
    """
    found = []
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {_short(a)}, {_short(b)}")
    return found


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _digest_of_weights(model) -> str:
    """Digest weights so that those drawn from one seed are the same on every device.

    A GPU and another processor draw random weights that differ in their last digits. Of each array
    the shape and two digits of three sums count: other seeds, other files and a step of training
    change some of them. What a sum has where all cancels out is not counted.
    """
    found = []
    for array in model.get_weights():
        flat = array.ravel().astype(np.float64)
        squares = np.square(flat).sum()
        least = 1e-6 * math.sqrt(squares * flat.size)
        sums = [value if abs(value) > least else 0.0 for value in (flat.sum(), flat[::2].sum())]
        found.append([list(array.shape), *(f"{value:.1e}" for value in (squares, *sums))])
    return key_of("", weights=found)


def _architecture(model) -> list:
    """Write down layers and connections, the same for every Keras, precision and process.

    Left out are names, which Keras numbers anew in each process; the types that layers compute in;
    how weights were drawn, which are counted themselves; and options that are off, as those are
    that another Keras does not have.
    """
    config = json.loads(model.to_json())["config"]
    numbers = {name: index for index, name in enumerate(dict.fromkeys(_layer_names(config)))}
    trainable = [list(variable.shape) for variable in model.trainable_variables]
    return [_essence(config, numbers), trainable]


def _essence(value, numbers: dict[str, int]):
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            layer, node, tensor = value["config"]["keras_history"]
            return [numbers[layer], node, tensor]
        kept = {k: _essence(v, numbers) for k, v in value.items() if not _is_incidental(k)}
        return {k: v for k, v in kept.items() if v not in (None, False, [], {})}
    if isinstance(value, list):
        return [_essence(entry, numbers) for entry in value]
    return numbers.get(value, value) if isinstance(value, str) else value


def _is_incidental(key: str) -> bool:
    named = ("name", "dtype", "module", "registered_name", "build_config", "compile_config", "seed")
    return key in (*named, "shared_object_id") or key.endswith("_initializer")


def _layer_names(value) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _layer_names(entry)
    elif isinstance(value, dict):
        if "inbound_nodes" in value:
            yield value["name"]
        for entry in value.values():
            yield from _layer_names(entry)


def _code(model) -> list:
    """List the code that a training runs, the model's own layers included."""
    kinds = {type(layer) for layer in _all_layers(model)}
    own = {kind.__module__ for kind in kinds if kind.__module__.startswith("helpers.")}
    return [
        *(examples, fit_module, prepare, Recipe, smooth, median_frequency_weights),
        *(sys.modules[name] for name in sorted(own)),
    ]


def _all_layers(model) -> Iterator:
    for layer in model.layers:
        yield from _all_layers(layer) if hasattr(layer, "layers") else (layer,)


# What is kept of a training


def _place(folder: Path | None, identity: dict, stack: Stack) -> Path:
    """Return the folder of a training; by default its name tells it from all others."""
    if folder is not None:
        return Path(folder)
    key = key_of("training", **identity)
    name = f"{identity['network']}-{stack.source}-{identity['recipe']['profile']}-{key}"
    return settings.current().data_dir / "training" / name


def _known(folder: Path) -> dict | None:
    """Read what is trained in a folder; None where that is not said, or cannot be read."""
    try:
        identity = json.loads((folder / _IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return identity if isinstance(identity, dict) else None


def _claim(folder: Path, identity: dict, *, is_named: bool) -> None:
    """Write into the folder what is trained there, or refuse it."""
    before = _known(folder)
    if before == identity:
        return
    if is_named and before is not None:
        other = "; ".join(differences(before, identity))
        raise ValueError(
            f"{folder} holds another training: {other} (there, here). "
            "Give this one a folder of its own, or remove that one."
        )
    if is_named and any(path for name in _OF_A_TRAINING for path in folder.glob(name)):
        raise ValueError(
            f"{folder} holds a training that does not say what it is: {_IDENTITY} cannot be read. "
            "Give this one a folder of its own, or remove that one."
        )
    # A default folder is named after the identity: what else it says is damaged.
    remove_checkpoints(folder)
    write_whole(folder / _IDENTITY, json.dumps(identity, indent=1))


def _finished(folder: Path | None, identity: dict, stack: Stack, model) -> Run | None:
    """Take up a training that is finished; None where there is none, or a damaged one."""
    place = _place(folder, identity, stack)
    path = place / _RECORD
    # The default folder is named after the identity.
    if not path.exists() or (folder is not None and _known(place) != identity):
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if pooch.file_hash(str(place / _WEIGHTS)) != record["weights_sha256"]:
            raise ValueError(f"{_WEIGHTS} is not what was stored")
        table = pd.read_csv(place / _HISTORY)
        history = as_table(table.to_dict("records"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"The finished training in {place} is damaged ({error}); it is done again.",
            stacklevel=3,
        )
        return None
    model.load_weights(place / _WEIGHTS)
    return Run(model, history, record, place, reused=True)
