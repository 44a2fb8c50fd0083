"""What smoothing the vectors of places costs and gains."""
