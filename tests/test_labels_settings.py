import re
from pathlib import Path

import numpy as np
import pytest

from helpers import settings
from helpers.labels import Label, colourise
from helpers.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def test_classes_are_those_of_the_ground_truth():
    assert [(label.name, label.value) for label in Label] == [
        ("NUCLEAR_ENVELOPE", 1),
        ("NUCLEUS", 2),
        ("CELL", 3),
        ("BACKGROUND", 4),
    ]
    assert [label.colour for label in Label] == ["#ff0000", "#00ff00", "#0000ff", "#000000"]


def test_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="found 0 to 5"):
        colourise(np.array([[0, 5]], np.uint8))
    assert colourise(np.zeros((0, 3), np.uint8)).shape == (0, 3, 3)


def test_settings_have_defaults():
    chosen = Settings.from_environment({})
    assert (chosen.profile, chosen.source, chosen.data_url) == ("quick", "auto", None)
    assert chosen.data_dir.name == "hela-book"


def test_settings_are_read():
    environment = {
        "HELA_PROFILE": "paper",
        "HELA_SOURCE": "sample",
        "HELA_DATA_DIR": "~/cells",
        "HELA_DATA_URL": "http://mirror/",
    }
    chosen = Settings.from_environment(environment)
    assert (chosen.profile, chosen.source) == ("paper", "sample")
    assert chosen.data_dir.is_absolute()
    assert chosen.data_url == "http://mirror"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HELA_PROFILE", "fast", "smoke, quick, paper"),
        ("HELA_PROFILE", "QUICK", "Did you mean quick"),
        ("HELA_PROFILE", "", r"set to nothing. Unset it \(quick then holds\), or set it to smoke"),
        ("HELA_DATA_DIR", " ", r"set to nothing. Unset it"),
        ("HELA_DATA_DIR", '"/data"', "without them"),
        ("HELA_DATA_DIR", "~nosuchuser/cells", "no such user"),
        ("HELA_SOURCE", "Sample", "auto, phantom, sample, full"),
        ("HELA_DATA_URL", "/home/me", "HELA_DATA_DIR"),
    ],
)
def test_wrong_settings_name_the_allowed_ones(variable, value, words):
    with pytest.raises(ValueError, match=words):
        Settings.from_environment({variable: value})


def test_every_variable_is_read_in_one_place_and_listed_for_readers():
    used = set()
    for folder in ("helpers", "tools", "extensions", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            used |= set(re.findall(r"\bHELA_[A-Z_]*[A-Z]\b", code))
            # The first cell of a notebook runs before the package is there.
            if folder != "tests" and path.name not in ("first_cell.py", "report_tests.py"):
                assert not re.search(r"environ\.get\(\W*HELA_", code), path
    assert used == set(settings.DEFAULTS)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(HELA_[A-Z_]+)`", readme, re.MULTILINE))
    assert listed == set(settings.DEFAULTS) - {"HELA_SITE"}


def test_a_relative_folder_is_made_whole():
    assert Settings.from_environment({"HELA_DATA_DIR": "cells"}).data_dir.is_absolute()


def test_settings_hold_for_a_while_and_nest():
    outside = settings.current()
    with settings.using(profile="smoke", source="phantom") as chosen:
        assert settings.current() is chosen
        with settings.using(profile="paper"):
            assert (settings.current().profile, settings.current().source) == ("paper", "phantom")
        assert settings.current() is chosen
    assert settings.current() == outside
    with pytest.raises(ValueError, match="smoke, quick, paper"), settings.using(profile="fast"):
        pass
    assert settings.current() == outside
