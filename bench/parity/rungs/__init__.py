"""The rungs of the parity ladder, one file each; `bench.parity.ladder` climbs them."""
