"""Pictures side by side on a page."""

import re

import numpy as np
import pytest

from helpers.labels import colourise
from helpers.show import Panel, gallery

GREY = np.full((60, 80), 120, np.uint8)


def test_gallery_holds_each_picture_with_its_words():
    labels = np.full((60, 80), 2, np.uint8)
    panels = [
        Panel(GREY, "slice <1>", 'grey "slice"'),
        Panel(colourise(labels), "ground truth", "all nucleus", ("here: 1.000",)),
    ]
    shown = gallery(panels, caption="Two & no more.")
    assert repr(shown) == "slice <1>, ground truth"
    assert shown.html.count("<li>") == 2
    assert "slice &lt;1&gt;" in shown.html
    assert 'alt="grey &quot;slice&quot;"' in shown.html
    assert "<span>here: 1.000</span>" in shown.html
    assert "Two &amp; no more." in shown.html
    assert re.findall(r'class="dark-light( hela-classes)?"', shown.html) == ["", " hela-classes"]
    assert "http" not in shown.html


def test_wide_pictures_are_shrunk():
    large = np.tile(GREY, (8, 8))
    page = gallery([Panel(large, "a", "b")], caption="c").html
    assert 'width="320" height="240"' in page


@pytest.mark.parametrize(
    ("panels", "caption", "message"),
    [
        ([], "c", "no panels"),
        ([Panel(GREY, "a", " ")], "c", "alt of 'a'"),
        ([Panel(GREY, "", "b")], "c", "title"),
        ([Panel(GREY, "a", "b")], "", "caption"),
        ([Panel(GREY.astype(float), "a", "b")], "c", "must be uint8"),
    ],
)
def test_bad_gallery_is_refused(panels, caption, message):
    with pytest.raises(ValueError, match=message):
        gallery(panels, caption=caption)
