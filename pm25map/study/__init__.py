"""The study: splits, variants and baselines compared on stations that they never saw."""
