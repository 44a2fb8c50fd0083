"""What runs a network: one Session Protocol, and an engine a file behind it. `pm25map.model.runtime` is the door."""
