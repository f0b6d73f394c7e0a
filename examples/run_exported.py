"""Run a file that was exported with preprocess=True and nms=True: onnxruntime and cv2 are all it takes.

python run_exported.py person.onnx clip.mp4
"""

import sys

import cv2
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
video = cv2.VideoCapture(sys.argv[2])
count = 0
while (grabbed := video.read())[0]:
    frame = grabbed[1]
    detections = session.run(None, {"frame": frame})[0][0]
    for x1, y1, x2, y2, score, _kind in detections:  # in pixels of the frame, best first
        if score > 0.3:
            count += 1
            cv2.rectangle(frame, (int(x1), int(y1)), (int(x2), int(y2)), (0, 255, 0), 2)
cv2.imwrite("last.jpg", frame)
print(f"{count} objects; the last frame is in last.jpg")
