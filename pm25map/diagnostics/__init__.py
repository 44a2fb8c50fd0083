"""Diagnostics of a map: artifacts, support, applicability, quality of the predictors, and hot spots."""
