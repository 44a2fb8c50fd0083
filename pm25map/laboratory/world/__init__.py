"""The world as rasters, outlines, distances and a ground for pictures."""
