"""What the verbs do: a stage or a fact, then a line for people or JSON for scripts."""
