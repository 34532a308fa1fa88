"""The stages of a run, a file each; `bench.stages.order` has their sequence."""
