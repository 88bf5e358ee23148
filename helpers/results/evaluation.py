"""Run a method on a stack, slice by slice, and score it."""

import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

import helpers.metrics
from helpers import machine, settings
from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.results.foreign import LabelFolder, translate
from helpers.results.runs import Record, RunFolder, fingerprint
from helpers.results.tables import ORIGINS, as_table, score_rows
from helpers.settings import check_choice

Segmenter = Callable[..., np.ndarray] | LabelMaps | LabelFolder | Path | str
TRUTHS = ("one nucleus", "several nuclei")
SAVE_EVERY_S = 5.0


def evaluate(
    segmenter: Segmenter,
    stack: Stack,
    *,
    method: str,
    run: str = "default",
    origin: str = "computed",
    slices: Iterable[int] | None = None,
    ids: Mapping[int, int] | None = None,
    classes: Iterable[Label] | None = None,
    truth: str = "one nucleus",
    split: str = "none",
    training_slices: Iterable[int] | None = (),
    seed: int | None = None,
    weights: str | None = None,
    parameters: Mapping[str, object] | None = None,
    code: str | None = None,
    device: str | None = None,
    seconds_per_slice: float | None = None,
    training_minutes: float | None = None,
    peak_memory_mb: float | None = None,
    timed: bool = True,
    overwrite: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Segment slices, score them, and keep both on disk.

    What has been computed for this method and run is not computed again: an interrupted run goes
    on where it stopped. One slice at a time is in memory.

    Parameters
    ----------
    segmenter : callable, LabelMaps, LabelFolder, or path of a folder
        A function of a slice, ``segmenter(image)``, or of a slice and its number,
        ``segmenter(image, number)``, that returns labels, (y, x) array of uint8; or label maps
        that exist, see `helpers.results.LabelFolder`.
    stack : Stack
        Slices and ground truth.
    method, run : str
        Names for tables and figures; together they name a folder.
    origin : str
        One of `helpers.results.tables.ORIGINS`.
    slices : iterable of int, optional
        Slice numbers; by default all of the stack.
    ids : mapping of number to Label, optional
        Class of each number in the label maps, if they are not those of `helpers.labels.Label`;
        0 for what is not labelled, which counts as wrong.
    classes : iterable of Label, optional
        Score these alone, for a method that does not know all four.
    truth : {"one nucleus", "several nuclei"}
        Which ground truth: `Stack.labels` or `Stack.nuclei`.
    split : str
        How slices were divided into training and test, in words.
    training_slices : iterable of int or None
        Slices that the method was trained on; None where that is not known.
    seed, weights, parameters
        What else the result depends on; see `helpers.results.runs.Record`.
    code : str, optional
        What changes when the method does; by default `helpers.results.fingerprint` of the
        function alone. If it calls other code of yours: ``code=fingerprint(function, module)``.
    device : str, optional
    seconds_per_slice, training_minutes, peak_memory_mb : float, optional
        What the run cost, where that was measured elsewhere. By default the time is the median of
        what `segmenter` took, and memory the peak of this process.
    timed : bool
        Whether the time that `segmenter` takes is the method's cost.
    overwrite : bool
        Whether to delete a run of the same name that was something else.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    DataFrame
        Columns of `helpers.results.tables.COLUMNS`; the scores of `helpers.metrics.score_slice`,
        and the metric ``seconds``, where `segmenter` was timed. Of the slices asked for; the run
        on disk keeps those of earlier calls too.

    Raises
    ------
    TypeError, ValueError
        If what `segmenter` returns is not a label map of the slice, a folder lacks slices, the
        stack has no ground truth of a slice, or a run of that name was something else; the
        message names the slice.
    RuntimeError
        If `segmenter` fails; the message names the slice.
    """
    check_choice(origin, "origin", ORIGINS)
    check_choice(truth, "truth", TRUTHS)
    wanted = tuple(stack.slice_numbers if slices is None else slices)
    if not wanted:
        raise ValueError("there are no slices to evaluate; give at least one, or none for all.")
    if isinstance(segmenter, (str, Path)):
        segmenter = LabelFolder(segmenter)
    if not callable(segmenter):
        check_all_there(segmenter, wanted)
    classes = None if classes is None else tuple(Label(each) for each in classes)
    record = Record(
        method=method,
        run=run,
        origin=origin,
        source=stack.source,
        stack=stack.name,
        profile=settings.current().profile,
        shape=tuple(map(int, stack.shape)),
        pixel_size_nm=float(stack.pixel_size_nm),
        split=split,
        training_slices=None if training_slices is None else tuple(map(int, training_slices)),
        seed=seed,
        weights=weights,
        parameters={
            **(parameters or {}),
            **({"ids": {str(a): int(b) for a, b in ids.items()}} if ids else {}),
        },
        code=code_of(segmenter) if code is None else code,
        scoring=scoring_code(classes, truth),
        device=device or machine.processor(),
        versions=machine.versions(),
        seconds_per_slice=seconds_per_slice,
        training_minutes=training_minutes,
        peak_memory_mb=peak_memory_mb,
    )
    folder = RunFolder(record, overwrite=overwrite)
    old, old_table = folder.load() or (None, None)
    seconds = _seconds_by_slice(old_table)
    done = _rows_that_hold(old, old_table, record)
    missing = set(folder.maps.missing(wanted))
    from_elsewhere = isinstance(segmenter, LabelFolder)
    todo = [n for n in wanted if n in missing or n not in done or from_elsewhere]
    if old is not None:
        # Slices of an earlier call stay in the run: they are scored again where that is needed.
        others = set(old.slices) - set(wanted)
        todo += sorted(others.intersection(folder.maps.numbers) - set(done))
        record = _with_costs_of(old, record)

    def save(complete: bool) -> pd.DataFrame:
        table = as_table(pd.concat([done[number] for number in sorted(done)]))
        times = [seconds[number] for number in done if number in seconds]
        now = replace(
            record,
            seconds_per_slice=seconds_per_slice or (float(np.median(times)) if times else None),
            slices=tuple(sorted(map(int, done))),
            complete=complete,
        )
        folder.save(now, table)
        return table[table["slice"].isin(wanted)].reset_index(drop=True)

    saved_s = time.monotonic()
    try:
        for number in tqdm(todo, desc=method, unit="slice", disable=not progress):
            if number in missing or (from_elsewhere and number in wanted):
                labels, took_s = segment(segmenter, stack, number, ids)
                if timed and took_s is not None:
                    seconds[number] = took_s
                if number in missing or not np.array_equal(labels, folder.maps.read(number)):
                    folder.maps.write(number, labels)
                elif number in done:
                    continue
            rows = _score(folder.maps.read(number), stack, number, truth, classes)
            if number in seconds:
                rows.loc[len(rows)] = ["seconds", "all", seconds[number], True]
            done[number] = rows.assign(
                method=method,
                run=run,
                origin=origin,
                slice=number,
                training=_trained(record.training_slices, number),
            )
            if timed and peak_memory_mb is None:
                record = _with_peak_memory(record)
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                save(complete=False)
                saved_s = time.monotonic()
    except BaseException:
        if done:
            save(complete=False)
        raise
    return save(complete=True)


def scoring_code(classes: tuple[Label, ...] | None = None, truth: str = TRUTHS[0]) -> str:
    """Return what changes when scores of the same label maps would be others.

    Parameters
    ----------
    classes : tuple of Label, optional
    truth : str
        As for `evaluate`.

    Returns
    -------
    str
    """
    return fingerprint(helpers.metrics, f"{classes} {truth}")


def _seconds_by_slice(table: pd.DataFrame | None) -> dict[int, float]:
    if table is None:
        return {}
    return table[table["metric"] == "seconds"].set_index("slice")["value"].to_dict()


def _rows_that_hold(old: Record | None, table, record: Record) -> dict[int, pd.DataFrame]:
    """Scores that exist, by slice, if they were made as they would be now."""
    if old is None or old.scoring != record.scoring:
        return {}
    return {number: rows for number, rows in table.groupby("slice") if number in old.slices}


def _with_costs_of(old: Record, record: Record) -> Record:
    return replace(
        record,
        device=old.device,
        versions=old.versions,
        training_minutes=record.training_minutes or old.training_minutes,
        peak_memory_mb=record.peak_memory_mb or old.peak_memory_mb,
    )


def _with_peak_memory(record: Record) -> Record:
    peak = max(machine.peak_memory_mb() or 0.0, record.peak_memory_mb or 0.0)
    return replace(record, peak_memory_mb=peak or None)


def _score(labels, stack: Stack, number: int, truth: str, classes) -> pd.DataFrame:
    true_labels = stack.nuclei(number) if truth == "several nuclei" else stack.labels(number)
    if true_labels is None:
        raise ValueError(
            f"{stack.name} has no ground truth ({truth}) of slice {number}; give slices= of those "
            "that have one."
        )
    return score_rows(labels, true_labels, pixel_size_nm=stack.pixel_size_nm, classes=classes)


def _trained(training_slices: tuple[int, ...] | None, number: int):
    return pd.NA if training_slices is None else number in training_slices


def code_of(segmenter: Segmenter) -> str:
    """Return what tells one segmenter from another of the same name."""
    if callable(segmenter):
        return fingerprint(segmenter)
    if isinstance(segmenter, LabelMaps):
        return fingerprint(json.dumps(segmenter.identity, sort_keys=True))
    # Files from elsewhere may change: they are compared with those of the run, slice by slice.
    return "label maps from elsewhere"


def check_all_there(maps: LabelMaps | LabelFolder, wanted: tuple[int, ...]) -> None:
    """Say which slices label maps lack, if they do.

    Parameters
    ----------
    maps : LabelMaps or LabelFolder
    wanted : tuple of int

    Raises
    ------
    ValueError
        If one of them is not there.
    """
    lacks = [number for number in wanted if number not in maps.numbers]
    if lacks:
        raise ValueError(
            f"{maps.folder} lacks the slices {', '.join(map(str, lacks))}; add them, or give "
            f"slices=, of those it has: {', '.join(map(str, maps.numbers))}."
        )


def segment(
    segmenter: Segmenter, stack: Stack, number: int, ids: Mapping[int, int] | None
) -> tuple[np.ndarray, float | None]:
    """Get the label map of a slice and check it.

    Parameters
    ----------
    segmenter : callable, LabelMaps or LabelFolder
    stack : Stack
    number : int
        Slice number.
    ids : mapping of number to Label, or None

    Returns
    -------
    labels : (y, x) array of uint8
    seconds : float or None
        How long a function took; None for label maps that exist.

    Raises
    ------
    TypeError, ValueError
        If it is not a label map of that slice.
    RuntimeError
        If a function fails.
    """
    seconds = None
    if callable(segmenter):
        image = stack.image(number)
        arguments = (image, number) if _takes_number(segmenter) else (image,)
        start = time.perf_counter()
        try:
            labels = segmenter(*arguments)
        except Exception as error:
            raise RuntimeError(
                f"the segmenter failed on slice {number}: {type(error).__name__}: {error}"
            ) from error
        seconds = time.perf_counter() - start
    else:
        labels = segmenter.read(number)
    labels = np.asarray(labels)
    if labels.shape != stack.shape:
        raise ValueError(
            f"labels of slice {number} have shape {labels.shape}; the slice has {stack.shape}. "
            "Bring them to its size with nearest-neighbour interpolation."
        )
    if ids is not None:
        labels = translate(labels, ids, number)
    elif labels.dtype != np.uint8:
        raise TypeError(
            f"labels of slice {number} have dtype {labels.dtype}; allowed is uint8. For other "
            "numbers or a mask give ids=, such as {True: Label.NUCLEUS, False: Label.CELL}."
        )
    elif labels.max() > max(Label):
        raise ValueError(
            f"labels of slice {number} have numbers up to {labels.max()}; allowed are "
            f"{min(Label):d} to {max(Label):d}, and 0 for no label. For other numbers give ids=, "
            "such as {255: Label.NUCLEUS, 0: Label.CELL}."
        )
    return labels, seconds


def _takes_number(function: Callable) -> bool:
    """Tell whether a function must be given a second argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # Some compiled functions do not say.
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) >= 2
