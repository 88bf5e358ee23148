"""Which of the addresses that Sphinx calls broken are."""

import check_links
import pytest


def entry(uri, status="broken", info="404 Client Error: Not Found for url"):
    return {
        "uri": uri, "status": status, "info": info, "filename": "book/index.md", "lineno": 3,
        "code": 0,
    }  # fmt: skip


REFUSAL = "403 Client Error: Forbidden for url: https://publisher.example"


def test_a_working_or_moved_link_is_fine():
    entries = [entry("https://a.example", status) for status in ("working", "redirected")]
    assert check_links.broken(entries) == []


@pytest.mark.parametrize("status", ["broken", "timeout"])
def test_a_dead_link_is_named_with_its_place(status):
    assert check_links.broken([entry("https://a.example", status)] * 2) == [
        "book/index.md:3: https://a.example: 404 Client Error: Not Found for url"
    ]


def test_a_doi_whose_publisher_refuses_programs_is_looked_up(server):
    # The body is what the DOI system answers of a known DOI.
    server.files["10.1/known"] = b'{"responseCode":1,"handle":"10.1/known"}'
    server.files["10.1/unknown"] = b'{"responseCode":100,"handle":"10.1/unknown"}'
    server.files["10.1/strange"] = b"<html>"

    def registered(doi):
        return check_links.is_registered(doi, f"{server.url}/")

    dois = ("known", "unknown", "strange", "missing")
    entries = [entry(f"https://doi.org/10.1/{doi}", info=REFUSAL) for doi in dois]
    faults = check_links.broken(entries, registered)
    assert [fault.split(": ")[1][-7:] for fault in faults] == ["missing", "strange", "unknown"]
    # Not asked about what is not there, nor about what is no DOI.
    server.seen.clear()
    assert len(check_links.broken([entry("https://doi.org/10.1/known")], registered)) == 1
    assert len(check_links.broken([entry("https://a.example", info=REFUSAL)], registered)) == 1
    assert server.seen == []
