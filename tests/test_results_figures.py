import json
import re

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import watch
from matplotlib.colors import to_rgb
from skimage.color import rgb2lab

from helpers import results, show
from helpers.results import figures, selection, statistics, tables
from helpers.results.figures import _on_front


def rows(method, slices, values, *, origin="computed", run="r", trained=(), metric="jaccard"):
    return tables.as_table(
        {
            "method": method,
            "run": run,
            "origin": origin,
            "slice": slices,
            "metric": metric,
            "class": "nucleus",
            "value": values,
            "present": True,
            "training": pd.array(np.isin(slices, trained), dtype="boolean"),
        }
    )


@pytest.fixture
def table():
    numbers = np.arange(11, 41)
    wave = 0.9 + 0.05 * np.sin(numbers / 4)
    return pd.concat(
        [
            rows("fast <b>", [12, 20, 38], [0.7, 0.91, 0.8], trained=[20]),
            rows("slow", numbers, wave, origin="published"),
            rows("slow", numbers[5:], wave[5:] + 0.02, run="again"),
        ],
        ignore_index=True,
    )


@pytest.fixture
def costs():
    return pd.DataFrame(
        {
            "method": ["fast <b>", "slow"],
            "origin": "computed",
            "run": ["r", "again"],
            "seconds_per_slice": [0.1, 3.0],
            "training_minutes": [None, 12.0],
            "training_slices": [(), (20,)],
        }
    )


def chart(table, **more):
    picks = {"window": None}
    picks |= {key: more.pop(key) for key in ("window", "metric", "label") if key in more}
    texts = {"title": "Score", "caption": "Source: toy.", "alt": "Two methods.", "name": "toy"}
    return show.chart(results.curves(results.select(table, **picks)), **{**texts, **more})


def open_chart(browser, tmp_path, table, *, width=1280, theme="light", **more):
    page = browser.new_page(viewport={"width": width, "height": 900})
    log = watch(page)
    path = tmp_path / "chart.html"
    path.write_text(
        f'<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8"><body>'
        f'<div class="text_html">{chart(table, **more).html}</div></body></html>'
    )
    page.goto(path.as_uri())
    return page, log


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_chart_shows_values_at_the_cursor(browser, tmp_path, table, width, theme):
    page, log = open_chart(browser, tmp_path, table, width=width, theme=theme)
    area = page.locator(".hela-chart-area").bounding_box()
    across = (21 - 11) / (40 - 11)
    page.mouse.move(area["x"] + across * area["width"], area["y"] + 50)
    assert page.locator("output").inner_text() == "slice 21"
    found = dict(
        zip(
            page.locator(".hela-key + span").all_inner_texts(),
            page.locator(".hela-value").all_inner_texts(),
            strict=True,
        )
    )
    assert found == {
        "slow (published)": f"{0.9 + 0.05 * np.sin(21 / 4):.3f}",
        "fast <b>": "0.910 at 20",
        "slow (computed)": f"{0.92 + 0.05 * np.sin(21 / 4):.3f}",
    }
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (log.errors, log.remote) == ([], [])
    key = page.locator(".hela-line").first.evaluate("e => getComputedStyle(e).stroke")
    light, dark = figures.method_colours(table["method"])["slow"]
    expected = np.round(np.array(to_rgb(light if theme == "light" else dark)) * 255).astype(int)
    assert [int(part) for part in re.findall(r"\d+", key)] == expected.tolist()
    page.close()


def test_the_chart_works_with_keys_alone(browser, tmp_path, table):
    page, log = open_chart(browser, tmp_path, table)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text() == "slice 12"
    spoken = page.locator("input[type=range]").get_attribute("aria-valuetext")
    assert spoken.startswith("slice 12: slow (published) 0.9")
    assert "fast <b> 0.700" in spoken
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("svg g").first.evaluate("e => getComputedStyle(e).display") == "none"
    spoken = page.locator("input[type=range]").get_attribute("aria-valuetext")
    assert "published" not in spoken
    assert log.errors == []
    page.close()


def test_the_chart_says_where_a_method_has_nothing(browser, tmp_path, table):
    page, _ = open_chart(browser, tmp_path, table)
    page.locator("input[type=range]").fill("30")
    assert page.locator(".hela-value").nth(1).inner_text() == "none"
    page.close()


def test_the_values_are_a_table_that_opens_by_key(browser, tmp_path, table):
    page, log = open_chart(browser, tmp_path, table, width=390)
    rows = page.locator("table tr")
    assert not rows.first.is_visible()
    page.locator("summary").press("Enter")
    assert rows.first.is_visible()
    heads = [head.strip() for head in page.locator("thead th").all_inner_texts()]
    assert heads == ["Slice", "slow (published)", "fast <b>", "slow (computed)"]
    of_12 = page.locator("tbody tr").nth(1)
    assert of_12.locator("th").inner_text().strip() == "12"
    assert [cell.strip() for cell in of_12.locator("td").all_inner_texts()] == [
        f"{0.9 + 0.05 * np.sin(3):.3f}",
        "0.700",
        "",
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = Axe().run(page, context="figure").response["violations"]
    assert [each["id"] for each in found] == []
    assert log.errors == []
    page.close()


def test_the_chart_is_small_whole_and_the_same_each_time(table):
    content = chart(table).html
    assert content == chart(table).html
    assert "http" not in content
    assert "fast &lt;b&gt;" in content
    assert "fast <b>" not in content
    payload = json.loads(re.search(r'application/json">(.*?)</script>', content)[1])
    assert payload["series"][1] == {
        "name": "fast <b>",
        "slices": [12, 20, 38],
        "values": ["0.700", "0.910", "0.800"],
    }
    full = pd.concat(
        rows(f"method {at}", np.arange(1, 301), np.linspace(0.1, 0.9, 300)) for at in range(14)
    )
    assert len(chart(full).html) < 200_000


def test_the_line_breaks_where_slices_are_missing(table):
    content = chart(table, y_limits=(0.0, 1.0)).html
    lines = re.findall(r'hela-line" d="([^"]*)"', content)
    assert [line.count("M") for line in lines] == [1, 3, 1]
    assert lines[1] == "M34.5 300M310.3 90M931 200"


@pytest.fixture
def runs(table):
    """Add a method with three runs: its marks are a disc, a square and a ring."""
    more = [rows("fast", [12, 20, 38], [0.7, 0.9, 0.8], run=f"run {at}") for at in range(3)]
    return pd.concat([table, *more], ignore_index=True)


@pytest.mark.parametrize(("theme", "nth"), [("light", 0), ("dark", 1)])
def test_keys_have_the_colour_of_the_page(browser, tmp_path, runs, theme, nth):
    page, _ = open_chart(browser, tmp_path, runs, theme=theme)
    keys = page.locator(".hela-points .hela-key")
    disc, square, ring = (
        keys.nth(at).evaluate(
            "key => [getComputedStyle(key).backgroundColor, getComputedStyle(key).borderTopColor]"
        )
        for at in (-3, -2, -1)
    )
    colour = figures.method_colours(runs["method"])["fast"][nth]
    rgb = "rgb({}, {}, {})".format(*(round(255 * part) for part in to_rgb(colour)))
    assert (disc[0], square[0], ring[1]) == (rgb, rgb, rgb)
    assert ring[0] == "rgba(0, 0, 0, 0)"
    page.close()


def test_runs_of_a_method_can_be_told_apart(runs):
    content = chart(runs).html
    of_fast = slice(-3, None)
    groups = re.findall(r'<g class="([^"]*)" style="([^"]*)">', content)[of_fast]
    assert len({style for _, style in groups}) == 1
    assert [kind for kind, _ in groups] == [
        "hela-own",
        "hela-own hela-second",
        "hela-own hela-third",
    ]
    keys = re.findall(r'<li><label class="([^"]*)"', content)[of_fast]
    assert keys == ["hela-points", "hela-points hela-second", "hela-points hela-third"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"caption": " "}, "needs a text for caption"),
        ({"alt": ""}, "needs a text for alt"),
        ({"name": "a b"}, "name is 'a b'; allowed are letters"),
        ({"y_limits": (1, 0)}, r"y_limits are \(1, 0\); the first must be below"),
        ({"window": (90, 95)}, "no slice of jaccard, nucleus, lies in window"),
    ],
)
def test_the_chart_refuses(table, arguments, message):
    with pytest.raises(ValueError, match=message):
        chart(table, **arguments)


def test_colours_can_be_told_from_the_page_and_each_other():
    def luminance(colour):
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(a, b):
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for side, page in ((0, "#ffffff"), (1, "#14181e")):
        colours = [pair[side] for pair in figures.COLOURS]
        assert min(contrast(colour, page) for colour in colours) >= 3
        lab = rgb2lab(np.array([to_rgb(colour) for colour in colours]))
        apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
        assert apart[~np.eye(len(lab), dtype=bool)].min() > 15


def test_intervals_are_those_of_the_statistics(table):
    chosen = results.select(table[table["method"] == "slow"], window=None)
    axis = results.intervals(chosen, samples=500).axes[0]
    expected = statistics.mean_intervals(results.by_slice(chosen), samples=500)
    drawn = [bar.lines[0].get_xdata()[0] for bar in axis.containers]
    np.testing.assert_allclose(drawn, expected["mean"])
    ends = [bar.lines[2][0].get_segments()[0][:, 0] for bar in axis.containers]
    np.testing.assert_allclose(ends, expected[["low", "high"]])
    assert "mean of 25 slices, 95 % interval" in axis.get_xlabel()


@pytest.mark.parametrize("cost", ["seconds_per_slice", "training_minutes"])
def test_pareto(table, costs, cost):
    chosen = results.select(table, window=None)
    figure = results.pareto(chosen, costs, cost=cost)
    axis = figure.axes[0]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fast <b>", "slow"]
    means = selection.summary(chosen)["mean"]
    expected = [
        (0.0 if cost == "training_minutes" else 0.1, means["fast <b>", "computed", "r"]),
        (12.0 if cost == "training_minutes" else 3.0, means["slow", "computed", "again"]),
    ]
    found = [tuple(dots.get_offsets()[0]) for dots in axis.collections]
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ValueError, match="no run has a mean and"):
        results.pareto(chosen, costs.iloc[:0], cost=cost)


def test_curves_of_several_choices_are_those_of_one(table):
    both = results.curves(results.select(table, window=None))
    parts = [results.select(table, window=None, methods=[name]) for name in ("fast <b>", "slow")]
    assert [(each.name, each.colour, each.nth) for each in results.curves(*parts)] == [
        (each.name, each.colour, each.nth) for each in both
    ]


def test_means_over_choices_of_slices(table):
    wide, narrow = (results.select(table, window=w) for w in ((11, 40), (20, 30)))
    figure = results.means_over({"a": {"wide": wide, "narrow": narrow}, "b": {}})
    left, right = figure.axes
    means = results.by_slice(wide).mean()
    lines = dict(zip(means.index, left.lines, strict=True))
    for name, line in lines.items():
        np.testing.assert_allclose(line.get_ydata()[0], means[name])
    assert right.get_title() == "b: nothing here"
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(means.index)


def test_two_means_are_joined(table):
    all_slices, few = (results.select(table, window=w) for w in (None, (20, 38)))
    axis = results.two_means(all_slices, few, x_label="score").axes[0]
    first, second = (results.by_slice(each).mean() for each in (all_slices, few))
    joined = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(joined, np.column_stack([first, second]))
    assert axis.get_yticklabels()[0].get_text() == "fast <b>, r"


def test_one_score_against_another(table):
    more = pd.concat([table, table.assign(metric="dice", value=table["value"] ** 2)])
    chosen = [results.select(more, window=None, metric=name) for name in ("jaccard", "dice")]
    axis = results.against(*chosen).axes[0]
    drawn = np.concatenate([line.get_xydata() for line in axis.lines if len(line.get_xdata())])
    assert len(drawn) == len(table)
    np.testing.assert_allclose(drawn[:, 1], drawn[:, 0] ** 2)
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert sum(len(line.get_xdata()) for line in hollow) == table["training"].sum()


def test_a_table_has_equal_digits_and_names_as_text():
    frame = pd.DataFrame({"method": ["<b>", "a"], "x": [0.12345, np.nan], "n": [1, 2]})
    page = results.styled(frame, "Source: <i>.", digits={"x": 2}, best=False).to_html()
    assert "0.12<" in page
    assert not re.search("<b>|<i>|nan", page)
    assert page == results.styled(frame, "Source: <i>.", digits={"x": 2}).to_html()


def test_the_front_has_what_nothing_beats():
    cost, score = pd.Series([1, 2, 3, 2, 1]), pd.Series([0.5, 0.9, 0.9, 0.7, 0.5])
    assert _on_front(cost, score).tolist() == [True, True, False, False, True]


def test_the_league_says_what_it_averages(table):
    league = results.league_table(
        {
            "central": results.select(table, window=(20, 30)),
            "test": results.select(table, window=None, test_only=True),
        }
    )
    assert [key[:2] for key in league.index] == [
        ("fast <b>", "computed"),
        ("slow", "published"),
        ("slow", "computed"),
    ]
    central, test = "central, slices 20 to 30", "test, all slices"
    assert list(league.columns.levels[0]) == [central, test]
    first = league.iloc[0]
    assert first[(central, "mean")] == 0.91
    assert first[(central, "training")] == "1 of 1"
    assert first[(central, "no nucleus")] == "none in it"
    assert first[(test, "mean")] == 0.75
    assert first[(test, "slices")] == 2
    page = results.style_league(league, "Source: toy.").to_html()
    assert page == results.style_league(league, "Source: toy.").to_html()
    assert "0.750" in page
    # The best over eleven slices; that of one slice (0.910) does not compete.
    best = league[(central, "mean")].max()
    bold = re.search(r"([^{}]*)\{\s*font-weight: bold", page)[1]
    row = list(league[(central, "mean")]).index(best)
    assert re.findall(r"row(\d+)_col0\b", bold) == [str(row)]


def test_the_league_refuses(table):
    with pytest.raises(ValueError, match="there is no selection"):
        results.league_table({})
    with pytest.raises(ValueError, match="needs a caption"):
        results.style_league(results.league_table({"a": results.select(table, window=None)}), "")


def test_names_from_the_disk_reach_the_page_as_text(table):
    league = results.league_table({"<i>": results.select(table, window=None)})
    page = results.style_league(league, "Source: a <toy>.").to_html()
    assert "fast &lt;b&gt;" in page
    assert not re.search("<b>|<i>|<toy>", page)


def test_in_place_of_a_figure_stands_the_reason():
    figure = show.nothing_to_draw("There is no network. " * 12)
    text = figure.axes[0].texts[0].get_text()
    assert text.replace("\n", " ").split() == ("There is no network. " * 12).split()
    box = figure.axes[0].texts[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
