"""The harness: cells, fresh processes, clocks and the store. No framework is imported here."""
