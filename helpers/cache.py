"""When a result on disk still holds, and how results are written so that they are whole.

One rule for label maps, scores, trainings and volumes: a result is named after `key_of` all that
it depends on, and is taken where that key is found.
`write_whole` writes, `locked` keeps a folder to one process, and where a disk does not play along
both raise a `StorageError` that says what to do.
Finished results are read without a lock, so that they can lie in a folder that is read-only.
"""

import ast
import dataclasses
import errno
import functools
import hashlib
import inspect
import json
import os
import platform
import textwrap
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

TEMPORARY = ".*.tmp.*"
"""Pattern of the names that unfinished files have until they are whole."""
LOCK, HOLDER = ".lock", ".lock.json"
"""Names of the files in a folder that say that it is locked, and by whom."""

_PATIENCE_S = 1.0
_ATTEMPTS = 5
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_NOT_MEANT = ("ctx", "kind", "type_comment", "type_ignores")


class StorageError(OSError):
    """A file cannot be stored; the message says why, and what to do."""


def key_of(code, /, **inputs) -> str:
    """Return a short text that changes when a result may change, and only then.

    Parameters
    ----------
    code : function, class, module, package, str, or list of these
        What computes the result. Comments, docstrings and formatting do not count, and Python 3.10
        to 3.13 agree. A package counts with all of its modules. A function counts with its
        `functools.partial` arguments, with the numbers, text, tuples and arrays that it reads from
        around itself, and with the functions of its own module that it calls. Code of other
        modules does not count: name it too. A str stands for itself, for code that has no source.
    **inputs
        What it is computed from: None, numbers, text, arrays, enumerations, dataclasses, functions,
        and lists, sets and mappings of these. A path stands for the content of its file or folder.
        Give a stack as ``pictures=digest_of(stack, slices)``.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    ValueError
        If the source of a function cannot be had, or an input is of another kind.

    Examples
    --------
    >>> key_of("version 1", sigma=2.0) == key_of("version 1", sigma=2)
    True
    >>> key_of("version 1", sigma=2) == key_of("version 1", sigma=3)
    False
    """
    parts = code if isinstance(code, list | tuple) else (code,)
    seen: set[int] = set()
    found = [
        _digest("text", part) if isinstance(part, str) else _code(part, seen) for part in parts
    ]
    return _digest("key", *found, _digest_value(inputs, "inputs")).hex()[:16]


def digest_of(stack, slices: Iterable[int] | None = None, *, of=("image", "labels")) -> str:
    """Return a digest of what is in a stack: pixels, not names.

    Parameters
    ----------
    stack : Stack
        Of the book's own sources each slice is read once in a process: they do not change; what
        is drawn is not read at all, if its reader has a `content_key`. A user's own data
        (``source="own"``) are read each time.
    slices : iterable of int, optional
        Those that matter; by default all.
    of : tuple of {"image", "labels", "nuclei"}
        What of each slice matters: ``("image",)`` where no ground truth is used.

    Returns
    -------
    str
        Sixteen hexadecimal digits: of the size of a voxel and, for each slice, its number and its
        pixels.
    """
    known = {} if stack.source == "own" else vars(stack).setdefault("_digests", {})

    def digest(part: str, index: int) -> bytes:
        drawn = getattr(getattr(stack, f"_{part}"), "content_key", None)
        if drawn is not None:
            return _digest("drawn", drawn, part)
        if (part, index) not in known:
            known[part, index] = _digest_value(getattr(stack, part)(index), part)
        return known[part, index]

    chosen = sorted(stack.slice_numbers if slices is None else {int(index) for index in slices})
    found = [_digest("slice", str(index), *(digest(p, index) for p in of)) for index in chosen]
    return _digest("stack", _digest_value(stack.voxel_nm, "voxel"), *of, *found).hex()[:16]


def with_content_key(read: Callable, key: str) -> Callable:
    """Say what a reader of drawn slices depends on, so that `digest_of` need not draw them.

    Parameters
    ----------
    read : function or method
        Of a stack: gets the number of a slice. Its name tells it from others with that key.
    key : str
        From `key_of` the code that draws and all that it is given.

    Returns
    -------
    callable
        Does the same, and has the key as its ``content_key``.
    """
    known = functools.partial(read)
    # The name too: what reads labels and what reads pictures may be drawn from the same numbers.
    known.content_key = f"{key} {read.__name__}"
    return known


def write_whole(path: Path, content: bytes | str | Callable[[Path], None]) -> None:
    """Write a file, all of it or nothing: what was there before stays until then.

    Parameters
    ----------
    path : Path
        In a folder that is there.
    content : bytes, str or callable
        Text is written as UTF-8. A callable, for what is large, is given a path with the same
        ending and writes there.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with storing(path):
        for attempt in range(1, _ATTEMPTS + 1):
            unfinished = path.with_name(f".{uuid4().hex[:12]}.tmp.{path.name}")
            try:
                _write(unfinished, content)
                os.replace(unfinished, path)
            except FileNotFoundError:
                # Another process opened the folder and took the unfinished file for a left-over.
                if attempt == _ATTEMPTS or not path.parent.is_dir():
                    raise
            else:
                return
            finally:
                unfinished.unlink(missing_ok=True)


def _write(path: Path, content: bytes | str | Callable[[Path], None]) -> None:
    if not callable(content):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return
    content(path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder to this process; another one waits, and says for whom.

    Look first whether what you would make is there: reading needs no lock.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    what : str
        What is done in it, for those who wait: ``"trains segnet"``.

    Raises
    ------
    StorageError
        If nothing can be written there.

    Warns
    -----
    UserWarning
        If the file system has no locks: then nothing keeps two processes apart.
    """
    folder = Path(folder)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()  # filelock takes a folder that is read-only for a locked one.
        lock = _acquired(folder)
        # Said in a file of its own: on Windows what is locked cannot be read.
        me = {"what": what, "pid": os.getpid(), "host": platform.node(), "since": _now()}
        try:
            write_whole(folder / HOLDER, json.dumps(me))
        except StorageError:
            lock.release(force=True)
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release(force=True)


def _acquired(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    try:
        try:
            lock.acquire(timeout=_PATIENCE_S)
        except Timeout:
            print(f"Waiting for {_holder(folder)}.", flush=True)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
            raise
        warnings.warn(
            f"The file system of {folder} has no locks. Do not run the same thing twice at a time "
            "there, or set HELA_DATA_DIR to a folder on a local disk.",
            stacklevel=5,
        )
    return lock


def _holder(folder: Path) -> str:
    try:
        who = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        place = "" if who["host"] == platform.node() else f" on {who['host']}"
        return f"process {who['pid']}{place}, which {who['what']} in {folder} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another process that works in {folder}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a disk into a `StorageError` that says what to do.

    Parameters
    ----------
    path : Path
        The file or folder that is to be written.

    Raises
    ------
    StorageError
        In place of any other `OSError` that is raised inside.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason, remedy = storage_fault(path, error)
        raise StorageError(error.errno, f"{reason}. {remedy}") from error


def storage_fault(path: Path, error: OSError) -> tuple[str, str]:
    """Say what an error of the file system means for the user.

    Parameters
    ----------
    path : Path
        What was to be written.
    error : OSError
        What the system said.

    Returns
    -------
    reason, remedy : str
        The reason is without a full stop.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path} cannot be written: the disk is full",
            "Free some space, or set HELA_DATA_DIR to a folder on another disk.",
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return (
            f"{path} cannot be written: its folder is read-only",
            "Set HELA_DATA_DIR to a folder that you may write to.",
        )
    in_the_way = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
    if isinstance(error, NotADirectoryError | FileExistsError) and in_the_way is not None:
        return (
            f"{path} cannot be made: {in_the_way} is a file, and a folder is needed",
            "Move that file away, or set HELA_DATA_DIR to another folder.",
        )
    if error.errno == errno.ENAMETOOLONG:
        return (
            f"{path} cannot be written: its name is too long",
            "Set HELA_DATA_DIR to a folder with a shorter path.",
        )
    return (
        f"{path} cannot be written ({error.strerror or error})",
        "Check its folder, or set HELA_DATA_DIR to another.",
    )


def _digest(kind: str, *parts: bytes | str) -> bytes:
    found = hashlib.blake2b(kind.encode(), digest_size=16)
    for part in parts:
        part = part.encode() if isinstance(part, str) else part
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()


def _digest_value(value, name: str) -> bytes:
    """Digest an input by what it is worth: 2 and 2.0 are one, and so are a list and a tuple."""
    if _is_array(value):
        if value.dtype.hasobject:
            raise ValueError(f"{name} is an array of objects; a key needs numbers or text in it.")
        return _digest("array", value.dtype.name, str(value.shape), value.tobytes())
    if isinstance(value, Enum):
        return _digest(type(value).__qualname__, value.name)
    if isinstance(value, str | bytes):
        return _digest(type(value).__name__, value)
    if hasattr(value, "dtype") and hasattr(value, "item"):  # A number of numpy's.
        value = value.item()
    if value is None or isinstance(value, bool | int | float | complex):
        whole = isinstance(value, float) and value.is_integer()
        return _digest("number", repr(int(value) if whole else value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _digest(type(value).__qualname__, _digest_value(_fields(value), name))
    if isinstance(value, Mapping):
        pairs = ((_digest_value(key, name), key) for key in value)
        return _digest(
            "mapping",
            *(
                part
                for d, key in sorted(pairs, key=lambda pair: pair[0])
                for part in (d, _digest_value(value[key], f"{name}.{key}"))
            ),
        )
    if isinstance(value, set | frozenset):
        return _digest("set", *sorted(_digest_value(each, name) for each in value))
    if isinstance(value, list | tuple | range):
        return _digest("sequence", *(_digest_value(each, name) for each in value))
    if isinstance(value, Path):
        return _digest_path(value)
    if callable(value) or isinstance(value, types.ModuleType):
        return _code(value, set())
    raise ValueError(
        f"{name} is a {type(value).__name__}; a key is made of numbers, text, arrays, dataclasses, "
        "paths, functions, and lists or mappings of these."
    )


def _is_array(value) -> bool:
    # By what it can do, so that an array of TensorFlow's types needs no import of them.
    return all(hasattr(value, name) for name in ("dtype", "shape", "tobytes", "__array__")) and (
        value.shape != () or type(value).__name__ == "ndarray"
    )


def _fields(value) -> dict:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _digest_path(path: Path) -> bytes:
    if not path.is_dir():
        return _digest("file", path.read_bytes())
    files = sorted(file for file in path.rglob("*") if file.is_file())
    names = (file.relative_to(path).as_posix() for file in files)
    return _digest(
        "folder", *(_digest(n, f.read_bytes()) for n, f in zip(names, files, strict=True))
    )


def _code(part, seen: set[int]) -> bytes:
    """Digest code; `seen` has the functions that need not be looked at again."""
    if isinstance(part, types.ModuleType):
        folders = getattr(part, "__path__", None)
        files = (
            [Path(inspect.getsourcefile(part))]
            if folders is None
            else sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
        )
        return _digest("module", *(_file_meaning(f, f.stat().st_mtime_ns) for f in files))
    if isinstance(part, functools.partial):
        given = _digest_value([part.args, part.keywords], "an argument of partial")
        return _digest("partial", _code(part.func, seen), given)
    part = inspect.unwrap(part)
    if inspect.ismethod(part):
        return _digest("method", _code(part.__func__, seen), _code(part.__self__, seen))
    if inspect.isfunction(part):
        seen.add(id(part))
        return _digest("function", *_sources(part), *_surroundings(part, seen))
    if inspect.isclass(part):
        return _digest("class", *_sources(part))
    kind, state = type(part), getattr(part, "__dict__", {})
    known = [_digest_value(state, f"{kind.__name__}.__dict__")] if state else []
    return _digest("class", *_sources(kind), *known)


def _surroundings(function, seen: set[int]) -> Iterator[bytes]:
    """Digest what a function reads from around itself, as far as that cannot change by itself."""
    around = inspect.getclosurevars(function)
    for name, value in sorted({**around.globals, **around.nonlocals}.items()):
        if inspect.isfunction(value) and value.__module__ == function.__module__:
            if id(value) not in seen:
                yield _digest(name, _code(value, seen))
        elif _is_constant(value):
            yield _digest(name, _digest_value(value, name))


def _is_constant(value) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(_is_constant(each) for each in value)
    return isinstance(value, str | bytes | bool | int | float | complex) or _is_array(value)


def _sources(part) -> list[str]:
    try:
        return [_meaning(inspect.getsource(part))]
    except (OSError, TypeError):
        methods = vars(part).values() if inspect.isclass(part) else ()
        # Of a class made in a notebook only its methods' source can be had.
        found = [_meaning(inspect.getsource(each)) for each in methods if inspect.isfunction(each)]
        if found:
            return found
        raise ValueError(
            f"the source of {part!r} cannot be had; give code=, a text that you change "
            "whenever what it computes changes."
        ) from None


@functools.cache
def _file_meaning(path: Path, _mtime_ns: int) -> str:
    return _meaning(path.read_bytes())


def _meaning(source: str | bytes) -> str:
    """Reduce source code to what it does: no comments, docstrings or formatting.

    Python's own `ast.dump` and `ast.unparse` write the same tree differently from one minor
    version to the next.

    Examples
    --------
    >>> _meaning("x = f( 1 )  # one") == _meaning("x = f(1)")
    True
    """
    try:
        return _written(ast.parse(textwrap.dedent(source) if isinstance(source, str) else source))
    except SyntaxError:  # A lambda comes with the rest of its line.
        return source.strip()


def _written(node) -> str:
    if isinstance(node, list):
        return f"[{','.join(_written(each) for each in node if not _is_note(each))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.JoinedStr):
        node = ast.JoinedStr(_merged(node.values))
    fields = ((name, getattr(node, name, None)) for name in sorted(node._fields))
    # Fields that newer versions know are empty in code that older ones read.
    told = (f"{n}={_written(v)}" for n, v in fields if n not in _NOT_MEANT and v not in (None, []))
    return f"{type(node).__name__}({','.join(told)})"


def _is_note(node) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """Join neighbouring texts of an f-string, which versions of Python cut in different places."""
    merged: list[ast.expr] = []
    for value in values:
        last = merged[-1] if merged else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            merged[-1] = ast.Constant(last.value + value.value)
        else:
            merged.append(value)
    return [each for each in merged if not (isinstance(each, ast.Constant) and each.value == "")]
