"""Every figure: held-out samples, baselines, match-ups, calibration, scores in parts with intervals over stations."""
