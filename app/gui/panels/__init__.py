"""The panels that stand around the picture."""
