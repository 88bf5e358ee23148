"""What a cell shows that is HTML of its own, in a notebook and on the static page alike."""


class PageHtml:
    """As the last line of a cell it shows itself.

    Attributes
    ----------
    html : str
        All of it: needs no kernel, no network and no other file.
    alt : str
        What it shows, where there is no HTML.
    """

    def __init__(self, html: str, alt: str):
        self.html, self.alt = html, alt

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.alt
