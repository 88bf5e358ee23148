import numpy as np
import pytest

from helpers import settings
from helpers.labels import Label, colourise
from helpers.settings import Settings


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
    chosen = Settings.from_environment({"HELA_PROFILE": "", "HELA_DATA_DIR": ""})
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
        ("HELA_SOURCE", "Sample", "auto, phantom, sample, full"),
        ("HELA_DATA_URL", "/home/me", "HELA_DATA_DIR"),
    ],
)
def test_wrong_settings_name_the_allowed_ones(variable, value, words):
    with pytest.raises(ValueError, match=words):
        Settings.from_environment({variable: value})


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
