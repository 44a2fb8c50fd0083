"""The audit: leaks that are planted on purpose, and the search that has to find them, and none where there is none."""
