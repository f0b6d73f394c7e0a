"""Network streams: RTSP, RTMP, MJPEG over HTTP, MPEG-TS over TCP or UDP, and what else FFmpeg plays from an address."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehook.inference.errors import FramehookError, SourceError, SourceFormatError, SourceUnavailableError
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.sources.addresses import names_file, path_of, redacted, scheme_of, short_name
from framehook.inference.sources.base import Source, unique_id
from framehook.inference.sources.decoding import PictureMaker, tick_of, upright_size, video_stream
from framehook.inference.sources.live import OPEN_TIMEOUT, READ_TIMEOUT, Connection, LiveSource, Shot, late, silent
from framehook.inference.sources.multipart import PICTURE_AT_MOST, JpegDecoder, opens_multipart
from framehook.inference.sources.video import VideoSource

_log = logging.getLogger("framehook")

_LOW_LATENCY = {
    # Not `fflags=nobuffer`: it throws away what was looked at to recognise the stream, the first key frame with it, so that the
    # first picture comes one key frame later; and what is kept is caught up with at once.
    # FFmpeg watches up to 5 s of a stream before it hands out the first frame; the size is known much sooner.
    "analyzeduration": "500000",
    "fpsprobesize": "0",
    # MPEG-TS: a new program map goes on with the streams there are; PyAV would never hand out packets of new ones.
    "merge_pmt_versions": "1",
    # HLS: begin with the newest piece, not with the third newest.
    "live_start_index": "-1",
}
PATIENCE = 2.0  # s
# FFmpeg passes over garbage in steps of some hundred bytes; where it takes so many, it does not get on at all.
_STEPS_OVER_GARBAGE = 10_000
# Pictures that were decoded well, and then not one for so many packets: what comes is of another kind by now.
_FRUITLESS_PACKETS = 30
_PIECE_SECONDS = 30.0  # pieces of HLS take 2 to 10 s, and all of their frames come at once
_PIECES = (".m3u8", ".mpd")
_FILMS = (".flv", ".m2ts", ".mpg", ".ts", *_PIECES)
_PACKET = 65536  # bytes of motion JPEG that are taken at once, at most
_LAG = 0.5  # s
_JUMP = 10.0  # s that the sender's times may leap ahead of the clock
_FORGET = 0.001  # s by which a lag shrinks each second: so much slower than ours a sender's clock may be
_WHAT_TO_DO = "check the address and that the server runs"
# HTTP 401, 403, 404, and what FFmpeg does not tell apart, such as 410.
_REFUSALS = (
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.HTTPNotFoundError,
    av.error.HTTPOtherClientError,
)


_Shape: TypeAlias = tuple[tuple[int, int] | None, float | None]  # (width, height) and rate, where known


class RefusedError(SourceUnavailableError):
    """A server that says no; asking again soon would not help."""


class WebFileError(SourceFormatError):
    """Behind the address is a file, no stream."""


def open_url(
    url: str,
    *,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    reconnect: bool = True,
    patience: float = PATIENCE,
) -> Source:
    """Open an address: a live stream, or a file where a web server says how long it is.

    A stream whose server is not up yet, or does not answer at once, is tried until it comes up; a warning says so.

    Args:
        url: The address; its user name, password and secret parameters appear in no name and no message.
        open_timeout: Seconds until there must be a picture format.
        read_timeout: Seconds without a frame after which a connection counts as lost.
        reconnect: Whether to connect again when the connection is lost; otherwise an end is the end, and all else raises.
        patience: Seconds to wait for the first connection at most; without `reconnect` it is all of `open_timeout`.

    Raises:
        SourceUnavailableError: the server refuses; without `reconnect`, or for the address of a file, also if nobody answers.
        SourceFormatError: what it sends is no video.
    """
    shown, name = redacted(url), short_name(url)
    insist = reconnect and not names_file(url)
    live = LiveSource(
        SourceInfo(unique_id(name), name, shown, SourceKind.STREAM, live=True),
        partial(StreamConnection, url, open_timeout=open_timeout, read_timeout=read_timeout),
        open_timeout=open_timeout,
        read_timeout=read_timeout,
        reconnect=reconnect,
        final=(RefusedError, WebFileError),
    )
    try:
        answered = live.begin(min(open_timeout, patience) if insist else open_timeout) is not None
        if not (answered or insist):
            raise late(shown, open_timeout)
    except WebFileError:
        live.close()
        return VideoSource(url, open_timeout=open_timeout, read_timeout=read_timeout)
    except SourceError as error:
        if not insist or isinstance(error, (RefusedError, SourceFormatError)):
            live.close()
            raise
        _log.warning("%s; it is tried until it comes up", error)
    except BaseException:  # an interrupt from the keyboard
        live.close()
        raise
    else:
        if not answered:
            _log.warning("%s does not answer yet; it is tried until it comes up", shown)
    return live


class StreamConnection(Connection):
    """One connection to a server, over FFmpeg.

    FFmpeg cannot be woken from a read that waits for the network, and breaking it off by a short time-out loses the place in
    the stream; so a `capture` may block for the read time-out, and whoever cannot wait reads in a thread (`LiveSource`).
    """

    endless = True
    may_block = True

    def __init__(self, url: str, *, open_timeout: float, read_timeout: float) -> None:
        """Connect.

        Raises:
            SourceUnavailableError: nobody answers, or the server refuses.
            SourceFormatError: what it sends is no video, or a file.
        """
        self._shown, name = redacted(url), short_name(url)
        self._url = url
        self._open_timeout = open_timeout
        self._read_timeout = read_timeout
        self._patience = _sooner(read_timeout)
        self._picture = PictureMaker()
        self._arrived = 0.0
        self._noise = 0
        self._early: list[VideoFrame] = []
        self._tick: Fraction | None = None
        self._untold: float | None = None
        self._playout: _Playout | None = None
        self._lag = _Lag()
        self._told_of_skipping = False
        self._stopped = threading.Event()
        size, fps = self._open_pictures() or self._open_film()
        self._frames = self._decoded()
        self.info = SourceInfo(unique_id(name), name, self._shown, SourceKind.STREAM, live=True, size=size, fps=fps)

    def capture(self) -> Shot | None:
        frame: VideoFrame | None = None
        failure: FramehookError | None = None
        try:
            frame = next(self._frames, None)
        except (av.error.ExitError, av.error.TimeoutError):
            failure = silent(self._shown, self._read_timeout)
        except av.error.InvalidDataError:
            failure = SourceFormatError(f"{self._shown} sends damaged data that cannot be followed any more")
        except av.error.FFmpegError as error:
            # Where an HTTP server hangs up, having announced no length, FFmpeg calls that an input error; it is the end.
            if error.errno != errno.EIO or scheme_of(self._url) not in ("http", "https"):
                failure = SourceUnavailableError(
                    f"{self._shown} broke off ({error.strerror}); check the camera and the network"
                )
        if failure is not None:
            raise failure  # outside of `except`: the original names the whole URL, password included
        if frame is None:
            self.final_end = self.pause > 0 and self._is_complete()
            return None
        pts = self._untold if frame.pts is None or self._tick is None else float(frame.pts * self._tick)
        self._untold = None
        captured_at = self._arrived
        if self._playout is not None and pts is not None:
            captured_at = self._playout.due(pts, captured_at)
            if self._stopped.wait(max(captured_at - time.monotonic(), 0.0)):
                return None
        elif pts is not None:
            captured_at = self._lag.sent(pts, captured_at)
        return Shot(captured_at, pts, upright_size(frame), partial(self._picture, frame))

    def interrupt(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    @property
    def damaged(self) -> int:
        """Number of packets that could not be read or decoded."""
        return self._noise + self._decoder.damaged

    @property
    def skipped(self) -> int:
        """Number of pictures that were passed over, undecoded, to keep up with the sender; none where they tell their times."""
        return self._decoder.skipped if isinstance(self._decoder, JpegDecoder) else 0

    def _open_film(self) -> _Shape:
        """Open whatever FFmpeg recognises."""
        container = connect(self._url, open_timeout=self._open_timeout, read_timeout=self._read_timeout)
        try:
            if scheme_of(self._url) in ("http", "https") and _is_file(container):
                raise WebFileError(f"{self._shown} is a file, no live stream; open it anew")
            stream = video_stream(container, self._shown)
        except FramehookError:
            container.close()
            raise
        if _in_pieces(container):
            self.pause = _PIECE_SECONDS
            self._read_timeout = max(self._read_timeout, self.pause)
            self._patience = _sooner(self._read_timeout)
            self._playout = _Playout()
        # FFmpeg counts the times of RTSP from the first frame, but does not tell that one's.
        self._untold = 0.0 if container.format.name == "rtsp" else None
        self._container = container
        self._stream: Stream = stream
        self._decoder: JpegDecoder | _FilmDecoder = _FilmDecoder(stream, self._shown)
        self._tick = tick_of(container, stream)
        context = stream.codec_context
        size = (context.width, context.height) if context.width and context.height else None
        return size, float(stream.average_rate) if stream.average_rate else None

    def _open_pictures(self) -> _Shape | None:
        """Open motion JPEG over HTTP; None if it is something else."""
        if not _may_be_pictures(self._url):
            return None
        begin = time.monotonic()
        options = {"raw_packet_size": str(_PACKET)}
        container = _open(self._url, options, self._open_timeout, self._read_timeout, kind="data")
        decoder, head, received = JpegDecoder(_PACKET), b"", 0
        verdict: bool | None = None
        hung_up = False
        failure: FramehookError | None = None
        try:
            # Also where a length is announced: some cameras announce one of what never ends.
            for packet in container.demux():
                if verdict is None:
                    head += bytes(packet)
                    verdict = opens_multipart(head)
                if verdict is False:
                    break
                received += packet.size
                self._arrived = time.monotonic()
                self._early = decoder.decode(packet)
                if self._early:
                    self._container, self._stream, self._decoder = container, container.streams[0], decoder
                    return upright_size(self._early[0]), None
                if received > PICTURE_AT_MOST:
                    failure = SourceFormatError(f"{self._shown} sends parts without JPEG pictures; check the address")
                    break
                if self._arrived - begin > _sooner(self._open_timeout):
                    failure = late(self._shown, self._open_timeout)
                    break
            else:
                hung_up = True
        except av.error.FFmpegError as error:
            hung_up = error.errno == errno.EIO  # as in `capture`
            failure = _why_not(error, self._shown, self._open_timeout)
        if hung_up and verdict:
            failure = SourceUnavailableError(f"{self._shown} hangs up before there is a picture; {_WHAT_TO_DO}")
        container.close()
        if failure is not None:
            raise failure  # outside of `except`: the original names the whole URL, password included
        return None

    def _is_complete(self) -> bool:
        """Whether a list of pieces says now that nothing follows: it has a length then. Else its server is gone."""
        try:
            with connect(self._url, open_timeout=self._open_timeout, read_timeout=self._read_timeout) as container:
                return _is_file(container)
        except SourceError:
            return False

    def _decoded(self) -> Generator[VideoFrame, None, None]:
        early, self._early = self._early, []
        yield from early
        last = asked = time.monotonic()
        decoder = self._decoder
        failure: av.error.FFmpegError | None = None
        try:
            for packet in self._packets():
                now = time.monotonic()
                if isinstance(decoder, JpegDecoder):
                    decoder.waited += now - asked
                if packet is not None and packet.stream is self._stream:
                    self._arrived = now
                    frames = decoder.decode(packet)
                    if self.skipped and not self._told_of_skipping:
                        self._told_of_skipping = True
                        _log.warning("%s sends more than can be decoded here; pictures are skipped to keep up", self._shown)
                    if frames:
                        yield from frames
                        last = asked = time.monotonic()
                        continue
                # FFmpeg's own time-out is one of silence. Sound, noise and bytes that drip are no pictures either.
                if now - last > self._patience:
                    raise silent(self._shown, self._read_timeout)
                asked = time.monotonic()
        except av.error.FFmpegError as error:
            failure = error
        if failure is not None:
            # The packets stop here; pictures that wait in the decoder for their turn are still good.
            yield from decoder.decode(None)
            raise failure

    def _packets(self) -> Iterator[Packet[Any] | None]:
        """All packets that arrive, sound included, and None for what is no packet: control comes back in any case."""
        steps = 0
        while True:
            try:
                for packet in self._container.demux():
                    steps = 0
                    yield packet
                return
            except av.error.InvalidDataError:
                self._noise += 1
                steps += 1
                if steps > _STEPS_OVER_GARBAGE:
                    raise
            yield None


class _FilmDecoder:
    """Decodes the packets of a stream, passing over what is damaged.

    Attributes:
        damaged: Number of packets that could not be decoded.
    """

    def __init__(self, stream: VideoStream, shown: str) -> None:
        stream.thread_type = "SLICE"  # threads of whole frames would hold back as many frames as there are threads
        self.damaged = 0
        self._stream = stream
        self._shown = shown
        self._fruitless: int | None = None  # packets since the last picture, once there was one

    def decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """Return the frames that are complete with this packet; None at the end of them.

        Raises:
            SourceFormatError: what comes is of another kind than it was.
        """
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            frames = []
        if frames:
            self._fruitless = 0
        elif self._fruitless is not None:
            self._fruitless += 1
            if self._fruitless > _FRUITLESS_PACKETS:
                raise SourceFormatError(f"{self._shown} sends what cannot be decoded any more; connect to it anew")
        return frames


class _Playout:
    """When the frames of a stream that comes in pieces (HLS) are due.

    The frames of some seconds arrive all at once. Were they handed on as they come, a live run would see one or two of each
    piece and then nothing until the next; so they are played at the pace of their own times. A piece that is late puts off all
    that follow, so that the delay settles at what the server needs to go on without a gap.
    """

    def __init__(self) -> None:
        self._shift: float | None = None

    def due(self, pts: float, arrived: float) -> float:
        """Return when a frame is due, in monotonic seconds; what is further ahead than a piece lasts is a jump in time."""
        if self._shift is None or not 0 <= pts + self._shift - arrived <= _PIECE_SECONDS:
            self._shift = arrived - pts
        return pts + self._shift


class _Lag:
    """When frames were sent, told by their times: by the time a slow reader comes to them, they have waited for long.

    How far the clock of the sender is ahead of ours is not known; the frame that came with the least delay is taken for fresh.
    What is late by less than half a second may be late for reasons of the network.
    """

    def __init__(self) -> None:
        self._least: float | None = None  # of arrival less pts
        self._before = (0.0, 0.0)  # pts and arrival
        self._sent = 0.0

    def sent(self, pts: float, arrived: float) -> float:
        """Return when a frame was sent, or rather arrived, in monotonic seconds; never before the one ahead of it."""
        passed = arrived - self._before[1]
        if self._least is None or not 0 <= pts - self._before[0] <= passed + _JUMP:
            self._least = arrived - pts
        self._least = min(self._least + _FORGET * passed, arrived - pts)
        self._before = pts, arrived
        lag = arrived - pts - self._least
        self._sent = max(self._sent, arrived - lag if lag > _LAG else arrived)
        return self._sent


def connect(url: str, *, open_timeout: float, read_timeout: float) -> InputContainer:
    """Open an address with little delay and bounded waits.

    Raises:
        SourceUnavailableError: nobody answers, or the server refuses.
        SourceFormatError: what it sends is no video.
    """
    scheme = scheme_of(url)
    options = dict(_LOW_LATENCY)
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # over UDP every lost packet smears the picture
    if scheme == "udp":
        # In MPEG-TS a unit of transport is a picture, as the standards of broadcasting demand. FFmpeg looks for the end of
        # pictures all the same, and so holds each back until the next one comes: at 30 a second they are 69 ms old instead of
        # 36. What is sent without a container does need that, and a second look, which only UDP senders do not mind.
        try:
            container = _open(url, options | {"fflags": "noparse"}, open_timeout, read_timeout)
        except SourceFormatError:
            pass
        else:
            if container.format.name == "mpegts":
                return container
            container.close()
    if path_of(url).lower().endswith(_PIECES):
        read_timeout = max(read_timeout, _PIECE_SECONDS)  # asked for once, not twice as below
    container = _open(url, options, open_timeout, read_timeout)
    if _in_pieces(container) and read_timeout < _PIECE_SECONDS:
        # FFmpeg cannot be told later that it takes longer for the next piece to be there.
        container.close()
        container = _open(url, options, open_timeout, _PIECE_SECONDS)
    return container


def _open(
    url: str, options: dict[str, str], open_timeout: float, read_timeout: float, *, kind: str | None = None
) -> InputContainer:
    try:
        # PyAV allows the first time-out twice, to connect and to look into the stream; whoever waits allows it once.
        return av.open(url, format=kind, options=options, timeout=(_sooner(open_timeout), _sooner(read_timeout)))
    except av.error.FFmpegError as error:
        failure = _why_not(error, redacted(url), open_timeout)
    raise failure  # outside of `except`: the original names the whole URL, password included


def _why_not(error: av.error.FFmpegError, shown: str, open_timeout: float) -> FramehookError:
    if isinstance(error, av.error.InvalidDataError):
        return SourceFormatError(f"{shown} sends no video that can be read ({error.strerror})")
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return late(shown, open_timeout)
    if isinstance(error, _REFUSALS):
        return RefusedError(f"{shown} refuses ({error.strerror}); {_WHAT_TO_DO}")
    return SourceUnavailableError(f"{shown} {_complaint(error)}; {_WHAT_TO_DO}")


def _complaint(error: av.error.FFmpegError) -> str:
    if isinstance(error, (av.error.HTTPError, av.error.HTTPClientError)):
        return f"refuses ({error.strerror})"
    if isinstance(error, av.error.EOFError):
        return "hangs up before there is a picture"
    return f"cannot be reached ({error.strerror})"


def _sooner(timeout: float) -> float:
    """A little less than a time-out: what FFmpeg notices itself is closed already when the next attempt is made."""
    return max(0.75 * timeout, timeout - 0.25)


def _may_be_pictures(url: str) -> bool:
    """Whether an address may lead to motion JPEG: not where it names something else, which would be asked for twice."""
    path = path_of(url).lower()
    return scheme_of(url) in ("http", "https") and not names_file(url) and not path.endswith(_FILMS)


def _in_pieces(container: InputContainer) -> bool:
    """Whether it is a list of pieces (HLS, DASH), which come when they are complete."""
    return not {"hls", "dash"}.isdisjoint(container.format.name.split(","))


def _is_file(container: InputContainer) -> bool:
    """Whether the server says how long it is, in seconds or bytes, or it is a picture."""
    kind = container.format.name
    if container.duration is not None and container.duration > 0:
        return True
    if kind.endswith("_pipe") or kind == "gif":
        return True
    # A list of the pieces of a live stream (HLS, DASH) has a size that says nothing.
    return container.size > 0 and not _in_pieces(container)
