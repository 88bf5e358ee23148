"""Every method of the book on one stack, with one call: `run_all`.

What it finds is scored by `helpers.results` and stays on disk; what is there is not computed again.
Each method has a process of its own: some run side by side, some one after the other.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import helpers.masks
import helpers.strokes
import helpers.traditional
import helpers.training
import helpers.volume
from helpers import processes, settings
from helpers.cache import digest_of, key_of, locked, write_whole
from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.progress import progress_bar
from helpers.results.evaluation import evaluate, is_evaluated
from helpers.results.runs import About
from helpers.settings import Settings
from helpers.strokes.stacks import made_by
from helpers.training import Recipe
from helpers.training.compare import TRIAL_SLICES, check_epochs, split_of

SLICES = {"smoke": 4, "quick": 60, "paper": None}
"""How many slices a profile scores, evenly from first to last; None for all.

In a trial run half of them, from the middle of the stack, are training slices of the networks.
"""

TILE_PX = {"smoke": 256, "quick": 512, "paper": 512}
"""Side of the tiles for networks that were trained on patches."""

NO_TENSORFLOW = "left out, no TensorFlow: pip install -r requirements.txt"

_POLL_S = 0.5


@dataclass(frozen=True)
class Method:
    """A method of the book, as tables name it.

    Attributes
    ----------
    method, run : str
        The method is named as its published curve is, so that both get one colour.
    work : str
        ``2D``, ``improved`` or ``published`` (see `helpers.volume.segment_stack`), ``strokes:``
        with a kind of features (see `helpers.strokes`), or the name of a network in
        `helpers.networks`.
    family : str, optional
        Of the network's recipe; see `helpers.training.Recipe.of`.
    """

    method: str
    run: str
    work: str
    family: str | None = None


METHODS = (
    Method("image processing", "2D", "2D"),
    Method("image processing", "3D", "improved"),
    Method("image processing", "3D as published", "published"),
    Method("VGG16", "SegNet", "vgg16_segnet", "segnet"),
    Method("ResNet18", "DeepLab v3+", "resnet18_deeplabv3plus", "resnet18"),
    Method("Inception-ResNet-v2", "DeepLab v3+", "inception_resnet_v2_deeplabv3plus", "inception"),
    Method("U-Net", "no skips", "paper_unet", "unet"),
)
"""The five methods of the paper; the traditional one in three ways."""

ALSO = (
    Method("strokes", "20 strokes", "strokes: hand-made"),
    Method("strokes", "20 strokes and VGG16", "strokes: both"),
)
"""Not in the paper: strokes on training slices, by a rule from the ground truth, and a forest."""

STROKES, STROKE_SLICES = 20, 5
NO_SKLEARN = "left out, no scikit-learn: pip install scikit-learn"


def slices_of(stack: Stack, profile: str) -> tuple[Stack, tuple[int, ...]]:
    """Return what a profile works on: a stack, and which of its slices are scored.

    Parameters
    ----------
    stack : Stack
    profile : str

    Returns
    -------
    stack : Stack
        In a trial run with few slices only.
    slices : tuple of int
    """
    count = SLICES[profile]
    if profile != "smoke":
        return stack, stack.slice_numbers if count is None else stack.some(count)
    stack = replace(stack, slice_numbers=stack.some(TRIAL_SLICES))
    split, middle = split_of(stack), stack.slice_numbers[len(stack) // 2]
    chosen = [
        number
        for part in (split.train, split.test)
        for number in sorted(part, key=lambda n: abs(n - middle))[: count // 2]
    ]
    return stack, tuple(sorted(chosen))


def has_tensorflow() -> bool:
    """Tell whether the networks can run here."""
    return all(importlib.util.find_spec(name) for name in ("tensorflow", "keras", "keras_hub"))


def why_absent(method: Method) -> str | None:
    """Say which package a method lacks here; None if none."""
    is_of_strokes = method.work.startswith("strokes")
    if is_of_strokes and not importlib.util.find_spec("sklearn"):
        return NO_SKLEARN
    needs_tensorflow = method.family or method.work == "strokes: both"
    return NO_TENSORFLOW if needs_tensorflow and not has_tensorflow() else None


def run_all(
    stack: Stack,
    methods: Iterable[Method] = METHODS,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Run methods on a stack, score them, and keep what they give in the results folder.

    What has been computed of the same pictures, with the same numbers and code, is not computed
    again, whatever the stack is called; a training that was interrupted goes on. The traditional
    methods run side by side, then the networks one after the other, each with all cores: two at
    once would be no faster, and would spoil each other's time. Each method has a process of its
    own, so that its peak of memory is its own.

    Parameters
    ----------
    stack : Stack
        With ground truth.
    methods : iterable of Method
        By default `METHODS`.
    seed : int
        For the split (see `helpers.training.split_of`), the networks' random weights and the
        order of their examples.
    workers : int, optional
        Traditional methods at once; by default as many as there are cores.
    progress : bool, optional
        Whether to show a bar; by default not while the book is built.

    Returns
    -------
    DataFrame
        A row a method: ``method``, ``run``, ``state`` (``computed``, ``was there``, or why it is
        left out) and ``minutes``. The scores: `helpers.results.load_runs`.

    Raises
    ------
    ValueError
        If the stack has no ground truth, or too few slices to divide them, or for the epochs of
        the profile ``paper``.
    Exception
        What a method raises; those before it are kept.
    """
    methods = tuple(methods)
    if any(each.family for each in methods):
        check_epochs(stack)
    if progress is None:
        progress = not settings.is_static()
    if stack.source != "own":  # Read once here, and not again by each method.
        digest_of(stack, of=("image",))
        digest_of(stack, slices_of(stack, settings.current().profile)[1])
    absent = {each: reason for each in methods if (reason := why_absent(each))}
    states = {each: (reason, 0.0) for each, reason in absent.items()}
    networks = [each for each in methods if each.family and each not in absent]
    others = [each for each in methods if not each.family and each not in absent]
    at_once = min(workers or processes.n_cores(), max(1, len(others)))
    with progress_bar(total=len(methods), initial=len(absent), disable=not progress) as bar:
        for group, size in ((others, at_once), *(([each], 1) for each in networks)):
            share = max(1, processes.n_cores() // size)
            for each, state in _side_by_side(group, size, bar, stack, seed, share):
                states[each] = state
                bar.update()
    rows = [[each.method, each.run, *states[each]] for each in methods]
    return pd.DataFrame(rows, columns=["method", "run", "state", "minutes"])


def run_method(
    method: Method,
    stack: Stack,
    *,
    seed: int = 0,
    workers: int = 1,
    report: Callable[[str], None] = lambda text: None,
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

    Returns
    -------
    str
        ``computed`` or ``was there``.
    """
    stack, slices = slices_of(stack, settings.current().profile)
    if method.family:
        return _network(method, stack, slices, seed, report)
    if method.work == "2D":
        return _single_slices(method, stack, slices)
    if method.work.startswith("strokes"):
        return _strokes(method, stack, slices, seed)
    return _whole_stack(method, stack, slices, workers)


def _side_by_side(group, size: int, bar, *arguments):
    """Run methods in processes of their own; yield each with its state and minutes."""
    if not group:
        return
    executor = processes.start(size, quiet=True)
    try:
        with TemporaryDirectory() as folder:
            notes = {each: Path(folder) / str(at) for at, each in enumerate(group)}
            todo = {
                executor.submit(_work, settings.current(), each, notes[each], *arguments): each
                for each in group
            }
            while todo:
                done, _ = wait(todo, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield todo.pop(future), future.result()
                bar.set_description("; ".join(_note(each, notes[each]) for each in todo.values()))
    except BaseException:
        # What still runs goes on where it was another time.
        executor.shutdown(kill_workers=True)
        raise
    executor.shutdown()


def _work(chosen: Settings, method: Method, note: Path, stack, seed, workers) -> tuple[str, float]:
    start = time.perf_counter()
    with settings.using(chosen):
        state = run_method(
            method,
            stack,
            seed=seed,
            workers=workers,
            report=lambda text: write_whole(note, text.encode()),
        )
    return state, (time.perf_counter() - start) / 60


def _note(method: Method, note: Path) -> str:
    text = note.read_text(encoding="utf-8") if note.exists() else ""
    return f"{method.method}, {method.run}" + (f": {text}" if text else "")


def _single_slices(method: Method, stack: Stack, slices) -> str:
    def segment(image):
        return helpers.traditional.segment_slice(image, pixel_size_nm=stack.pixel_size_nm)

    about = About(method.method, method.run, code=[helpers.masks, helpers.traditional])
    if is_evaluated(stack, about, slices):
        return "was there"
    with warnings.catch_warnings():
        # Slices beyond the ends of the nucleus have none, and the scores say what is wrong.
        warnings.simplefilter("ignore", helpers.traditional.doubts.DoubtWarning)
        _evaluate(segment, stack, about, slices)
    return "computed"


def _whole_stack(method: Method, stack: Stack, slices, workers: int) -> str:
    about = About(
        method.method,
        method.run,
        code=[helpers.masks, helpers.traditional, helpers.volume],
        # Each slice depends on all others.
        parameters={"mode": method.work, "pictures": digest_of(stack, of=("image",))},
    )
    name = f"{method.work}-{key_of(about.code, parameters=about.parameters)}"
    folder = settings.current().data_dir / "volume" / name
    if is_evaluated(stack, about, slices):
        return "was there"
    with locked(folder, f"segments all slices ({method.work})"):
        if is_evaluated(stack, about, slices):
            return "was there"
        # Of a run that was interrupted the time is not known.
        fresh = not (folder / "maps").exists()
        start = time.perf_counter()
        # What is doubtful, the scores show.
        options = {"mode": method.work, "workers": workers, "progress": False, "doubts": []}
        maps = helpers.volume.segment_to_folder(stack, folder / "maps", **options)
        took_s = (time.perf_counter() - start) / len(stack) if fresh else None
        _evaluate(maps, stack, replace(about, seconds_per_slice=took_s), slices)
        # The run has its own copies.
        LabelMaps.discard(folder / "maps")
    return "computed"


def _strokes(method: Method, stack: Stack, slices, seed: int) -> str:
    kind = method.work.partition(": ")[2]
    split = split_of(stack, seed)
    drawn_on = replace(stack, slice_numbers=split.train).some(STROKE_SLICES)
    drawn = helpers.strokes.simulate(stack, drawn_on, STROKES, seed=seed)
    code, weights = made_by(kind)
    about = About(
        method.method,
        method.run,
        code=code,
        split=f"{split.name}, {len(drawn)} strokes on {len(drawn.numbers)} slices for training",
        training_slices=drawn.numbers,
        seed=seed,
        weights=weights,
        parameters={
            "features": kind,
            "strokes": drawn.rows(),
            "examples": digest_of(stack, drawn.numbers, of=("image", "labels")),
        },
    )
    if is_evaluated(stack, about, slices):
        return "was there"
    start = time.perf_counter()
    forest = helpers.strokes.train(drawn, stack, kind, seed=seed)
    minutes = (time.perf_counter() - start) / 60
    _evaluate(forest.segment, stack, replace(about, training_minutes=minutes), slices)
    return "computed"


def _network(method: Method, stack: Stack, slices, seed: int, report) -> str:
    profile = settings.current().profile
    recipe = Recipe.of(method.family, profile)
    split = split_of(stack, seed)
    shape = recipe.input_shape
    tile_px = TILE_PX[profile] if recipe.patch_px else None

    report("loading TensorFlow")
    import helpers.networks
    from helpers.networks.weights import KINDS, RANDOM
    from helpers.training.predict import Segmenter

    weights = helpers.networks.resolve_weights(method.work)
    truth = "nuclei" if recipe.several_nuclei else "labels"
    about = About(
        method.method,
        method.run,
        code=[helpers.networks, helpers.training],
        split=f"{split.name}, {len(split.train)} slices for training",
        training_slices=split.train,
        seed=seed,
        weights=KINDS.get(weights, RANDOM),
        parameters={
            "network": method.work,
            "input": list(shape),
            "tile_px": tile_px,
            "recipe": asdict(recipe),
            "examples": digest_of(stack, split.train, of=("image", truth)),
        },
    )
    if is_evaluated(stack, about, slices):
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
        seed=seed,
        progress=False,
        on_step=lambda row: report(f"step {row['step']}"),
    )
    report("segmenting")
    segmenter = Segmenter(
        model, stack.pixel_size_nm, preparation=recipe.preparation, tile_px=tile_px, batch=1
    )
    minutes, device = training.record["minutes"], training.record["device"]
    _evaluate(segmenter, stack, replace(about, training_minutes=minutes, device=device), slices)
    return "computed"


def _evaluate(segmenter, stack: Stack, about: About, slices) -> None:
    # Of code or numbers that are no longer those of the book, nothing is kept.
    evaluate(segmenter, stack, about, slices=slices, overwrite=True)
