"""Studies of the product, and the training of its encoders: nothing outside of this folder imports it."""
