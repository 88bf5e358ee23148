"""Checks of the exercises: whether an answer is right, and what is off if it is not.

The right answer is what the solution's own code gives, run where the answer was made: with the same
slices, profile and networks. So there is no second copy of it, and no stored number to go stale.
A notebook for students carries each solution's code folded up: out of sight, but under no lock.
"""

import base64
import io
import linecache
import math
import sys
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

WITHIN = 0.005
"""By what share a number that is not whole may differ, unless the solution says otherwise."""


@dataclass(frozen=True)
class Expected:
    """What a solution expects of an answer; see `expect`."""

    answer: Any
    look_at: str
    within: float | None = None
    holds: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    wrong: tuple = ()

    def complaint(self, answer: Any) -> str:
        """Return what is wrong with an answer; nothing if it is right."""
        if is_missing(answer):
            return (
                "There is no answer yet: put it in place of the dots (...), run that cell, and "
                "then this one again."
            )
        if not self.holds:
            return compare(answer, self.answer, self.within)
        kind = _kind_complaint(answer, self.answer)
        if kind:
            return kind
        if isinstance(self.answer, np.ndarray) and np.shape(answer) != self.answer.shape:
            return _array_complaint(np.asarray(answer), self.answer, None)
        failed = [rule for rule, holds in self.holds.items() if not holds(answer)]
        return f"This does not hold: {'; '.join(failed)}." if failed else ""

    def prove(self, name: str) -> None:
        """Assert that the right answer passes, and that no answer and wrong ones do not."""
        complaint = self.complaint(self.answer)
        assert not complaint, f"{name}: the solution's own answer fails. {complaint}"
        wrong = self.wrong if self.holds else (*self.wrong, *_wrong_answers(self.answer))
        assert wrong, f"{name}: with holds=, name an answer that is wrong: wrong=(...,)."
        for each in (..., None, *wrong):
            assert self.complaint(each), f"{name}: the wrong answer {each!r} passes."


class _Found(Exception):  # noqa: N818 - no error: it ends the solution's run
    """The solution has come to its answer."""

    def __init__(self, expected: Expected):
        self.expected = expected


_proved: list[Expected] = []
_is_asked = False


def expect(
    name: str,
    answer: Any,
    *,
    look_at: str,
    within: float | None = None,
    holds: Mapping[str, Callable[[Any], bool]] | None = None,
    wrong: tuple = (),
) -> None:
    """Say, in a solution, what the right answer is; and prove that the check of it works.

    Parameters
    ----------
    name : str
        The last part of the exercise's label.
    answer : bool, number, str, array, pandas.Series, mapping, list, tuple or set
        The solution's. None: with these data there is none, and nothing can be checked.
    look_at : str
        A sentence for who answers wrongly: where to look.
    within : float, optional
        By what share numbers may differ, or what share of an array's elements of whole numbers
        or truth values. By default 0.005 for numbers that are not whole, and nothing else.
    holds : mapping of str to callable, optional
        Where many answers are right: rules by their wording; each takes an answer and returns
        whether it keeps the rule. The solution's answer is then an example.
    wrong : tuple
        Answers that must not pass; at least one where there are rules.

    Raises
    ------
    AssertionError
        If the right answer does not pass, or a wrong one does.
    """
    expected = Expected(answer, look_at, within, holds or {}, wrong)
    if _is_asked:
        raise _Found(expected)
    if answer is not None:
        expected.prove(name)
    _proved.append(expected)
    print(f"{name}: " + ("checked." if answer is not None else "no answer with these data."))


def check(name: str, answer: Any, solution: str) -> None:
    """Print whether an answer is right; if not, what is off and where to look.

    Parameters
    ----------
    name : str
        The last part of the exercise's label.
    answer : object
        The student's.
    solution : str
        The solution's code, as `fold` returns it. It runs up to its `expect`, on a copy of the
        names of the notebook that calls.
    """
    global _is_asked
    if is_missing(answer):  # before the solution is run, which may take a while
        print(f"{name}: {Expected(None, '').complaint(answer)}")
        return
    _is_asked = True
    try:
        _run(unfold(solution), sys._getframe(1).f_globals)
    except _Found as found:
        expected = found.expected
    except Exception as error:
        print(
            f"{name}: this cannot be checked: {type(error).__name__}: {error}\n"
            "Run all cells above this one, without changing their names, and check again."
        )
        return
    finally:
        _is_asked = False
    if expected.answer is None:
        print(f"{name}: with these data there is no answer to check. {expected.look_at}")
        return
    complaint = expected.complaint(answer)
    print(f"{name}: not yet. {complaint}\n{expected.look_at}" if complaint else f"{name}: right.")


def prove(name: str, start: Any, solution: str) -> None:
    """Run a whole solution where a student would be, and assert that its check tells apart.

    The tests put this in place of `check`.

    Parameters
    ----------
    name, solution
        As for `check`.
    start : object
        The answer with which the exercise begins.

    Raises
    ------
    AssertionError
        As `expect`; or if the start is taken for an answer, or the solution expects nothing.
    """
    _proved.clear()
    _run(unfold(solution), sys._getframe(1).f_globals)
    assert len(_proved) == 1, f"{name}: the solution must say once what it expects."
    assert is_missing(start), f"{name}: the exercise begins with an answer, {start!r}."


def _run(code: str, names: Mapping[str, Any]) -> None:
    # Where Python looks for the source of functions, which some want to know.
    file = f"<solution {zlib.crc32(code.encode()):x}>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, file, "exec"), dict(names))


def fold(code: str) -> str:
    """Return code packed into lines of letters, so that nobody reads it by accident.

    Examples
    --------
    >>> unfold(fold("lost = 1"))
    'lost = 1'
    """
    packed = base64.b64encode(zlib.compress(code.encode(), 9)).decode()
    return "\n".join(textwrap.wrap(packed, 88))


def unfold(text: str) -> str:
    """Return the code that `fold` packed."""
    return zlib.decompress(base64.b64decode(text)).decode()


def is_missing(answer: Any) -> bool:
    """Return whether an answer, or a part of one, is still the dots of the start, or nothing.

    Examples
    --------
    >>> is_missing(...), is_missing({"nucleus": ...}), is_missing(0)
    (True, True, False)
    """
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return any(is_missing(each) for each in answer)
    return answer is None or answer is ...


def compare(answer: Any, right: Any, within: float | None = None) -> str:
    """Return what is off in an answer: its type, its shape or its value; nothing if it is right.

    Parameters
    ----------
    answer, right : bool, number, str, array, pandas.Series, mapping, list, tuple or set
    within : float, optional
        As for `expect`.

    Returns
    -------
    str
        It does not give the right answer away.

    Examples
    --------
    >>> compare(12_000, 12.0)
    'It is 1,000 times too large: look at the units.'
    >>> compare(np.zeros((2, 3)), np.zeros((3, 2)))
    'The array has the shape (2, 3), and (3, 2) is asked for.'
    >>> compare(0.951, 0.95)
    ''
    """
    kind = _kind_complaint(answer, right)
    if kind:
        return kind
    if isinstance(right, bool | np.bool_):
        return "" if bool(answer) == bool(right) else "It is the other way round."
    if isinstance(right, str):
        same = answer.strip().casefold() == right.strip().casefold()
        return "" if same else f"It is not {answer!r}."
    if isinstance(right, Real):
        return _number_complaint(float(answer), right, within)
    if isinstance(right, set | frozenset):
        return _set_complaint(set(answer), set(right))
    if isinstance(right, np.ndarray):
        return _array_complaint(np.asarray(answer), right, within)
    return _parts_complaint(dict(_parts(answer)), dict(_parts(right)), within)


def _kind(value: Any) -> str:
    """Name the type of an answer, as a message says it."""
    if isinstance(value, bool | np.bool_):
        return "True or False"
    if isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return "a number"
    names = {
        str: "a text",
        (set, frozenset): "a set",
        (Mapping, pd.Series): "values by name (a dictionary or a Series)",
        (list, tuple): "a list",
        np.ndarray: "an array",
    }
    if callable(value) and not isinstance(value, type):
        return "a function"
    for types, name in names.items():
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


def _kind_complaint(answer: Any, right: Any) -> str:
    given, asked = _kind(answer), _kind(right)
    if given == asked:
        return ""
    if asked in ("an array", "a set") and given in ("a list", "an array"):
        return ""
    if given == "a function":
        return f"It is a function, and {asked} is asked for: call it, with brackets."
    return f"It is {given}, and {asked} is asked for."


def _number_complaint(answer: float, right: Real, within: float | None) -> str:
    if math.isnan(answer) or math.isnan(right):
        if math.isnan(answer) and math.isnan(right):
            return ""
        return "It is not a number (NaN)." if math.isnan(answer) else "It is no number at all."
    is_whole = isinstance(right, int | np.integer)
    share = (0 if is_whole else WITHIN) if within is None else within
    right = float(right)
    if abs(answer - right) <= share * abs(right) + 1e-12:
        return ""
    if right and answer == -right:
        return "The sign is the other one."
    if right and answer / right > 0:
        power = math.log10(answer / right)
        if abs(power) > 0.5 and abs(power - round(power)) < 0.01:
            way = "large" if power > 0 else "small"
            return f"It is {10 ** abs(round(power)):,} times too {way}: look at the units."
    close = " Close, though." if abs(answer - right) <= 0.1 * abs(right) else ""
    return f"The number is too {'large' if answer > right else 'small'}.{close}"


def _set_complaint(answer: set, right: set) -> str:
    more, less = len(answer - right), len(right - answer)
    said = [f"{more} that do not belong"] * bool(more) + [f"{less} missing"] * bool(less)
    return f"There are {' and '.join(said)}." if said else ""


def _array_complaint(answer: np.ndarray, right: np.ndarray, within: float | None) -> str:
    if answer.shape != right.shape:
        return f"The array has the shape {answer.shape}, and {right.shape} is asked for."
    if answer.dtype.kind not in "biuf":
        return f"Its elements are of type {answer.dtype}, and {right.dtype} is asked for."
    if right.dtype == bool and answer.dtype != bool:
        return f"Its elements are of type {answer.dtype}, and True or False is asked for."
    if right.dtype.kind == "f":
        differs = ~np.isclose(answer, right, rtol=WITHIN if within is None else within)
        differs &= ~(np.isnan(answer.astype(float)) & np.isnan(right))
        allowed = 0.0
    else:
        differs, allowed = answer != right, within or 0.0
    if differs.mean() <= allowed:
        return ""
    share = f"{differs.mean():.2%} of its elements are wrong"
    if right.dtype == bool:
        more, less = np.sum(answer & ~right), np.sum(right & ~answer)
        return f"{share}: {more:,} too many are marked, and {less:,} too few."
    return f"{share}."


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping | pd.Series):
        yield from value.items()
    else:
        yield from enumerate(value, start=1)


def _parts_complaint(answer: dict, right: dict, within: float | None) -> str:
    if answer.keys() != right.keys():
        if len(answer) != len(right):
            return f"It has {len(answer)} parts, and {len(right)} are asked for."
        names = ", ".join(repr(key) for key in right)
        return f"Its parts have other names than those asked for: {names}."
    said = {key: compare(answer[key], right[key], within) for key in right}
    return " ".join(f"Part {key!r}: {text}" for key, text in said.items() if text)


def _wrong_answers(right: Any) -> Iterator[Any]:
    """Yield answers that are wrong by type, by shape and by value."""
    if isinstance(right, bool | np.bool_):
        yield from (not right, "yes")
    elif isinstance(right, str):
        yield from (f"not {right}", 0)
    elif isinstance(right, Real):
        larger = () if math.isnan(right) else (float(right) * 1.5 + 1, float(right) * 1000 + 7)
        yield from (*larger, str(right), [right])
    elif isinstance(right, set | frozenset):
        yield from (right | {"no such thing"}, set(list(right)[1:]), 0)
    elif isinstance(right, np.ndarray):
        yield from (right[None], ~right if right.dtype == bool else right * 1.5 + 1, 0.0)
    else:
        parts = dict(_parts(right))
        first = next(iter(parts))
        wrong = [{**parts, first: each} for each in _wrong_answers(parts[first])]
        if not isinstance(right, Mapping | pd.Series):
            wrong = [list(each.values()) for each in wrong]
        yield from wrong
        yield from ({"no such name": 0}, [], 0)
