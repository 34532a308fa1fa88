"""The points of a matrix: cells, lanes, runtimes, protocols, and how some of them are chosen."""
