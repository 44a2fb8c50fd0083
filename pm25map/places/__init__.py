"""Location encoders and the per-cell stores of what they say."""
