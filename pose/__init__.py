"""The task both twins share: data, targets, decoding and scoring. No framework is imported here."""

__version__ = "0.1.0"
