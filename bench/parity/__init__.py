"""The parity ladder, its certificate, and the gate before every timing."""
