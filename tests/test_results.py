import json
import os
import subprocess
import sys
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
import scipy.io
import tifffile
from PIL import Image

from helpers import data, results
from helpers.cache import StorageError
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.machine import peak_memory_mb
from helpers.metrics import jaccard_of_masks
from helpers.results import evaluation, selection, tables
from helpers.results.runs import About, Record, read_run, results_dir
from helpers.results.tables import read_csv, write_csv
from helpers.settings import using

HERE = Path(__file__).resolve().parent
WANTED = (1, 2, 3)


@pytest.fixture(autouse=True)
def _in_use(settings):
    with using(settings):
        yield


@pytest.fixture
def truth():
    maps = np.full((3, 40, 50), Label.CELL, np.uint8)
    maps[:2, 10:30, 10:40] = Label.NUCLEAR_ENVELOPE
    maps[:2, 13:27, 13:37] = Label.NUCLEUS
    maps[:, :5] = Label.BACKGROUND
    return maps  # slice 3 has no nucleus


@pytest.fixture
def stack(truth):
    return data.open_stack(truth * 50, voxel_nm=(50, 10, 10), labels=truth, name="toy")


class Segmenter:
    """Returns the truth, with a shifted nucleus, and counts what it is asked."""

    def __init__(self, truth, fail_at=None):
        self.truth, self.fail_at, self.asked = truth, fail_at, []

    def __call__(self, image, number):
        if number == self.fail_at:
            raise ZeroDivisionError("no seed")
        self.asked.append(number)
        return np.roll(self.truth[number - 1], 2, axis=1)


def test_evaluate_keeps_label_maps_scores_and_a_record(stack, truth):
    table = results.evaluate(Segmenter(truth), stack, About("shift", seed=3))
    assert list(table.columns) == list(tables.COLUMNS)
    nucleus = table[(table["metric"] == "jaccard") & (table["class"] == "nucleus")]
    assert nucleus["value"].tolist()[:2] == [pytest.approx(22 / 26)] * 2
    assert np.isnan(nucleus["value"].iloc[2])
    assert nucleus["present"].tolist() == [True, True, False]
    assert not table["training"].any()
    assert (table["metric"] == "seconds").sum() == 3
    folder = results_dir() / "own" / "smoke" / "shift" / "default"
    assert (folder / "maps" / "labels_0002.tif").exists()
    record = json.loads((folder / "record.json").read_text())
    assert record["stack"] == "toy"
    assert record["seed"] == 3
    assert record["complete"]
    assert record["seconds_per_slice"] > 0
    assert record["peak_memory_mb"] == pytest.approx(peak_memory_mb(), rel=0.2)
    assert {"python", "helpers", "numpy"} <= set(record["versions"])
    pd.testing.assert_frame_equal(read_run(folder)[1], table)


def test_what_is_computed_is_not_computed_again(stack, truth):
    first, again = Segmenter(truth), Segmenter(truth)
    before = results.evaluate(first, stack, "shift")
    after = results.evaluate(again, stack, "shift")
    assert first.asked == [1, 2, 3]
    assert again.asked == []
    pd.testing.assert_frame_equal(before, after)


def test_a_failed_run_names_the_slice_and_goes_on_there(stack, truth):
    with pytest.raises(RuntimeError, match="failed on slice 2: ZeroDivisionError: no seed"):
        results.evaluate(Segmenter(truth, fail_at=2), stack, About("shift", code="same"))
    with pytest.warns(UserWarning, match=r"shift.default is skipped: it is not finished: 1 slices"):
        assert results.load_runs().empty
    again = Segmenter(truth)
    table = results.evaluate(again, stack, About("shift", code="same"))
    assert again.asked == [2, 3]
    assert sorted(table["slice"].unique()) == [1, 2, 3]
    assert len(results.load_runs()) == len(table)


def test_lost_scores_and_damaged_maps_are_made_again(stack, truth):
    before = results.evaluate(Segmenter(truth), stack, "shift")
    folder = results_dir() / "own/smoke/shift/default"
    (folder / "table.csv").write_text("nonsense")
    (folder / "maps/labels_0003.tif").write_bytes(b"II*")
    again = Segmenter(truth)
    after = results.evaluate(again, stack, "shift")
    assert again.asked == [3]
    keep = before["metric"] != "seconds"
    left = after[after["metric"] != "seconds"].reset_index(drop=True)
    pd.testing.assert_frame_equal(before[keep].reset_index(drop=True), left)


def test_another_run_of_that_name_is_never_lost(stack, truth):
    results.evaluate(Segmenter(truth), stack, About("shift", seed=1))
    with pytest.raises(ValueError, match=r"seed is 1 there, 2 here.*[Gg]ive this run another name"):
        results.evaluate(Segmenter(truth), stack, About("shift", seed=2))
    again = Segmenter(truth)
    results.evaluate(again, stack, About("shift", seed=2), overwrite=True)
    assert again.asked == [1, 2, 3]
    assert results.records()["seed"].tolist() == [2]


@pytest.fixture
def brighter(stack):
    """Return another cell of the same name, shape and slices, with the same ground truth."""
    return replace(stack, _image=lambda number: stack.image(number) + np.uint8(1))


def test_another_cell_never_gets_this_ones_scores(stack, brighter, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    with pytest.raises(ValueError, match=r"other pictures: another slice 1 than that of toy"):
        results.evaluate(Segmenter(truth), brighter, "shift")
    with pytest.raises(ValueError, match=r"slice 2, which toy does not have"):
        results.evaluate(Segmenter(truth), replace(stack, slice_numbers=(1,)), "shift")
    again = Segmenter(truth)
    results.evaluate(again, brighter, "shift", overwrite=True)
    assert again.asked == [1, 2, 3]
    back = Segmenter(truth)
    results.evaluate(back, replace(stack, name="another name"), "shift", overwrite=True)
    assert back.asked == [1, 2, 3]


def test_two_data_sets_of_one_name_are_two(truth):
    given = {"voxel_nm": (50, 10, 10)}
    other = np.roll(truth, 5, axis=2)
    results.evaluate(Segmenter(truth), data.open_stack(truth * 50, labels=truth, **given), "m")
    table = results.evaluate(
        Segmenter(truth), data.open_stack(other * 50, labels=other, **given), "m", overwrite=True
    )
    found = results.by_slice(results.select(table, window=None)).loc[1].item()
    shifted = np.roll(truth[0], 2, axis=1) == Label.NUCLEUS
    assert found == pytest.approx(jaccard_of_masks(shifted, other[0] == Label.NUCLEUS))


def test_a_corrected_ground_truth_is_scored_anew_from_the_same_label_maps(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    corrected = replace(stack, _labels=lambda number: np.roll(truth[number - 1], 2, axis=1))
    again = Segmenter(truth)
    table = results.evaluate(again, corrected, "shift")
    assert again.asked == []
    assert results.by_slice(results.select(table, window=None)).loc[[1, 2]].eq(1).all(axis=None)
    assert results.load_runs().equals(table.assign(source="own", profile="smoke"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"slices": [1, 2, 3]}', "{}"])
@pytest.mark.parametrize("name", ["record.json", "maps/label-maps.json"])
def test_a_damaged_or_foreign_file_counts_as_nothing_known(stack, truth, name, content):
    before = results.evaluate(Segmenter(truth), stack, "shift")
    folder = results_dir() / "own/smoke/shift/default"
    (folder / name).write_text(content)
    (folder / "maps/Thumbs.db").write_bytes(b"not ours")
    again = Segmenter(truth)
    after = results.evaluate(again, stack, "shift", overwrite=True)
    assert again.asked == [1, 2, 3]
    times = before["metric"] == "seconds"
    pd.testing.assert_frame_equal(before[~times], after[~times])
    assert (folder / "maps/Thumbs.db").read_bytes() == b"not ours"
    (folder / "maps/label-maps.json").unlink()
    results.evaluate(Segmenter(truth), stack, "shift", overwrite=True)


def test_results_are_read_where_nothing_can_be_written(stack, truth, monkeypatch):
    before = results.evaluate(Segmenter(truth), stack, "shift")

    def read_only(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("touch", "mkdir", "write_bytes", "write_text", "unlink"):
        monkeypatch.setattr(Path, name, read_only)
    pd.testing.assert_frame_equal(results.evaluate(Segmenter(truth), stack, "shift"), before)
    assert results.label_maps("shift", "default", source="own").numbers == WANTED
    assert len(results.load_runs()) == len(before)
    with pytest.raises(StorageError, match=r"its folder is read-only\. Set HELA_DATA_DIR"):
        results.evaluate(Segmenter(truth), stack, "another")


def test_a_copied_folder_is_named_and_skipped(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    folder = results_dir() / "own/smoke/shift/default"
    copytree(folder, folder.with_name("default (copy)"))
    with pytest.warns(UserWarning, match=r"default \(copy\) is skipped: .*copied or renamed"):
        table = results.load_runs()
    results.select(table, window=None)


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from helpers import data, results
from helpers.results import About

truth = np.full((3, 40, 50), 3, np.uint8)
truth[:, 10:30, 10:40] = 2
stack = data.open_stack(truth * 50, voxel_nm=(50, 10, 10), labels=truth, name="toy")
seed = int(sys.argv[1])

def segment(image, number):
    print("segments", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.02)
    return np.full_like(image, seed)

results.evaluate(segment, stack, About("m", seed=seed, code="same"), overwrite=True)
print("done", seed)
"""


def test_one_process_writes_at_a_time_and_the_other_says_for_whom_it_waits(settings, tmp_path):
    environment = {
        **os.environ,
        "HELA_DATA_DIR": str(settings.data_dir),
        "HELA_PROFILE": "smoke",
        "PYTHONPATH": str(HERE.parent),
    }

    def start(seed):
        command = [sys.executable, "-u", "-c", WRITER, str(seed), str(tmp_path / "go")]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    with start(1) as first:
        assert first.stdout.readline() == "segments\n"
        with start(2) as second:
            waits = second.stdout.readline()
            (tmp_path / "go").touch()
            assert second.stdout.read().endswith("done 2\n")
        assert first.stdout.read().endswith("done 1\n")
    assert waits.startswith(f"Waiting for process {first.pid}, which evaluates m, default, in ")
    record, _ = read_run(results_dir() / "own/smoke/m/default")
    maps = results.label_maps("m", "default", source="own")
    assert maps.numbers == (1, 2, 3)
    assert maps.identity["seed"] == record.seed
    for number in maps.numbers:
        assert (maps.read(number) == record.seed).all()


def test_a_changed_function_is_another_run(stack):
    def nothing(image):
        return np.full(image.shape, Label.CELL, np.uint8)

    def everything(image):
        return np.full(image.shape, Label.NUCLEUS, np.uint8)

    results.evaluate(nothing, stack, "mine")
    with pytest.raises(ValueError, match="code is "):
        results.evaluate(everything, stack, "mine")
    with pytest.raises(ValueError, match=r"cannot be told when this method changes.*code="):
        results.evaluate(max, stack, "built in")


def test_one_slice_at_a_time_is_in_memory():
    stack = data.open_stack(
        np.full((9, 30, 30), 3, np.uint8),
        voxel_nm=(50, 10, 10),
        labels=np.full((9, 30, 30), 3, "u1"),
    )
    given, alive = [], []

    def segmenter(image):
        alive.append(sum(ref() is not None for ref in given))
        labels = image.copy()
        given.extend([weakref.ref(image), weakref.ref(labels)])
        return labels

    results.evaluate(segmenter, stack, "copy")
    assert len(alive) == 9
    assert max(alive) <= 1  # the labels of the slice before


def test_slices_can_be_added(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift", slices=[1])
    more = Segmenter(truth)
    table = results.evaluate(more, stack, "shift", slices=[3])
    assert more.asked == [3]
    assert table["slice"].unique().tolist() == [3]
    assert results.load_runs()["slice"].unique().tolist() == [1, 3]


def test_scores_made_otherwise_are_made_again_from_the_label_maps(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    again = Segmenter(truth)
    results.evaluate(again, stack, "shift", slices=[2], classes=[Label.NUCLEUS])
    assert again.asked == []
    table = results.load_runs()
    assert set(table["class"]) == {"nucleus", "all"}
    assert set(table.loc[table["class"] == "all", "metric"]) == {"seconds"}
    assert table["slice"].unique().tolist() == [1, 2, 3]


def test_training_slices_are_marked(stack, truth):
    known = results.evaluate(Segmenter(truth), stack, About("a", training_slices=[2]))
    assert known.groupby("slice")["training"].first().tolist() == [False, True, False]
    unknown = results.evaluate(Segmenter(truth), stack, About("b", training_slices=None))
    assert unknown["training"].isna().all()
    table = results.load_runs()
    assert selection.summary(results.select(table, window=None))["training"].tolist() == [
        "1 of 2",
        "not known which",
    ]
    only_test = selection.summary(results.select(table, window=None, test_only=True))
    assert only_test["slices"].tolist() == [1]
    assert only_test["training"].tolist() == ["none"]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda m: m[:-1], ValueError, r"slice 1 have shape \(39, 50\); the slice has \(40, 50\)"),
        (lambda m: m == 2, TypeError, r"slice 1 have dtype bool; allowed is uint8.*ids="),
        (lambda m: m.astype(float), TypeError, "slice 1 have dtype float64"),
        (lambda m: m * 51, ValueError, "slice 1 have numbers up to 204; allowed are 1 to 4"),
        (lambda m: None, ValueError, r"slice 1 have shape \(\)"),
    ],
)
def test_what_is_no_label_map_is_refused(stack, truth, wrong, error, message):
    with pytest.raises(error, match=message):
        results.evaluate(lambda image: wrong(truth[0]), stack, About("x", code="x"))


def test_a_stack_without_truth_names_the_slice(truth):
    bare = data.open_stack(truth, voxel_nm=(50, 10, 10))
    with pytest.raises(ValueError, match=r"no ground truth \(one nucleus\) of slice 1"):
        results.evaluate(lambda image: image, bare, "x")


def _write_tiff(path, labels):
    tifffile.imwrite(path.with_suffix(".tif"), labels)


def _write_png(path, labels):
    Image.fromarray(labels).save(path.with_suffix(".png"))


def _write_matlab(path, labels):
    scipy.io.savemat(path.with_suffix(".mat"), {"seg": labels.astype(float), "n": 3.0})


@pytest.mark.parametrize("write", [_write_tiff, _write_png, _write_matlab])
def test_label_maps_from_elsewhere(stack, truth, tmp_path, write):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for number in WANTED:
        write(folder / f"cell_7_z{number:04d}", truth[number - 1] * np.uint8(10))
    ids = {10: 1, 20: Label.NUCLEUS, 30: 3, 40: 4}
    table = results.evaluate(folder, stack, "theirs", ids=ids)
    jaccard = table[table["metric"] == "jaccard"]["value"]
    assert (jaccard.dropna() == 1).all()
    assert not (table["metric"] == "seconds").any()

    del ids[20]
    with pytest.raises(ValueError, match=r"slice 1 has the numbers 20(\.0)?, which ids does not"):
        results.evaluate(folder, stack, "other", ids=ids)


def test_palette_numbers_are_the_labels(stack, truth, tmp_path):
    picture = Image.new("P", truth[0].shape[::-1])
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    picture.frombytes(truth[0].tobytes())
    picture.save(tmp_path / "slice_1.png")
    np.testing.assert_array_equal(data.open_labels(tmp_path).read(1), truth[0])


def test_label_maps_that_changed_are_scored_again(stack, truth, tmp_path):
    for number in WANTED:
        _write_tiff(tmp_path / f"{number}", truth[number - 1])
    results.evaluate(tmp_path, stack, "theirs")
    _write_tiff(tmp_path / "2", np.roll(truth[1], 2, axis=1))
    table = results.evaluate(tmp_path, stack, "theirs")
    found = results.by_slice(results.select(table, window=None))
    assert found.to_numpy().ravel().tolist() == [1, pytest.approx(22 / 26)]


def test_our_own_label_maps(stack, truth, tmp_path):
    maps = LabelMaps(tmp_path / "maps", {"seed": 1})
    for number in (1, 3):
        maps.write(number, truth[number - 1])
    with pytest.raises(ValueError, match=r"lacks the slices 2; .* those it has: 1, 3"):
        results.evaluate(maps, stack, "volume")
    table = results.evaluate(maps, stack, About("volume", seconds_per_slice=0.5), slices=[1, 3])
    assert table["slice"].unique().tolist() == [1, 3]
    assert results.records()["seconds_per_slice"].tolist() == [0.5]


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "z_4.tif").write_bytes(b"II*")
    with pytest.raises(ValueError, match=r"z_4\.tif cannot be read"):
        data.open_labels(tmp_path)
    (tmp_path / "z_4.tif").unlink()
    scipy.io.savemat(tmp_path / "z_5.mat", {"a": np.eye(3) + 2, "b": np.eye(3) + 2})
    with pytest.raises(ValueError, match="variable is None; two-dimensional ones are: a, b"):
        data.open_labels(tmp_path)
    assert data.open_labels(tmp_path, variable="b").read(5).shape == (3, 3)
    with pytest.raises(ValueError, match=r"has no slice 4; it has 5"):
        data.open_labels(tmp_path, variable="b").read(4)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "end.", " x", "é", "a" * 81])
def test_names_must_be_fit_for_a_folder(stack, name):
    with pytest.raises(ValueError, match=r"method is .* allowed are up to 80 letters"):
        results.evaluate(lambda image: image, stack, name)


def test_damaged_and_foreign_folders_are_named_and_skipped(stack, truth):
    for method in ("good", "no record", "bad record", "bad table", "short table"):
        results.evaluate(Segmenter(truth), stack, method)
    top = results_dir() / "own/smoke"
    (top / "no record/default/record.json").unlink()
    (top / "bad record/default/record.json").write_text('{"method": 1}')
    (top / "bad table/default/table.csv").write_text("a,b\n1,2\n")
    table = top / "short table/default/table.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:10]))
    (top / "foreign/folder").mkdir(parents=True)
    (top / "a file").write_text("")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert set(results.load_runs()["method"]) == {"good"}
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 5
    for name in ("no record", "bad record", "bad table", "short table", "foreign"):
        assert any(name in text and "is skipped" in text for text in texts)


def test_profiles_and_sources_do_not_mix(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    with using(profile="quick"):
        assert results.load_runs().empty
        results.evaluate(Segmenter(truth), stack, "shift")
        assert set(results.load_runs()["profile"]) == {"quick"}
        both = results.load_runs(profile="all")
        assert set(both["profile"]) == {"quick", "smoke"}
        assert results.load_runs(source="sample").empty
    with pytest.raises(ValueError, match="slice 1 of shift, run default, twice"):
        results.by_slice(results.select(both, window=None))


def test_an_interrupt_keeps_what_is_done(stack, truth, monkeypatch):
    class Interrupted(Segmenter):
        def __call__(self, image, number):
            if number == 3:
                raise KeyboardInterrupt
            return super().__call__(image, number)

    monkeypatch.setattr(evaluation, "SAVE_EVERY_S", 0)
    with pytest.raises(KeyboardInterrupt):
        results.evaluate(Interrupted(truth), stack, About("i", code="same"))
    again = Segmenter(truth)
    results.evaluate(again, stack, About("i", code="same"))
    assert again.asked == [3]


def test_tables_survive_a_file(tmp_path):
    table = tables.as_table(
        [
            {
                "method": "NA",
                "run": "1",
                "origin": "computed",
                "slice": 1,
                "metric": "jaccard",
                "class": "nucleus",
                "value": value,
                "present": True,
                "training": training,
            }
            for value, training in ((0.1 + 0.2, None), (np.nan, False))
        ]
    )
    (tmp_path / "t.csv").write_bytes(write_csv(table))
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), table)
    with pytest.raises(ValueError, match="no column value, present, training"):
        tables.as_table([dict.fromkeys(tables.COLUMNS[:6], "1")])


@pytest.mark.parametrize(("metric", "value"), [("jaccard", 9999), ("dice", -1), ("seconds", "inf")])
def test_a_score_that_cannot_be_is_not_believed(stack, truth, metric, value):
    results.evaluate(Segmenter(truth), stack, "shift")
    path = results_dir() / "own/smoke/shift/default/table.csv"
    table = pd.read_csv(path, keep_default_na=False)
    table["value"] = table["value"].astype(str)
    table.loc[table.index[table["metric"] == metric][0], "value"] = str(value)
    path.write_text(table.to_csv(index=False))
    with pytest.warns(UserWarning, match=f"is skipped: {metric} of slice .*which no score can be"):
        assert results.load_runs().empty


@pytest.mark.parametrize(
    ("entry", "value"),
    [("slices", 5), ("method", None), ("parameters", []), ("pictures", {"1": 2}), ("seed", True)],
)
def test_a_record_of_other_types_is_named_and_skipped(stack, truth, entry, value):
    results.evaluate(Segmenter(truth), stack, "shift")
    path = results_dir() / "own/smoke/shift/default/record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), entry: value}))
    with pytest.warns(UserWarning, match=f"is skipped: .*of the wrong type: {entry}"):
        assert results.load_runs().empty


def test_a_record_with_other_entries_is_refused(stack, truth):
    results.evaluate(Segmenter(truth), stack, "shift")
    folder = results_dir() / "own/smoke/shift/default"
    record = read_run(folder)[0]
    content = json.loads((folder / "record.json").read_text())
    assert content.keys() - record.__dict__.keys() == {"digest_of_record", "digest_of_table"}
    with pytest.raises(ValueError, match="entries it should: colour"):
        Record.from_json({**record.__dict__, "colour": 1})


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("record.json", '"seed": null', '"seed": 7', r"record\.json is not as it was written"),
        ("table.csv", "accuracy,all,0.9", "accuracy,all,0.8", r"table\.csv is not as it was"),
    ],
)
def test_what_was_changed_on_disk_is_skipped_by_name(stack, truth, name, old, new, said):
    results.evaluate(Segmenter(truth), stack, "shift")
    path = results_dir() / "own/smoke/shift/default" / name
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    with pytest.warns(UserWarning, match=rf"shift/default is skipped: {said}.*Evaluate the run"):
        assert results.load_runs(source="own").empty


def _rows(method, values, present, metric="jaccard", origin="computed"):
    return tables.as_table(
        {
            "method": method,
            "run": "r",
            "origin": origin,
            "slice": np.arange(1, len(values) + 1),
            "metric": metric,
            "class": "nucleus",
            "value": values,
            "present": present,
            "training": pd.array([False] * len(values), dtype="boolean"),
        }
    )


def test_runs_can_be_chosen_and_ordered(stack, truth):
    for name in ("a", "b", "c"):
        results.evaluate(Segmenter(truth), stack, name)
    only = [("c", "default"), ("a", "default"), ("none", "default")]
    assert list(results.load_runs(only=only)["method"].unique()) == ["c", "a"]
    assert results.records(only=only)["method"].tolist() == ["c", "a"]


def test_a_selection_knows_its_slices(stack, truth):
    table = results.evaluate(Segmenter(truth), stack, About("a", training_slices=[2]))
    chosen = results.select(table, window=None)
    assert (chosen.slices, chosen.training_slices, chosen.test_slices) == ([1, 2], [2], [1])


def test_summary_says_what_it_averages():
    a = _rows("a", [np.nan, 0.5, 0.7, 0.9], [False, True, True, True])
    b = _rows("b", [0.0, 0.4, np.nan], [False, True, True])
    table = pd.concat([a, b])
    out = selection.summary(results.select(table, window=None))
    assert out["mean"].tolist() == pytest.approx([0.7, 0.4])
    assert out["slices"].tolist() == [3, 1]
    assert out["undefined"].tolist() == [0, 1]
    assert out["missing"].tolist() == [0, 1]
    assert out["window"].tolist() == ["all: 2-4", "all: 2-2"]
    assert out["no nucleus"].tolist() == ["1 left out"] * 2
    zero = selection.summary(results.select(table, window=(1, 2), without=selection.PAPER_RULE))
    assert zero["mean"].tolist() == [0.25, 0.2]
    assert zero["no nucleus"].tolist() == ["1 count 0"] * 2
    assert zero["window"].tolist() == ["1-2"] * 2
    given = selection.summary(results.select(table, window=(1, 2), without=selection.AS_GIVEN))
    assert given["mean"].tolist() == [0.5, 0.2]
    assert given["undefined"].tolist() == [1, 0]
    inside = selection.summary(results.select(table, window=(2, 4), slices=(n for n in (2, 4))))
    assert inside["mean"].tolist() == pytest.approx([0.7, 0.4])
    assert inside["no nucleus"].tolist() == ["none in it"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "beauty"}, "metric is 'beauty'; allowed are jaccard"),
        ({"label": Label.CELL}, "class of jaccard is 'cell'; allowed are nucleus"),
        ({"window": (9, 3)}, "first slice must not be after the last"),
        ({"window": (50, 60)}, r"no slice of jaccard, nucleus, lies in window \(50, 60\)"),
        ({"without": "ignore"}, "without is 'ignore'; allowed are leave out, as given"),
        ({"without": float("nan")}, "without is nan"),
    ],
)
def test_summary_refuses_what_it_cannot_average(arguments, message):
    table = _rows("a", [0.5, 0.7], [True, True])
    with pytest.raises(ValueError, match=message):
        selection.summary(results.select(table, **{"window": None, **arguments}))
