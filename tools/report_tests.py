"""What the parts of ``make test`` saw and skipped, told once at the end: a pytest plugin.

With ``-p report_tests`` pytest keeps what came out of a part in ``_build/test-report``, named by
the variable ``PART``; `tools/build_book.py` keeps what came out of the chapters.
``python tools/report_tests.py`` tells all of it.
"""

import collections
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "_build" / "test-report"
OUTCOMES = ("passed", "failed", "skipped")
# What the published files are, by how their names begin.
KINDS = {
    "hela-unet2/CODE/GroundTruth_4c/": "ground truth of one nucleus",
    "hela-unet2/CODE/GroundTruth_multiNuclei/": "ground truth of several nuclei",
    "hela-unet2/CODE/GroundTruth_5c/": "ground truth of the whole cell",
    "hela-unet2/CODE/GroundTruth_8000/": "ground truth of the field",
    "hela-unet2/CODE/Figures/": "figures with slices and curves",
    "mitoem/CODE/OriginalImages/": "slices of a second cell",
}


def pytest_terminal_summary(terminalreporter) -> None:
    """Keep what came out; of tests run side by side, only the process that shows them does."""
    found = {name: terminalreporter.stats.get(name, []) for name in (*OUTCOMES, "error")}
    failed = len(found["failed"]) + len(found["error"])
    keep(len(found["passed"]), failed, [reason_of(each) for each in found["skipped"]])


def keep(passed: int, failed: int, skipped: list[str]) -> None:
    """Keep what came out of the part named by ``PART``; without that name, nothing.

    Parameters
    ----------
    passed, failed : int
        How many.
    skipped : list of str
        The reason of each.
    """
    part = os.environ.get("PART")
    if not part:
        return
    report = {
        "passed": passed,
        "failed": failed,
        "skipped": len(skipped),
        "reasons": dict(collections.Counter(skipped)),
        "data": os.environ.get("HELA_DATA_DIR") or "",
    }
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{part}.json").write_text(json.dumps(report, indent=1))


def reason_of(report) -> str:
    """Say in a line why a test was skipped, of pytest's report on it."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").partition("\n")[0]


def data_seen(folder: str, names: list[str]) -> list[str]:
    """Say which published files a folder has, a line a kind.

    Parameters
    ----------
    folder : str
        Empty for none.
    names : list of str
        Of all published files.
    """
    if not folder:
        return ["no real data: HELA_DATA_DIR is not set"]
    lines = []
    for start, what in KINDS.items():
        known = [name for name in names if name.startswith(start)]
        there = sum((Path(folder) / name).is_file() for name in known)
        lines.append(f"{there} of {len(known)} files: {what}")
    return lines


def tell(reports: dict[str, dict], names: list[str]) -> list[str]:
    """Say what the parts saw and skipped, in lines; the last one has the sums."""
    lines = []
    for folder in dict.fromkeys(report["data"] for report in reports.values()):
        parts = [part for part, report in reports.items() if report["data"] == folder]
        lines.append(f"Data of {', '.join(parts)}:")
        lines += [f"  {line}" for line in data_seen(folder, names)]
    for part, report in reports.items():
        counts = ", ".join(f"{report[name]} {name}" for name in OUTCOMES)
        lines.append(f"{part}: {counts}")
        for reason, count in sorted(report["reasons"].items(), key=lambda item: -item[1]):
            lines.append(f"  {count} skipped: {reason}")
    sums = {name: sum(report[name] for report in reports.values()) for name in OUTCOMES}
    return [*lines, "total: {passed} passed, {failed} failed, {skipped} skipped".format(**sums)]


def main() -> None:
    """Tell what is kept."""
    # In the order in which the parts ended.
    paths = sorted(REPORTS.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not paths:
        sys.exit("No part of the tests has been run: make test.")
    registry = (ROOT / "helpers" / "data" / "registry.txt").read_text().splitlines()
    names = [line.split()[0] for line in registry if line.strip() and not line.startswith("#")]
    print("\n".join(tell({path.stem: json.loads(path.read_text()) for path in paths}, names)))


if __name__ == "__main__":
    main()
