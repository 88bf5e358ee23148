"""Ask every external address of the book's pages whether it still answers: ``make links``.

Sphinx collects and asks them (builder ``linkcheck``). Publishers often refuse programs (403) what
they show to people; of a DOI that ends at such a publisher, the DOI system itself is asked.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests
import yaml
from build_book import ROOT, book_config

BUILD = ROOT / "_build" / "links"
HANDLES = "https://doi.org/api/handles/"
REFUSED = re.compile(r"\b(401|403|405|429)\b")
TIMEOUT_S = 30


def is_registered(doi: str, handles: str = HANDLES) -> bool:
    """Tell whether the DOI system knows a DOI.

    Parameters
    ----------
    doi : str
        Without the resolver's address.
    handles : str
        Address of the DOI system's interface.
    """
    try:
        answer = requests.get(handles + doi, timeout=TIMEOUT_S)
        return answer.status_code == 200 and answer.json().get("responseCode") == 1
    except (requests.RequestException, ValueError):
        return False


def broken(entries: list[dict], registered: Callable[[str], bool] = is_registered) -> list[str]:
    """Return a line for each address that is no good.

    Parameters
    ----------
    entries : list of dict
        Lines of Sphinx's ``output.json``.
    registered : callable
        Tells whether a DOI is known.
    """
    faults = []
    for entry in entries:
        if entry["status"] not in ("broken", "timeout"):
            continue
        doi = re.fullmatch(r"https://(?:dx\.)?doi\.org/(10\..+)", entry["uri"])
        if doi and REFUSED.search(entry["info"]) and registered(doi[1]):
            continue
        faults.append(f"{entry['filename']}:{entry['lineno']}: {entry['uri']}: {entry['info']}")
    return sorted(set(faults))


def main() -> None:
    """Check the links of all pages; exit with 1 if one is broken."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    config = book_config(ROOT, BUILD, {})
    # Links are in the text: nothing need be executed.
    config["execute"] = {"execute_notebooks": "off"}
    config["sphinx"]["config"] |= {
        "linkcheck_timeout": TIMEOUT_S,
        "linkcheck_retries": 3,
        "linkcheck_ignore": [r"https?://(localhost|127\.0\.0\.1|192\.168\.)"],
    }
    config_file = BUILD / "_config.yml"
    config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", str(ROOT), "--builder", "linkcheck", "-q"]
    command += ["--config", str(config_file), "--path-output", str(BUILD)]
    # Its warnings are about figures, which are not made, and it fails already for a refusal.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = BUILD / "_build" / "html" / "output.json"
    if not output.exists():
        sys.exit(f"{done.stdout}\nSphinx did not get as far as the links; see above.")
    entries = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    external = [entry for entry in entries if entry["uri"].startswith("http")]
    if not external:
        sys.exit(f"{done.stdout}\nNo external link was found, which cannot be; see above.")
    faults = broken(external)
    addresses = len({entry["uri"] for entry in external})
    print("\n".join([*faults, f"{addresses} addresses, {len(faults)} of them broken."]))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
