"""Turn a chapter's MyST Markdown into what every notebook viewer shows: plain Markdown.

Directives become headings, block quotes, tables and folded blocks; roles become links. What is not
known here is an error, so that no directive ever reaches a reader as it is.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from mimetypes import guess_type

from book_pages import Book, Page
from pybtex.richtext import Text

OPENING = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<rest>.*)$")
DIRECTIVE = re.compile(r"^ *\{(?P<name>[\w:-]+)\} *(?P<argument>.*)$")
OPTION = re.compile(r"^:(?P<key>[\w-]+): *(?P<value>.*)$")
LABEL = re.compile(r"^\((?P<label>\S+)\)=$")
HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<text>.*)$")
# A span of code, or a role, which is a span of code with a name in front.
SPAN = re.compile(
    r"(?<![\\`])(?:\{(?P<role>[\w:.-]+)\})?(?P<ticks>`+)(?!`)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)",
    re.DOTALL,
)
TITLED = re.compile(r"^(?P<text>.*?) *<(?P<target>[^<>]+)>$", re.DOTALL)
ADMONITIONS = (
    *("admonition", "attention", "caution", "danger", "dropdown", "error", "hint"),
    *("important", "note", "seealso", "tip", "warning"),
)
# Jupyter's boxes; all others are ``info``.
BOXES = {
    **dict.fromkeys(("attention", "caution", "important", "warning"), "warning"),
    **dict.fromkeys(("danger", "error"), "danger"),
    **dict.fromkeys(("hint", "tip"), "success"),
}


@dataclass(frozen=True)
class Directive:
    """One directive of MyST: name, what follows it on the line, options, content, all of it."""

    name: str
    argument: str
    options: dict[str, str]
    lines: list[str]
    source: str


def split(text: str) -> Iterator[str | Directive]:
    """Yield a cell's text in pieces: lines, code blocks as they are, and directives.

    Raises
    ------
    ValueError
        If a fence is not closed.
    """
    lines = iter(text.split("\n"))
    for line in lines:
        opening = OPENING.match(line)
        if not opening:
            yield line
            continue
        fence, content = opening["fence"], []
        closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
        for inner in lines:  # to the closing fence, which stays in the variable
            if closing.match(inner):
                break
            content.append(inner.removeprefix(opening["indent"]))
        else:
            raise ValueError(f"{line.strip()!r} is opened and never closed.")
        named = DIRECTIVE.match(opening["rest"])
        source = "\n".join([line, *(opening["indent"] + inner for inner in content), inner])
        if not named:
            yield source
            continue
        options = {}
        while content and (option := OPTION.match(content[0])):
            options[option["key"]] = option["value"].strip()
            content.pop(0)
        yield Directive(named["name"], named["argument"].strip(), options, content, source)


class PlainMarkdown:
    """Plain Markdown of one page, with links for those who read it there.

    Parameters
    ----------
    book : Book
        Where the links lead: to a chapter's notebook; to a page of prose in the published book, if
        its address is known.
    page : Page
        The page that is converted.
    """

    def __init__(self, book: Book, page: Page):
        self.book = book
        self.page = page

    def convert(self, text: str) -> str:
        """Return a text without directives and roles.

        Raises
        ------
        ValueError
            If it has a directive or role that is not known here, or names a label or reference
            that does not exist.
        """
        out = []
        anchor = ""
        for piece in split(text):
            if isinstance(piece, Directive):
                out.append(self._directive(piece))
            elif OPENING.match(piece):
                out.append(piece)
            elif label := LABEL.match(piece):
                at = self.book.targets.get(label["label"])
                anchor = anchor_of(at.anchor) if at and at.anchor else ""
            elif anchor and (heading := HEADING.match(piece)):
                out.append(f"{heading['level']} {anchor}{self._spans(heading['text'])}")
                anchor = ""
            elif not piece.startswith("%"):  # a comment of MyST's
                out.append(self._spans(piece))
        return "\n".join(out).strip("\n")

    def link(self, label: str, text: str = "") -> str:
        """Return a link to a label of this page or another one."""
        if label not in self.book.targets:
            raise self._error(f"there is no label {label!r} in the book")
        at = self.book.targets[label]
        text = text or at.text
        if at.page == self.page.name:
            return f"[{text}](#{at.anchor})" if at.anchor else text
        return self._page_link(at.page, text, at.anchor)

    def _page_link(self, name: str, text: str, anchor: str = "") -> str:
        if self.book.pages[name].is_notebook:  # Colab cannot be told a place in it
            where = f"{self.book.notebooks}{self.book.pages[name].file.stem}.ipynb"
        elif self.book.address:
            where = f"{self.book.address}{name}.html{'#' if anchor else ''}{anchor}"
        else:
            return f"*{text}*"
        return f"[{text}]({where})"

    def _directive(self, piece: Directive) -> str:
        if piece.name in ADMONITIONS:
            return self._admonition(piece)
        if piece.name == "list-table":
            return self._table(piece)
        if piece.name == "math":
            return "\n".join(["$$", *piece.lines, "$$"])
        if piece.name in ("code", "code-block"):
            return "\n".join([f"```{piece.argument}", *piece.lines, "```"])
        if piece.name in ("figure", "image"):
            return self._picture(piece)
        known = ", ".join((*ADMONITIONS, "list-table", "math", "code-block", "figure", "image"))
        raise self._error(f"directive {{{piece.name}}} cannot be put into a notebook; {known} can")

    def _admonition(self, piece: Directive) -> str:
        title = self._spans(piece.argument) if piece.name in ("admonition", "dropdown") else ""
        lines = list(piece.lines)
        if piece.argument and not title:
            lines.insert(0, piece.argument)
        title = title or {"seealso": "See also"}.get(piece.name, piece.name.capitalize())
        body = self.convert("\n".join(lines))
        if piece.name == "dropdown" or "dropdown" in piece.options.get("class", ""):
            return folded(title, body)
        # A box in Jupyter; the quote's bar is left where a viewer knows no such box.
        classes = {piece.name, *piece.options.get("class", "").split()}
        kind = next((BOXES[name] for name in sorted(classes) if name in BOXES), "info")
        quoted = [f"**{title}**", "", *body.split("\n")]
        lines = [f"> {line}".rstrip() for line in quoted]
        return "\n".join([f'<div class="alert alert-{kind}">', "", *lines, "", "</div>"])

    def _table(self, piece: Directive) -> str:
        rows: list[list[str]] = []
        for line in filter(str.strip, piece.lines):
            if line.startswith("* - "):
                rows.append([line[4:]])
            elif line.startswith("  - "):
                rows[-1].append(line[4:])
            else:
                rows[-1][-1] += f" {line.strip()}"
        if piece.options.get("header-rows") != "1":
            rows.insert(0, [""] * len(rows[0]))
        rows.insert(1, ["---"] * len(rows[0]))
        cells = [[self._spans(cell.strip()).replace("|", "\\|") for cell in row] for row in rows]
        title = [f"**{self._spans(piece.argument)}**", ""] if piece.argument else []
        return "\n".join([*title, *(f"| {' | '.join(row)} |" for row in cells)])

    def _picture(self, piece: Directive) -> str:
        address = piece.argument
        if "://" not in address:  # the notebook must do without other files
            content = b64encode((self.page.file.parent / address).read_bytes()).decode()
            address = f"data:{guess_type(address)[0]};base64,{content}"
        picture = f"![{piece.options.get('alt', '')}]({address})"
        caption = self.convert("\n".join(piece.lines))
        return f"{picture}\n\n{caption}" if caption else picture

    def _spans(self, text: str) -> str:
        def replace(found: re.Match) -> str:
            return self._role(found["role"], found["content"]) if found["role"] else found[0]

        return SPAN.sub(replace, text)

    def _role(self, role: str, content: str) -> str:
        titled = TITLED.match(content)
        text, target = (titled["text"], titled["target"]) if titled else ("", content)
        if role in ("ref", "numref"):
            return self.link(target, text)
        if role == "doc":
            name = target.lstrip("/") if target.startswith("/") else f"{self._folder()}{target}"
            if name not in self.book.pages:
                raise self._error(f"there is no page {target!r} in the book")
            return self._page_link(name, text or self.book.pages[name].title)
        if role == "term":
            return text or target
        if role in ("cite", "cite:p", "cite:t"):
            return self._citation(content.split(","), in_text=role == "cite:t")
        if role == "math":
            return f"${content}$"
        if role in ("sub", "sup", "kbd"):
            return f"<{role}>{content}</{role}>"
        raise self._error(f"role {{{role}}} is not known to tools/plain_markdown.py")

    def _folder(self) -> str:
        return self.page.name.rpartition("/")[0] + "/"

    def _citation(self, keys: list[str], *, in_text: bool) -> str:
        links = []
        for key in map(str.strip, keys):
            if key not in self.book.references:
                raise self._error(f"{key!r} is not in book/references.bib")
            entry = self.book.references[key]
            names = [str(Text.from_latex(" ".join(p.last_names))) for p in entry.persons["author"]]
            who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            when = entry.fields["year"]
            text = f"{who} ({when})" if in_text else f"{who}, {when}"
            doi = entry.fields.get("doi")
            links.append(f"[{text}](https://doi.org/{doi})" if doi else text)
        return ", ".join(links) if in_text else f"({'; '.join(links)})"

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"{self.page.file.name}: {problem}.")


def anchor_of(name: str) -> str:
    """Return a place to jump to: Colab goes by the name, Jupyter by the id."""
    return f'<a id="{name}" name="{name}"></a>'


def folded(title: str, body: str) -> str:
    """Return a block that opens at a click; Markdown inside needs the empty lines."""
    return f"<details>\n<summary><b>{title}</b></summary>\n\n{body}\n\n</details>"
