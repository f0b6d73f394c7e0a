"""Following objects from frame to frame, with any tracker of the `trackers` package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PICTURES, PerRun, PerSource, is_replaced
from framehook.inference.errors import MissingDependencyError, OptionError, did_you_mean
from framehook.inference.frame import Frame
from framehook.inference.options import PredictOptions

if TYPE_CHECKING:
    from trackers.core.base import BaseTracker, TrackerInfo

    from framehook.inference.predictor import Predictor
    from framehook.inference.result import Result

KEEP_UNCONFIRMED: Final = "keep_unconfirmed"
"""The one option that is ours and not the tracker's."""
_TICK: Final = 1e-6  # s; the least by which two frames of a live source lie apart for a tracker


class Tracking(Callback):
    """Gives boxes the ids of a tracker, in `on_predict_postprocess_end` before users' callbacks.

    `result.boxes` then holds the confirmed tracks of the frame, highest score first, with the very ids that the tracker gives
    (from 0). Each source of a run has a tracker of its own; it starts afresh where the source is interrupted (a new
    `frame.segment`) or changes its size, and goes on counting ids there, so that no id of a source stands for two objects.
    What it leaves out stays hidden under the overlay's `blur` and `pixelate`.
    The pictures of a run are one sequence; a single picture is left as it is. One object may serve several runs at once.

    Frames of files are a fixed time apart for the tracker; those of live sources, and of files played at `pace="realtime"`,
    come with their times, so that dropped frames do not break the motion.

    Options that are not given are the tracker's own defaults, but for three:

    - `frame_rate` is that of the source, divided by `vid_stride`.
    - `track_activation_threshold`, the score from which a box starts a track, and `high_conf_det_threshold`, the score from
      which it is matched first, lie a third of the way from the run's `conf` to 1 (.5 for the default of .25) where that is
      below the tracker's own. Those of `trackers` (.7 and .6) are made for detectors that are surer of themselves than small
      ones: of the bundled detector's people they leave one in twenty. Boxes of lower scores continue tracks that exist.
    """

    order: ClassVar[int] = -100
    foreground_only: ClassVar[bool] = True

    def __init__(self, tracker: str | None = None, *, keep_unconfirmed: bool = False, **options: Any) -> None:
        """Choose a tracker.

        Args:
            tracker: `bytetrack`, `sort`, `ocsort`, `botsort`, `cbiou`, `mcbyte`, or the id of one registered with `trackers`;
                None follows the run's options `tracker` and `tracker_options`, also where they change between frames.
            keep_unconfirmed: Keep boxes that belong to no confirmed track, with id -1, instead of leaving them out.
            **options: The tracker's own options: `lost_track_buffer=60`, `minimum_iou_threshold=.2` ...

        Raises:
            OptionError: no such tracker or option, or a value it cannot take; the message names the nearest.
        """
        if tracker is None and (options or keep_unconfirmed):
            given = next(iter(options), KEEP_UNCONFIRMED)
            raise OptionError(f"the tracking option '{given}' needs a tracker; pass its name first, such as 'bytetrack'")
        self._chosen: tuple[str, Mapping[str, Any]] | None = None
        if tracker is not None:
            check_tracker(tracker, options)
            self._chosen = tracker, {**options, KEEP_UNCONFIRMED: keep_unconfirmed}
        self._runs: PerRun[PerSource[_Follower]] = PerRun(lambda: PerSource(lambda _frame: _Follower()))
        self._given: PerRun[list[tuple[Result, Boxes]]] = PerRun(list)

    @property
    def follows_options(self) -> bool:
        """Whether no tracker was chosen for it."""
        return self._chosen is None

    def boxes_before(self, predictor: Predictor, result: Result) -> Boxes | None:
        """What the tracker was given of a result of the current batch, or None where it was given nothing."""
        return next((boxes for given, boxes in self._given.of(predictor) if given is result), None)

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        given = self._given.of(predictor)
        given.clear()
        chosen = self._chosen
        if chosen is None:
            args = predictor.args
            if args.tracker is None or is_replaced(predictor, self, Tracking):
                self._forget_motion(predictor)
                return
            chosen = (args.tracker, args.tracker_options or {})
        if predictor.source.frame_count == 1 and predictor.source.kind in PICTURES:
            return
        sources = self._runs.of(predictor)
        for result in predictor.frame_results:
            name, options = chosen
            given.append((result, result.boxes))
            result.boxes = sources.of(result.frame).follow(result.frame, result.boxes, name, options, predictor.args)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)
        self._given.pop(predictor)

    def _forget_motion(self, predictor: Predictor) -> None:
        """Have trackers start afresh when tracking is switched on again; the ids they gave stay taken."""
        sources = self._runs.find(predictor)
        for follower in sources.values() if sources is not None else ():
            follower.tracker = None


def tracker_names() -> list[str]:
    """The trackers there are, by name."""
    import trackers  # noqa: F401 - registers its trackers
    from trackers.core.base import BaseTracker

    return BaseTracker._registered_trackers()


def check_tracker(name: str, options: Mapping[str, Any]) -> None:
    """Check the name of a tracker and its options.

    Raises:
        OptionError: no such tracker or option, or a value it cannot take; the message names the nearest.
    """
    if options.get("enable_mask_manager"):
        _check_names(name, _lookup(name), options)  # making it would load its networks
    else:
        _make(name, options, frame_rate=None, conf=0.25)


def default_thresholds(name: str, conf: float) -> dict[str, float]:
    """The scores that stand in for the tracker's own `track_activation_threshold` and `high_conf_det_threshold`.

    A third of the way from `conf` to 1, or the tracker's own where that is lower. Measured with ByteTrack on 795 frames of
    pedestrians (HOTA, and recall of people), for a detector of low scores and one of higher ones at `conf` .25: .329 and .65,
    .466 and .91; with `conf` itself .219 and .73, .402 and .92; with the trackers' own .128 and .05, .522 and .91.

    Raises:
        OptionError: no such tracker.
    """
    parameters = _lookup(name).parameters
    return {
        key: min(conf + (1 - conf) / 3, parameters[key].default_value)
        for key in ("track_activation_threshold", "high_conf_det_threshold")
        if key in parameters
    }


@dataclass(slots=True)
class _Follower:
    """The tracker of one source."""

    tracker: BaseTracker | None = None
    made_of: object = None
    uses_frames: bool = False
    ruled: tuple[str, ...] = ()
    conf: float = -1.0
    first_id: int = 0
    next_id: int = 0
    last_time: float = -math.inf

    def follow(self, frame: Frame, boxes: Boxes, name: str, options: Mapping[str, Any], args: PredictOptions) -> Boxes:
        """The boxes of the next frame with their ids."""
        import supervision

        tracker = self._ready(frame, name, options, args)
        detections = supervision.Detections(
            xyxy=boxes.xyxy.copy(),
            confidence=boxes.conf.copy(),
            class_id=boxes.cls.astype(int),
            data={"row": np.arange(len(boxes))},
        )
        image = np.asarray(frame.image) if self.uses_frames else None
        followed = tracker.update(detections, frame=image, timestamp=self._time_of(frame, args))
        given = np.full(len(boxes), -1, np.int64)
        if len(followed):
            given[np.asarray(followed.data["row"], np.int64)] = np.asarray(followed.tracker_id, np.int64)
        given[given >= 0] += self.first_id
        self.next_id = max(self.next_id, int(given.max(initial=-1)) + 1)
        if options.get(KEEP_UNCONFIRMED):
            return boxes.with_ids(given)
        confirmed = given >= 0
        return boxes[confirmed].with_ids(given[confirmed])

    def _ready(self, frame: Frame, name: str, options: Mapping[str, Any], args: PredictOptions) -> BaseTracker:
        """The tracker for a frame: a new one where the frame does not follow on the last, or other options are wanted."""
        made_of = (name, dict(options), frame.segment, frame.size)
        if self.tracker is None or self.made_of != made_of:
            rate = frame.source.fps
            rate = rate / args.vid_stride if rate and math.isfinite(rate) else None
            self.tracker, self.uses_frames, self.ruled = _make(name, options, frame_rate=rate, conf=args.conf)
            self.made_of = made_of
            self.first_id = self.next_id
            self.last_time = -math.inf
        elif self.conf != args.conf:
            rules = default_thresholds(name, args.conf)
            for ruled in self.ruled:
                setattr(self.tracker, ruled, rules[ruled])
        self.conf = args.conf
        return self.tracker

    def _time_of(self, frame: Frame, args: PredictOptions) -> float | None:
        """Seconds, strictly increasing; None where frames are a fixed time apart."""
        if frame.source.live:
            time = frame.captured_at
        elif args.pace == "realtime" and frame.pts is not None:
            time = frame.pts
        else:
            return None
        self.last_time = time = max(time, self.last_time + _TICK)
        return time


def _make(
    name: str, options: Mapping[str, Any], *, frame_rate: float | None, conf: float
) -> tuple[BaseTracker, bool, tuple[str, ...]]:
    """Make a tracker; tell as well whether it looks at frames, and which of its options follow from `conf`."""
    info = _lookup(name)
    _check_names(name, info, options)
    wanted = {key: value for key, value in options.items() if key != KEEP_UNCONFIRMED}
    ruled = {key: value for key, value in default_thresholds(name, conf).items() if key not in wanted}
    rate = {"frame_rate": frame_rate} if frame_rate and "frame_rate" in info.parameters else {}
    try:
        tracker = info.tracker_class(**{**ruled, **rate, **wanted})
    except ImportError as error:
        raise MissingDependencyError(f"tracker '{name}' cannot be made with these options: {error}") from error
    except (TypeError, ValueError) as error:
        raise OptionError(f"tracker '{name}' does not take {_listed(wanted)}: {error}") from error
    # Those of the package warn when they are given a frame they do not use; of others that is not known.
    uses_frames = "enable_cmc" in info.parameters or not info.tracker_class.__module__.startswith("trackers.")
    return tracker, uses_frames, tuple(ruled)


def _lookup(name: str) -> TrackerInfo:
    from trackers.core.base import BaseTracker

    names = tracker_names()
    info = BaseTracker._lookup_tracker(str(name))
    if info is None:
        hint = did_you_mean(str(name), names)
        raise OptionError(f"unknown tracker {name!r}.{hint} The trackers are {', '.join(names)}.")
    return info


def _check_names(name: str, info: TrackerInfo, options: Mapping[str, Any]) -> None:
    known = [*info.parameters, KEEP_UNCONFIRMED]
    for key in options:
        if key not in known:
            hint = did_you_mean(key, known) or f" Its options are {', '.join(known)}."
            raise OptionError(f"tracker '{name}' has no option '{key}'.{hint}")


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its defaults"
