"""What compiled libraries write to standard error stays out of a notebook, unless all fails."""

import subprocess
import sys

import pytest

FAILING = """
import os
from helpers.machine import without_chatter
with without_chatter():
    os.write(2, b"cuInit failed\\n")
    {}
os.write(2, b"after\\n")
"""


@pytest.mark.parametrize(
    ("what", "said", "status"),
    [("pass", "after\n", 0), ("os._exit(3)", "", 3), ("raise SystemExit(4)", "cuInit failed\n", 4)],
)
def test_chatter_is_dropped_unless_something_fails(what, said, status):
    command = [sys.executable, "-c", FAILING.format(what)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stderr, run.returncode) == (said, status)


def test_networks_load_without_a_word():
    pytest.importorskip("tensorflow")
    code = "import helpers.networks, helpers.training; helpers.training.device_name()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stderr, run.returncode) == ("", 0)
