"""The pinned packages as wheels, for computers without the internet, of another system too.

pip decides by the computer that it runs on which lines of the pins hold; here they are chosen for
the students' computers first.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent

PLATFORMS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "win_amd64": (
        ("win_amd64",),
        {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows"}
        | {"platform_machine": "AMD64"},
    ),
    "linux_x86_64": (
        (
            *(f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17, 12, 5)),
            *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
            "linux_x86_64",
        ),
        {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
        | {"platform_machine": "x86_64"},
    ),
    "macosx_arm64": (
        ("macosx_13_0_arm64",),
        {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin"}
        | {"platform_machine": "arm64"},
    ),
}
"""By name: the tags of wheels that run there, and what pins may ask about the computer."""


def this_platform() -> str:
    """Return the name of the platform that this runs on.

    Raises
    ------
    ValueError
        If it is none of `PLATFORMS`.
    """
    here = (platform.system(), platform.machine())
    for name, (_, about) in PLATFORMS.items():
        if here == (about["platform_system"], about["platform_machine"]):
            return name
    raise ValueError(
        f"There are no wheels for {' '.join(here)} here; name a platform: {', '.join(PLATFORMS)}."
    )


def chosen_pins(pins: str, name: str, python: str) -> list[str]:
    """Return the lines of a file of pins that hold on a platform, without their conditions.

    Parameters
    ----------
    pins : str
        Text in the form of ``requirements.txt``, hashes included.
    name : str
        One of `PLATFORMS`.
    python : str
        Version of the students' Python, ``3.12``.

    Returns
    -------
    list of str
        Each a package with its version and hashes.
    """
    _, about = PLATFORMS[name]
    about = about | {"python_version": python, "python_full_version": f"{python}.99"}
    about |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    lines = []
    for line in re.sub(r"\\\n\s*", "", pins).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        package, *hashes = re.split(r"\s+--hash=", line.strip())
        needed = Requirement(package)
        if needed.marker is None or needed.marker.evaluate(about):
            lines.append(" --hash=".join([f"{needed.name}{needed.specifier}", *hashes]))
    return lines


def pip_command(command: list[str], name: str, python: str, pins: Path) -> list[str]:
    """Return a call of pip for another platform's wheels.

    Parameters
    ----------
    command : list of str
        ``["download", ...]``.
    name : str
        One of `PLATFORMS`.
    python : str
        Version of the students' Python.
    pins : Path
        File with what `chosen_pins` returned.
    """
    tags, _ = PLATFORMS[name]
    return [
        *(sys.executable, "-m", "pip", *command, "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *(part for tag in tags for part in ("--platform", tag)),
        *("--requirement", str(pins)),
    ]


def download_wheels(folder: Path, name: str | None, python: str) -> str:
    """Fill ``folder/wheels``; those that are there are not downloaded again.

    Parameters
    ----------
    folder : Path
    name : str or None
        One of `PLATFORMS`; None for this computer's.
    python : str
        Version of the students' Python, ``3.12``.

    Returns
    -------
    str
        What went wrong; nothing if all are there.
    """
    name = name or this_platform()
    wheels = folder / "wheels"
    print(f"wheels for {name}, Python {python}: 1 GB", flush=True)
    pins = chosen_pins((ROOT / "requirements.txt").read_text(encoding="utf-8"), name, python)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "pins.txt"
        file.write_text("\n".join(pins), encoding="utf-8")
        command = ["download", "--dest", str(wheels), "--find-links", str(wheels)]
        wheels.mkdir(exist_ok=True)
        run = subprocess.run(
            pip_command(command, name, python, file),
            capture_output=True,
            text=True,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
    return run.stderr.strip() if run.returncode else ""
