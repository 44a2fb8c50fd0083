"""How alike places are to an encoder."""
