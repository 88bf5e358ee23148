"""The folders for a class, filled from a local server that fails as real ones do."""

import hashlib
from dataclasses import replace

import fill_classroom
import pooch
import pytest
from server import Fault

from helpers import results
from helpers.data import figures, files
from helpers.data.published import _SECOND_CELL, published_name
from helpers.networks import weights
from helpers.settings import using

REAL_NAMES = files.names()
FIGURE = figures.panel_figure(118)
CURVES = "hela-unet2/CODE/Figures/Hela_segmentation_multinuclei_accuracy3.fig"
SLICE_OF_SECOND = "mitoem/CODE/OriginalImages/ROI_6005_4739_81_z0060.tif"
TRUTHS = [published_name(n, several_nuclei=several) for n in (1, 2) for several in (0, 1)]
NAMES = [FIGURE, CURVES, SLICE_OF_SECOND, *TRUTHS]


@pytest.fixture(autouse=True)
def published(monkeypatch, server):
    """Publish a few small files under real names, and weights of one network."""
    server.files = {name: name.encode() * 99 for name in NAMES}
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in server.files.items()}
    store = pooch.create(path="", base_url=f"{server.url}/", registry=hashes)
    monkeypatch.setattr(files, "_registry", lambda: store)
    weight = b"weights"
    address = "vgg16/weights.h5"
    monkeypatch.setattr(weights, "BACKBONES", {"vgg16_unet": "vgg16"})
    monkeypatch.setattr(
        weights, "_SINGLE_FILES", {"vgg16": (address, f"md5:{hashlib.md5(weight).hexdigest()}")}
    )
    server.files[f"keras-applications/{address}"] = weight


@pytest.fixture
def notebooks(tmp_path):
    folders = {"--students": tmp_path / "students", "--teacher": tmp_path / "notebooks"}
    for folder in folders.values():
        folder.mkdir()
        (folder / "01_a.ipynb").write_text(folder.name)
    return folders


@pytest.fixture
def fill(tmp_path, mirror, notebooks, capsys):
    """Run the command on one folder; return exit status, the teacher's README and the print."""

    def run(chosen=mirror, *arguments):
        asked = [str(part) for pair in notebooks.items() for part in pair]
        with using(chosen):
            status = fill_classroom.main([str(tmp_path / "class"), *asked, *arguments])
        readme = (tmp_path / "class" / "for-teacher" / "README.md").read_text()
        return status, readme, capsys.readouterr().out

    return run


@pytest.fixture
def trained(mirror):
    """Put what trainings leave into the teacher's data folder."""
    for name in fill_classroom.NETWORKS:
        folder = mirror.data_dir / "training" / f"{name}-sample-{mirror.profile}-1a2b"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text("{}")
        (folder / "model.weights.h5").write_text(name)
        (folder / ".lock").write_text("")
    scores = mirror.data_dir / "results" / "sample" / mirror.profile / "VGG16" / "skips"
    scores.mkdir(parents=True)
    (scores / "scores.csv").write_text("all")
    return mirror.data_dir


@pytest.mark.usefixtures("trained")
def test_everything_once_and_then_nothing(fill, server, tmp_path, mirror):
    status, readme, printed = fill()

    assert status == 0
    assert readme.rstrip().endswith("Nothing.")
    assert "Missing" not in printed
    students = tmp_path / "class" / "for-students"
    handed_out = replace(mirror, data_dir=students / "data", data_url=None)
    with using(handed_out):
        assert all(files.is_cached(name) for name in NAMES)
    assert all((handed_out.data_dir / name).is_file() for name in weights.names("vgg16"))
    assert (students / "notebooks" / "01_a.ipynb").read_text() == "students"
    assert (tmp_path / "class" / "for-teacher" / "notebooks" / "01_a.ipynb").read_text() == (
        "notebooks"
    )
    told = (students / "README.md").read_text()
    for name in ("start.py", "requirements.txt", "data", "notebooks"):
        assert (students / name).exists()
        assert f"`{name}`" in told
    assert "solutions" not in told

    server.seen.clear()
    assert fill()[0] == 0
    assert server.seen == []


def test_what_the_teacher_has_is_copied_and_not_downloaded(fill, trained, server, tmp_path):
    for name, body in server.files.items():
        (trained / name).parent.mkdir(parents=True, exist_ok=True)
        (trained / name).write_bytes(body)
    unfinished = trained / "training" / "vgg16_unet-sample-smoke-9f9f"
    unfinished.mkdir()
    (unfinished / "checkpoint.keras").write_text("half")
    other = trained / "training" / "vgg16_unet-sample-paper-1a2b"
    other.mkdir()
    (other / "record.json").write_text("{}")

    status, readme, _ = fill()

    assert (status, server.seen) == (0, [])
    assert readme.rstrip().endswith("Nothing.")
    data = tmp_path / "class" / "for-students" / "data"
    assert (data / NAMES[0]).read_bytes() == server.files[NAMES[0]]
    copied = sorted(path.name for path in (data / "training").iterdir())
    assert copied == sorted(f"{name}-sample-smoke-1a2b" for name in fill_classroom.NETWORKS)
    for folder in (data / "training").iterdir():
        assert sorted(path.name for path in folder.iterdir()) == ["model.weights.h5", "record.json"]
    assert (data / "results/sample/smoke/VGG16/skips/scores.csv").read_text() == "all"


def test_a_copy_with_the_wrong_hash_is_downloaded(fill, trained, server):
    (trained / FIGURE).parent.mkdir(parents=True)
    (trained / FIGURE).write_bytes(b"cut")
    assert fill()[0] == 0
    assert FIGURE in {path for _, path, _ in server.seen}


@pytest.mark.usefixtures("trained")
def test_what_is_missing_is_named_with_what_it_means_and_can_be_had_later(
    fill, server, notebooks, tmp_path
):
    kept = dict(server.files)
    del server.files[FIGURE]
    server.files[TRUTHS[0]] = b"another version"
    del server.files["keras-applications/vgg16/weights.h5"]

    status, readme, printed = fill()

    assert status == 0  # it can be used
    assert "has the wrong hash" in printed
    assert str(tmp_path) not in readme
    for text in (readme.lower(), printed.lower()):
        assert "the paper's slices (1 of 1 files)" in text
        assert "run on the synthetic cell" in text
        assert "the ground truth (1 of 4 files)" in text
        assert "weights of vgg16" in text
        assert "curves (" not in text
        assert "trained networks (" not in text
        assert "run `make classroom` again" in text or "run make classroom again" in text

    server.files = kept
    server.seen.clear()
    (notebooks["--students"] / "01_a.ipynb").write_text("newer")
    status, readme, _ = fill()
    assert status == 0
    assert readme.rstrip().endswith("Nothing.")
    assert (tmp_path / "class" / "for-students" / "notebooks" / "01_a.ipynb").read_text() == "newer"
    # Only what was missing.
    assert {path for _, path, _ in server.seen} == {
        FIGURE, TRUTHS[0], "keras-applications/vgg16/weights.h5"
    }  # fmt: skip


def test_networks_that_nobody_trained_are_named(fill):
    status, readme, printed = fill()
    assert status == 0
    for text in (readme, printed):
        assert "rained networks (vgg16_segnet, vgg16_unet, resnet18" in text
        assert "half an hour" in text
    assert "run make book" in printed


def test_wheels_that_cannot_be_had_are_a_failure(fill, mirror, monkeypatch, tmp_path):
    asked = []

    def download(folder, name, python):
        asked.append((folder.name, name, python))
        return "no network"

    monkeypatch.setattr(fill_classroom, "download_wheels", download)
    status, _, printed = fill(mirror, "--wheels", "--platform", "win_amd64")
    assert status == 1
    assert asked == [("for-students", "win_amd64", "3.12")]
    assert "Why: no network" in printed
    assert "the internet" in (tmp_path / "class/for-students/README.md").read_text()


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(cut_after=100), Fault(body=b"<html>log in</html>")]
)
def test_passing_faults_are_overcome(fill, server, fault):
    for name in NAMES:
        server.faults[name] = [fault]
    assert fill()[0] == 0


def test_the_whole_stack_only_when_asked_for(fill, server, mirror):
    status, readme, _ = fill(replace(mirror, source="full"))
    assert status == 0
    assert "The whole stack" in readme
    assert "HELA_SOURCE=full does not work" in readme


def test_offline_the_notebooks_are_there_all_the_same(fill, mirror, tmp_path):
    status, readme, _ = fill(replace(mirror, data_url="http://127.0.0.1:9"))
    assert status == 0
    assert (tmp_path / "class" / "for-students" / "notebooks" / "01_a.ipynb").exists()
    for part in fill_classroom.PARTS:
        assert part.without in readme


def test_the_parts_are_what_chapters_read(monkeypatch):
    monkeypatch.undo()
    covered = {name for part in fill_classroom.PARTS for name in part.names()}
    assert covered <= set(REAL_NAMES)
    assert {entry.figure for entry in figures.SAMPLE_SLICES.values()} <= covered
    assert {
        published_name(n, several_nuclei=several)
        for n in range(1, 301)
        for several in (False, True)
    } <= covered
    assert set(results.published.FIGURES.values()) <= covered
    assert {name for name in REAL_NAMES if name.startswith(_SECOND_CELL)} <= covered
