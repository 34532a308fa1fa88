"""The stages of a run, one function each; `run` is nothing but their sequence."""

from bench.data.built_in import make_data
from bench.process.with_bar import call_with_bar
from bench.stages.conversion import convert, route_text
from bench.stages.evaluation import evaluate, predict, stored_truth
from bench.stages.importing import imported, require_one_source
from bench.stages.measurement import bench, load_matrix
from bench.stages.order import Stage, sequence
from bench.stages.pictures import samples, samples_hold
from bench.stages.proof import prove
from bench.stages.training import best_epochs, train

__all__ = [
    "Stage",
    "bench",
    "best_epochs",
    "call_with_bar",
    "convert",
    "evaluate",
    "imported",
    "load_matrix",
    "make_data",
    "predict",
    "prove",
    "require_one_source",
    "route_text",
    "samples",
    "samples_hold",
    "sequence",
    "stored_truth",
    "train",
]
