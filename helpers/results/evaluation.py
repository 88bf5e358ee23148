"""Run a method on a stack, slice by slice, and score it."""

import functools
import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import helpers.metrics
from helpers import machine, settings
from helpers.cache import digest_of, key_of, locked
from helpers.data.foreign import (
    ForeignLabels,
    check_that_these_are_classes,
    match_numbers,
    normal_ids,
    numbers_of,
    open_labels,
    translate,
)
from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps, as_json
from helpers.labels import Label
from helpers.progress import progress_bar
from helpers.results.runs import (
    MAPS,
    About,
    Record,
    discard_run,
    found_run,
    open_maps,
    save_run,
)
from helpers.results.tables import ORIGINS, as_table, score_rows
from helpers.settings import check_choice

Segmenter = (
    Callable[..., np.ndarray] | LabelMaps | ForeignLabels | Path | str | np.ndarray | Mapping
)
TRUTHS = {"one nucleus": "labels", "several nuclei": "nuclei"}
SAVE_EVERY_S = 5.0


def evaluate(
    segmenter: Segmenter,
    stack: Stack,
    about: About | str,
    *,
    slices: Iterable[int] | None = None,
    ids: Mapping | str | None = None,
    classes: Iterable[Label] | None = None,
    truth: str = "one nucleus",
    overwrite: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Segment slices, score them, and keep both on disk.

    What has been computed of these pictures, by this code and with these parameters, is not
    computed again, and an interrupted run goes on where it stopped. Where the ground truth has
    changed, the label maps are scored anew. One slice at a time is in memory, and one process at a
    time writes into the folder of a run: another one waits, and says for whom.

    Parameters
    ----------
    segmenter : callable, LabelMaps, or label maps from elsewhere
        A function of a slice, ``segmenter(image)``, or of a slice and its number,
        ``segmenter(image, number)``, that returns labels, (y, x) array of uint8; or label maps
        that exist, in any form that `helpers.data.open_labels` opens: a path, an array, a mapping
        of slice number to array, or what it returned.
    stack : Stack
        Slices and ground truth.
    about : About or str
        Names, and what the label maps depend on; a str names the method, and the rest is as
        `About` has it.
    slices : iterable of int, optional
        Slice numbers; by default all of the stack.
    ids : str or mapping, optional
        What the numbers in the label maps mean, if they are not those of `helpers.labels.Label`:
        see `helpers.data.open_labels`. 0 stands for what is not labelled, which counts as wrong.
    classes : iterable of Label, optional
        Score these alone, for a method that does not know all four. By default the nucleus where
        `ids` says that the maps know nothing else.
    truth : {"one nucleus", "several nuclei"}
        Which ground truth: `Stack.labels` or `Stack.nuclei`.
    overwrite : bool
        Whether to delete a run of the same name that was something else.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    DataFrame
        Columns of `helpers.results.tables.COLUMNS`; the scores of `helpers.metrics.score_slice`,
        and the metric ``seconds``, where a function was run here. Of the slices asked for; the run
        on disk keeps those of earlier calls too.

    Raises
    ------
    TypeError, ValueError
        If what `segmenter` returns is not a label map of the slice, a folder lacks slices, the
        stack has no ground truth of a slice, or a run of that name was something else; the
        message names the slice.
    RuntimeError
        If `segmenter` fails; the message names the slice.
    helpers.cache.StorageError
        If something is to be written, and cannot be.
    """
    about = About(about) if isinstance(about, str) else about
    if isinstance(segmenter, ForeignLabels) and ids is not None:
        raise ValueError("ids are those of data.open_labels here; give them there.")
    if not (callable(segmenter) or isinstance(segmenter, (LabelMaps, ForeignLabels))):
        segmenter = open_labels(segmenter, ids=ids, shape=stack.shape)
    if isinstance(segmenter, ForeignLabels):
        ids, classes = segmenter.ids, segmenter.classes if classes is None else classes
    elif ids == "nucleus" and classes is None:
        classes = (Label.NUCLEUS,)
    wanted = tuple(stack.slice_numbers if slices is None else slices)
    if not wanted:
        raise ValueError("there are no slices to evaluate; give at least one, or none for all.")
    if not callable(segmenter):
        check_all_there(segmenter, wanted)
    if isinstance(segmenter, ForeignLabels):
        match_numbers(segmenter, stack.slice_numbers)
    classes = None if classes is None else tuple(Label(each) for each in classes)
    if about.code is None:
        about = replace(about, code=_code_of(segmenter))
    digest = _digester(stack, truth)
    record = _record_of(about, stack, ids=ids, classes=classes, truth=truth)
    record = _with_digests(record, wanted, digest)
    if not isinstance(segmenter, ForeignLabels):
        table = _finished(record, stack, wanted, digest)
        if table is not None:
            return table
    what = f"evaluates {about.method}, {about.run},"
    with locked(record.folder, what):
        run = _Evaluation(
            segmenter, stack, record, digest, ids, classes, truth, overwrite=overwrite
        )
        return run.table(wanted, progress=progress)


def is_evaluated(stack: Stack, about: About, slices: Iterable[int]) -> bool:
    """Tell whether `evaluate` would find all that is wanted, and compute nothing.

    Parameters
    ----------
    stack : Stack
    about : About
        With its ``code``.
    slices : iterable of int

    Returns
    -------
    bool
    """
    wanted = tuple(slices)
    digest = _digester(stack)
    record = _with_digests(_record_of(about, stack), wanted, digest)
    return _finished(record, stack, wanted, digest) is not None


def _code_of(segmenter: Segmenter) -> object:
    """Return what tells one segmenter from another of the same name."""
    if callable(segmenter):
        return segmenter
    if isinstance(segmenter, LabelMaps):
        return json.dumps(segmenter.identity, sort_keys=True)
    # Files from elsewhere may change: they are compared with those of the run, slice by slice.
    return "label maps from elsewhere"


def _key_of_code(code: object) -> str:
    try:
        return key_of(code)
    except ValueError as error:
        raise ValueError(
            f"it cannot be told when this method changes: {error} Give about=About(..., code=...): "
            "the functions and modules that it is made of, or a text that you change with it."
        ) from error


def _digester(stack: Stack, truth: str = "one nucleus") -> Callable[[int], tuple[str, str]]:
    """Return what digests a slice and its ground truth, each read once in an evaluation."""
    check_choice(truth, "truth", tuple(TRUTHS))

    @functools.cache
    def digest(number: int) -> tuple[str, str]:
        picture = digest_of(stack, [number], of=("image",))
        return picture, digest_of(stack, [number], of=(TRUTHS[truth],))

    return digest


def _record_of(
    about: About, stack: Stack, *, ids=None, classes=None, truth: str = "one nucleus"
) -> Record:
    check_choice(about.origin, "origin", ORIGINS)
    trained = about.training_slices
    known = normal_ids(ids)
    if isinstance(known, dict):
        known = {str(theirs): ours for theirs, ours in known.items()}
    translated = {"ids": known} if known else {}
    entries = {
        **vars(about),
        "code": _key_of_code(about.code),
        "training_slices": None if trained is None else tuple(map(int, trained)),
        "parameters": as_json({**about.parameters, **translated}),
        "device": about.device or machine.processor(),
    }
    return Record(
        **entries,
        source=stack.source,
        stack=stack.name,
        profile=settings.current().profile,
        shape=tuple(map(int, stack.shape)),
        pixel_size_nm=float(stack.pixel_size_nm),
        scoring=key_of(helpers.metrics, classes=classes, truth=truth),
        versions=machine.versions(),
    )


def _with_digests(record: Record, numbers: Iterable[int], digest: Callable) -> Record:
    pictures, truths = dict(record.pictures), dict(record.truths)
    for number in map(int, numbers):
        pictures[str(number)], truths[str(number)] = digest(number)
    return replace(record, pictures=pictures, truths=truths)


def _other_pictures(there: Record, stack: Stack, digest: Callable) -> str | None:
    """Say what slice of a run on disk is not this stack's, if one is not."""
    for number in there.slices:
        if number not in stack.slice_numbers:
            return f"slice {number}, which {stack.name} does not have"
        if there.pictures.get(str(number)) != digest(number)[0]:
            return f"another slice {number} than that of {stack.name}"
    return None


def _finished(record: Record, stack: Stack, wanted, digest: Callable) -> pd.DataFrame | None:
    """Read a run that has all that is wanted, and still holds; nothing is written."""
    there, table = found_run(record)
    if table is None or not there.complete or not set(wanted) <= set(there.slices):
        return None
    record = _with_digests(record, set(there.slices) & set(stack.slice_numbers), digest)
    identity = as_json(record.identity())
    if as_json(there.identity()) != identity or _other_pictures(there, stack, digest):
        return None
    if (there.scoring, there.truths) != (record.scoring, record.truths):
        return None
    folder = record.folder / MAPS
    if not folder.is_dir() or LabelMaps(folder).identity != identity:
        return None
    if LabelMaps(folder).missing(wanted):
        return None
    return _of_slices(table, wanted)


def _of_slices(table: pd.DataFrame, wanted) -> pd.DataFrame:
    return table[table["slice"].isin(wanted)].reset_index(drop=True)


class _Evaluation:
    """A run that is gone on with: its label maps, its scores by slice, and what is to be done."""

    def __init__(self, segmenter, stack, record, digest, ids, classes, truth, *, overwrite: bool):
        self.segmenter, self.stack, self.ids = segmenter, stack, ids
        self.classes, self.truth = classes, truth
        there, table = found_run(record)
        other = there and _other_pictures(there, stack, digest)
        if other and not overwrite:
            raise ValueError(
                f"{record.folder} has a run on other pictures: {other}. Give this run another "
                "name; or, if the other one is not needed, overwrite=True replaces it."
            )
        if other or there is None:  # Label maps of which nothing is known are not kept.
            discard_run(record)
            there = table = None
        self.maps = open_maps(record, overwrite=overwrite)
        if there is not None and as_json(there.identity()) != as_json(record.identity()):
            there = table = None
        self.measures_memory = record.origin == "computed" and record.peak_memory_mb is None
        self.measured = record.seconds_per_slice
        self.seconds: dict[int, float] = {}
        self.done: dict[int, pd.DataFrame] = {}
        self.known: tuple[int, ...] = ()
        if there is not None:
            self.known = tuple(number for number in there.slices if self.maps.has(number))
            record = _with_digests(record, self.known, digest)
            record = replace(
                record,
                device=there.device,
                versions=there.versions,
                training_minutes=record.training_minutes or there.training_minutes,
                peak_memory_mb=record.peak_memory_mb or there.peak_memory_mb,
            )
        self.record = record
        if table is not None:
            self.seconds = table[table["metric"] == "seconds"].set_index("slice")["value"].to_dict()
            self.done = {
                number: rows
                for number, rows in table.groupby("slice")
                if number in self.known
                and there.scoring == record.scoring
                and there.truths.get(str(number)) == record.truths[str(number)]
            }
        # A slice that was written and not recorded when a run was killed is made again.
        for number in set(self.maps.numbers) - set(self.known):
            self.maps.path(number).unlink(missing_ok=True)

    def table(self, wanted: tuple[int, ...], *, progress: bool) -> pd.DataFrame:
        """Do what is to be done for these slices, and return their scores."""
        missing = set(self.maps.missing(wanted))
        from_elsewhere = isinstance(self.segmenter, ForeignLabels)
        todo = [n for n in wanted if n in missing or n not in self.done or from_elsewhere]
        # Slices of an earlier call stay in the run: they are scored again where that is needed.
        others = set(self.known) - set(wanted)
        todo += sorted(others.intersection(self.maps.numbers) - set(self.done))
        saved_s = time.monotonic()
        name = self.record.method
        try:
            for number in progress_bar(todo, desc=name, unit="slice", disable=not progress):
                if number in missing or (from_elsewhere and number in wanted):
                    changed = self._segment(number, is_missing=number in missing)
                    if not changed and number in self.done:
                        continue
                self._score(number)
                if self.measures_memory:
                    self._measure_memory()
                if time.monotonic() - saved_s > SAVE_EVERY_S:
                    self._save(complete=False)
                    saved_s = time.monotonic()
        except BaseException:
            if self.done:
                self._save(complete=False)
            raise
        return _of_slices(self._save(complete=True), wanted)

    def _segment(self, number: int, *, is_missing: bool) -> bool:
        """Get the label map of a slice; tell whether it is another than before."""
        labels, took_s = segment(self.segmenter, self.stack, number, self.ids)
        if took_s is not None and self.record.origin == "computed":
            self.seconds[number] = took_s
        if not is_missing and np.array_equal(labels, self.maps.read(number)):
            return False
        self.maps.write(number, labels)
        return True

    def _measure_memory(self) -> None:
        peak = max(machine.peak_memory_mb() or 0.0, self.record.peak_memory_mb or 0.0)
        self.record = replace(self.record, peak_memory_mb=peak or None)

    def _score(self, number: int) -> None:
        read = self.stack.nuclei if self.truth == "several nuclei" else self.stack.labels
        true_labels = read(number)
        if true_labels is None:
            raise ValueError(
                f"{self.stack.name} has no ground truth ({self.truth}) of slice {number}; give "
                "slices= of those that have one."
            )
        rows = score_rows(
            self.maps.read(number),
            true_labels,
            pixel_size_nm=self.stack.pixel_size_nm,
            classes=self.classes,
        )
        if number in self.seconds:
            rows.loc[len(rows)] = ["seconds", "all", self.seconds[number], True]
        trained = self.record.training_slices
        self.done[number] = rows.assign(
            method=self.record.method,
            run=self.record.run,
            origin=self.record.origin,
            slice=number,
            training=pd.NA if trained is None else number in trained,
        )

    def _save(self, *, complete: bool) -> pd.DataFrame:
        table = as_table(pd.concat([self.done[number] for number in sorted(self.done)]))
        times = [self.seconds[number] for number in self.done if number in self.seconds]
        numbers = {str(number) for number in self.done}
        now = replace(
            self.record,
            seconds_per_slice=self.measured or (float(np.median(times)) if times else None),
            pictures={n: each for n, each in self.record.pictures.items() if n in numbers},
            truths={n: each for n, each in self.record.truths.items() if n in numbers},
            slices=tuple(sorted(map(int, self.done))),
            complete=complete,
        )
        save_run(now, table)
        return table


def check_all_there(maps: LabelMaps | ForeignLabels, wanted: tuple[int, ...]) -> None:
    """Say which slices label maps lack, if they do.

    Parameters
    ----------
    maps : LabelMaps or ForeignLabels
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
    segmenter: Segmenter, stack: Stack, number: int, ids: Mapping | str | None
) -> tuple[np.ndarray, float | None]:
    """Get the label map of a slice and check it.

    Parameters
    ----------
    segmenter : callable, LabelMaps or ForeignLabels
        Those from elsewhere have been given their meaning.
    stack : Stack
    number : int
        Slice number.
    ids : str, mapping of number to Label, or None

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
    if labels.shape[:2] != stack.shape:
        raise ValueError(
            f"labels of slice {number} have shape {labels.shape}; the slice has {stack.shape}. "
            "Bring them to its size with nearest-neighbour interpolation."
        )
    if isinstance(segmenter, ForeignLabels):
        return labels, seconds
    if labels.ndim == 3 or ids is not None:
        labels = numbers_of(labels, f"the label map of slice {number}", normal_ids(ids))
    if ids is not None:
        labels = translate(labels, ids, number)
    elif labels.dtype != np.uint8:
        raise TypeError(
            f"labels of slice {number} have dtype {labels.dtype}; allowed is uint8. For a mask "
            "give ids='nucleus'; for other numbers ids={7: Label.NUCLEUS, 0: Label.CELL}."
        )
    elif labels.max() > max(Label):
        raise ValueError(
            f"labels of slice {number} have numbers up to {labels.max()}; allowed are "
            f"{min(Label):d} to {max(Label):d}, and 0 for no label. For a mask give ids='nucleus'; "
            "for other numbers ids={7: Label.NUCLEUS, 0: Label.CELL}."
        )
    elif callable(segmenter) and set(np.unique(labels).tolist()) == {0, 1}:
        counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
        check_that_these_are_classes(counts, f"the label map of slice {number}")
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
