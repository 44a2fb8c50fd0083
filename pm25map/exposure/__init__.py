"""Tables of maps: PM2.5 day by day, or over periods, at the addresses of people and over areas."""
