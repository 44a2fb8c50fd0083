"""The study: which geolocation generalizes, measured without leaks on real monitors."""
