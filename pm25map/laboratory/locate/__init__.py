"""Where a patch or a photo is from."""
