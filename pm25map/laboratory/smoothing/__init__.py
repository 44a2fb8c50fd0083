"""Smoothing of place vectors: its cost in accuracy and its gain in fewer artifacts."""
