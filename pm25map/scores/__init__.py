"""Accuracy: held-out samples, baselines, match-ups, calibration, and scores by stratum with intervals over stations."""
