"""Network streams: RTSP, RTMP, MJPEG over HTTP, MPEG-TS over TCP or UDP, and what else FFmpeg plays from an address."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehook.inference.errors import FramehookError, SourceFormatError, SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.addresses import redacted, scheme_of, short_name
from framehook.inference.sources.base import Source, unique_id
from framehook.inference.sources.decoding import Decoder, PictureMaker, tick_of, video_stream
from framehook.inference.sources.video import VideoSource

_LOW_LATENCY = {
    # Not `nobuffer`: it throws away what was looked at to recognise the stream, the first key frame with it, so that the first
    # picture comes one key frame later; and what is kept is caught up with at once.
    "flags": "low_delay",
    # FFmpeg watches up to 5 s of a stream before it hands out the first frame; the size is known much sooner.
    "analyzeduration": "500000",
    "fpsprobesize": "0",
}
OPEN_TIMEOUT = READ_TIMEOUT = 10.0  # s


def open_url(url: str, *, open_timeout: float = OPEN_TIMEOUT, read_timeout: float = READ_TIMEOUT) -> Source:
    """Open an address: a live stream, or a file where a web server says how long it is.

    Args:
        url: The address; its user name, password and secret parameters appear in no name and no message.
        open_timeout: Seconds until there must be a picture format; resolving a host name is up to the system and not counted.
        read_timeout: Seconds of silence after which reading fails.

    Raises:
        SourceUnavailableError: nobody answers, or the server refuses.
        SourceFormatError: what it sends is no video.
    """
    container = connect(url, open_timeout=open_timeout, read_timeout=read_timeout)
    if scheme_of(url) in ("http", "https") and _is_file(container):
        container.close()
        return VideoSource(url, open_timeout=open_timeout, read_timeout=read_timeout)
    return StreamSource(Connection(container, url, read_timeout=read_timeout))


def connect(url: str, *, open_timeout: float, read_timeout: float) -> InputContainer:
    """Open an address with little delay and bounded waits.

    Raises:
        SourceUnavailableError: nobody answers, or the server refuses.
        SourceFormatError: what it sends is no video.
    """
    options = dict(_LOW_LATENCY)
    if scheme_of(url) in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # over UDP every lost packet smears the picture
    shown = redacted(url)
    try:
        # PyAV allows the time-out twice: to connect, and to look into the stream.
        return av.open(url, options=options, timeout=(open_timeout / 2, read_timeout))
    except av.error.InvalidDataError as error:
        failure: FramehookError = SourceFormatError(f"{shown} sends no video that can be read ({error.strerror})")
    except av.error.FFmpegError as error:
        complaint = _complaint(error, open_timeout)
        failure = SourceUnavailableError(f"{shown} {complaint}; check the address and that the server runs")
    raise failure  # outside of `except`: the original names the whole URL, password included


@dataclass(slots=True)
class _Handover:
    """What a connection's thread and its reader share; the thread knows nothing else, so that both can be let go of."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    frame: tuple[VideoFrame, float] | None = None
    ended: bool = False
    error: FramehookError | None = None
    abandoned: bool = False


class Connection:
    """One connection to a server, until its end.

    FFmpeg cannot be woken from a read that waits for the network, and breaking it off by a short time-out loses the place in
    the stream. So a thread of its own reads, and whoever waits for it can stop waiting at any time. The thread ends, and closes
    what it holds, as soon as FFmpeg returns: at once, or after the read time-out.
    """

    def __init__(self, container: InputContainer, url: str, *, read_timeout: float) -> None:
        """Take over what `connect` opened, and begin to receive.

        Raises:
            SourceFormatError: there is no video in it.
        """
        shown = redacted(url)
        try:
            stream = video_stream(container, shown)
        except FramehookError:
            container.close()
            raise
        stream.thread_type = "SLICE"  # threads of whole frames would hold back as many frames as there are threads
        context = stream.codec_context
        #: (width, height) in pixels, or None while unknown.
        self.size = (context.width, context.height) if context.width and context.height else None
        #: Nominal frames per second, or None.
        self.fps = float(stream.average_rate) if stream.average_rate else None
        #: The address without its secrets.
        self.shown = shown
        #: Its short form for people.
        self.name = short_name(url)
        #: Seconds of one unit of a frame's `pts`, or None where the stream tells no times.
        self.tick = tick_of(container, stream)
        self._handover = _Handover()
        self._thread = threading.Thread(
            target=_receive,
            args=(container, stream, self._handover, shown, read_timeout),
            name=f"framehook-receive {self.name}",
            daemon=True,
        )
        self._thread.start()

    def take(self) -> tuple[VideoFrame, float] | None:
        """Wait for the next frame; return it with its time of arrival (monotonic s), or None at the end or once abandoned.

        Raises:
            SourceError: the connection broke or fell silent.
        """
        state = self._handover
        changed = state.changed
        with changed:
            changed.wait_for(lambda: state.frame is not None or state.ended or state.abandoned)
            if state.abandoned:
                return None
            if state.frame is not None:
                taken, state.frame = state.frame, None
                changed.notify_all()
                return taken
            if state.error is not None:
                raise state.error
            return None

    def abandon(self) -> None:
        """Make `take` return None at once, from any thread."""
        with self._handover.changed:
            self._handover.abandoned = True
            self._handover.changed.notify_all()

    def close(self) -> None:
        """Let go of the connection; the server notices at once, or after the read time-out if it sends nothing."""
        self.abandon()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=0.1)


class StreamSource(Source):
    """A live stream from the network, over one connection: its end is the end of the source."""

    endless = True
    may_block = True

    def __init__(self, connection: Connection) -> None:
        """Read from a connection, which is closed with the source."""
        self._connection = connection
        self._picture = PictureMaker()
        self._index = 0
        self._zero: int | None = None
        self.info = SourceInfo(
            id=unique_id(connection.name),
            name=connection.name,
            path=connection.shown,
            kind=SourceKind.STREAM,
            live=True,
            size=connection.size,
            fps=connection.fps,
        )

    def read(self) -> Frame | None:
        taken = self._take()
        if taken is None:
            return None
        frame, captured_at = taken
        pts = None
        if self._zero is not None and frame.pts is not None and self._connection.tick is not None:
            pts = float((frame.pts - self._zero) * self._connection.tick)
        return Frame.of(self._picture(frame), index=self._index - 1, source=self.info, pts=pts, captured_at=captured_at)

    def skip(self) -> SourceInfo | None:
        return None if self._take() is None else self.info

    def interrupt(self) -> None:
        self._connection.abandon()

    def close(self) -> None:
        self._connection.close()

    def _take(self) -> tuple[VideoFrame, float] | None:
        taken = self._connection.take()
        if taken is not None:
            self._index += 1
            if self._zero is None:
                self._zero = taken[0].pts
        return taken


def _is_file(container: InputContainer) -> bool:
    """Whether the server says how long it is, in seconds or bytes, or it is a picture."""
    kind = container.format.name
    if container.duration is not None and container.duration > 0:
        return True
    if kind.endswith("_pipe") or kind == "gif":
        return True
    # A list of the pieces of a live stream (HLS, DASH) has a size that says nothing.
    return container.size > 0 and not {"hls", "dash"}.intersection(kind.split(","))


def _complaint(error: Any, patience: float) -> str:
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return f"did not answer in time (open_timeout is {patience:g} s)"
    if isinstance(error, (av.error.HTTPError, av.error.HTTPClientError)):
        return f"refuses ({error.strerror})"
    return f"cannot be reached ({error.strerror})"


def _receive(container: InputContainer, stream: VideoStream, state: _Handover, shown: str, patience: float) -> None:
    error: FramehookError | None = None
    try:
        for frame in Decoder(container, stream):
            arrived = frame, time.monotonic()
            del frame
            with state.changed:
                state.changed.wait_for(lambda: state.frame is None or state.abandoned)
                if state.abandoned:
                    break
                state.frame = arrived
                state.changed.notify_all()
    except (av.error.ExitError, av.error.TimeoutError):
        error = SourceUnavailableError(f"{shown} sent nothing for {patience:g} s; check the camera and the network")
    except av.error.InvalidDataError:
        error = SourceFormatError(f"{shown} sends damaged data that cannot be followed any more")
    except av.error.FFmpegError as broken:
        # Where an HTTP server hangs up, having announced no length, FFmpeg calls that an input error; it is the end.
        if broken.errno != errno.EIO or not shown.startswith("http"):
            error = SourceUnavailableError(f"{shown} broke off ({broken.strerror}); check the camera and the network")
    finally:
        with state.changed:
            state.error = error
            state.ended = True
            state.changed.notify_all()
        container.close()
