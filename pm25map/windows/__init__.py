"""The 21 days of a block or of a station, scaled, with indicators of missing values."""
