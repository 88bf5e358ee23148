"""Label maps from a trained network: whole slices at once, or tile by tile."""

from helpers.inference.segmentation import (
    Segmentation,
    Segmenter,
    labels_at_size,
    peak_memory_mb,
    predictor,
    segment,
)
from helpers.inference.tiles import label_tiled, tile_probabilities

__all__ = [
    "Segmentation",
    "Segmenter",
    "label_tiled",
    "labels_at_size",
    "peak_memory_mb",
    "predictor",
    "segment",
    "tile_probabilities",
]
