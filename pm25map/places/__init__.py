"""Location encoders and the per-cell stores of their vectors."""
