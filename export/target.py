"""Where an export goes."""

from __future__ import annotations

from pathlib import Path

from framehook.export.options import FORMATS, ExportOptions
from framehook.inference.errors import OptionError
from framehook.inference.saving import is_source, safe_name


def choose_target(options: ExportOptions, *, name: str, path: Path | None, beside: Path) -> Path:
    """The file to write.

    Args:
        options: The options of the export.
        name: What the model is called, without ending.
        path: The model's own file, which is never overwritten; None where it has none.
        beside: The folder where it goes if nobody names another.

    Raises:
        OptionError: it cannot be there.
    """
    ending = FORMATS[options.format]
    chosen = beside if options.output is None else Path(options.output).expanduser()
    if chosen.is_dir():
        target = chosen / f"{_called(options, name)}{ending}"
        if path is not None and is_source(target, [str(path)]):
            target = chosen / f"{name}_export{ending}"
    else:
        target = chosen
    if target.is_dir():
        raise OptionError(f"output='{target}' is a folder; name another file with output=")
    if target.suffix.lower() != ending:
        raise OptionError(
            f"output='{options.output}' is no folder, and no {ending} file; end it in {ending}, or make the folder first"
        )
    if not target.parent.is_dir():
        raise OptionError(f"output='{options.output}': there is no folder {target.parent}; make it first")
    if path is not None and is_source(target, [str(path)]):
        raise OptionError(f"output='{options.output}' is the model itself; name another file")
    return target.absolute()


def _called(options: ExportOptions, name: str) -> str:
    """The model's name, and what is special of the file: `yolo11n_preprocess_nms_half`."""
    special = [each for each in ("dynamic", "preprocess", "nms", "half", "int8") if getattr(options, each)]
    return "_".join([safe_name(name) or "model", *special])
