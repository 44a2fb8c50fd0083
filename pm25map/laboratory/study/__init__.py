"""The study: which geolocation generalizes, on stations and in regions that were never seen."""
