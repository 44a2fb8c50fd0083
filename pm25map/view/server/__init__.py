"""The tile server: maps of one folder as tiles, time series, statistics and a page."""
