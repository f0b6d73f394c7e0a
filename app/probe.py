"""What there is to look at, and what comes of one source."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from framehook.app.arguments import check_seconds
from framehook.app.arrivals import Arrivals, Gaps, watch_arrivals
from framehook.app.cameras import Camera, list_cameras
from framehook.app.demo import command_name
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.rows import print_json, print_rows
from framehook.app.summary import duration
from framehook.inference.errors import FramehookError, OptionError, SourceUnavailableError, one_line
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.saving import stem_of, write_picture
from framehook.inference.sources import Screen, list_screens, open_source
from framehook.inference.sources.addresses import redacted

if TYPE_CHECKING:
    from av.video.stream import VideoStream

NO_PICTURE: Final = "none"
"""In place of a file name, for no picture."""

_KINDS: Final = {
    SourceKind.VIDEO: "a video file",
    SourceKind.IMAGE: "a picture",
    SourceKind.CAMERA: "a camera",
    SourceKind.STREAM: "a network stream",
    SourceKind.SCREEN: "a screen",
    SourceKind.TEST: "a generated scene",
}
_OTHERS: Final = (
    ("a file", "clip.mp4"),
    ("a network camera", "rtsp://user:password@camera/stream"),
    ("a test scene", "testsrc"),
)
_SUFFIXES: Final = (".jpg", ".jpeg")


def list_sources(*, as_json: bool = False) -> int:
    """Tell which cameras and screens there are and how to use them; none is opened. Returns the exit code."""
    cameras = list_cameras()
    screens, reason = _screens()
    out = output()
    if as_json:
        print_json(out, {"cameras": [asdict(each) for each in cameras], "screens": [asdict(each) for each in screens]})
        return 0
    command = command_name()
    print_sources(out, cameras, screens, no_screens=reason, no_cameras=_no_cameras(command), command=command)
    return 0


def print_sources(
    console: Console, cameras: Iterable[Camera], screens: Iterable[Screen], *, no_screens: str, no_cameras: str, command: str
) -> None:
    """Print what there is, and how to use it.

    Args:
        console: Where to.
        cameras: The cameras.
        screens: The screens.
        no_screens: What to say where there are none.
        no_cameras: What to say where there are none.
        command: How this program is called.
    """
    for title, rows, nothing in (
        ("Cameras", [(_described(each), str(each.number)) for each in cameras], no_cameras),
        ("Screens", [(_shown(each), f"screen:{each.number}") for each in screens], no_screens),
        ("Others", list(_OTHERS), ""),
    ):
        console.print(f"{title}:")
        print_rows(console, [(what, f"{command} track {spec}") for what, spec in rows])
        if not rows:
            console.print(f"  {nothing}")
    console.print()
    console.print(f"What comes of one, how fast and how evenly: {command} sources SOURCE")


def probe(source: str, *, picture: str | None = None, seconds: float = 5.0, as_json: bool = False, debug: bool = False) -> int:
    """Look at a source for a while and tell what comes of it; returns the exit code.

    Args:
        source: What the user typed.
        picture: Where to save the first frame, a `.jpg`; `none` for nowhere; None for a name made of the source's. Nothing is
            overwritten.
        seconds: How long to look, from the first frame on.
        as_json: Print JSON.
        debug: Show what the library logs in detail.

    Raises:
        OptionError: an option, or the source, is none.
        SourceError: the source cannot be opened, gives no frame, or broke; what it gave until then is told.
        RecordingError: the picture cannot be saved.
    """
    check_seconds(seconds)
    if picture is not None and picture != NO_PICTURE and Path(picture).suffix.lower() not in _SUFFIXES:
        raise OptionError(f"--picture {picture} is no JPEG file; pass a name that ends in .jpg, or {NO_PICTURE}")
    out, err = output(), diagnostics()
    with logged_to(err, debug=debug):
        with err.status(f"Looking for {seconds:g} s ..."):  # shows nothing where there is no terminal
            arrivals = watch_arrivals(lambda: open_source(source, reconnect=False), seconds)
        if arrivals is None:
            raise SourceUnavailableError(f"{redacted(source)} ended without a frame")
        saved = _save(arrivals.first, picture)
        coding = None if arrivals.interrupted else coding_of(source, arrivals.first.source)
    if as_json:
        print_json(out, report(arrivals, coding=coding, saved=saved))
    else:
        print_arrivals(out, arrivals, coding=coding, saved=saved)
    if arrivals.error is not None:
        raise arrivals.error
    return 0


def print_arrivals(console: Console, arrivals: Arrivals, *, coding: str | None, saved: Path | None) -> None:
    """Say what came of a source, a line for each thing that is known."""
    source = arrivals.source
    kind = _KINDS.get(source.kind, "pictures")
    console.print(f"{source.name}: {kind}{', live' if source.live else ''}")
    rows = [*_rows(arrivals, coding), *([("saved", str(saved))] if saved is not None else [])]
    print_rows(console, rows)


def report(arrivals: Arrivals, *, coding: str | None, saved: Path | None) -> dict[str, Any]:
    """What came of a source, for JSON; times are in seconds, or in milliseconds where the name ends so."""
    source, first = arrivals.source, arrivals.first
    return {
        "source": source.path,
        "name": source.name,
        "kind": str(source.kind),
        "live": source.live,
        "coding": coding,
        "width": first.size[0],
        "height": first.size[1],
        "frames": arrivals.frames,
        "frames_announced": source.frame_count,
        "seconds": arrivals.elapsed,
        "first_frame_after": arrivals.to_first,
        "fps_nominal": source.fps,
        "fps_measured": arrivals.fps,
        "fps_by_time_stamps": arrivals.media_fps,
        "gaps_ms": None if arrivals.gaps is None else asdict(arrivals.gaps),
        "time_stamps": arrivals.timed,
        "time_stamp_steps_ms": None if arrivals.steps is None else asdict(arrivals.steps),
        "ended": arrivals.ended,
        "interrupted": arrivals.interrupted,
        "error": None if arrivals.error is None else one_line(arrivals.error),
        "picture": None if saved is None else str(saved),
    }


def coding_of(spec: str, source: SourceInfo) -> str | None:
    """How the pictures of a source come, in FFmpeg's words or a camera's: `h264, yuv420p`, `MJPG`; None where nobody tells.

    It is opened once more for that.

    Args:
        spec: What the user typed.
        source: What was opened of it.
    """
    with suppress(FramehookError, OSError):  # OSError is what PyAV raises
        if source.kind is SourceKind.CAMERA:
            return _camera_coding(source.path)
        if source.kind is SourceKind.STREAM or "://" in source.path:
            return _stream_coding(spec)
        if source.kind is SourceKind.VIDEO:
            return _file_coding(source.path)
    return None


def _rows(arrivals: Arrivals, coding: str | None) -> Iterator[tuple[str, str]]:
    first, source = arrivals.first, arrivals.source
    size = f"{first.size[0]}x{first.size[1]}"
    yield "picture", size if coding is None else f"{size}, {coding}"
    if source.kind is not SourceKind.IMAGE:
        yield "rate", ", ".join(_rates(arrivals))
    yield "first frame", f"after {arrivals.to_first:.2f} s"
    if arrivals.gaps is not None and source.live:
        yield "intervals", _gaps(arrivals.gaps)
    announced = f" of {source.frame_count:,}" if source.frame_count is not None and not arrivals.ended else ""
    unit = "frame" if arrivals.frames == 1 else "frames"
    end = (
        "; that is all of it"
        if arrivals.ended and arrivals.error is None
        else "; ended by Ctrl-C"
        if arrivals.interrupted
        else ""
    )
    yield "came", f"{arrivals.frames:,}{announced} {unit} in {duration(arrivals.elapsed)}{end}"
    yield "time stamps", _stamps(arrivals)


def _rates(arrivals: Arrivals) -> Iterator[str]:
    source = arrivals.source
    yield f"{source.fps:.4g} frames/s announced" if source.fps else "none announced"
    if source.live:
        if arrivals.fps is not None:
            yield f"{arrivals.fps:.4g} measured"
        return
    if arrivals.media_fps is not None:
        yield f"{arrivals.media_fps:.4g} by its time stamps"
    if arrivals.fps is not None:
        yield f"read at {arrivals.fps:.4g}"


def _stamps(arrivals: Arrivals) -> str:
    if arrivals.timed == 0:
        return "none"
    which = "on every frame" if arrivals.timed == arrivals.frames else f"on {arrivals.timed:,} of {arrivals.frames:,} frames"
    if arrivals.source.kind in (SourceKind.CAMERA, SourceKind.SCREEN):
        return f"{which}, by the clock of this computer"
    return which if arrivals.steps is None else f"{which}, {_gaps(arrivals.steps)}"


def _gaps(gaps: Gaps) -> str:
    return f"{gaps.p50:.1f} ms median, {gaps.p95:.1f} ms p95, {gaps.longest:.1f} ms longest"


def _save(frame: Frame, picture: str | None) -> Path | None:
    if picture == NO_PICTURE or (picture is None and frame.source.kind is SourceKind.IMAGE):
        return None
    path = Path(f"{stem_of(frame.source)}.jpg") if picture is None else Path(picture).expanduser()
    return write_picture(path, frame.image)


def _camera_coding(path: str) -> str | None:
    import cv2

    from framehook.inference.sources.camera import quiet_opencv

    with quiet_opencv():
        capture = cv2.VideoCapture(int(path) if path.isdecimal() else path)
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    capture.release()
    text = code.to_bytes(4, "little", signed=True).decode("ascii", "replace").strip("\0 ")
    return text if text.isalnum() else None


def _stream_coding(url: str) -> str:
    from framehook.inference.sources.decoding import video_stream
    from framehook.inference.sources.stream import connect

    with connect(url, open_timeout=10.0, read_timeout=5.0) as container:
        return _coding(video_stream(container, redacted(url)))


def _file_coding(path: str) -> str:
    import av

    from framehook.inference.sources.decoding import video_stream

    with av.open(path) as container:
        return _coding(video_stream(container, path))


def _coding(stream: VideoStream) -> str:
    context = stream.codec_context
    return f"{context.name}, {context.pix_fmt}" if context.pix_fmt else context.name


def _screens() -> tuple[list[Screen], str]:
    """The screens, or why there is none to see."""
    try:
        found = list_screens()
    except FramehookError as error:
        return [], f"none: {one_line(error)}"
    return (found[1:] if len(found) == 2 else found), "none"  # a single one is the same as all together


def _described(camera: Camera) -> str:
    usable = camera.there and camera.allowed
    return f"{camera.number}  {camera.name or camera.path}{'' if usable else ' (cannot be used, see framehook doctor)'}"


def _shown(screen: Screen) -> str:
    size = "{}x{}".format(*screen.size)
    name = screen.name if screen.number else "all together"
    return f"{screen.number}  {size}{f', {name}' if name else ''}"


def _no_cameras(command: str) -> str:
    if not sys.platform.startswith("linux"):
        return f"they count from 0, and are found by trying: {command} sources 0"
    return "none: there is no /dev/video*"
