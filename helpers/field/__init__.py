"""The whole field: many cells in slices too large for memory, on Dask and OME-Zarr.

`convert` writes slices as OME-Zarr, which `open_field` opens; `find_cells` looks for the cells on
a coarse level, `segment_cells` segments each by chapter 5's method, and `join_cells` joins them in
one image of labels; `segment_field` does all of it. `cluster` connects to workers, and `simulate`
says what more of them would do; `view` shows a slice to pan and zoom. `predict` labels a field by a
network, block by block, and `count_seams` counts what blocks without overlap do.
"""

from helpers.field.blocks import predict, reach
from helpers.field.cells import segment_cells
from helpers.field.convert import convert
from helpers.field.find import find_cells, match
from helpers.field.joining import join_cells
from helpers.field.ngff import open_field
from helpers.field.seams import count_seams
from helpers.field.tasks import cluster, simulate
from helpers.field.views import view
from helpers.field.whole import segment_field

__all__ = [
    "cluster",
    "convert",
    "count_seams",
    "find_cells",
    "join_cells",
    "match",
    "open_field",
    "predict",
    "reach",
    "segment_cells",
    "segment_field",
    "simulate",
    "view",
]
