"""The study: which geolocation generalizes, on held-out stations and regions."""
