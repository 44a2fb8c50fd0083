"""Filling the gaps of a daily variable, such as the aerosol optical depth that clouds hide, by regression.

`train` learns from a store, `imputer` fills; what passes between them is the folder that `recipe` reads and writes.
"""
