"""Detection networks in PyTorch, our own code; needs torch, and nothing else of Framehook imports it before it is wanted.

architecture  what a network is made of, as rows; known without torch
blocks        convolutions, cross-stage blocks, attention
head          boxes and scores from feature maps
net           a network from its rows
restore       a network from a checkpoint
"""

__all__ = ["architecture", "blocks", "head", "net", "restore", "load", "save"]
