"""The commands of pm25map lab."""
