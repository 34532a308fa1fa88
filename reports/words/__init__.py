"""How a report says things: doubts, certificates, verdicts, in words."""
