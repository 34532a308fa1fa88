"""The machine: its fingerprint, its state before and after a round, its energy."""
