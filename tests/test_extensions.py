"""What this book adds to Sphinx: formulas, pictures, the foot of a page, the choice of colours."""

import io
import itertools
import os
import subprocess
import sys

import numpy as np
import palette
import pytest
from figure_index import cite, first_sentence
from mathml import to_mathml
from pictures import encode
from PIL import Image
from run_record import foot
from skimage.color import rgb2lab
from skimage.filters import gaussian
from students_button import add_button

from helpers.labels import PALETTES, Label, shows_classes
from helpers.show import COMPARE_COLOURS

# Formulas


def test_words_of_a_formula_stay_words():
    made = to_mathml(r"\mathrm{accuracy} = \frac{TP}{TP + FN}", "block")
    assert made.startswith("<math")
    assert "<mi>accuracy</mi>" in made
    assert "<mfrac><mrow><mi>T</mi><mi>P</mi></mrow>" in made


@pytest.mark.parametrize(("latex", "message"), [(r"\foo + 1", r"\\foo"), (r"\frac{1}{2", "braces")])
def test_what_cannot_be_translated_is_said(latex, message):
    with pytest.raises(ValueError, match=message):
        to_mathml(latex, "inline")


# Pictures


def picture_of(array):
    return Image.fromarray(np.asarray(array, dtype=np.uint8))


def test_drawings_stay_exact_and_slices_get_small():
    drawing = np.full((200, 300, 3), 255, np.uint8)
    drawing[::20], drawing[:, ::30] = (0, 114, 178), 0
    made = Image.open(io.BytesIO(encode(picture_of(drawing))))
    assert made.format == "WEBP"
    assert np.array_equal(np.asarray(made.convert("RGB")), drawing)

    rng = np.random.default_rng(0)
    noise = gaussian(rng.normal(0, 1, (200, 300)), 1.5)
    noise = (128 + noise / noise.std() * 25).clip(0, 255).astype(np.uint8)
    png = io.BytesIO()
    picture_of(noise).save(png, format="PNG", optimize=True)
    small = encode(picture_of(noise).convert("RGB"))
    assert len(small) < len(png.getvalue()) / 2
    found = np.asarray(Image.open(io.BytesIO(small)).convert("L"), dtype=float)
    assert np.abs(found - noise).mean() < 8


def test_pictures_of_classes_are_told_from_others():
    grey = np.tile(np.arange(60, 220, 2, dtype=np.uint8)[:, None, None], (1, 80, 3))
    assert not shows_classes(grey)
    for label in (1, 2, 3):
        tinted = grey.copy()
        colour = np.array(PALETTES["paper"][label])
        tinted[20:50] = (0.65 * grey[20:50] + 0.35 * colour).round().astype(np.uint8)
        assert shows_classes(tinted)
    for colour in COMPARE_COLOURS.values():
        painted = grey.copy()
        painted[20:50] = colour
        assert not shows_classes(painted)


# The foot of a page


RECORD = {
    "built": 1_800_000_000.0,
    "source": "phantom, a <synthetic> cell",
    "profile": "smoke",
    "versions": {"Python": "3.11.2", "TensorFlow": "none"},
    "commit": "abc",
    "commit_url": "",
}


def test_foot_says_all_of_it():
    made = foot(RECORD, None)
    assert "Last built" in made
    assert "15 January 2027, 08:00 UTC" in made
    assert "&lt;synthetic&gt;" in made
    assert "Python 3.11.2, TensorFlow none" in made
    assert "<a " not in made


def test_foot_of_an_executed_page_says_when_that_was():
    made = foot({**RECORD, "commit_url": "https://example.org/abc"}, 1_700_000_000.0)
    assert "Last executed" in made
    assert "14 November 2023, 22:13 UTC" in made
    assert '<a href="https://example.org/abc">abc</a>' in made


# Colours

# Machado, Oliveira and Fernandes (2009), doi 10.1109/TVCG.2009.113, severity 1; in linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen_with(kind, rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.transpose(BLINDNESS[kind])).clip(0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def least_distance(name, kind, alpha):
    """Return the least CIELAB distance of two classes over greys, as seen with one blindness."""
    colours = np.array(list(PALETTES[name].values())) / 255
    least = []
    for grey in (0.3, 0.5, 0.7, 0.85):
        seen = seen_with(kind, (1 - alpha) * grey + alpha * colours)
        lab = rgb2lab(seen[None])[0]
        least += [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
    return min(least)


@pytest.mark.parametrize("kind", BLINDNESS)
def test_safe_colours_can_be_told_apart(kind):
    # 2.3 is a just noticeable difference; over the texture of a slice it takes far more.
    assert least_distance("safe", kind, 0.35) > 20
    assert least_distance("safe", kind, 1) > 50


@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia", "tritanopia"])
def test_safe_colours_are_better_than_the_papers(kind):
    assert least_distance("safe", kind, 0.35) > 1.15 * least_distance("paper", kind, 0.35)
    assert least_distance("paper", "protanopia", 0.35) < 10


def test_filter_turns_the_papers_colours_into_the_safe_ones():
    rows = np.array(palette.matrix().split(), dtype=float).reshape(4, 5)
    assert rows[3].tolist() == [0, 0, 0, 1, 0]
    for label in Label:
        made = rows[:3, :3] @ np.array(PALETTES["paper"][label])
        assert np.allclose(made, PALETTES["safe"][label], atol=0.1)


@pytest.mark.parametrize(("name", "expected"), [("safe", "#00e15a"), ("paper", "#00ff00")])
def test_live_notebooks_choose_by_the_environment(name, expected):
    code = "from helpers.labels import Label; print(Label.NUCLEUS.colour)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HELA_PALETTE": name},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == expected


def test_unknown_palette_is_refused():
    run = subprocess.run(
        [sys.executable, "-c", "import helpers.labels"],
        env={**os.environ, "HELA_PALETTE": "pastel"},
        capture_output=True,
        text=True,
    )
    assert "HELA_PALETTE is 'pastel'; allowed are paper, safe." in run.stderr


# Citation and index of figures


def test_citation_is_made_from_the_file():
    entry = {
        "authors": [{"name": "The makers"}, {"family-names": "Doe", "given-names": "Ann"}],
        "title": "A book",
        "version": "1.2",
        "date-released": "2027-01-31",
        "repository-code": "https://example.org/book",
    }
    text, bibtex = cite(entry)
    assert text == "The makers, Doe, Ann: A book. Version 1.2, 2027, https://example.org/book."
    assert "  author = {{The makers} and {Doe, Ann}},\n" in bibtex
    assert "  url = {https://example.org/book},\n" in bibtex
    assert "  doi = {10.1/2},\n" in cite({**entry, "doi": "10.1/2"})[1]


def test_index_gives_the_first_sentence():
    assert first_sentence("The four\n cases. True negatives are grey.") == "The four cases"


# The button for students


def test_chapters_have_a_button_of_their_own_for_students():
    colab = "https://colab.research.google.com/github/A/b/blob/notebooks"
    button = {"text": "Colab", "tooltip": "Launch on Colab", "icon": "c.png", "type": "link"}
    mine = button | {"url": f"{colab}/notebooks/06_vgg16.ipynb"}
    group = {"label": "launch-buttons", "buttons": [mine]}
    context = {"header_buttons": [{"label": "search"}, group]}
    for _ in range(2):  # a page may be written twice
        add_button(None, "notebooks/06_vgg16", "page.html", context, None)
        first, second = group["buttons"]
    assert first == mine
    assert second["url"] == f"{colab}/students/06_vgg16.ipynb"
    assert second["text"] == "Colab, without solutions"
    add_button(None, "book/index", "page.html", {}, None)  # without a repository
