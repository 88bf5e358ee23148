"""The constants of the traditional method, and the one place where they are scaled."""

from dataclasses import dataclass, fields, replace
from functools import cache

#: Pixel size for which the published constants were chosen, in nanometres.
REFERENCE_PIXEL_SIZE_NM = 10.0


@dataclass(frozen=True)
class Constants:
    """Constants of the traditional method, in pixels of 10 nm unless scaled.

    Names that end in ``_px`` are lengths, those in ``_area_px`` areas, those in ``_level``
    differences of grey level; only the first two change with the pixel size.
    `pixel_size_nm` says for which pixels they are.

    Notes
    -----
    The values are those of the published code that goes with Karabag et al. (2020),
    doi 10.1371/journal.pone.0230605, which is MATLAB.
    Text and code differ in how edges are found: see `as_printed`, which is the default, and
    `published_code`.
    Added here: `canny_darker` (see `high_threshold`), `gap_min_area_px` (see
    `segment_background`), `island_min_area_px` (see `helpers.volume`), those that begin with
    ``trace`` (see `trace_envelope`), and `envelope_thickness_px`: of the rings around the nucleus
    of the published ground truth, the one that overlaps most with its envelope (a Jaccard index
    of 0.90).
    """

    pixel_size_nm: float = REFERENCE_PIXEL_SIZE_NM
    # Smoothing: a 7 x 7 Gaussian.
    smooth_sigma_px: float = 2.0
    smooth_radius_px: float = 3.0
    # Edges and superpixels.
    canny_sigma_px: float = 4.0
    canny_quantile: float = 0.7
    canny_low_ratio: float = 0.4
    canny_smoothed: bool = True
    canny_bins: int | None = None
    canny_darker: float | str | None = None
    edge_distance_px: float = 5.0
    coarse_sigma_px: float = 6.0
    # Which superpixels are nucleus.
    nucleus_min_area_px: float = 10_000
    neighbour_erosion_px: float = 1.0
    neighbour_overlap_area_px: float = 100
    neighbour_inside_fraction: float = 0.75
    # Growth to the envelope.
    ring_count_px: float = 50
    growth_level: float = 15.0
    growth_steps_px: float = 25
    growth_min_area_px: float = 7
    growth_stop_area_px: float = 150
    close_radius_px: float = 5.0
    envelope_thickness_px: float = 9.5
    island_min_area_px: float = 300
    # Where the envelope is looked for, from the boundary, and where it begins, from its middle.
    trace_inside_px: float = 5.0
    trace_outside_px: float = 8.0
    trace_sigma_px: float = 4.0
    trace_offset_px: float = 3.0
    # Background.
    background_sigma_px: float = 9.0
    background_edge_width_px: float = 21
    background_min_area_px: float = 100
    background_nucleus_level: float = 10.0
    background_default_nucleus: float = 150.0
    background_max_level: float = 200.0
    background_close_px: float = 39
    background_open_px: float = 19
    background_reach_px: float = 50
    background_level: float = 5.0
    background_final_close_px: float = 4
    background_final_dilate_px: float = 2
    background_margin_px: float = 19
    gap_min_area_px: float = 1_000

    @classmethod
    @cache
    def at(cls, pixel_size_nm: float) -> "Constants":
        """Scale the constants to another pixel size.

        Parameters
        ----------
        pixel_size_nm : float
            Side of a pixel in nanometres; more than 0.

        Returns
        -------
        Constants
            Lengths divided by ``pixel_size_nm / 10``, areas by its square.

        Raises
        ------
        ValueError
            If the pixel size is not a positive number.

        Examples
        --------
        >>> Constants.at(40.0).canny_sigma_px, Constants.at(40.0).nucleus_min_area_px
        (1.0, 625.0)
        """
        if not 0 < pixel_size_nm < float("inf"):
            raise ValueError(f"pixel_size_nm is {pixel_size_nm}; it must be a positive number.")
        factor = REFERENCE_PIXEL_SIZE_NM / pixel_size_nm
        constants = cls()
        scaled = {"pixel_size_nm": float(pixel_size_nm)}
        for field in fields(cls):
            value = getattr(constants, field.name)
            if field.name.endswith("_area_px"):
                scaled[field.name] = value * factor**2
            elif field.name.endswith("_px"):
                scaled[field.name] = value * factor
        return replace(constants, **scaled)

    @classmethod
    def as_printed(cls, pixel_size_nm: float = REFERENCE_PIXEL_SIZE_NM) -> "Constants":
        """Scale the constants, with edges as the paper's text reads.

        Canny's method gets the smoothed slice, and its threshold is the exact quantile.

        Parameters
        ----------
        pixel_size_nm : float
            As for `at`.

        Returns
        -------
        Constants
        """
        return replace(cls.at(pixel_size_nm), canny_smoothed=True, canny_bins=None)

    @classmethod
    def published_code(cls, pixel_size_nm: float = REFERENCE_PIXEL_SIZE_NM) -> "Constants":
        """Scale the constants, with edges as the authors' code finds them.

        Canny's method gets the slice as it was recorded, and its threshold comes from a histogram
        of 64 bins.
        Either alone moves the edges; the two together nearly cancel.

        Parameters
        ----------
        pixel_size_nm : float
            As for `at`.

        Returns
        -------
        Constants

        Examples
        --------
        >>> Constants.published_code().canny_bins, Constants.as_printed() == Constants()
        (64, True)
        """
        return replace(cls.at(pixel_size_nm), canny_smoothed=False, canny_bins=64)
