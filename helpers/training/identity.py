"""What makes two trainings the same: data, split, recipe, seed, network, weights and code."""

import ast
import dataclasses
import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from helpers.data.stack import Stack
from helpers.training.device import precision_of
from helpers.training.recipe import Recipe
from helpers.training.split import Split

_LONGEST_TEXT = 70
_ADDRESS = "shared_object_id"


def identify(model, stack: Stack, split: Split, recipe: Recipe, seed: int) -> dict:
    """Describe a training by all that its outcome depends on.

    Parameters
    ----------
    model : keras.Model
        With its initial weights.
    stack : Stack
    split : Split
    recipe : Recipe
    seed : int

    Returns
    -------
    dict
        Fit for JSON. The data are told apart by their first training slice; code by what it does,
        so that another comment is not another code.
    """
    first = split.train[0]
    truth = stack.nuclei(first) if recipe.several_nuclei else stack.labels(first)
    return json.loads(
        json.dumps(
            {
                "source": stack.source,
                "stack": stack.name,
                "first_training_slice": _digest(
                    stack.image(first), b"" if truth is None else truth
                ),
                "split": dataclasses.asdict(split),
                "recipe": dataclasses.asdict(recipe),
                "seed": seed,
                "network": model.name,
                "layers": _digest(_architecture(model).encode()),
                "initial_weights": _digest(*(np.asarray(v.value) for v in model.weights)),
                "trainable_weights": len(model.trainable_weights),
                "precision": precision_of(model),
                "code": _code_digest(model),
            }
        )
    )


def name_of(identity: dict) -> str:
    """Name for the folder of a training.

    Parameters
    ----------
    identity : dict
        From `identify`.

    Returns
    -------
    str
        Network, source, profile, and a hash of the rest.
    """
    digest = _digest(json.dumps(identity, sort_keys=True).encode())
    return f"{identity['network']}-{identity['source']}-{identity['recipe']['profile']}-{digest}"


def differences(one: dict, other: dict, prefix: str = "") -> list[str]:
    """Say in which entries two identities differ.

    Parameters
    ----------
    one, other : dict
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


def _digest(*parts: bytes | np.ndarray) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part if isinstance(part, bytes) else np.ascontiguousarray(part))
    return sha.hexdigest()[:12]


def _architecture(model) -> str:
    """Write down layers and connections, with names that do not depend on the process."""
    config = json.loads(model.to_json())
    # Keras numbers layers anew in each process: they are renamed in the order of appearance.
    numbers = {name: f"layer {at}" for at, name in enumerate(dict.fromkeys(_layer_names(config)))}

    def rename(value):
        if isinstance(value, dict):
            return {key: rename(entry) for key, entry in value.items() if key != _ADDRESS}
        if isinstance(value, list):
            return [rename(entry) for entry in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    return json.dumps(rename(config), sort_keys=True)


def _layer_names(value) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _layer_names(entry)
    elif isinstance(value, dict):
        if "inbound_nodes" in value:
            yield value["name"]
        for entry in value.values():
            yield from _layer_names(entry)


def _code_digest(model) -> str:
    files = set(Path(__file__).parent.glob("*.py"))
    for layer in _all_layers(model):
        if type(layer).__module__.startswith("helpers."):
            files.add(Path(inspect.getsourcefile(type(layer))))
    return _digest(*(_meaning(path) for path in sorted(files)))


def _all_layers(model) -> Iterator:
    for layer in model.layers:
        yield from _all_layers(layer) if hasattr(layer, "layers") else (layer,)


@cache
def _meaning(path: Path) -> bytes:
    """Reduce a module to what it does: no comments, no docstrings."""
    tree = ast.parse(path.read_bytes())
    _drop_docstrings(ast.walk(tree))
    return ast.dump(tree).encode()


def _drop_docstrings(nodes: Iterable[ast.AST]) -> None:
    for node in nodes:
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        if isinstance(getattr(body[0].value, "value", None), str):
            body.pop(0)
