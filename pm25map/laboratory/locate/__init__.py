"""Location of a patch or a photo, by a gallery of places."""
