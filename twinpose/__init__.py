"""The command: one file a group of verbs."""

INTERRUPTED = "interrupted; the same command goes on where it stopped"
"""What is said after Ctrl-C."""
