"""From a model to a verified ONNX file. This is its table of contents.

One export:
    exporter       fires the events, takes a model through the stages, leaves a proven file or none
    options        everything that can be chosen, checked
    plan           what is exported, and the options as they fit it
    progress       the stages, and how far an export is
    snapshot       what callbacks in the background see
    target         the name of the file
    partial        a file that appears as a whole or not at all
    metadata       what is written into the file beside the graph

The network:
    trace          a PyTorch network to an ONNX graph
    graph          an ONNX file to a graph, of the wanted shapes and version
    dynamic        a graph of fixed shapes to one of open batch, height and width
    open_shapes    the constants of a graph that hold its size
    simplify       constants folded, operators fused

What it computes in:
    half           float16 inside, float32 at the doors
    int8           static quantisation, calibrated on real frames
    body           the layers of a network, which both of them are about
    calibration    the values of a network's tensors on real pictures
    sensitivity    which layers int8 hurts, and are left in float
    qdq            quantisation written into a graph
    runtime_tools  ONNX Runtime's tools for it, kept quiet

What is merged onto it:
    layouts           for which output layouts there is suppression
    stages            preprocessing and suppression as parts of the graph
    graph_preprocess  one frame of any size to the network's tensor
    graph_suppress    raw outputs to finished detections
    graph_build       operators written into a graph

The proof:
    frames         what source and export are compared on, and int8 is calibrated with
    parity         the gate: source and export compared
    tolerances     how far they may be apart, and why
    file_check     whether the file runs with no flags, as its source does
    inner_network  the network inside a file, with the stages taken off
    pixel_check    its preprocessing against ours
    tensor_check   its numbers against those of the source
    box_check      its detections against those of the source
    accuracy       detections judged with those of the source as the truth
    report         what came of an export, for people and programs
"""

__all__ = [
    "exporter",
    "options",
    "plan",
    "progress",
    "snapshot",
    "target",
    "partial",
    "metadata",
    "trace",
    "graph",
    "dynamic",
    "open_shapes",
    "simplify",
    "half",
    "int8",
    "body",
    "calibration",
    "sensitivity",
    "qdq",
    "runtime_tools",
    "layouts",
    "stages",
    "graph_preprocess",
    "graph_suppress",
    "graph_build",
    "frames",
    "parity",
    "tolerances",
    "file_check",
    "inner_network",
    "pixel_check",
    "tensor_check",
    "box_check",
    "accuracy",
    "report",
]
