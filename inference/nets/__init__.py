"""Detection networks in PyTorch, our own code: YOLOv8, YOLO11 and YOLO26.

All but `architecture` needs torch, so nothing outside imports these modules before a network is wanted.

architecture  what a network is made of, as rows, and how much of it there may be
blocks        convolutions, cross-stage blocks, attention
head          boxes and scores from feature maps
net           a network from its rows
restore       a network from a checkpoint
load          a backend from a path or a network
save          a checkpoint of ours from a network
"""

__all__ = ["architecture", "blocks", "head", "net", "restore", "load", "save"]
