"""Engines that run a network: one Session Protocol, and a file an engine. Opened through `pm25map.model.runtime`."""
