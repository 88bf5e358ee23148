"""The command: from slices to masks, measures and a page, and scores; and how it ends."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from drawn_stack import COUNT, VOXEL_NM, drawn_slice, drawn_stack
from typer.testing import CliRunner

import helpers
from helpers import scoring, segmenting
from helpers.cache import locked
from helpers.command import BAD_INPUT, DOUBTS, app
from helpers.labels import Label

NUMBERS = range(3, COUNT + 3)  # the slices' own, not from 1
SIZE = ("--voxel-nm", *(f"{length:g}" for length in VOXEL_NM))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Slices of 16 bits and their ground truth, as a microscopist has them."""
    top = tmp_path_factory.mktemp("own")
    for name in ("raw", "truth", "mask"):
        (top / name).mkdir()
    for place, number in enumerate(NUMBERS, start=1):
        image, labels = drawn_slice(place)
        grain = np.random.default_rng(number).normal(0, 200, image.shape)  # resin is not even
        deep = (image * 100.0 + 900 + grain).astype(np.uint16)
        tifffile.imwrite(top / f"raw/cell_{number:04d}.tif", deep)
        tifffile.imwrite(top / f"truth/t_{number:04d}.tif", labels)
        mask = (labels == Label.NUCLEUS) * np.uint8(255)
        tifffile.imwrite(top / f"mask/m_{number:04d}.tif", mask)
    return top


@pytest.fixture(scope="module")
def done(folders):
    """Run the command once; the tests look at what it left."""
    return run("segment", folders / "raw", *SIZE, "--out", folders / "out"), folders / "out"


def run(*arguments):
    extra = ("--workers", "1", "--quiet") if arguments[0] == "segment" else ()
    found = CliRunner().invoke(app, [*map(str, arguments), *extra], catch_exceptions=False)
    return found.exit_code, found.output


def test_slices_in_results_out(done):
    (code, output), out = done
    assert code in (0, DOUBTS), output
    assert "Grey levels: uint16" in output
    assert "volume:" in output
    maps = sorted(path.name for path in (out / "labels").glob("*.tif"))
    assert maps == [f"labels_{number:04d}.tif" for number in NUMBERS]
    number = NUMBERS[len(NUMBERS) // 2]
    labels, mask = (
        out / f"labels/labels_{number:04d}.tif",
        out / f"masks/nucleus_{number:04d}.tif",
    )
    nucleus = tifffile.imread(labels) == Label.NUCLEUS
    np.testing.assert_array_equal(tifffile.imread(mask), nucleus * np.uint8(255))
    for path in (labels, mask):
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            assert page.get_resolution("centimeter")[0] == 1e7 / VOXEL_NM[1]
            assert (page.colormap is not None) == (path == labels)
    with tifffile.TiffFile(labels) as tiff:  # nucleus is green, as in the paper
        assert tiff.pages[0].colormap[:, Label.NUCLEUS].tolist() == [0, 0xFFFF, 0]


def test_the_table_adds_up(done):
    _, out = done
    table = pd.read_csv(out / "nucleus.csv")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert table["slice"].tolist() == [*NUMBERS]
    assert table["volume_um3"].sum() == pytest.approx(summary["volume_um3"], rel=1e-4)
    assert summary["slices_with_nucleus"] == (table["area_um2"] > 0).sum()
    assert summary["voxel_nm"] == [*VOXEL_NM]
    assert summary["decided_when_opened"][0].startswith("Grey levels")
    inside = table.set_index("slice").loc[NUMBERS[12], "grey_mean"]
    assert 100 < inside < 255
    truth = sum(np.sum(drawn_slice(n)[1] == Label.NUCLEUS) for n in range(1, COUNT + 1))
    true_um3 = truth * np.prod(VOXEL_NM) / 1e9
    assert summary["volume_um3"] == pytest.approx(true_um3, rel=0.1)


def test_the_page_needs_no_network(done):
    _, out = done
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "hela-surface" in page
    assert "hela-gallery" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_same_again_computes_nothing_and_ends_with_the_same_files(folders, done, monkeypatch):
    (code, _), out = done
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    monkeypatch.setattr(
        "helpers.volume.passes._prepare_and_look", lambda *given: pytest.fail("computed")
    )
    again, output = run("segment", folders / "raw", *SIZE, "--out", out)
    assert again == code, output
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


@pytest.mark.parametrize("at", ["labels/labels_*.tif", "masks/nucleus_*.tif"])
def test_a_run_that_was_killed_ends_with_the_same_files(folders, done, tmp_path, at):
    (code, _), whole = done
    out = tmp_path / "out"
    command = [sys.executable, "-m", "helpers", "segment", folders / "raw", *SIZE, "--out", out]
    killed = subprocess.Popen([*map(str, command), "--workers", "1", "--quiet"])
    try:
        until = time.monotonic() + 120
        while not list(out.glob(at)):
            assert killed.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.001)
    finally:
        killed.kill()
        killed.wait()
    assert not (out / "report.html").exists(), "it was killed before its end"
    again, output = run("segment", folders / "raw", *SIZE, "--out", out)
    assert again == code, output
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")}
    assert files == {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.*")}


def test_one_writer_at_a_time_in_a_folder(tmp_path):
    holds, may_end, ended = threading.Event(), threading.Event(), []

    def hold():
        with locked(tmp_path, "segments the same"):
            holds.set()
            may_end.wait(60)
            ended.append(not (tmp_path / "nucleus.csv").exists())

    other = threading.Thread(target=hold)
    other.start()
    assert holds.wait(10)
    threading.Timer(1, may_end.set).start()
    helpers.segment(drawn_stack(), tmp_path, every=4, workers=1, progress=False)
    other.join()
    assert ended == [True], "nothing was written while the folder was another's"
    assert (tmp_path / "nucleus.csv").exists()


def test_masks_of_a_run_that_is_replaced_do_not_stay(tmp_path):
    for every in (1, 2):
        found = helpers.segment(
            drawn_stack(), tmp_path, every=every, workers=1, progress=False, overwrite=True
        )
        masks = sorted(path.name for path in (tmp_path / "masks").iterdir())
        assert masks == [f"nucleus_{number:04d}.tif" for number in found.stack.slice_numbers]


def test_another_run_does_not_mix_with_it(folders, done):
    _, out = done
    given = ("segment", folders / "raw", *SIZE, "--out", out, "--crop", "0:160,0:170")
    code, output = run(*given)
    assert code == BAD_INPUT
    assert "has label maps of another run" in output
    assert "--overwrite" in output


def test_dry_run_writes_nothing(folders, tmp_path):
    code, output = run(
        "segment", folders / "raw", *SIZE, "--out", tmp_path / "out", "--every", "3", "--dry-run"
    )
    assert code == 0
    assert "8 slices, 3 to 24, of 180 x 170 pixels; voxel 300 x 40 x 40 nm" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "voxel_nm is needed"),
        (("--voxel-nm", "0.3", "0.04", "0.04"), "this looks like um: 300, 40, 40?"),
        ((*SIZE, "--crop", "9:3,0:5"), "crop is '9:3,0:5'"),
        ((*SIZE, "--channel", "2"), "there are none to choose from"),
        ((*SIZE, "--centre", "99"), "centre is 99"),
        ((*SIZE, "--pattern", "x"), "it needs one, around the slice number"),
        (("--mode", "best"), "best"),
        ((*SIZE, "--every", "0"), "every"),
    ],
)
def test_bad_input_ends_with_its_code_and_a_reason(folders, tmp_path, given, words):
    code, output = run("segment", folders / "raw", "--out", tmp_path / "out", *given)
    assert (code, words in output) == (BAD_INPUT, True), output
    assert "Traceback" not in output


def test_nothing_at_the_path(tmp_path):
    code, output = run("segment", tmp_path / "none", *SIZE, "--out", tmp_path / "out")
    assert (code, "there is no file or folder" in output) == (BAD_INPUT, True)


def test_what_is_doubtful_is_said_and_has_its_code(folders, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        noise = rng.integers(90, 110, (120, 120), dtype=np.uint8)
        tifffile.imwrite(tmp_path / f"s_{number}.tif", noise)
    code, output = run("segment", tmp_path, *SIZE, "--out", tmp_path / "out")
    assert code == DOUBTS, output
    assert "In doubt" in output
    summary = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert summary["doubts"]
    assert summary["sphericity"] is None
    assert summary["why_a_measure_is_missing"] == "No slice has any nucleus."


def test_a_damaged_slice_stops_or_is_left_out(folders, tmp_path):
    for number in (3, 4, 5, 6, 7):
        source = folders / f"raw/cell_{number:04d}.tif"
        (tmp_path / source.name).write_bytes(source.read_bytes()[: None if number != 5 else -9000])
    given = ("segment", tmp_path, *SIZE, "--out", tmp_path / "out")
    code, output = run(*given)
    assert (code, "Slice 5 cannot" in output or "slice 5, " in output) == (BAD_INPUT, True), output
    assert "--skip-damaged" in output
    code, output = run(*given, "--skip-damaged")
    assert code == DOUBTS, output
    assert "slice left out" in output
    assert pd.read_csv(tmp_path / "out/nucleus.csv")["slice"].tolist() == [3, 4, 6, 7]


# --- scores ---------------------------------------------------------------------------------------


def test_scores_of_a_result(folders, done, tmp_path):
    _, out = done
    code, output = run("evaluate", out, folders / "truth", "--out", tmp_path / "scores.csv")
    assert code == 0, output
    assert "nucleus" in output
    assert "hausdorff_95_nm" in output
    scores = pd.read_csv(tmp_path / "scores.csv")
    nucleus = scores.query("metric == 'jaccard' and `class` == 'nucleus' and present")
    assert nucleus["value"].mean() > 0.85
    # Against a mask the nucleus alone is scored, and to the same values.
    code, output = run(
        *("evaluate", out, folders / "mask", "--ids", "nucleus"), "--out", tmp_path / "mask.csv"
    )
    assert code == 0, output
    against_mask = pd.read_csv(tmp_path / "mask.csv").query("metric == 'jaccard' and present")
    assert against_mask["value"].tolist() == nucleus["value"].tolist()


def test_what_scores_cannot_mean_is_refused_or_doubted(folders, done):
    _, out = done
    code, output = run("evaluate", out, folders / "mask")
    assert (code, "--ids 'nucleus'" in output) == (BAD_INPUT, True), output
    code, output = run("evaluate", out, folders / "truth", "--classes", "nuclei")
    assert (code, "class is 'nuclei'; allowed are" in output) == (BAD_INPUT, True), output
    swapped = "1=envelope,2=cell,3=nucleus,4=background"
    code, output = run("evaluate", out, folders / "truth", "--ids", swapped)
    assert code == DOUBTS, output
    assert "what TRUTH calls cell, RESULT calls nucleus" in output


def test_slices_are_joined_by_number(folders, done, tmp_path):
    _, out = done
    for number in range(1, 5):
        tifffile.imwrite(tmp_path / f"t_{number}.tif", drawn_slice(number)[1])
    code, output = run("evaluate", out, tmp_path)
    assert code == BAD_INPUT
    assert "RESULT has the slices 3 to 26 (24), TRUTH 1 to 4 (4)" in output
    whole = np.stack([drawn_slice(n)[1] for n in range(1, COUNT + 1)])
    with pytest.raises(ValueError, match="joined by number"):
        scoring.score(out, whole)
    longer = np.concatenate([whole[:2], whole])
    scored = scoring.score(out, longer)
    assert "TRUTH has no slice numbers of its own" in scored.doubts[0]
    assert scored.table.loc["nucleus", "jaccard"] > 0.85


# --- in Python, and installed ---------------------------------------------------------------------


def test_one_call_in_a_notebook(tmp_path, capsys):
    stack = np.stack([drawn_slice(n)[0] for n in range(6, 21, 2)])
    given = {"voxel_nm": (600, 40, 40), "workers": 1, "progress": False}
    found = helpers.segment(stack, tmp_path / "out", **given)
    assert isinstance(found, segmenting.Segmentation)
    assert "Segmentation of 8 slices" in repr(found)
    assert "hela-gallery" in found._repr_html_()
    assert found.maps.read(4).shape == stack.shape[1:]
    with pytest.raises(ValueError, match="a Stack is open already"):
        helpers.segment(found.stack, tmp_path / "out", voxel_nm=(1, 2, 3))
    missing = "segmant"
    with pytest.raises(AttributeError, match="has no attribute 'segmant'"):
        getattr(helpers, missing)


def test_the_module_is_the_command_and_needs_no_tensorflow():
    root = Path(__file__).resolve().parent.parent
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
        "sys.argv = ['hela', 'segment', '--help']; from helpers import scoring; "
        "import runpy; runpy.run_module('helpers', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "--voxel-nm" in found.stdout
