"""The porch: one file a command; text to values, one call, one printed result."""
