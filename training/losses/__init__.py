"""Losses, and which cell is to learn which object."""

from framehook.training.losses.assign import Assignment, assignment
from framehook.training.losses.detection import DetectionLoss
from framehook.training.losses.distribution import distribution_loss, expectation
from framehook.training.losses.iou import ciou, iou

__all__ = ["DetectionLoss", "Assignment", "assignment", "ciou", "iou", "distribution_loss", "expectation"]
