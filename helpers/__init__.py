"""Shared code of the book: data, methods, measures and pictures.

Chapters import the module they need, for instance ``from helpers import data, traditional``.
Nothing is imported here, so that a chapter pays only for what it uses; `segment`, which does a
whole stack in one call, is loaded when it is asked for.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "segment":
        from helpers.segmenting import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
