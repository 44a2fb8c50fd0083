"""Probes: what a simple head reads from the vectors of an encoder, and from others beside it."""
