"""Links to a part of the data, and what is told at the end of all tests."""

import json
from types import SimpleNamespace

import report_tests
from link_data import link, slice_of

NAMES = [
    "hela/Figures/of_2022_135000_71.png",
    "hela/Figures/of_2022_135000_82.png",
    "hela/Figures/of_118.png",
    "hela/Figures/curves3.fig",
    "hela/Truth/GT_Slice_070.mat",
    "hela/Truth/GT_Slice_071.mat",
    "hela/Truth/GT_Slice_082.mat",
    "README.md",
]


def test_half_of_the_data_leaves_out_whole_slices(tmp_path):
    for name in NAMES:
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_text(name)
    assert sorted(link(tmp_path / "all", tmp_path / "same")) == sorted(NAMES)
    assert (tmp_path / "same" / NAMES[0]).read_text() == NAMES[0]
    half = link(tmp_path / "all", tmp_path / "half", half=True)
    assert sorted(half) == sorted(name for name in NAMES if slice_of(tmp_path / name) != 82)


def test_the_report_says_what_was_seen_and_why_something_was_skipped(tmp_path):
    start = next(iter(report_tests.KINDS))
    names = [f"{start}{number}.mat" for number in range(3)]
    (tmp_path / start).mkdir(parents=True)
    (tmp_path / names[1]).write_text("")
    reports = {
        "helpers": {
            "passed": 7,
            "failed": 0,
            "skipped": 3,
            "reasons": {"no browser": 1, "needs slice 5": 2},
            "data": str(tmp_path),
        },
        "site": {"passed": 2, "failed": 1, "skipped": 0, "reasons": {}, "data": ""},
    }
    lines = report_tests.tell(reports, names)
    assert lines[:2] == ["Data of helpers:", "  1 of 3 files: ground truth of one nucleus"]
    assert "  no real data: HELA_DATA_DIR is not set" in lines
    at = lines.index("helpers: 7 passed, 0 failed, 3 skipped")
    assert lines[at + 1 : at + 3] == ["  2 skipped: needs slice 5", "  1 skipped: no browser"]
    assert lines[-1] == "total: 9 passed, 1 failed, 3 skipped"


def test_what_a_part_gave_is_kept_under_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(report_tests, "REPORTS", tmp_path / "kept")
    monkeypatch.delenv("PART", raising=False)
    report_tests.keep(3, 0, [])
    assert not (tmp_path / "kept").exists()
    monkeypatch.setenv("PART", "notebooks")
    report_tests.keep(12, 1, ["no browser", "no browser"])
    kept = json.loads((tmp_path / "kept" / "notebooks.json").read_text())
    assert (kept["passed"], kept["failed"], kept["skipped"]) == (12, 1, 2)
    assert kept["reasons"] == {"no browser": 2}


def test_a_reason_is_one_line():
    report = SimpleNamespace(longrepr=("test.py", 3, "Skipped: it does not run: a line\nand more"))
    assert report_tests.reason_of(report) == "it does not run: a line"
