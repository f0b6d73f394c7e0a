"""A run from its start to its summary, as every command does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from framehook.app.interrupt import StopOnSignal
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.progress import RunDisplay, display_for
from framehook.app.summary import is_picture, picture_line, print_summary
from framehook.app.tally import Tally
from framehook.inference.callbacks import Callback
from framehook.inference.options import PredictArgs, PredictOptions
from framehook.inference.predictor import Predictor, check_options
from framehook.inference.result import Result
from framehook.inference.run import Run
from framehook.inference.sources import open_sources
from framehook.model import Model


def watch(
    model: Model,
    source: Any,
    options: PredictArgs,
    *,
    opening: Mapping[str, Any] = MappingProxyType({}),
    limit: int | None = None,
    debug: bool = False,
    also: Sequence[Callback] = (),
    finish: Callable[[Predictor, Tally, list[Path]], None] | None = None,
) -> int:
    """Run a model over a source, show how it goes, and say what came of it.

    The summary is given however the run ended, since what was done until then is saved; but not after a failure before the
    first frame.

    Args:
        model: The model, with the user's callbacks.
        source: Anything `open_sources` takes.
        options: The options of the run.
        opening: The options of `open_sources`.
        limit: Stop after this many frames.
        debug: Show what the library logs in detail.
        also: Callbacks of this run alone.
        finish: Says what came of it, in place of `print_summary`.

    Returns:
        The exit code. A stream that Ctrl-C stopped ended as it should: 0. A file was not finished: 128 and the signal's number.
    """
    out, err = output(), diagnostics()
    pictures = 0
    display: RunDisplay | None = None

    def on_result(result: Result) -> None:
        nonlocal pictures
        if is_picture(result):
            pictures += 1
            out.print(picture_line(result))
        if display is not None:
            display.frame_done()

    def tell(predictor: Predictor, tally: Tally, saved: list[Path]) -> None:
        if finish is None:
            print_summary(out, predictor, tally, saved, pictures=pictures)
        else:
            finish(predictor, tally, saved)

    tally = Tally(limit=limit, on_result=on_result)
    added = [model.add_callback(each) for each in (tally, *also)]
    try:
        with logged_to(err, debug=debug), _started(model, source, options, opening) as run, StopOnSignal(run) as stop:
            display = display_for(err, run, total=_total(run, limit))
            ended = False
            try:
                with display:
                    for _ in run:
                        pass
                ended = True
            finally:
                if ended or tally.frames:
                    tell(run.predictor, tally, _saved_files(run.predictor))
    finally:
        for handle in added:
            handle.remove()
    endless = run.endless or any(source.live for source in run.predictor.sources)
    return 128 + stop.received if stop.received is not None and not endless else 0


def _started(model: Model, source: Any, options: PredictArgs, opening: Mapping[str, Any]) -> Run:
    check_options(PredictOptions.build(options), model.detector)  # before a camera or a server is bothered
    return model.predict(open_sources(source, **opening), stream=True, **options)


def _total(run: Run, limit: int | None) -> int | None:
    """Frames that the run will deliver, where that is known."""
    counts = [source.frame_count for source in run.predictor.sources]
    if len(counts) != 1 or counts[0] is None:
        return limit
    announced = counts[0]
    total = math.ceil(announced / run.predictor.args.vid_stride)
    return total if limit is None else min(total, limit)


def _saved_files(predictor: Predictor) -> list[Path]:
    """What the recorders of a run wrote."""
    from framehook.inference.callbacks.pictures import Pictures
    from framehook.inference.callbacks.recorder import Recorder

    recorders: tuple[Recorder | Pictures, ...] = (
        *predictor.callbacks.objects(Recorder),
        *predictor.callbacks.objects(Pictures),
    )
    return [path for each in recorders for path in each.paths]
