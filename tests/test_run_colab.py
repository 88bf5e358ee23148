"""Chapters with Colab's versions: what `make test-colab` does apart from running them."""

import sys

import nbformat
import pytest
import run_colab


def notebook_of(folder, *codes):
    path = folder / "one.ipynb"
    cells = [nbformat.v4.new_code_cell(code) for code in codes]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_environment_needs_a_python_that_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no python9\.9.*COLAB_PYTHON"):
        run_colab.environment(tmp_path / "new", "python9.9")


def test_environment_that_suits_the_list_is_taken_as_it_is(tmp_path):
    text = run_colab.CONSTRAINTS.read_text(encoding="utf-8")
    (tmp_path / "made-with.txt").write_text(f"{sys.executable}\n{text}", encoding="utf-8")
    assert run_colab.environment(tmp_path, sys.executable) == tmp_path / "bin" / "python"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\r  0%|  | 0/3\r 33%|# | 1/3\r          \r", ""),
        ("\r  0%|  | 0/3\r100%|##| 3/3\n", "100%|##| 3/3"),
        ("cuInit failed\n", "cuInit failed"),
        ("", ""),
    ],
)
def test_a_bar_that_is_wiped_out_leaves_nothing(text, left):
    assert run_colab.without_overwritten(text) == left


def test_errors_and_noise_are_told_and_warnings_are_not(tmp_path, monkeypatch):
    monkeypatch.delenv("HELA_STATIC", raising=False)
    python = run_colab.Path(sys.executable)
    noise = "2026-02-25 04:13:16.02: E external/xla/cuda_platform.cc:51] failed call to cuInit"
    codes = [
        "import os, sys, warnings; warnings.warn('Slice 48 is left out.')",
        f"print({noise!r}, file=sys.stderr)",
        "assert os.environ['HELA_PROFILE'] == 'smoke'",
    ]
    told = run_colab.run(notebook_of(tmp_path, *codes), python, {"HELA_PROFILE": "smoke"})
    assert told == f"It leaves noise on standard error: {[noise]}"
    told = run_colab.run(notebook_of(tmp_path, *codes), python, {"HELA_PROFILE": "quick"})
    assert "AssertionError" in told
