"""Processes that work for others end with them."""

import os
import signal
import subprocess
import sys
import time

import pytest

START = """
import os, time
from helpers import processes

{make}
print(os.getpid(), executor.submit(os.getpid).result(), flush=True)
time.sleep(60)
"""


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="other systems have no parent that changes")
@pytest.mark.parametrize("make", ["executor = processes.start(1)", "executor = processes.reuse(2)"])
def test_workers_end_when_their_parent_was_killed(make):
    code = START.format(make=make)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as main:
        pids = [int(each) for each in main.stdout.readline().split()]
        assert pids[0] == main.pid
        assert is_running(pids[1])
        main.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while is_running(pids[1]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(pids[1])
