"""How the product is studied, and how its encoders are made: nothing outside of this folder imports it."""
