"""One method on one stack: segmented, scored and kept, unless that has been done."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict

import helpers.traditional
import helpers.training
import helpers.volume
from helpers import settings as settings_module
from helpers.fine_tuning import split_of
from helpers.label_maps import LabelMaps
from helpers.methods.catalogue import IMAGE_SHAPE, TILE_PX, Method, slices_of
from helpers.results.evaluation import evaluate, scoring_code
from helpers.results.runs import fingerprint, read_run, results_dir
from helpers.settings import Settings
from helpers.stack_type import Stack
from helpers.training import Recipe
from helpers.training.files import locked


def run_method(
    method: Method,
    stack: Stack,
    *,
    seed: int = 0,
    workers: int = 1,
    report: Callable[[str], None] = lambda text: None,
    settings: Settings | None = None,
) -> str:
    """Run one method in this process; see `run_all`.

    Parameters
    ----------
    method : Method
    stack : Stack
    seed : int
    workers : int
        Processes that a method may use which knows how to.
    report : callable
        Gets a text now and then that says how far it is.
    settings : Settings, optional

    Returns
    -------
    str
        ``computed`` or ``was there``.
    """
    settings = settings or settings_module.current()
    stack, slices = slices_of(stack, settings.profile)
    if method.family:
        return _network(method, stack, slices, seed, report, settings)
    if method.work == "2D":
        return _single_slices(method, stack, slices, settings)
    return _whole_stack(method, stack, slices, workers, settings)


def _single_slices(method: Method, stack: Stack, slices, settings: Settings) -> str:
    def segment(image):
        return helpers.traditional.segment_slice(image, pixel_size_nm=stack.pixel_size_nm)

    what = {"code": fingerprint(helpers.traditional)}
    if _is_there(method, stack, slices, what, settings):
        return "was there"
    _evaluate(segment, method, stack, slices, settings, **what)
    return "computed"


def _whole_stack(method: Method, stack: Stack, slices, workers: int, settings: Settings) -> str:
    what = {
        "code": fingerprint(helpers.traditional, helpers.volume),
        "parameters": {"mode": method.work, "slices": list(stack.slice_numbers)},
    }
    # The name holds the code's fingerprint, which the maps' own identity does not.
    name = f"{stack.source}-{settings.profile}-{method.work}-{fingerprint(json.dumps(what))}"
    folder = settings.data_dir / "volume" / name
    with locked(folder):
        if _is_there(method, stack, slices, what, settings):
            return "was there"
        # Of a run that was interrupted the time is not known.
        fresh = not (folder / "maps").exists()
        start = time.perf_counter()
        maps = helpers.volume.segment_to_folder(
            stack, folder / "maps", mode=method.work, workers=workers, progress=False
        )
        took_s = (time.perf_counter() - start) / len(stack) if fresh else None
        _evaluate(maps, method, stack, slices, settings, seconds_per_slice=took_s, **what)
        # The run has its own copies.
        LabelMaps.discard(folder / "maps")
    return "computed"


def _network(method: Method, stack: Stack, slices, seed: int, report, settings: Settings) -> str:
    recipe = Recipe.of(method.family, settings.profile)
    split = split_of(stack, seed)
    patches = recipe.patch_px is not None
    shape = (None, None, 1) if patches else IMAGE_SHAPE[settings.profile]
    tile_px = TILE_PX[settings.profile] if patches else None

    report("loading TensorFlow")
    import helpers.networks
    from helpers.networks.weights import KINDS, RANDOM
    from helpers.training.identity import identify, name_of
    from helpers.training.predict import Segmenter

    weights = helpers.networks.resolve_weights(method.work, settings)
    what = {
        "code": fingerprint(helpers.networks, helpers.training),
        "split": f"{split.name}, {len(split.train)} slices for training",
        "training_slices": split.train,
        "seed": seed,
        "weights": KINDS.get(weights, RANDOM),
        "parameters": {
            "network": method.work,
            "input": list(shape),
            "tile_px": tile_px,
            "recipe": asdict(recipe),
        },
    }
    if _is_there(method, stack, slices, what, settings):
        return "was there"

    report("building the network")
    model = helpers.training.build(
        helpers.networks.NETWORKS[method.work],
        shape,
        weights=weights,
        precision=recipe.precision,
        seed=seed,
    )
    training = helpers.training.train(
        model,
        stack,
        split,
        recipe,
        settings.data_dir / "training" / name_of(identify(model, stack, split, recipe, seed)),
        seed=seed,
        progress=False,
        on_step=lambda row: report(f"step {row['step']}"),
    )
    report("segmenting")
    _evaluate(
        Segmenter(
            model, stack.pixel_size_nm, preparation=recipe.preparation, tile_px=tile_px, batch=1
        ),
        method,
        stack,
        slices,
        settings,
        training_minutes=training.record["minutes"],
        device=training.record["device"],
        **what,
    )
    return "computed"


def _evaluate(segmenter, method: Method, stack: Stack, slices, settings: Settings, **what):
    return evaluate(
        segmenter,
        stack,
        method=method.method,
        run=method.run,
        slices=slices,
        # Of code or numbers that are no longer those of the book, nothing is kept.
        overwrite=True,
        settings=settings,
        **what,
    )


def _is_there(method: Method, stack: Stack, slices, what: dict, settings: Settings) -> bool:
    """Whether a run has all that is wanted, made from the same numbers by the same code."""
    folder = results_dir(settings).joinpath(
        stack.source, settings.profile, method.method, method.run
    )
    try:
        record, _ = read_run(folder)
    except (OSError, ValueError):
        return False
    known = {**what, "scoring": scoring_code()}
    same = all(_plain(getattr(record, key)) == _plain(value) for key, value in known.items())
    if not (same and record.complete and set(slices) <= set(record.slices)):
        return False
    return not LabelMaps(folder / "labels", record.identity()).missing(slices)


def _plain(value):
    return json.loads(json.dumps(value))
