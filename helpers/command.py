"""The command ``hela``: a stack segmented and measured, and a result scored, without Python."""

import re
import sys
import warnings
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

DOUBTS, BAD_INPUT = 3, 2
"""Exit codes beside 0, success: done, but something is doubtful; and nothing done, for a reason."""

app = typer.Typer(
    name="hela",
    help="Segment the nucleus in electron-microscopy slices, and measure it.\n\n"
    "Exit codes: 0 success; 3 success, but something is doubtful; 2 bad input, nothing was done.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Mode(str, Enum):
    """Which version of the traditional method."""

    improved = "improved"
    published = "published"


class Features(str, Enum):
    """What a forest learns from."""

    hand_made = "hand-made"
    vgg16 = "VGG16"
    both = "both"


Pattern = Annotated[
    str | None,
    typer.Option(
        help="Finds the slice number in the names of a folder's files, for instance "
        r"'raw_(\d+)'; other files are left out. By default the number in which names differ."
    ),
]


@app.command()
def segment(
    where: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder of TIFF, PNG, JPEG, DM3 or DM4 slices, or a TIFF, MRC, DM3, DM4, EMD, "
            "SER, HDF5, Zarr, OME-Zarr, NRRD, NIfTI, MATLAB or NumPy file. FILE::DATASET names "
            "one of several in a file.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; made new.")],
    voxel_nm: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X",
            help="Distance of slices whose numbers differ by one, and pixel size, in nanometres, "
            "for instance: --voxel-nm 50 10 10. May be left out where the file has it.",
        ),
    ] = None,
    mode: Annotated[Mode, typer.Option(help="The book's method, or that of the paper.")] = (
        Mode.improved
    ),
    strokes: Annotated[
        Path | None,
        typer.Option(
            help="File of strokes on some of the slices: a random forest learns from them, instead "
            "of the traditional method. Needs scikit-learn."
        ),
    ] = None,
    features: Annotated[
        Features,
        typer.Option(help="What the forest learns from; VGG16 and both need TensorFlow."),
    ] = Features.hand_made,
    every: Annotated[
        int, typer.Option(min=1, help="Take every slice, every second one, ... to try it out.")
    ] = 1,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="Y0:Y1,X0:X1",
            help="Part of each slice, in pixels, so that the nucleus is near its centre.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(help="Which channel, from 0, of slices that have several; or 'c=0,t=2'."),
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="A letter an axis, such as zcyx, where the file is wrong.")
    ] = None,
    pattern: Pattern = None,
    grey_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Grey levels that become 0 and 255. By default 8 bits stay as they are, and "
            "others are converted by percentiles, which are printed.",
        ),
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="For slices with bright membranes on dark ground.")
    ] = False,
    centre: Annotated[
        int | None, typer.Option(help="Slice to start from; by default one is chosen.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out slices that cannot be read.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another run in --out.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Open the slices, say what would be done, and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Without a progress bar.")] = False,
) -> None:
    """Segment the nucleus in a stack, and measure it.

    The same command again goes on with what a stopped one left, and ends with the same files.
    Into --out come: labels (four classes) and masks (0 and 255) as TIFFs with the slices' own
    numbers and pixel size; nucleus.csv, summary.json, and report.html with pictures and a surface.
    """
    from helpers import data, segmenting

    opening = {
        "voxel_nm": voxel_nm or None,
        "pattern": pattern,
        "channel": channel,
        "axes": axes,
        "crop": crop,
        "grey_range": grey_range or None,
        "invert": invert,
    }
    stack = _attempt(lambda: data.open_stack(where, **opening, name=where))
    count = len(stack.slice_numbers[::every])
    z, y, x = stack.voxel_nm
    print(
        f"{count} slices, {stack.slice_numbers[0]} to {stack.slice_numbers[::every][-1]}, of "
        f"{stack.shape[1]} x {stack.shape[0]} pixels; voxel {z:g} x {y:g} x {x:g} nm (z, y, x)."
    )
    if dry_run:
        print(f"Nothing was done (--dry-run); results would be written to {out}.")
        return
    found = _attempt(
        lambda: segmenting.segment(
            stack,
            out,
            mode=mode.value,
            strokes=strokes,
            features=features.value,
            every=every,
            centre=centre,
            workers=workers,
            errors="skip" if skip_damaged else "raise",
            overwrite=overwrite,
            progress=not quiet,
        )
    )
    for row in found.measures.table().itertuples():
        print(f"{row.measure + ':':22}{segmenting.shown(row.value)} {row.unit}".rstrip())
    if found.measures.note:
        print(found.measures.note)
    print(f"Results: {out}; look at {out / segmenting.REPORT}.")
    _end([f"{doubt.kind}: {doubt.message}" for doubt in found.doubts])


@app.command()
def evaluate(
    result: Annotated[
        str,
        typer.Argument(
            metavar="RESULT",
            help="Folder that `hela segment` or `hela field` wrote, or label maps of any form.",
        ),
    ],
    truth: Annotated[
        str,
        typer.Argument(
            metavar="TRUTH",
            help="Ground truth: label maps of any form; 'published' for the paper's field, of "
            "which nuclei in four slices were drawn.",
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes to score, with commas: nucleus,envelope,cell,background. By default "
            "those that both know."
        ),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            help="What the numbers in TRUTH mean, if they are not 1 envelope, 2 nucleus, 3 cell, "
            "4 background: nucleus (a mask), instances, or pairs such as 255=nucleus,0=cell or "
            "'#ff0000=nucleus,#000000=cell'."
        ),
    ] = None,
    result_ids: Annotated[
        str | None, typer.Option(help="The same for RESULT, if it is another program's.")
    ] = None,
    pattern: Pattern = None,
    pixel_nm: Annotated[
        float | None,
        typer.Option(
            help="Pixel size, for distances of borders; known of a `hela segment` folder."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the scores of each slice to this CSV.")
    ] = None,
) -> None:
    """Score a result against a ground truth; slices are joined by their numbers."""
    from helpers import scoring

    scored = _attempt(
        lambda: scoring.score(
            result,
            truth,
            classes=scoring.read_classes(classes),
            ids=scoring.read_ids(ids),
            result_ids=scoring.read_ids(result_ids),
            pattern=pattern,
            pixel_nm=pixel_nm,
        )
    )
    print(scored.table.to_string(na_rep="-", float_format=lambda value: f"{value:.4g}"))
    print(f"Means over {scored.count} slices, of each class over those in which it is.")
    if scored.nuclei is not None:
        true, found, both = scored.nuclei[["true", "found", "matched"]].sum()
        print(f"Nuclei in these slices: {both} of {true} found, {found - both} that are none.")
    if out is not None:
        scored.by_slice.to_csv(out, index=False)
    _end(scored.doubts)


@app.command("field")
def whole_field(
    where: Annotated[
        str,
        typer.Argument(
            metavar="FIELD",
            help="An OME-Zarr image (z, y, x), its folder or its address; or slices, of which one "
            "is made in --out first: all that `hela segment` opens.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; made new.")],
    voxel_nm: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X",
            help="Distance of slices and pixel size, in nanometres, for slices that do not say it.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers have "
            "this package and see the same paths. By default workers on this machine."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes on this machine, by default one a core; 0: this one."),
    ] = None,
    pattern: Pattern = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another field in --out.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Open the field, say what would be done, and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Without progress bars.")] = False,
) -> None:
    """Find all cells of a field too large for memory, segment and measure them.

    The same command again goes on with what a stopped one left, and ends with the same files.
    Into --out come: cells.csv, a row a cell; classes.zarr and instances.zarr, the classes and the
    cells of all voxels; summary.json; and report.html with a slice to look around.
    """
    from helpers import field
    from helpers.field.whole import REPORT

    if scheduler is not None and workers is not None:
        raise typer.BadParameter("--scheduler has workers of its own; leave --workers out.")
    opening = {"pattern": pattern} if pattern else {}
    if dry_run:
        _attempt(lambda: _describe(where, voxel_nm or None, opening))
        print(f"Nothing was done (--dry-run); results would be written to {out}.")
        return

    def segment():
        with field.cluster(scheduler, workers=workers) as client:
            return field.segment_field(
                *(where, out),
                voxel_nm=voxel_nm or None,
                client=client,
                overwrite=overwrite,
                progress=not quiet,
                told=None if quiet else print,
                **opening,
            )

    found = _attempt(segment)
    columns = ["cell", "z_um", "y_um", "x_um", "is_cut", "volume_um3", "surface_um2", "sphericity"]
    print(found.cells[columns].to_string(index=False, na_rep="-"))
    print(f"Results: {out}; look at {out / REPORT}.")
    _end(found.doubts)


def _describe(where, voxel_nm, opening) -> None:
    from helpers import data
    from helpers.field.whole import field_at

    found = field_at(where)
    if found is not None:
        count, voxel = found.shape, found.voxel_nm
    else:
        stack = data.open_stack(where, voxel_nm=voxel_nm, **opening)
        count, voxel = (len(stack), *stack.shape), stack.voxel_nm
    print(
        f"{count[0]} slices of {count[2]} x {count[1]} pixels; "
        f"voxel {' x '.join(f'{side:g}' for side in voxel)} nm (z, y, x)."
    )


def _attempt(task: Callable):
    """Do a task; what is wrong with the input ends the command with its message."""
    from helpers.volume.passes import SliceError

    try:
        return task()
    except (ValueError, TypeError, OSError, ModuleNotFoundError, SliceError) as error:
        print(f"hela: {_as_options(str(error))}", file=sys.stderr)
        raise typer.Exit(BAD_INPUT) from None


def _as_options(message: str) -> str:
    """Write what a message says of Python's arguments as the command's options."""
    message = message.replace("errors='skip'", "--skip-damaged")
    message = message.replace("overwrite=True", "--overwrite").replace("invert=True", "--invert")
    message = re.sub(
        r"\b(voxel_nm|grey_range)=\(([^)]*)\)",
        lambda match: f"--{match[1].replace('_', '-')} {match[2].replace(',', '')}",
        message,
    )
    names = "voxel_nm|grey_range|channel|axes|pattern|crop|centre|ids"
    message = re.sub(
        rf"\b({names})=(r?)(?=['\w^])", lambda m: f"--{m[1].replace('_', '-')} ", message
    )
    return re.sub(rf"\b({names})=", lambda m: f"--{m[1].replace('_', '-')}", message)


def _end(doubts: list[str]) -> None:
    if doubts:
        head = "In doubt:" if len(doubts) == 1 else f"In doubt, {len(doubts)} times:"
        print(head, *doubts, sep="\n  ", file=sys.stderr)
        raise typer.Exit(DOUBTS)


def main() -> None:
    """Run the command."""
    warnings.simplefilter("ignore", ResourceWarning)
    app()
