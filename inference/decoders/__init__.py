"""From raw network outputs to boxes: one decoder an output layout, how to find it, and what becomes of its candidates."""

from framehook.inference.decoders.base import Candidates, Decoder, NetworkAware
from framehook.inference.decoders.coco import COCO_NAMES
from framehook.inference.decoders.detr import DetrDecoder, DetrDeployDecoder, RfDetrDecoder, RtDetrDecoder
from framehook.inference.decoders.end2end import End2EndDecoder
from framehook.inference.decoders.metadata import BakedIn, baked_into, describe, input_format_of
from framehook.inference.decoders.nanodet import NanoDetDecoder
from framehook.inference.decoders.nms import select, suppress
from framehook.inference.decoders.recognise import (
    ClassNames,
    DecoderSpec,
    class_count,
    class_names_of,
    recognise,
    resolve_decoder,
)
from framehook.inference.decoders.registry import (
    DecodeFunction,
    FunctionDecoder,
    get_decoder,
    known_decoders,
    register_decoder,
)
from framehook.inference.decoders.tf_detection import TfDetectionDecoder
from framehook.inference.decoders.yolo import YoloDecoder, YoloV5Decoder
from framehook.inference.decoders.yolox import YoloxDecoder

__all__ = [
    # what a decoder is
    "Decoder",
    "Candidates",
    "NetworkAware",
    # output layouts
    "YoloDecoder",
    "YoloV5Decoder",
    "YoloxDecoder",
    "NanoDetDecoder",
    "RtDetrDecoder",
    "RfDetrDecoder",
    "DetrDecoder",
    "DetrDeployDecoder",
    "End2EndDecoder",
    "TfDetectionDecoder",
    # decoders of your own
    "register_decoder",
    "FunctionDecoder",
    "DecodeFunction",
    "get_decoder",
    "known_decoders",
    # which one fits
    "resolve_decoder",
    "DecoderSpec",
    "recognise",
    # what a model file says of itself
    "input_format_of",
    "class_names_of",
    "class_count",
    "ClassNames",
    "COCO_NAMES",
    "BakedIn",
    "baked_into",
    "describe",
    # from candidates to detections
    "suppress",
    "select",
]
