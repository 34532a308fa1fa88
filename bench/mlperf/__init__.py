"""`twinpose bench RUN --protocol mlperf`: the same runners, driven by MLPerf's own LoadGen.

LoadGen (the package mlcommons-loadgen) decides when a query arrives, keeps the clock and judges the
result. What it measures here is no MLPerf result: see docs/method/mlperf.md.
"""

from bench.mlperf.child import cell
from bench.mlperf.options import Options, parse
from bench.mlperf.parent import run
from bench.mlperf.text import text

__all__ = ["Options", "cell", "parse", "run", "text"]
