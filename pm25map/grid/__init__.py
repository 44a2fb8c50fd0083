"""Where cells are: the grid, its blocks, its land, and the regions that people name."""
