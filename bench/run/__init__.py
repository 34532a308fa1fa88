"""A run on disk: its folder, its cells and their rounds, its journal."""
