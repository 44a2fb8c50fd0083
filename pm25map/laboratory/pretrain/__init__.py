"""Pretraining a location encoder from open layers: pairs of a place and a patch. Its runs need torch."""
