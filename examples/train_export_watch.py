"""Fine-tune a network on your own pictures, make an ONNX file of it that is proven to find the same, and watch it live."""

import sys

from framehook import Model
from framehook.training.data import write_example

start = sys.argv[1] if len(sys.argv) > 1 else "yolo11n.yaml"  # better: a checkpoint that knows something, such as yolo11n.pt
data = sys.argv[2] if len(sys.argv) > 2 else write_example("shapes", train=16, val=4, size=(96, 72), exist_ok=True)
source = sys.argv[3] if len(sys.argv) > 3 else "testsrc:320x240@30:30"  # or 0 for a webcam

model = Model(start)
report = model.train(data=data, epochs=2, imgsz=64, batch=8, workers=0, plots=False)
print(f"mAP50 {report.metrics['metrics/mAP50(B)']:.3f} with the weights in {report.best}")  # the model has them now

path = model.export(output="shapes.onnx", data=source)
deployed = Model(path)  # needs no PyTorch any more
print(f"{path} finds {', '.join(deployed.names.values())}")

for result in deployed.track(source, stream=True):
    last = result.frame.index
print(f"watched {last + 1} frames")
