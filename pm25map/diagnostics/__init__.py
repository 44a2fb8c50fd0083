"""What to doubt in a map, and how much: artifacts, support, applicability, intervals, quality, match-ups."""
