"""Draw the picture of the README and the start page: a real slice and what the book makes of it."""

from pathlib import Path

from helpers import data, show, traditional
from helpers.labels import Label

PICTURE = Path(__file__).resolve().parent.parent / "book" / "images" / "result.png"
SLICE = 170


def main() -> None:
    """Write the picture; needs the sample's files."""
    cell = data.load_stack("sample")
    image, truth = cell.image(SLICE), cell.labels(SLICE)
    labels = traditional.segment_slice(image)
    compared = show.compare(image, labels == Label.NUCLEUS, truth == Label.NUCLEUS)
    figure = show.row(
        [image, compared, labels],
        [f"slice {SLICE}", "nucleus against ground truth", "four classes"],
        kind=["image", "image", "labels"],
        pixel_size_nm=cell.pixel_size_nm,
        width_in=9,
        key=show.COMPARE_COLOURS,
        source=f"Source: {cell.source}, {cell.name}.",
    )
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
