"""Attacks the book: kills, concurrent runs, bad servers, flipped bits, broken input.

``make attack`` runs all of it, for a quarter of an hour at most, prints what was tried and what
survived, and keeps that as a page fragment for ``book/promises.md``. To survive is to end with the
right bytes, or with an error that says what is wrong; never with other bytes.
"""

import argparse
import contextlib
import datetime
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT), str(ROOT / "tools")]

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import victims  # noqa: E402

RECORD = HERE / "record.md"
SMALL = 0.02
"""Of how much of a run a kill comes at the earliest."""


Trial = Callable[[], str | None]
"""What a trial returns: None if the book survived, else what happened."""


# --- pieces of work, killed or two at a time -----------------------------------------------------


def start(kind: str, folder: Path, *more: str) -> subprocess.Popen:
    """Start a piece of work in a session of its own."""
    command = [sys.executable, str(HERE / "victims.py"), kind, str(folder), *more]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "NO_PROXY": "127.0.0.1"}
    environment.pop("HELA_DATA_DIR", None)
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def whole(kind: str, folder: Path, *more: str) -> float:
    """Let a piece of work end, and return its seconds."""
    begun = time.monotonic()
    running = start(kind, folder, *more)
    _, said = running.communicate(timeout=300)
    if running.returncode:
        raise RuntimeError(f"{kind} ended with {running.returncode}: {said[-300:]}")
    return time.monotonic() - begun


def result_of(kind: str, folder: Path) -> dict[str, object]:
    """Return what a piece of work leaves that must not depend on what happened on the way."""
    if kind == "training":
        return {path.name: weights_of(path) for path in sorted(folder.glob("*.weights.h5"))}
    if kind == "build":
        outputs = {}
        for path in (folder / "small").glob(".jupyter_cache/executed/*/base.ipynb"):
            cells = json.loads(path.read_text())["cells"]
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            text = "".join(map(str, code[0]["source"]))
            outputs[text] = [each["text"] for each in code[0]["outputs"]]
        return outputs
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name[0] != "." and path.suffix in (".tif", ".bin"):
            found[str(path.relative_to(folder))] = path.read_bytes()
        if path.name == "table.csv":
            rows = path.read_text(encoding="utf-8").splitlines()
            found[str(path.relative_to(folder))] = [row for row in rows if ",seconds," not in row]
    return found


def weights_of(path: Path) -> dict[str, bytes]:
    """Read the numbers of a weights file, which also holds when it was written."""
    import h5py

    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, each: (
                found.update({name: each[()].tobytes()}) if isinstance(each, h5py.Dataset) else None
            )
        )
    return found


def left_over(session: int) -> list[int]:
    """Return the processes of a session that are still there ten seconds later."""
    until = time.monotonic() + 10
    while True:
        there = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == session and process.status() != "zombie":
                    there.append(process.pid)
        if not there or time.monotonic() > until:
            return there
        time.sleep(0.2)


class Work:
    """One kind of work, what it gives undisturbed, and how long it takes."""

    def __init__(self, kind: str, folder: Path, *more: str):
        self.kind, self.more, self.folder = kind, more, folder
        self.wanted: dict[str, object] = {}

    def fresh(self) -> Path:
        """Return a new folder with what the work needs."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        victims.prepare(self.kind, folder)
        return folder

    def undisturbed(self) -> None:
        """Do it once, unless that was done."""
        if not self.wanted:
            folder = self.fresh()
            self.seconds = whole(self.kind, folder, *self.more)
            self.wanted = result_of(self.kind, folder)
            assert self.wanted, self.kind

    def compare(self, folder: Path) -> str | None:
        """Say what differs from the undisturbed work."""
        found = result_of(self.kind, folder)
        wrong = sorted(
            name for name in {*found, *self.wanted} if found.get(name) != self.wanted.get(name)
        )
        shutil.rmtree(folder, ignore_errors=True)
        return f"other content: {', '.join(wrong[:3])}" if wrong else None

    def killed(self, chance: random.Random) -> str | None:
        """Kill it once or twice at random, let it end, and compare."""
        self.undisturbed()
        folder = self.fresh()
        for _ in range(chance.choice((1, 1, 2))):
            running = start(self.kind, folder, *self.more)
            time.sleep(self.seconds * chance.uniform(SMALL, 1))
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
            running.communicate()
            there = left_over(running.pid)
            if there:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)
                return f"{len(there)} processes were left"
        whole(self.kind, folder, *self.more)
        return self.compare(folder)

    def twice(self) -> str | None:
        """Do it in two processes at once, in one folder, and compare."""
        self.undisturbed()
        folder = self.fresh()
        both = [start(self.kind, folder, *self.more) for _ in range(2)]
        for each in both:
            _, said = each.communicate(timeout=300)
            if each.returncode:
                return f"ended with {each.returncode}: {said[-200:]}"
        return self.compare(folder)


# --- servers -------------------------------------------------------------------------------------


def server_faults() -> dict[str, dict]:
    """Return what a server does, by name: attributes of it, and the faults of its answers."""
    from server import Fault

    page = b"<!doctype html><title>Please log in</title>" * 20
    body = victims.FILES["cell/slice_001.bin"]
    faults = {f"status {code}": [Fault(code)] for code in (400, 401, 403, 404, 408, 410, 416, 429)}
    faults |= {f"status {code}": [Fault(code)] for code in (500, 502, 503, 504)}
    faults |= {f"cut after {n}": [Fault(cut_after=n)] for n in (0, 1, 1000, len(body) - 1)}
    faults["a login page"] = [Fault(body=page)]
    faults["an empty file"] = [Fault(body=b"")]
    faults["a longer file"] = [Fault(body=body + b"x")]
    faults["another file of that length"] = [Fault(body=bytes(len(body)))]
    faults["silence"] = [Fault(wait_s=2)]
    faults["no such day to come back"] = [Fault(503, {"Retry-After": "soon"})]
    faults["a redirect to itself"] = [Fault(302, {"Location": "/cell/slice_001.bin"})] * 30
    faults["a redirect to nowhere"] = [Fault(302, {"Location": "http://127.0.0.1:9/x"})]
    made = {name: {"faults": each} for name, each in faults.items()}
    made["cut again and again"] = {"faults": [Fault(cut_after=1000)] * 200}
    made["no ranges, cut"] = {"faults": [Fault(cut_after=1000)], "has_ranges": False}
    made["If-Range unheeded, cut"] = {"faults": [Fault(cut_after=9)] * 9, "heeds_if_range": False}
    made["no ETag, cut"] = {"faults": [Fault(cut_after=1000)], "has_etag": False}
    return made


def ask_server(name: str, how: dict, times: int) -> str | None:
    """Fetch a file from a server with a fault, `times` times over; keep nothing that is wrong."""
    import hashlib

    import pooch
    from server import FaultyServer

    from helpers.data import DataError, download, files
    from helpers.settings import Settings, using

    wanted = "cell/slice_001.bin"
    download.BACK_OFF_S, download.READ_TIMEOUT_S = 0.001, 0.3
    download._hosts.clear()
    server, begun = FaultyServer(), time.monotonic()
    server.files = dict(victims.FILES)
    server.faults[wanted] = list(how["faults"]) * times
    for attribute in ("has_ranges", "heeds_if_range", "has_etag"):
        setattr(server, attribute, how.get(attribute, True))
    store = pooch.create(path="", base_url="")
    store.registry[wanted] = hashlib.sha256(victims.FILES[wanted]).hexdigest()
    store.urls[wanted] = f"{server.url}/{wanted}"
    kept, files._registry = files._registry, lambda: store
    try:
        with tempfile.TemporaryDirectory() as folder:
            chosen = Settings("smoke", "auto", Path(folder) / "data", None)
            try:
                with using(chosen):
                    path = files.fetch(wanted)
                if path.read_bytes() != victims.FILES[wanted]:
                    return f"{name}: a wrong file was handed out"
            except DataError as error:
                if not error.remedy:
                    return f"{name}: no remedy"
            stored = [p for p in chosen.data_dir.rglob("*") if p.is_file() and p.suffix == ".bin"]
            if any(p.read_bytes() != victims.FILES[wanted] for p in stored):
                return f"{name}: a wrong file was kept"
    finally:
        files._registry = kept
        server.stop()
    seconds = time.monotonic() - begun
    return f"{name}: took {seconds:.0f} s" if seconds > 30 else None


# --- flipped bits and broken input ---------------------------------------------------------------


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Flip one bit."""
    changed = bytearray(content)
    bit = chance.randrange(8 * len(content))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flip_label_map(folder: Path, chance: random.Random) -> str | None:
    """Read a label map with a flipped bit: the same labels, or an error."""
    from drawn_stack import drawn_slice

    from helpers.label_maps import DamagedLabelMapError, LabelMaps

    maps, labels = LabelMaps(folder / "maps", {"of": "the attack"}), drawn_slice(13)[1]
    path = maps.write(13, labels)
    path.write_bytes(flipped(path.read_bytes(), chance))
    try:
        return None if np.array_equal(maps.read(13), labels) else "read as other labels"
    except DamagedLabelMapError as error:
        return None if "slice 13" in str(error) else "the slice is not named"


def flip_record(work: Work, chance: random.Random) -> str | None:
    """Load results of which one file has a flipped bit: as they were, left out, or named."""
    from helpers import results
    from helpers.settings import Settings, using

    folder = work.folder / "flipped"
    if not folder.exists():
        whole("run_all", folder)
    chosen = Settings("quick", "auto", folder / "data", None)
    paths = sorted(path for path in folder.rglob("*") if path.name in ("record.json", "table.csv"))
    path = chance.choice(paths)
    content = path.read_bytes()
    with using(chosen), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        before = results.load_runs(source="own")
        path.write_bytes(flipped(content, chance))
        try:
            after = results.load_runs(source="own")
        except ValueError as error:
            return None if path.parent.name in str(error) else f"unnamed: {error}"
        finally:
            path.write_bytes(content)
    key = ["method", "run", "slice", "metric", "label"]
    key = [each for each in key if each in before.columns]
    old, new = (each.set_index(key)["value"].to_dict() for each in (before, after))
    if any(name not in old or not same(old[name], new[name]) for name in new):
        return f"other scores from {path.name}"
    if len(new) < len(old) and not told:
        return "left out without a word"
    return None


def same(one: float, other: float) -> bool:
    """Compare numbers, where none is like none."""
    return one == other or (one != one and other != other)


def flip_data_file(folder: Path, chance: random.Random) -> str | None:
    """Fetch a file of which a bit was flipped in the folder: had anew, whole."""
    path = folder / "data" / "cell" / "slice_001.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(flipped(victims.FILES["cell/slice_001.bin"], chance))
    from helpers.data import files

    found = files.fetch("cell/slice_001.bin").read_bytes()
    return None if found == victims.FILES["cell/slice_001.bin"] else "a damaged file was taken"


def broken_inputs(folder: Path, chance: random.Random) -> Iterator[Trial]:
    """Yield inputs of all forms, broken in turn by a cut, zeros, other content, or nothing."""
    import test_data_formats as forms
    from microscope_files import write_mrc
    from PIL import Image

    written = dict(forms.CUT)

    def png(where, volume):
        Image.fromarray(volume[0]).save(where / "cell.png")
        return where / "cell.png"

    def jpeg(where, volume):
        Image.fromarray(volume[0]).save(where / "cell.jpg")
        return where / "cell.jpg"

    def npy(where, volume):
        np.save(where / "cell.npy", volume)
        return where / "cell.npy"

    written |= {
        "PNG": png,
        "JPEG": jpeg,
        "NumPy": npy,
        "MRC": lambda where, volume: write_mrc(where / "cell.mrc", volume, forms.VOXEL_NM),
    }
    harms = {
        "cut": lambda content: content[: chance.randrange(1, len(content))],
        "emptied": lambda content: b"",
        "a web page": lambda content: b"<!doctype html><title>Not found</title>",
        "zeros at its head": lambda content: bytes(64) + content[64:],
        "noise at its head": lambda content: chance.randbytes(64) + content[64:],
    }
    for harm, change in harms.items():
        for form, write in written.items():
            yield partial(open_broken, folder, write, change, f"{form}, {harm}")


def open_broken(folder: Path, write: Callable, change: Callable, name: str) -> str | None:
    """Open what was broken: an error that names the file, or the slices that are whole."""
    import test_data_formats as forms

    from helpers.data import open_stack

    where = Path(tempfile.mkdtemp(dir=folder))
    path = write(where, forms.EIGHT)
    voxel = {"voxel_nm": forms.VOXEL_NM}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = open_stack(path, **voxel)
        right = {number: right.image(number) for number in right.slice_numbers}
        path.write_bytes(change(path.read_bytes()))
        try:
            cell = open_stack(path, **voxel)
            if cell.slice_numbers != tuple(right):
                return f"{name}: opened with {len(cell)} of {len(right)} slices"
            for number in cell.slice_numbers:
                try:
                    image = cell.image(number)
                except ValueError:
                    continue
                if not np.array_equal(image, right[number]):
                    return f"{name}: slice {number} is another picture"
        except (ValueError, TypeError, FileNotFoundError) as error:
            return None if path.name in str(error) else f"{name}, unnamed: {error}"
        finally:
            shutil.rmtree(where, ignore_errors=True)
    return None


# --- the campaign --------------------------------------------------------------------------------


def attacks(folder: Path, chance: random.Random, address: str) -> dict[str, list[Trial]]:
    """Return the trials by what they attack."""
    works = {
        kind: Work(kind, folder, *([address] if kind == "download" else []))
        for kind in victims.KINDS
    }
    titles = {
        "run_all": "kill a run of all methods",
        "training": "kill a training",
        "volume": "kill a segmentation in three dimensions",
        "download": "kill a download",
        "build": "kill a build",
    }
    found = {
        title: [lambda kind=kind: works[kind].killed(chance)] * 4 for kind, title in titles.items()
    }
    pairs = ["run_all", "run_all", "run_all", "volume", "volume", "volume", "training", "download"]
    found["two processes at once, in one folder"] = [works[kind].twice for kind in pairs]
    servers = server_faults()
    found["a server that fails once"] = [
        lambda name=name, how=how: ask_server(name, how, 1) for name, how in servers.items()
    ]
    found["a server that goes on failing"] = [
        lambda name=name, how=how: ask_server(name, how, 50) for name, how in servers.items()
    ]
    found["a flipped bit in a label map"] = [lambda: flip_label_map(folder, chance)] * 1200
    found["a flipped bit in a record or table"] = [
        lambda: flip_record(works["run_all"], chance)
    ] * 500
    found["a flipped bit in a file of data"] = [lambda: flip_data_file(folder, chance)] * 300
    found["broken slices of one's own"] = list(broken_inputs(folder, chance))
    return found


def publish(address: str) -> None:
    """Let `helpers.data.files` know the files of the attack, in this process."""
    import hashlib

    import pooch

    from helpers.data import files

    store = pooch.create(path="", base_url="")
    for name, body in victims.FILES.items():
        store.registry[name] = hashlib.sha256(body).hexdigest()
        store.urls[name] = f"{address}/{name}"
    files._registry = lambda: store
    files.PROBE_NAME = next(iter(victims.FILES))


def attempt(trial: Trial) -> str | None:
    """Do one trial; an error that it did not expect is no survival."""
    try:
        return trial()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"


def table(rows: list[tuple[str, int, int, int]]) -> str:
    """Return a table of what was tried and what survived."""
    lines = ["| attack | tried | survived |", "| --- | --: | --: |"]
    for name, tried, survived, wanted in rows:
        left = f" of {wanted}" if tried < wanted else ""
        lines.append(f"| {name} | {tried}{left} | {survived} |")
    return "\n".join(lines)


def main() -> int:
    """Attack, print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="begin nothing after these")
    parser.add_argument("--seed", type=int, default=None, help="by default another one each time")
    parser.add_argument("--only", default="", help="attacks whose names have this text")
    parser.add_argument("--keep", action="store_true", help=f"write {RECORD.name}, for the page")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    chance, until = random.Random(seed), time.monotonic() + 60 * arguments.minutes
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    print(f"seed {seed}", flush=True)

    from server import Fault, FaultyServer

    from helpers.settings import Settings, using

    server, rows, fallen = FaultyServer(), [], []
    server.files = dict(victims.FILES)
    for name in victims.FILES:
        server.faults[name] = [Fault(wait_s=0.15)] * 1000
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        publish(server.url)
        fast, slow_url = FaultyServer(), server.url
        fast.files = dict(victims.FILES)
        publish(fast.url)
        with using(Settings("smoke", "auto", folder / "data", None)):
            for name, trials in attacks(folder, chance, slow_url).items():
                if arguments.only not in name:
                    continue
                tried = survived = 0
                for trial in trials:
                    if time.monotonic() > until:
                        break
                    said = attempt(trial)
                    tried, survived = tried + 1, survived + (said is None)
                    if said is not None:
                        fallen.append(f"{name}: {said}")
                rows.append((name, tried, survived, len(trials)))
                print(f"{name}: {survived} of {tried}", flush=True)
        server.stop()
        fast.stop()
    text = table(rows)
    print(f"\n{text}\n", *fallen, sep="\n")
    if arguments.keep:
        today = datetime.date.today()
        what = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(what, capture_output=True, text=True, check=True).stdout.strip()
        head = f"On {today.day} {today:%B %Y}, of commit `{commit}`, with the seed {seed}:"
        RECORD.write_text(f"{head}\n\n{text}\n", encoding="utf-8")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
