"""What the network sees: one table of variables, their sources, and the daily store."""
