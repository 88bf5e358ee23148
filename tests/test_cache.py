"""One rule of what still holds, one writer, one lock."""

import enum
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import filelock
import numpy as np
import pytest

import helpers.metrics
import helpers.traditional
from helpers import cache
from helpers.cache import (
    StorageError,
    digest_of,
    key_of,
    locked,
    storing,
    with_content_key,
    write_whole,
)
from helpers.data.stack import Stack

CODE = '''
"""A module."""
import os  # what for

NUMBER = 3
"""Said of it."""


class Kind(tuple[int, ...]):
    """A kind."""

    def of(self, *a: int, b=1_000.0, **c) -> str:
        """Say so."""
        if (n := len(a)) > 1 and not b:
            return f"{n!r:>{b}} {{{a[0]}}} {'x'}" "é" b"\\xff".decode() + f"{b:}"
        match a:
            case [1, *rest] if rest:
                return [x async for x in c] + [*a, *rest]
        with (open("a") as f, open("b") as g):
            return lambda x, /, y=None, *, z=...: (yield x, -y**2, f[1, 2:3], g @ z)
'''
MEANING = "c503f0145c6e8bf9"


@dataclass(frozen=True)
class Numbers:
    """Some parameters."""

    sigma: float = 2.0
    names: tuple[str, ...] = ("a", "b")


@dataclass(frozen=True)
class OtherNumbers(Numbers):
    """The same entries, for something else."""


class Kind(enum.Enum):
    """Two kinds."""

    ONE = 1
    OTHER = 2


def pythons():
    """Return the Pythons of this computer that the package runs on."""
    found = [Path(sys.executable)]
    for minor in range(10, 14):
        found += map(Path, filter(None, [shutil.which(f"python3.{minor}")]))
        found += Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
    return found


@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.parent.parent.name)
def test_code_means_the_same_on_every_python(python):
    script = f"""
import sys, types, importlib.util
sys.modules["filelock"] = types.SimpleNamespace(FileLock=None, Timeout=None)
spec = importlib.util.spec_from_file_location("cache", {cache.__file__!r})
cache = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cache)
print(cache._digest("code", cache._meaning({CODE!r})).hex()[:16])
"""
    done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    if done.returncode == 127:  # A name that stands for a Python that is not chosen.
        pytest.skip(f"{python} does not run: {done.stderr}")
    assert done.stdout.strip() == MEANING, done.stderr


def test_a_key_stays_what_it_is():
    """What other computers have computed is found by it: change it only on purpose."""
    key = key_of(
        "version 1",
        sigma=2.0,
        names=("a", None, True),
        pixels=np.arange(6, dtype=np.uint8).reshape(2, 3),
        rest={"z": Numbers(), "a": {3, 1}},
    )
    assert key == "910b26b6fa1d2407"


def test_comments_docstrings_and_formatting_do_not_count(tmp_path):
    source = (Path(helpers.traditional.__file__).parent / "edges.py").read_text(encoding="utf-8")
    bare = cache._meaning(source)
    assert cache._meaning("# Another comment\n" + source.replace(" = ", "  =  ")) == bare
    assert cache._meaning(source.replace('"""', '"""Otherwise: ', 1)) == bare
    assert cache._meaning(source + "\nMORE = 1\n") != bare
    assert cache._meaning('x = 1\n"""Of x."""') == cache._meaning("x=1")
    assert cache._meaning('x = "one"') != cache._meaning('x = "other"')


SHIFT = 3


def shifted(image):
    return image + _shift()


def _shift():
    return SHIFT


def test_a_function_counts_with_what_it_reads_around_itself(monkeypatch):
    def moved(by):
        return lambda image: image + by

    assert key_of(moved(1)) == key_of(moved(1)) != key_of(moved(2))
    assert key_of(partial(shifted, image=1)) != key_of(partial(shifted, image=2))
    assert key_of(partial(shifted)) != key_of([shifted, "2"])
    before = key_of(shifted)
    monkeypatch.setattr(f"{__name__}.SHIFT", 4)
    assert key_of(shifted) != before


def test_a_method_counts_with_the_state_of_its_object():
    class Threshold:
        def __init__(self, level):
            self.level = level

        def __call__(self, image):
            return image > self.level

        def segment(self, image):
            return self(image)

    assert key_of(Threshold(1)) == key_of(Threshold(1)) != key_of(Threshold(2))
    assert key_of(Threshold(1).segment) != key_of(Threshold(2).segment)
    assert key_of(Threshold(1)) != key_of(Threshold)


def test_modules_and_packages_are_code():
    assert key_of(helpers.traditional) == key_of(helpers.traditional) != key_of(helpers.metrics)
    assert key_of([helpers.traditional, helpers.metrics]) != key_of(helpers.metrics)
    with pytest.raises(ValueError, match="give code="):
        key_of(max)


def test_inputs_count_by_what_they_are_worth(tmp_path):
    same = [
        (2, 2.0),
        (2, np.int64(2)),
        (0.5, np.float64(0.5)),
        ((1, "a"), [1, "a"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, {2, 1}),
        (Numbers(), Numbers(sigma=2)),
        (np.ones(3), np.ones(6)[::2]),
        (Path(tmp_path / "one"), Path(tmp_path / "same")),
        (tmp_path / "folder", tmp_path / "folder"),
    ]
    (tmp_path / "folder").mkdir()
    for name, content in {"one": "1", "same": "1", "other": "2", "folder/a": "1"}.items():
        (tmp_path / name).write_text(content)
    for one, other in same:
        assert key_of("", x=one) == key_of("", x=other), (one, other)
    differ = [
        *(None, 0, 1, True, False, 1.5, "", "1", b"1", "None", (), {}, [[]], [1, 2], [12], [2, 1]),
        *({"a": 1}, {"a": 2}, {"b": 1}, {1, 2}, Numbers(), Numbers(sigma=3), OtherNumbers()),
        *(Kind.ONE, Kind.OTHER, shifted, np.zeros(3), np.zeros(3, np.uint8), np.zeros((3, 1))),
        *(tmp_path / "one", tmp_path / "other", tmp_path / "folder", float("nan"), float("inf")),
    ]
    keys = [key_of("", x=value) for value in differ]
    assert len(set(keys)) == len(differ)
    before = key_of("", x=tmp_path / "folder")
    (tmp_path / "folder" / "b").write_text("")
    assert key_of("", x=tmp_path / "folder") != before
    assert key_of("", x=1) != key_of("", y=1)
    for unknown in (object(), np.array([object()]), iter([])):
        with pytest.raises(ValueError, match=r"made of numbers|needs numbers"):
            key_of("", x=[unknown])


@pytest.fixture
def stack():
    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 9), np.uint8)
    labels = np.ones_like(pictures)
    return Stack(
        name="three slices",
        source="own",
        slice_numbers=(1, 2, 4),
        shape=(8, 9),
        voxel_nm=(50.0, 10.0, 10.0),
        licence="",
        citation="",
        _image=lambda index: pictures[index // 2],
        _labels=lambda index: labels[index // 2],
    )


def test_a_stack_counts_by_its_pixels(stack):
    whole = digest_of(stack)
    assert digest_of(replace(stack, name="another name", licence="MIT")) == whole
    assert digest_of(stack, [1, 2, 4]) == digest_of(stack, (4, 2, 1)) == whole
    assert digest_of(stack, [1, 2]) != whole
    assert digest_of(stack, of=("image",)) != whole
    assert digest_of(replace(stack, voxel_nm=(50.0, 5.0, 5.0))) != whole
    other_labels = replace(stack, _labels=lambda index: np.full((8, 9), 1 + (index == 4), "u1"))
    assert digest_of(other_labels) != whole
    assert digest_of(other_labels, [1, 2]) == digest_of(stack, [1, 2])
    assert digest_of(other_labels, of=("image",)) == digest_of(stack, of=("image",))


def test_what_is_drawn_counts_by_what_draws_it(stack):
    def never(index):
        raise AssertionError("drawn")

    one, same, other = (replace(stack, _image=with_content_key(never, key)) for key in "aab")
    assert digest_of(one, of=("image",)) == digest_of(same, of=("image",))
    assert digest_of(one, of=("image",)) != digest_of(other, of=("image",))
    assert digest_of(one, [1], of=("image",)) != digest_of(one, [2], of=("image",))
    with pytest.raises(AssertionError, match="drawn"):
        one.image(1)


def test_own_data_are_read_each_time_and_the_books_once(stack):
    reads = []

    def read(index):
        reads.append(index)
        return np.full((8, 9), len(reads) if stack.source == "own" else 7, np.uint8)

    own, book = replace(stack, _image=read), replace(stack, source="sample", _image=read)
    assert digest_of(own) != digest_of(own)
    assert len(reads) == 6
    assert digest_of(book, [1, 2]) != digest_of(book)
    assert digest_of(book) == digest_of(book)
    assert len(reads) == 9


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "some.weights.h5"
    write_whole(path, "é")
    assert path.read_bytes() == "é".encode()
    write_whole(path, b"two")
    seen = []

    def fail(unfinished):
        seen.append(unfinished)
        unfinished.write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_whole(path, fail)
    assert seen[0].match(cache.TEMPORARY)
    assert seen[0].name.endswith(".weights.h5")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, lambda unfinished: unfinished.write_bytes(b"three"))
    assert path.read_bytes() == b"three"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (28, "the disk is full.*another disk"),
        (30, "read-only.*may write to"),
        (13, "read-only.*may write to"),
        (36, "too long.*shorter path"),
        (5, "Input/output error.*Check its folder"),
    ],
)
def test_what_is_wrong_with_a_disk_is_said(tmp_path, monkeypatch, number, reason):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache.os, "replace", fail)
    with pytest.raises(StorageError, match=f"table.csv.*{reason}") as caught:
        write_whole(tmp_path / "table.csv", b"1")
    assert caught.value.errno == number
    assert "HELA_DATA_DIR" in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "data").write_text("a file")
    for folder in (tmp_path / "data", tmp_path / "data" / "training" / "segnet"):
        stack = ExitStack()
        with pytest.raises(StorageError, match="data is a file, and a folder is needed"):
            stack.enter_context(locked(folder, "trains"))
    with pytest.raises(StorageError, match="cannot be written"):
        write_whole(tmp_path / "gone" / "table.csv", b"")
    with pytest.raises(StorageError), storing(tmp_path), storing(tmp_path / "x"):
        raise OSError(28, "full")


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs a user who may not write everywhere")
def test_a_folder_that_is_read_only_is_named_at_once(tmp_path):
    script = f"""
import os, sys
from pathlib import Path
from helpers.cache import locked
folder = Path({str(tmp_path / "run")!r})
if os.getuid() == 0:
    os.setuid(65534)
with locked(folder, "trains"):
    pass
"""
    (tmp_path / "run").mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(cache.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "read-only. Set HELA_DATA_DIR" in done.stderr
    assert time.monotonic() - start < 30


HOLD = """
import sys
from pathlib import Path
from helpers.cache import locked
with locked(Path(sys.argv[1]), "trains segnet"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        cwd=Path(cache.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_the_second_waits_and_says_for_whom(tmp_path, holder, end, monkeypatch, capsys):
    waited = cache._holder

    def let_go(folder):
        text = waited(folder)
        holder.stdin.close() if end == "close" else holder.kill()
        return text

    monkeypatch.setattr(cache, "_holder", let_go)
    with locked(tmp_path, "trains unet"):
        said = capsys.readouterr().out
        assert f"Waiting for process {holder.pid}, which trains segnet in {tmp_path} since" in said
        assert json.loads((tmp_path / cache.HOLDER).read_text())["what"] == "trains unet"
    assert not (tmp_path / cache.HOLDER).exists()
    with locked(tmp_path, "trains unet"):
        assert capsys.readouterr().out == ""


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    ran = []
    with pytest.warns(UserWarning, match="no locks"), locked(tmp_path, "trains"):
        ran.append(1)
    assert ran
