"""Shared code of the book: data, methods, measures and pictures.

Chapters import the module they need, for instance ``from helpers import data, traditional``.
Nothing is imported here, so that a chapter pays only for what it uses.
"""

__version__ = "0.1.0"
