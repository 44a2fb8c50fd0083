"""From a model and a day to a Cloud-Optimized GeoTIFF that says what it is."""
