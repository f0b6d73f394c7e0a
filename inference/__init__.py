"""The engine: frames in, boxes out, callbacks in between. This is its table of contents.

What frames are and where they come from:
    frame       a captured picture, read-only, that knows its source, number and time
    sources     webcams, files, folders, streams, arrays, a generated scene: `open_source`
    feed        which frames reach a run: all of a file, the newest of a camera
    pace        when the frames of a file that is played in real time are due
    ledger      where every captured frame went

What finds things in them:
    backends    what runs a network: ONNX Runtime, or a function
    network     what a network says of itself
    geometry    where a frame lies in the network's input
    preprocess  frames to tensors, into buffers that are used again
    decoders    raw outputs to boxes, one decoder an output layout; suppression
    detector    a backend and a decoder put together
    load        from a file name to a detector
    checkpoints `.pt` files read as data, nothing in them being run
    nets        YOLOv8, YOLO11 and YOLO26 in PyTorch
    registry    models that can be pulled by name, and where they lie
    download    a file from a web server onto the disk, resumed and checked

What a run is:
    options     everything that can be chosen, checked
    batch       the frames of one network call
    predictor   the run itself: pulls frames, fires events, yields results
    run         the handle by which it is steered
    snapshot    what callbacks in the background see
    boxes       the boxes of a frame
    result      one frame and what was found in it
    stats       frames, rates, latency, time per stage
    saving      the folder a run saves in

What hooks into it:
    events      the names of all events
    callbacks   the registry, and the callbacks that come with Framehook

What goes wrong:
    errors            every error, in one tree
    system_libraries  which package holds a library that is missing
"""

__all__ = [
    "frame",
    "sources",
    "feed",
    "pace",
    "ledger",
    "backends",
    "network",
    "geometry",
    "preprocess",
    "decoders",
    "detector",
    "load",
    "checkpoints",
    "nets",
    "registry",
    "download",
    "options",
    "batch",
    "predictor",
    "run",
    "snapshot",
    "boxes",
    "result",
    "stats",
    "saving",
    "events",
    "callbacks",
    "errors",
    "system_libraries",
]
