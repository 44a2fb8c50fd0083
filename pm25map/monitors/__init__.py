"""The truth at stations: EPA's daily files as one tidy table."""
