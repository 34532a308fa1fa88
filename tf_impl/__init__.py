"""The Keras twin. TensorFlow is imported here and nowhere else."""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Keras imports these where it finds them, and uses none of them here: two seconds of every child's start, and
# with scikit-learn an OpenMP pool in a process whose threads are measured. A None says not installed.
for name in ("sklearn", "matplotlib", "pandas"):
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
