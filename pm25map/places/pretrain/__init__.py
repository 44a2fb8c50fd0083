"""Pretraining a location encoder from open layers: pairs of a place and a patch. Needs torch."""
