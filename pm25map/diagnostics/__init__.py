"""Where a map can be trusted, and where it cannot: layers beside the estimates, and match-ups with monitors."""
