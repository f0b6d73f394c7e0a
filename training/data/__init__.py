"""Datasets: described, read, checked, made."""
