"""The teaching notes: timetables that add up, and a league table that can be made."""

import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from helpers import data, results
from helpers.labels import Label
from helpers.results.runs import results_dir
from helpers.settings import using

PAGE = (Path(__file__).resolve().parent.parent / "book" / "teaching.md").read_text(encoding="utf-8")


def timetable(number: int) -> list[tuple[str, int]]:
    """Return first column and minutes of a course's rows."""
    start = PAGE.index(f":name: tab-teaching-course-{number}")
    table = PAGE[start : PAGE.index("```", start)]
    rows = re.findall(r"^\* - (.+)\n  - (\d+)$", table, re.MULTILINE)
    return [(first, int(minutes)) for first, minutes in rows]


@pytest.mark.parametrize(("number", "total"), [(1, 120), (2, 240)])
def test_a_course_of_hours_starts_each_part_when_the_one_before_ends(number, total):
    clock = 0
    for start, minutes in timetable(number):
        assert start == f"{clock // 60}:{clock % 60:02d}"
        clock += minutes
    assert clock == total


def test_the_week_has_five_days_of_four_hours():
    days: dict[str, int] = {}
    for day, minutes in timetable(3):
        days[day] = days.get(day, 0) + minutes
    assert days == dict.fromkeys("12345", 240)


@pytest.fixture
def _phantom(settings):
    with using(settings, source="phantom"):
        yield


@pytest.mark.usefixtures("_phantom")
def test_the_league_of_a_class_from_the_teams_folders(tmp_path):
    cell = data.load_stack()
    slices = [cell.example - 1, cell.example]

    def good(image, number):
        return cell.labels(number)

    def poor(image, number):
        return np.full_like(cell.labels(number), Label.CELL)

    for name, method in {"team Golgi": good, "team Krebs": poor}.items():
        about = results.About(name, "first try", code=name)
        with using(data_dir=tmp_path / name):
            results.evaluate(method, cell, about, slices=slices)
            handed_in = results_dir() / "phantom" / "smoke" / name
        copytree(handed_in, results_dir() / "phantom" / "smoke" / name)

    code = next(
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "league_table" in block
    )
    *lines, last = code.strip().splitlines()
    names: dict = {}
    exec("\n".join([*lines, f"shown = {last}"]), names)

    teams = names["league"].index.get_level_values("method")
    assert list(teams) == ["team Golgi", "team Krebs"]
    means = names["league"]["Jaccard index, nucleus, all slices", "mean"]
    assert list(means) == [1, 0]
    assert "team Golgi" in names["shown"].to_html()
