"""The checks of exercises: what they say of an answer, and that every exercise has one."""

import ast
import re
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
from convert_notebooks import IN_WORDS, convert, solutions_of
from plain_markdown import Directive, split

from helpers import exercises

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*.md"))
MASK = np.arange(12).reshape(3, 4) > 5


@pytest.mark.parametrize(
    ("answer", "right", "said"),
    [
        (240, 240, ""),
        (240.0, 240, ""),
        (np.int64(240), 240, ""),
        (239, 240, "too small. Close"),
        (3, 240, "too small"),
        (0.9512, 0.95, ""),
        (0.96, 0.95, "too large. Close"),
        (95, 0.95, "100 times too large: look at the units"),
        (0.00095, 0.95, "1,000 times too small"),
        (-0.95, 0.95, "sign"),
        (np.nan, 0.95, "NaN"),
        (np.nan, np.nan, ""),
        ("0.95", 0.95, "It is a text, and a number is asked for"),
        (True, 1, "It is True or False, and a number"),
        (len, 3, "call it, with brackets"),
        (np.True_, True, ""),
        (False, True, "other way round"),
        (" Nucleus", "nucleus", ""),
        ("cell", "nucleus", "It is not 'cell'"),
        (MASK, MASK, ""),
        (MASK.T, MASK, r"shape \(4, 3\), and \(3, 4\)"),
        (MASK.astype(int), MASK, "type int64, and True or False"),
        (~MASK, MASK, "100.00% .*6 too many are marked, and 6 too few"),
        (MASK * 1.0, MASK * 1.0, ""),
        (MASK * 2.0, MASK * 1.0, "50.00% of its elements are wrong"),
        ({"b": 2, "a": 1.0}, {"a": 1.0, "b": 2}, ""),
        (pd.Series({"a": 1.0}), {"a": 1.0}, ""),
        ({"a": 1.0, "b": 3}, {"a": 1.0, "b": 2}, "Part 'b': The number is too large"),
        ({"a": 1.0}, {"a": 1.0, "b": 2}, "1 parts, and 2"),
        ({"c": 1.0}, {"a": 1.0}, "other names.*'a'"),
        ([1, 2], (1, 2), ""),
        ([1, 3], [1, 2], "Part 2"),
        ({1, 2}, {1, 3}, "1 that do not belong and 1 missing"),
        ([1, 2], {1, 2}, ""),
    ],
)
def test_what_is_said_of_an_answer(answer, right, said):
    complaint = exercises.compare(answer, right)
    assert bool(complaint) == bool(said)
    assert re.search(said, complaint)


def test_how_far_an_answer_may_be_off():
    assert exercises.compare(0.93, 0.95)
    assert exercises.compare(0.93, 0.95, within=0.05) == ""
    other = MASK.copy()
    other[0, 0] = True
    assert "8.33%" in exercises.compare(other, MASK)
    assert exercises.compare(other, MASK, within=0.1) == ""


@pytest.mark.parametrize(
    "right",
    [True, 240, 0.95, 0.0, -3.5, np.nan, "nucleus", MASK, MASK * 3, MASK * 0.5, {1, 2}, [1, 2],
     {"a": 0.5, "b": "x"}, pd.Series({"a": MASK})],
)  # fmt: skip
def test_a_solution_proves_that_its_check_tells_right_from_wrong(right, capsys):
    exercises.expect("one", right, look_at="Look.")
    assert capsys.readouterr().out == "one: checked.\n"


def test_a_check_that_lets_wrong_answers_pass_is_an_error():
    with pytest.raises(AssertionError, match=r"the wrong answer 2\.5 passes"):
        exercises.expect("one", 1.0, look_at="Look.", within=2)
    with pytest.raises(AssertionError, match="name an answer that is wrong"):
        exercises.expect("one", 1.0, look_at="Look.", holds={"it is small": lambda x: x < 2})
    with pytest.raises(AssertionError, match="the solution's own answer fails"):
        exercises.expect("one", 3.0, look_at="", holds={"it is small": lambda x: x < 2}, wrong=(9,))


SOLUTION = """
answer = number * factor
exercises.expect("one", answer, look_at="Look at the factor.")
raise AssertionError("what takes long is not run by a check")
"""


def said_of(answer, capsys, solution=SOLUTION, **names):
    """Return what a check prints in a notebook with these names."""
    names |= {"exercises": exercises, "given": answer, "solution": exercises.fold(solution)}
    exec('exercises.check("one", given, solution)', names)
    assert names["given"] is answer
    return capsys.readouterr().out


def test_the_check_runs_the_solution_where_the_answer_was_made(capsys):
    assert said_of(6, capsys, number=2, factor=3) == "one: right.\n"
    assert said_of(8, capsys, number=2, factor=4) == "one: right.\n"
    said = said_of(6.5, capsys, number=2, factor=3.0)
    assert said == "one: not yet. The number is too large. Close, though.\nLook at the factor.\n"


def test_the_start_is_no_answer_and_costs_nothing(capsys):
    for start in (..., None, {"nucleus": ...}, [1, ...]):
        said = said_of(start, capsys, solution="raise AssertionError")
        assert said.startswith("one: There is no answer yet")


def test_what_cannot_be_checked_says_why(capsys):
    said = said_of(6, capsys, number=2)
    assert "cannot be checked: NameError: name 'factor'" in said
    assert "Run all cells above" in said
    nothing = 'print("x")\nexercises.expect("one", None, look_at="No curves.")'
    said = said_of(6, capsys, solution=nothing)
    assert said == "one: with these data there is no answer to check. No curves.\n"
    # And the next check is one again.
    assert said_of(6, capsys, number=2, factor=3) == "one: right.\n"


def test_rules_name_the_one_that_does_not_hold(capsys):
    rules = (
        'exercises.expect("one", MASK, look_at="Count.", wrong=(MASK & False,), holds={"more than '
        'two are marked": lambda m: m.sum() > 2, "the first is not": lambda m: not m[0, 0]})'
    )
    names = {"MASK": MASK}
    assert said_of(MASK, capsys, rules, **names) == "one: right.\n"
    said = said_of(~MASK, capsys, rules, **names)
    assert said == "one: not yet. This does not hold: the first is not.\nCount.\n"
    assert "shape" in said_of(MASK[0], capsys, rules, **names)
    assert "an array is asked for" in said_of(3, capsys, rules, **names)


def test_proving_runs_all_of_a_solution():
    names = {"exercises": exercises, "ran": []}
    whole = 'exercises.expect("one", 1, look_at="")\nran.append(1)'
    for start, error in ((..., None), (3, "begins with an answer")):
        names |= {"start": start, "solution": exercises.fold(whole)}
        if error:
            with pytest.raises(AssertionError, match=error):
                exec('exercises.prove("one", start, solution)', names)
        else:
            exec('exercises.prove("one", start, solution)', names)
    assert names["ran"] == [1, 1]


def test_functions_of_a_solution_have_their_source():
    whole = (
        "import inspect\ndef double(x):\n    return 2 * x\n"
        'exercises.expect("one", inspect.getsource(double), look_at="")'
    )
    names = {"exercises": exercises, "solution": exercises.fold(whole)}
    exec('exercises.prove("one", ..., solution)', names)
    assert exercises._proved[0].answer == "def double(x):\n    return 2 * x\n"


def exercises_of(path):
    """Return a chapter's exercises by label: the text, and the code of the cells in them."""
    found, label = {}, ""
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            if label:
                found[label][1].append(cell.source)
            continue
        for piece in split(cell.source):
            if isinstance(piece, Directive) and piece.name == "exercise-start":
                label = piece.options["label"]
                found[label] = ([], [])
            elif isinstance(piece, Directive) and piece.name == "exercise-end":
                label = ""
            elif label:
                found[label][0].append(piece if isinstance(piece, str) else piece.source)
    return {label: ("\n".join(text), "\n".join(code)) for label, (text, code) in found.items()}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_has_minutes_a_hint_a_start_and_a_place_for_words(path):
    for label, (text, code) in exercises_of(path).items():
        assert re.search(r"^\*\d+ minutes\.", text.strip()), label
        assert "{dropdown} Hint\n" in text, label
        assert re.search(r"(=|:|return) \.\.\.", code), label
        without_words = [line for line in text.splitlines() if not line.startswith(IN_WORDS)]
        assert not re.search(r"\b[Ww]hy\b", "\n".join(without_words)), label


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_solution_expects_an_answer_and_needs_no_other_solution(path):
    notebook = jupytext.read(path)
    solutions = solutions_of(notebook)
    assert solutions.keys() == exercises_of(path).keys()
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    inside = "\n\n".join(solutions.values())
    outside = assigned("\n\n".join(each for each in code if each not in inside))
    for label, solution in solutions.items():
        assert solution.count("exercises.expect(") == 1, label
        others = set().union(*(assigned(s) for at, s in solutions.items() if at != label))
        assert used(solution) & others - assigned(solution) - outside == set(), label


def names_in(code, context):
    return {
        node.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Name) and isinstance(node.ctx, context)
    }


def used(code):
    return names_in(code, ast.Load)


def assigned(code):
    tree = ast.walk(ast.parse(code))
    return names_in(code, ast.Store) | {
        node.name for node in tree if isinstance(node, ast.FunctionDef)
    }


def test_notebooks_carry_the_solutions_folded_up(tmp_path):
    for students in (True, False):
        for path in convert(tmp_path, students=students, environment={}):
            chapter = ROOT / "notebooks" / f"{path.stem}.md"
            checks = [
                cell.source
                for cell in jupytext.read(path).cells
                if cell.source.startswith("# @title Check")
            ]
            carried = [
                exercises.unfold(re.search(r'"""\n(.*?)\n"""', check, re.DOTALL)[1])
                for check in checks
            ]
            assert carried == list(solutions_of(jupytext.read(chapter)).values())
