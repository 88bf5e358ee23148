"""The whole field: many cells in slices too large for memory, on Dask and OME-Zarr."""
