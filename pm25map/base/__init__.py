"""What every room may use: errors, days, files, metrics and the air quality index. Imports no room."""
