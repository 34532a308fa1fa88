"""The Keras twin. TensorFlow is imported here and nowhere else."""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Keras imports scikit-learn where it finds it, and NNCF brings it: a second of every child's start, and
# an OpenMP pool in a process whose threads are measured. A None says that it is not installed.
sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
