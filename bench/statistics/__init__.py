"""Arithmetic on arrays of durations: intervals, ratios, doubts."""
