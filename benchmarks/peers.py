"""The same clip and model through other libraries, each in an environment of its own, where one is at hand.

    python benchmarks/peers.py --model yolo11n.onnx --clip clip.mp4 --python ultralytics=/path/to/venv/bin/python ...

Every peer runs in the interpreter named for it, so that nothing of it is installed here; a peer that is named for none is left
out and said so. All of them detect on each frame of the clip, one frame at a time, with score and overlap thresholds of .25 and
.7, and take the results one by one. Loading and the first frames are not counted. Rounds are interleaved and ratios taken
round by round.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "framehook": """
from framehook import Model
model = Model(sys.argv[1])
def results():
    return model.predict(sys.argv[2], stream=True)
""",
    "ultralytics": """
from ultralytics import YOLO
model = YOLO(sys.argv[1], task="detect")
def results():
    return model.predict(sys.argv[2], stream=True, verbose=False, conf=0.25, iou=0.7)
""",
    "supervision": """
import supervision, onnxruntime, numpy, cv2
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
node = session.get_inputs()[0]
side = node.shape[2]
def detect(image):
    boxed = supervision.letterbox_image(image, (side, side))
    tensor = boxed[..., ::-1].transpose(2, 0, 1)[None].astype(numpy.float32) / 255
    output = session.run(None, {node.name: numpy.ascontiguousarray(tensor)})[0][0].T
    scores = output[:, 4:].max(axis=1)
    kept = scores > 0.25
    found = supervision.Detections(
        xyxy=supervision.xcycwh_to_xyxy(output[kept, :4]), confidence=scores[kept], class_id=output[kept, 4:].argmax(axis=1))
    return found.with_nms(0.7)
def results():
    return (detect(image) for image in supervision.get_video_frames_generator(sys.argv[2]))
""",
}
HEAD = "import sys, time\n"
TAIL = """
frames = 0
for result in results():
    frames += 1
    if frames == 20:
        began = time.perf_counter()
print((time.perf_counter() - began) * 1e3 / (frames - 20))
"""


def milliseconds(peer: str, python: str, model: Path, clip: Path) -> float:
    """Milliseconds a frame, as the peer's own process measures it."""
    program = HEAD + PROGRAMS[peer] + TAIL
    done = subprocess.run([python, "-c", program, str(model), str(clip)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{peer} failed in {python}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="an .onnx file of the raw YOLO layout; the bundled detector by default")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", action="append", default=[], metavar="PEER=INTERPRETER")
    arguments = parser.parse_args()

    named = dict(each.split("=", 1) for each in arguments.python)
    if unknown := named.keys() - PROGRAMS.keys():
        parser.error(f"unknown peer {', '.join(unknown)}; the peers are {', '.join(PROGRAMS)}")
    # supervision is one of Framehook's own dependencies, so its plain loop can always be measured.
    interpreters = {"framehook": sys.executable, "supervision": sys.executable, **named}
    if arguments.model is None:
        from framehook.inference.load import bundled_model

        arguments.model = bundled_model()
    times: dict[str, list[float]] = {peer: [] for peer in interpreters}
    for _ in range(arguments.rounds):
        for peer, python in interpreters.items():
            times[peer].append(milliseconds(peer, python, arguments.model, arguments.clip))
    for peer, spent in times.items():
        ratios = [theirs / ours for theirs, ours in zip(spent, times["framehook"], strict=True)]
        print(f"  {peer:12} {statistics.median(spent):7.2f} ms a frame, {statistics.median(ratios):.2f} x Framehook's")
    for peer in PROGRAMS.keys() - interpreters.keys():
        print(f"  {peer:12} left out: name its interpreter with --python {peer}=...")


if __name__ == "__main__":
    main()
