"""From a matrix to measured rounds: what is due, the passes of a lane, one round, what it comes to."""
