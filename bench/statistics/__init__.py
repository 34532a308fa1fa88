"""Arithmetic on arrays of durations: intervals, ratios, validity."""
