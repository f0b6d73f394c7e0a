"""Whether two models find the same objects: detections matched one to one, ties understood, or judged as a detector is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.export.accuracy import Accuracy, intersection_over_union, judge
from framehook.export.tolerances import ENOUGH, Tolerance
from framehook.inference.boxes import Boxes, FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.errors import ParityError

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_TIE: Final = 1e-6
"""Added to what is allowed, since scores are of single precision."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The detections of one frame, or of several, compared one to one.

    Attributes:
        expected: Detections of the source that count.
        found: Detections of the export that count.
        matched: Those of the source that are in the export too.
        ties: Those of either that are not, for a reason that is no difference: another box of a cluster won by a hair, or an
            overlap lies at the threshold. Only looked for where every detection has to be the same.
        overlap: The least intersection over union of a match; 1 where there is none.
        score: The largest difference of the scores of a match; 0 where there is none.
        missed: What is wrong, in words; empty where nothing is.
    """

    expected: int = 0
    found: int = 0
    matched: int = 0
    ties: int = 0
    overlap: float = 1.0
    score: float = 0.0
    missed: str = ""

    def plus(self, other: Matched) -> Matched:
        """The figures of both."""
        return Matched(
            self.expected + other.expected,
            self.found + other.found,
            self.matched + other.matched,
            self.ties + other.ties,
            min(self.overlap, other.overlap),
            max(self.score, other.score),
            self.missed or other.missed,
        )


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a source proposed in one frame before overlaps were suppressed.

    Attributes:
        inside: The candidates, in pixels of the network input, where suppression measures overlaps.
        xyxy: The same boxes in frame pixels.
        iou: Above which overlap the lower score is suppressed; None where the network did it, or none is needed.
    """

    inside: Candidates
    xyxy: FloatArray
    iou: float | None


def match(expected: Boxes, found: Boxes, proposed: Proposed, tolerance: Tolerance, *, conf: float, max_det: int) -> Matched:
    """Match the detections of one frame one to one.

    A detection counts that scores at least `conf`; its partner may score less, by the tolerance. Where all have to be the same,
    what has no partner is still no difference if suppression could have gone either way. What greedy suppression keeps is the
    one set of candidates of which no two overlap too much, and of which every candidate outside overlaps a better one inside.
    So a detection of the source may be missing if one of the export covers it that scores as much or more, and one of the
    export may be new if it is a candidate of the source and covers none of the export's others; each within the tolerance.

    Args:
        expected: Detections of the source, of any score.
        found: Detections of the export, of any score.
        proposed: What the source proposed.
        tolerance: Which detections are the same, and whether all have to be.
        conf: What counts.
        max_det: How many detections a frame was cut off at.
    """
    least, apart = tolerance.overlap, tolerance.score + _TIE
    expected, found = (side[np.flatnonzero(side.conf >= conf - apart)] for side in (expected, found))
    same = expected.cls[:, None] == found.cls
    overlaps = intersection_over_union(expected.xyxy, found.xyxy)
    off = np.abs(expected.conf[:, None].astype(np.float64) - found.conf)
    ours, theirs = _pair(overlaps, same & (overlaps >= least) & (off <= apart))
    lonely, extra = np.ones(len(expected), bool), np.ones(len(found), bool)
    exact, ties, missed = tolerance.share == 1, 0, ""
    lonely[ours], extra[theirs] = False, False
    counts, counts_too = expected.conf >= conf, found.conf >= conf
    cut = _cut_off(expected, found, max_det, apart)
    for row in np.flatnonzero(lonely & counts):
        if exact and (expected.conf[row] <= cut or _is_covered(expected, int(row), found, proposed, least, apart)):
            ties += 1
        else:
            missed = missed or _told("is missing from the export", expected, int(row), found, overlaps[row])
    for row in np.flatnonzero(extra & counts_too):
        if exact and (found.conf[row] <= cut or _could_be_kept(found, int(row), proposed, least, apart)):
            ties += 1
        else:
            missed = missed or _told("is in the export alone", found, int(row), expected, overlaps[:, row])
    kept = counts[ours] | counts_too[theirs]
    return Matched(
        int(counts.sum()),
        int(counts_too.sum()),
        int(counts[ours].sum()),
        ties,
        float(overlaps[ours, theirs][kept].min(initial=1.0)),
        float(off[ours, theirs][kept].max(initial=0.0)),
        missed,
    )


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """How the detections of source and export agree.

    Attributes:
        matched: One to one.
        accuracy: With those of the source as the truth.
        allowed: What was allowed.
    """

    matched: Matched
    accuracy: Accuracy
    allowed: Tolerance


class Tally:
    """Detections of all frames, compared."""

    def __init__(self, allowed: Tolerance, conf: float, max_det: int) -> None:
        self._allowed, self._conf, self._max_det = allowed, conf, max_det
        self._matched = Matched()
        self._pairs: list[tuple[Boxes, Boxes]] = []

    @property
    def frames(self) -> int:
        """Frames so far."""
        return len(self._pairs)

    @property
    def expected(self) -> int:
        """Detections of the source so far."""
        return self._matched.expected

    def add(self, expected: Sequence[Boxes], found: Sequence[Boxes], proposed: Iterator[Proposed]) -> None:
        """Compare the detections of a few frames."""
        for ours, theirs, every in zip(expected, found, proposed, strict=True):
            one = match(ours, theirs, every, self._allowed, conf=self._conf, max_det=self._max_det)
            self._matched = self._matched.plus(one)
            self._pairs.append((ours, theirs))

    def figures(self, advice: str) -> BoxFigures:
        """What all frames gave.

        Raises:
            ParityError: it is less than is asked for.
        """
        allowed, matched = self._allowed, self._matched
        accuracy = judge(self._pairs, conf=self._conf)
        enough = matched.expected >= ENOUGH
        count = f"of {matched.expected} detections of the source"
        same = f"overlap {allowed.overlap:g}, score within {allowed.score:g}"
        if matched.missed and allowed.share == 1:
            raise ParityError(f"the export finds other things than its source: {matched.missed} (allowed: {same}); {advice}")
        if enough and allowed.share < 1 and matched.matched < allowed.share * matched.expected:
            share = matched.matched / matched.expected
            raise ParityError(
                f"{share:.1%} {count} are the same in the export ({same}), and {allowed.share:.0%} is the least; {advice}"
            )
        if enough and accuracy.found_again < allowed.found_again:
            raise ParityError(
                f"{accuracy.found_again:.1%} {count} are found again, and {allowed.found_again:.0%} is the least; {advice}"
            )
        if enough and accuracy.ap50 < allowed.ap50:
            raise ParityError(
                f"the export has AP50 {accuracy.ap50:.3f}, with the {matched.expected} detections of its source as the truth, "
                f"and {allowed.ap50:g} is the least; {advice}"
            )
        return BoxFigures(matched, accuracy, allowed)


def _pair(overlaps: Doubles, allowed: Mask) -> tuple[list[int], list[int]]:
    """Rows and columns of the matches, the best overlaps first, each row and column once."""
    rows, columns = np.nonzero(allowed)
    pairs: dict[int, int] = {}
    for place in np.argsort(-overlaps[rows, columns], kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return list(pairs), list(pairs.values())


def _cut_off(expected: Boxes, found: Boxes, max_det: int, apart: float) -> float:
    """The score up to which a detection may have been cut off on the other side."""
    full = [float(side.conf.min()) for side in (expected, found) if len(side) >= max_det]
    return max(full) + apart if full else 0.0


def _is_covered(expected: Boxes, row: int, found: Boxes, proposed: Proposed, least: float, apart: float) -> bool:
    """Whether a detection of the source is suppressed in the export by one that could be the better, within the tolerance."""
    if proposed.iou is None:
        return False
    (own,) = _candidates_of(expected[row], proposed, least, apart)
    for other in np.flatnonzero((found.cls == expected.cls[row]) & (found.conf >= expected.conf[row] - 2 * apart)):
        (its,) = _candidates_of(found[int(other)], proposed, least, apart)
        if _overlap(proposed, own, its).max(initial=0) >= proposed.iou - (1 - least):
            return True
    return False


def _could_be_kept(found: Boxes, row: int, proposed: Proposed, least: float, apart: float) -> bool:
    """Whether a detection of the export is a candidate of the source that could have been kept beside the export's others."""
    if proposed.iou is None:
        return False
    (own,) = _candidates_of(found[row], proposed, least, apart)
    if not own.any():
        return False
    for other in np.flatnonzero(found.cls == found.cls[row]):
        if other != row:
            (its,) = _candidates_of(found[int(other)], proposed, least, apart)
            if its.any() and _overlap(proposed, own, its).min(initial=1) > proposed.iou + (1 - least):
                return False
    return True


def _candidates_of(boxes: Boxes, proposed: Proposed, least: float, apart: float) -> Sequence[Mask]:
    """Which candidates of the source each box can be."""
    overlaps = intersection_over_union(boxes.xyxy, proposed.xyxy)
    near = np.abs(boxes.conf[:, None].astype(np.float64) - proposed.inside.conf) <= apart
    return list((boxes.cls[:, None] == proposed.inside.cls) & (overlaps >= least) & near)


def _overlap(proposed: Proposed, some: Mask, others: Mask) -> Doubles:
    return intersection_over_union(proposed.inside.xyxy[some], proposed.inside.xyxy[others])


def _told(what: str, boxes: Boxes, row: int, others: Boxes, overlaps: Doubles) -> str:
    left, top, right, bottom = (round(float(edge)) for edge in boxes.xyxy[row])
    text = f"class {boxes.cls[row]} at {left}, {top}, {right}, {bottom} with score {boxes.conf[row]:.3f} {what}"
    if not len(others):
        return text
    near = int(overlaps.argmax())
    if overlaps[near] <= 0:
        return f"{text}, which has nothing there" if "missing" in what else text
    kind = "" if others.cls[near] == boxes.cls[row] else f", is of class {others.cls[near]}"
    return f"{text}; the nearest overlaps by {overlaps[near]:.4f}{kind} and scores {others.conf[near]:.3f}"
