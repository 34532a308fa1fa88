"""A run as the report reads it."""
