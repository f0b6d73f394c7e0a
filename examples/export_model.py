"""Make one ONNX file that takes camera frames and gives finished boxes; run_exported.py runs it without Framehook."""

from framehook import Model

model = Model()  # the bundled person detector; or Model("yolov8n.pt"), Model("model.onnx") ...


@model.on("on_export_end")
def done(exporter):
    print(f"failed: {exporter.error}" if exporter.error else "\n".join(exporter.report.lines()))


path = model.export(preprocess=True, nms=True, output="person.onnx")
print(f"{path.name} is ready")
