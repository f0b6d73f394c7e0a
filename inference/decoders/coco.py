"""The 80 object classes of COCO (Lin et al., "Microsoft COCO", 2014), and their two numberings."""

from __future__ import annotations

from typing import Final

COCO_NAMES: Final = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich"),
    *("orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed"),
    *("dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
"""In the order every COCO-80 detector numbers them, from 0."""

_UNUSED_IDS: Final = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

COCO_NAMES_BY_ID: Final = dict(zip((number for number in range(1, 91) if number not in _UNUSED_IDS), COCO_NAMES, strict=True))
"""By the numbers of COCO's annotation files, 1 to 90 with ten gaps, which the DETR family uses."""
