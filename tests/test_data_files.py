"""Files by name, from a server that misbehaves in every way a real one does."""

import errno
import hashlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pooch
import pytest
import requests
from real_data import need_files
from server import Fault

from helpers.data import DataError, download, files
from helpers.settings import using

NAME = "cell/slice_001.bin"
BODY = bytes(range(256)) * 1000
REAL_REGISTRY, REAL_PROBE = files._registry, files.PROBE_NAME
OTHERS = [f"cell/slice_{i:03d}.bin" for i in range(2, 12)]


@pytest.fixture(autouse=True)
def published(monkeypatch, server):
    """Publish a registry of small files, all on the local server."""
    server.files = {NAME: BODY} | {name: name.encode() * 99 for name in OTHERS}
    store = pooch.create(path="", base_url="")
    for name, body in server.files.items():
        store.registry[name] = hashlib.sha256(body).hexdigest()
        store.urls[name] = f"{server.url}/home/{name}"
    monkeypatch.setattr(files, "_registry", lambda: store)
    monkeypatch.setattr(files, "PROBE_NAME", NAME)


@pytest.fixture
def settings(settings):
    with using(settings):
        yield settings


@pytest.fixture
def mirror(mirror):
    with using(mirror):
        yield mirror


def files_in(settings) -> set[str]:
    folder = settings.data_dir
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def failure(settings, name=NAME) -> DataError:
    """Fetch, which must fail, name the file, and leave nothing behind."""
    before = files_in(settings)
    with using(settings), pytest.raises(DataError) as caught:
        files.fetch(name)
    assert name in str(caught.value)
    assert caught.value.remedy
    assert files_in(settings) == before
    return caught.value


def put(settings, body: bytes, name=NAME) -> Path:
    path = settings.data_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def test_fetch_downloads_once_and_then_asks_nothing(mirror, server):
    path = files.fetch(NAME)
    assert path == mirror.data_dir / NAME
    assert path.read_bytes() == BODY
    assert path.stat().st_mode & 0o777 == 0o644
    assert files.fetch(NAME) == path
    assert server.asked(NAME) == 1
    assert files_in(mirror) == {NAME}
    assert server.seen[0][2]["User-Agent"].startswith("hela-book/")


def test_without_a_mirror_the_registry_says_where(settings, server):
    server.files[f"home/{NAME}"] = BODY
    assert files.fetch(NAME).read_bytes() == BODY
    assert server.asked(f"home/{NAME}") == 1
    assert server.asked(NAME) == 0


def test_a_handed_out_folder_is_used_without_network_and_without_writing(
    settings, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere.bin"
    elsewhere.write_bytes(BODY)
    path = put(settings, b"")
    path.unlink()
    path.symlink_to(elsewhere)

    def forbidden(*_, **__):
        raise AssertionError("neither the network nor a new file is needed")

    monkeypatch.setattr(requests.Session, "send", forbidden)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", forbidden)
    monkeypatch.setattr("os.mkdir", forbidden)
    before = path.parent.stat().st_mtime_ns
    assert files.is_cached(NAME)
    assert files.fetch(NAME) == path
    assert files.fetch_many([NAME]) == {NAME: path}
    assert path.is_symlink()
    assert path.parent.stat().st_mtime_ns == before


def test_a_damaged_file_is_downloaded_anew(mirror):
    path = put(mirror, b"damaged")
    assert not files.is_cached(NAME)
    assert files.fetch(NAME).read_bytes() == BODY
    assert files_in(mirror) == {path.relative_to(mirror.data_dir).as_posix()}


def test_a_damaged_file_that_cannot_be_replaced_is_said_to_be_so_and_kept(mirror, server):
    path = put(mirror, b"damaged")
    del server.files[NAME]
    assert "copy in the data folder is damaged" in str(failure(mirror))
    assert path.read_bytes() == b"damaged"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=500),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429),
        Fault(cut_after=0),
        Fault(cut_after=5000),
        Fault(cut_after=len(BODY) - 1),
        Fault(body=b"<html>log in</html>"),
        Fault(wait_s=0.5),
    ],
    ids=str,
)
def test_one_fault_is_survived(mirror, server, fault):
    server.faults[NAME] = [fault]
    assert files.fetch(NAME).read_bytes() == BODY
    assert server.asked(NAME) == 2
    assert files_in(mirror) == {NAME}


@pytest.mark.parametrize(
    ("fault", "tries", "said"),
    [
        (Fault(status=503), download.TRIES, "HTTP 503"),
        (Fault(status=404), 1, "HTTP 404"),
        (Fault(status=403), 1, "HTTP 403"),
        (Fault(cut_after=5000), download.TRIES, f"cut after 5000 of {len(BODY)} bytes"),
        (Fault(wait_s=0.5), download.TRIES, "stopped answering"),
        (Fault(body=b"<html>log in</html>"), 2, "wrong hash"),
        (Fault(status=429, headers={"Retry-After": "4000"}), 1, "wait 4000 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_lasting_fault_is_reported(mirror, server, fault, tries, said):
    server.faults[NAME] = [fault] * 9
    error = failure(mirror)
    assert said in error.reason
    assert f"{server.url}/{NAME}" in str(error)
    assert "HELA_DATA_" in error.remedy
    assert server.asked(NAME) == tries


@pytest.mark.parametrize("text", ["1", "date"])
def test_retry_after_is_honoured(mirror, server, text):
    # A date has whole seconds: two from now is at least one.
    told = formatdate(time.time() + 2, usegmt=True) if text == "date" else text
    server.faults[NAME] = [Fault(status=429, headers={"Retry-After": told})]
    start = time.monotonic()
    files.fetch(NAME)
    assert 0.9 < time.monotonic() - start < 3


def test_back_off_grows(mirror, server, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(download, "BACK_OFF_S", 1.0)
    server.faults[NAME] = [Fault(status=503)] * 9
    failure(mirror)
    # urllib3 asks again at once, then waits; half a second of it is chance.
    waits = [wait for wait in waits if wait > 0]
    assert waits == pytest.approx([2.25, 4.25], abs=0.26)


def test_a_retry_after_that_is_no_time_is_passed_over(mirror, server):
    server.faults[NAME] = [Fault(status=429, headers={"Retry-After": "soon"})]
    assert files.fetch(NAME).read_bytes() == BODY
    assert server.asked(NAME) == 2


def test_a_login_page_is_not_asked_for_hundreds_of_times(mirror, server, monkeypatch):
    monkeypatch.setattr(files, "CONNECTIONS", 1)
    server.content_type = "text/html; charset=utf-8"
    with pytest.warns(UserWarning, match="10 of 10 .* sent a web page, not the file"):
        assert files.fetch_many(OTHERS, missing="skip") == {}
    assert len(server.seen) == download.FAILURES_TO_SHUT


def test_a_server_without_length_is_believed(mirror, server, monkeypatch):
    # Then only the hash tells that a body is whole.
    monkeypatch.setattr(download, "length_of", lambda _: None)
    assert files.fetch(NAME).read_bytes() == BODY


def test_a_refused_connection_fails_at_once_and_then_without_asking(settings, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        offline = replace(settings, data_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
    start = time.monotonic()
    assert "no connection" in failure(offline).reason
    assert time.monotonic() - start < 1

    def forbidden(*_, **__):
        raise AssertionError("the host is known to be down")

    monkeypatch.setattr(requests.Session, "send", forbidden)
    start = time.monotonic()
    for name in OTHERS:
        assert "asked before" in failure(offline, name).reason
    with using(offline):
        assert not files.is_reachable()
    assert time.monotonic() - start < 1


def test_a_host_is_asked_again_after_a_while(mirror, server, monkeypatch):
    def no_such_host(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_such_host)
        assert "no network" in failure(mirror).reason
    assert "asked before" in failure(mirror).reason
    assert server.seen == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    assert files.fetch(NAME).read_bytes() == BODY


def test_a_resolver_that_hangs_is_not_waited_for(mirror, monkeypatch):
    monkeypatch.setattr(download, "RESOLVE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(1))
    start = time.monotonic()
    assert "no network" in failure(mirror).reason
    assert time.monotonic() - start < 0.9


def test_a_server_that_fails_every_file_is_given_up(mirror, server):
    for name in OTHERS:
        server.faults[name] = [Fault(status=503)] * 9
    for name in OTHERS:
        failure(mirror, name)
    assert len(server.seen) == download.FAILURES_TO_SHUT * download.TRIES


def raising(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_read_only_folder(mirror, monkeypatch, number):
    mirror.data_dir.mkdir()
    monkeypatch.setattr("tempfile.NamedTemporaryFile", raising(number))
    error = failure(mirror)
    assert "read-only" in error.reason
    assert str(mirror.data_dir) in error.reason
    assert "HELA_DATA_DIR" in error.remedy


@pytest.mark.parametrize(
    "place", ["tempfile.NamedTemporaryFile", "shutil.move", "pathlib.Path.mkdir"]
)
def test_a_full_disk(mirror, monkeypatch, place):
    with monkeypatch.context() as patch:
        patch.setattr(place, raising(errno.ENOSPC))
        error = failure(mirror)
    assert "disk is full" in error.reason
    assert "Free some space" in error.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full as a full disk")
def test_a_disk_that_gets_full_while_writing(mirror, monkeypatch, server):
    def onto_a_full_disk(_, mode):
        return Path("/dev/full").open(mode)

    monkeypatch.setattr(download, "open", onto_a_full_disk, raising=False)
    assert "disk is full" in failure(mirror).reason
    assert server.asked(NAME) == 1


def test_ctrl_c_leaves_nothing(mirror, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download.Downloads, "chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.fetch(NAME)
    assert files_in(mirror) == set()


def test_ctrl_c_ends_a_batch_soon_and_leaves_nothing(tmp_path, server):
    """As a user does it: in a process of its own, while the server lets all files wait."""
    folder = tmp_path / "data"
    names = list(REAL_REGISTRY().registry)[:40]
    for name in names:
        server.faults[name] = [Fault(wait_s=120)]
        server.files[name] = BODY
    # Heard also where the tests' own shell ignores it, as it does for what runs in its background.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from helpers.data import files; files.fetch_many(sys.argv[1:])"
    environment = os.environ | {"HELA_DATA_DIR": str(folder), "HELA_DATA_URL": server.url}
    command = [sys.executable, "-c", code, *names]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as asking:
        while server.busy < 4 and asking.poll() is None:
            time.sleep(0.05)
        start = time.monotonic()
        asking.send_signal(signal.SIGINT)
        asking.wait()
        assert time.monotonic() - start < 15  # On a quiet computer 1.2, of which 1 for threads.
        assert b"KeyboardInterrupt" in asking.stderr.read()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_unknown_names_get_suggestions(settings, server):
    with pytest.raises(DataError, match=r"Did you mean .*cell/slice_001\.bin"):
        files.fetch("cell/slice_01.bin")
    with pytest.raises(DataError, match=r"Did you mean .*cell/slice_011\.bin"):
        files.is_cached("slice_011.bin")
    with pytest.raises(DataError, match="lists all"):
        files.is_cached("qqq")
    with pytest.raises(DataError, match="no published file"):
        files.fetch_many([NAME, "qqq"], missing="skip")
    assert server.seen == []


def test_fetch_many_is_parallel_polite_and_in_order(mirror, server, monkeypatch):
    monkeypatch.setattr(files, "CONNECTIONS", 3)
    asked = [*OTHERS[::-1], NAME, NAME]
    for name in asked:
        server.faults[name] = [Fault(wait_s=0.05)]
    got = files.fetch_many(iter(asked))
    assert list(got) == [*OTHERS[::-1], NAME]
    assert all(path.read_bytes() == server.files[name] for name, path in got.items())
    assert 2 <= server.most_busy <= 3
    assert len(server.seen) == len(got)


def test_parallel_downloads_into_a_new_folder_do_not_get_in_each_others_way(mirror, monkeypatch):
    slow_exists = Path.exists

    def exists(self, **options):
        found = slow_exists(self, **options)
        time.sleep(0.02)  # So that several threads find the folder missing.
        return found

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(files, "CONNECTIONS", 8)
    got = files.fetch_many(OTHERS)
    assert files_in(mirror) == set(got) == set(OTHERS)


def test_fetch_many_shows_one_bar_and_none_when_nothing_is_to_do(mirror, capsys):
    files.fetch_many(OTHERS)
    assert "Downloading" in capsys.readouterr().err
    files.fetch_many(OTHERS)
    assert capsys.readouterr().err == ""


def test_a_bar_shows_when_asked(mirror, capsys):
    files.fetch_from(files.store_of(mirror, [NAME]), NAME, progress=True)
    assert Path(NAME).name in capsys.readouterr().err
    files.fetch(OTHERS[0])
    assert capsys.readouterr().err == ""


def test_fetch_many_raises_and_keeps_what_it_has(mirror, server, monkeypatch):
    monkeypatch.setattr(files, "CONNECTIONS", 1)
    server.faults[OTHERS[-1]] = [Fault(status=404)] * 9
    with pytest.raises(DataError, match=OTHERS[-1]):
        files.fetch_many(OTHERS)
    assert files_in(mirror) == set(OTHERS[:-1])


def test_fetch_many_stops_at_the_first_error(mirror, server, monkeypatch):
    monkeypatch.setattr(files, "CONNECTIONS", 2)
    server.faults[OTHERS[0]] = [Fault(status=404)] * 9
    for name in OTHERS[1:]:
        server.faults[name] = [Fault(wait_s=0.1)] * 9
    with pytest.raises(DataError, match="404"):
        files.fetch_many(OTHERS)
    assert len(server.seen) < len(OTHERS)
    assert files_in(mirror) <= set(OTHERS)


def test_fetch_many_leaves_out_what_cannot_be_had_with_one_warning(mirror, server):
    for name in OTHERS[:5]:
        del server.files[name]
    with pytest.warns(UserWarning, match="5 of 10 files cannot be had") as caught:
        got = files.fetch_many(OTHERS, missing="skip")
    assert list(got) == OTHERS[5:]
    assert len(caught) == 1
    assert OTHERS[0] in str(caught[0].message)
    assert "HTTP 404" in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("status", [404, 503])
def test_a_password_is_not_shown(settings, server, status):
    server.faults[NAME] = [Fault(status=status)] * 9
    for url in (server.url, "http://127.0.0.1:9"):
        address = url.replace("http://", "http://me:secret@")
        error = failure(replace(settings, data_url=address))
        assert "secret" not in str(error)
        assert f"{url}/{NAME}" in str(error)


def test_hundreds_of_files_offline_take_no_time(settings, monkeypatch):
    many = {f"many/{i}": "0" * 64 for i in range(600)}
    files._registry().registry.update(many)
    offline = replace(settings, data_url="http://127.0.0.1:9")
    start = time.monotonic()
    with using(offline), pytest.warns(UserWarning, match="600 of 600"):
        assert files.fetch_many(many, missing="skip") == {}
    assert time.monotonic() - start < 5


def test_fetch_many_names_the_allowed_options(settings):
    with pytest.raises(ValueError, match="raise, skip"):
        files.fetch_many([NAME], missing="ignore")


def test_fetch_many_takes_no_single_name(settings):
    with pytest.raises(ValueError, match="give a list"):
        files.fetch_many(NAME)


def test_is_reachable(mirror, server):
    assert files.is_reachable()
    assert server.seen[-1][0] == "HEAD"
    server.has_head = False
    assert files.is_reachable()
    assert server.sent_bytes == 1
    server.content_type = "text/html; charset=utf-8"
    assert not files.is_reachable()


def test_is_reachable_says_no_soon(mirror, server, monkeypatch):
    monkeypatch.setattr(files, "PROBE_TIMEOUT_S", 0.1)
    server.faults[NAME] = [Fault(status=404), Fault(status=503), Fault(wait_s=0.5)]
    start = time.monotonic()
    assert [files.is_reachable() for _ in range(3)] == [False] * 3
    assert time.monotonic() - start < 1
    assert files.is_reachable()


def test_is_reachable_keeps_its_time_whatever_hangs(mirror, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(0.5))
    monkeypatch.setattr(files, "PROBE_TIMEOUT_S", 0.1)
    start = time.monotonic()
    assert not files.is_reachable()
    assert time.monotonic() - start < 0.4


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(DataError("a", "b", "c")))
    assert str(error) == "a: b. c"


def test_real_files_are_known_and_travel(data_dir, mirror, server, monkeypatch):
    monkeypatch.setattr(files, "_registry", REAL_REGISTRY)
    name = REAL_PROBE
    need_files(data_dir, name)
    with using(data_dir=data_dir):
        assert files.is_cached(name)
    server.files[name] = (data_dir / name).read_bytes()
    path = files.fetch(name)
    assert path.read_bytes() == server.files[name]
    path.unlink()
    server.files[name] = server.files[name][:-1]
    assert "wrong hash" in failure(mirror, name).reason


def test_the_registry_has_names_hashes_and_addresses(monkeypatch):
    monkeypatch.setattr(files, "_registry", REAL_REGISTRY)
    store = REAL_REGISTRY()
    assert len(files.names()) == len(set(files.names())) == 945
    assert REAL_PROBE in files.names()
    assert set(store.urls) == set(files.names())
    assert all(len(known) == 64 for known in store.registry.values())
    assert all(url.startswith("https://") for url in store.urls.values())
