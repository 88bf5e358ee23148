"""The folder for a class, filled from a local server that fails as real ones do."""

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
    folders = [tmp_path / "notebooks", tmp_path / "students"]
    for folder in folders:
        folder.mkdir()
        (folder / "01_a.ipynb").write_text(folder.name)
    return folders


@pytest.fixture
def fill(tmp_path, mirror, notebooks, capsys):
    """Run the command on one folder; return exit status, README and what was printed."""

    def run(chosen=mirror):
        with using(chosen):
            status = fill_classroom.main([str(tmp_path / "class"), *map(str, notebooks)])
        readme = (tmp_path / "class" / "README.md").read_text()
        return status, readme, capsys.readouterr().out

    return run


def test_everything_once_and_then_nothing(fill, server, tmp_path, mirror):
    status, readme, printed = fill()

    assert status == 0
    assert readme.rstrip().endswith("Nothing.")
    assert "Missing" not in printed
    handed_out = replace(mirror, data_dir=tmp_path / "class" / "data", data_url=None)
    with using(handed_out):
        assert all(files.is_cached(name) for name in NAMES)
    assert all((handed_out.data_dir / name).is_file() for name in weights.names("vgg16"))
    for name in ("notebooks", "students"):
        assert (tmp_path / "class" / name / "01_a.ipynb").read_text() == name
        assert f"`{name}`" in readme

    server.seen.clear()
    assert fill()[0] == 0
    assert server.seen == []


def test_what_is_missing_is_named_with_what_it_means_and_can_be_had_later(
    fill, server, notebooks, tmp_path
):
    kept = dict(server.files)
    del server.files[FIGURE]
    server.files[TRUTHS[0]] = b"another version"
    del server.files["keras-applications/vgg16/weights.h5"]

    status, readme, printed = fill()

    assert status == 1
    assert "has the wrong hash" in printed
    assert str(tmp_path) not in readme
    for text in (readme.lower(), printed.lower()):
        assert "the paper's slices (1 of 1 files)" in text
        assert "run on the synthetic cell" in text
        assert "the ground truth (1 of 4 files)" in text
        assert "weights of vgg16" in text
        assert "curves (" not in text
        assert "run `make classroom` again" in text or "run make classroom again" in text

    server.files = kept
    server.seen.clear()
    (notebooks[0] / "01_a.ipynb").write_text("newer")
    status, readme, _ = fill()
    assert status == 0
    assert readme.rstrip().endswith("Nothing.")
    # Only what was missing.
    assert {path for _, path, _ in server.seen} == {
        FIGURE, TRUTHS[0], "keras-applications/vgg16/weights.h5"
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(cut_after=100), Fault(body=b"<html>log in</html>")]
)
def test_passing_faults_are_overcome(fill, server, fault):
    for name in NAMES:
        server.faults[name] = [fault]
    assert fill()[0] == 0


def test_the_whole_stack_only_when_asked_for(fill, server, mirror):
    status, readme, _ = fill(replace(mirror, source="full"))
    assert status == 1
    assert "The whole stack" in readme
    assert "HELA_SOURCE=full does not work" in readme


def test_offline_the_notebooks_are_there_all_the_same(fill, mirror, tmp_path):
    status, readme, _ = fill(replace(mirror, data_url="http://127.0.0.1:9"))
    assert status == 1
    assert (tmp_path / "class" / "students" / "01_a.ipynb").exists()
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
