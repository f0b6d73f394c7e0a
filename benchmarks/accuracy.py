"""Accuracy of a model on a labelled clip: average precision of persons at an overlap of one half (AP50).

    python benchmarks/accuracy.py --model yolox_nano_416.onnx
    python benchmarks/accuracy.py --model mine.onnx --clip street.mp4 --truth street_gt.txt

Every fifth frame counts (0, 5, 10 ...), with candidates from a score of .01 and suppression at an overlap of .65.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook import Model

EVERY: Final = 5
CONF: Final = 0.01
IOU: Final = 0.65

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Measure what the command line names."""
    data = Path(os.environ.get("FRAMEHOOK_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="an .onnx file; left out, the bundled detector")
    parser.add_argument("--decoder", default=None, help="the layout of its outputs, where the file does not tell")
    parser.add_argument("--clip", type=Path, default=data / "clips" / "vtest.avi")
    parser.add_argument("--truth", type=Path, default=data / "clips" / "vtest_gt.txt", help="boxes in MOT format")
    args = parser.parse_args()

    model = Model(args.model, decoder=args.decoder)
    truth = read_mot(args.truth)
    person = next((number for number, name in model.names.items() if name == "person"), 0)
    pairs = []
    with model.predict(str(args.clip), stream=True, conf=CONF, iou=IOU, classes=person, vid_stride=EVERY, overlay=None) as run:
        for result in run:
            found = np.column_stack((result.boxes.xyxy, result.boxes.conf)).astype(np.float64)
            pairs.append((found, truth.get(result.frame.index, np.empty((0, 4)))))
    boxes = sum(len(wanted) for _, wanted in pairs)
    print(f"{model!r} on {args.clip.name}: person AP50 {average_precision(pairs):.4f} ({len(pairs)} frames, {boxes} persons)")


def read_mot(path: Path) -> Mapping[int, Floats]:
    """Read boxes in MOT format: frame from 1, id, left, top, width, height, and more that is not used.

    Returns:
        N x 4 left, top, right, bottom in frame pixels, by frame index from 0.
    """
    rows = np.loadtxt(path, delimiter=",", usecols=range(6), ndmin=2)
    frames = rows[:, 0].astype(int) - 1
    boxes = np.concatenate((rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]), axis=1)
    return {int(frame): boxes[frames == frame] for frame in np.unique(frames)}


def average_precision(frames: Iterable[tuple[Floats, Floats]], *, overlap: float = 0.5) -> float:
    """Average precision as COCO defines it: 101 recall levels, precision made monotonic, matches greedy by score.

    Args:
        frames: Of each frame the detections, N x 5 left, top, right, bottom, score, and the truth, M x 4.
        overlap: Least intersection over union of a match.

    Returns:
        0..1; NaN where there is no truth at all.
    """
    scores, hits, wanted = [np.empty(0)], [np.empty(0, bool)], 0
    for found, truth in frames:
        best_first = found[np.argsort(-found[:, 4], kind="stable")]
        scores.append(best_first[:, 4])
        hits.append(match(best_first[:, :4], truth, overlap))
        wanted += len(truth)
    if wanted == 0:
        return float("nan")
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = np.cumsum(np.concatenate(hits)[order])
    precision = true / np.arange(1, len(true) + 1)
    # At each recall the best precision that this or any higher recall reaches; none beyond the last.
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    levels = np.searchsorted(true / wanted, np.linspace(0, 1, 101))
    return float(precision[levels].mean())


def match(found: Floats, truth: Floats, overlap: float) -> npt.NDArray[np.bool_]:
    """Whether each detection, best first, finds a true box that no better one took: of those free, the nearest."""
    hits = np.zeros(len(found), bool)
    if not len(truth):
        return hits
    overlaps = intersection_over_union(found, truth)
    for row in range(len(found)):
        nearest = int(overlaps[row].argmax())
        if overlaps[row, nearest] >= overlap:
            hits[row] = True
            overlaps[:, nearest] = -1
    return hits


def intersection_over_union(a: Floats, b: Floats) -> Floats:
    """N x M overlaps of N x 4 and M x 4 boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = (boxes[:, 2:] - boxes[:, :2] for boxes in (a, b))
    union: Floats = area_a.prod(axis=1)[:, None] + area_b.prod(axis=1)[None, :] - shared
    overlaps: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


if __name__ == "__main__":
    main()
