"""Similarity of places to an encoder."""
