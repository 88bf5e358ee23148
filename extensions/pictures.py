"""Pictures of the pages: WebP instead of PNG, loaded when they come into view, with their size.

A Sphinx extension. A picture that shows the four classes gets the CSS class ``hela-classes``, by
which the reader's choice of colours finds it.
"""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import BaseImageConverter
from sphinx.writers.html5 import HTML5Translator

from helpers.labels import shows_classes

QUALITY = 88
CLASSES = "hela-classes"


def encode(picture: Image.Image) -> bytes:
    """Write a picture as WebP: exactly, or with small losses where that saves more than half.

    Drawings are small without loss, and slices of a cell are not.
    """
    made = []
    for options in ({"lossless": True}, {"quality": QUALITY}):
        buffer = io.BytesIO()
        picture.save(buffer, format="WEBP", method=4, **options)
        made.append(buffer.getvalue())
    exact, lossy = made
    return lossy if len(lossy) < len(exact) / 2 else exact


class WebpPictures(BaseImageConverter):
    """Turn the PNG files of a page into WebP."""

    default_priority = 300

    def match(self, node: nodes.image) -> bool:
        """Take PNG files that are there; another transform reports those that are not."""
        return (
            self.app.builder.format == "html"
            and node["uri"].lower().endswith(".png")
            and (Path(self.app.srcdir) / node["uri"]).is_file()
        )

    def handle(self, node: nodes.image) -> None:
        """Convert, or take what an earlier build converted."""
        content = (Path(self.app.srcdir) / node["uri"]).read_bytes()
        stem = hashlib.sha256(content).hexdigest()[:24]
        target = Path(self.imagedir) / "webp" / f"{stem}.webp"
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGBA" if "A" in opened.getbands() else "RGB")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode(picture))
        if shows_classes(np.asarray(picture.convert("RGB"))):
            node["classes"].append(CLASSES)
        node["loading"] = "lazy"
        node["pixels"] = picture.size
        node["uri"] = os.path.relpath(target, self.app.srcdir)
        node["candidates"] = {"*": node["uri"]}
        self.env.images.add_file(self.env.docname, node["uri"])


def visit_image(self: HTML5Translator, node: nodes.image) -> None:
    """Write the size too, so that text below does not jump when the picture arrives."""
    HTML5Translator.visit_image(self, node)
    if "pixels" in node:
        width, height = node["pixels"]
        size = f'<img width="{width}" height="{height}" '
        self.body[-1] = self.body[-1].replace("<img ", size, 1)


def setup(app: Sphinx) -> dict:
    """Register the conversion."""
    app.add_post_transform(WebpPictures)
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": False}
