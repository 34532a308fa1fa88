"""The Keras twin. TensorFlow is imported here and nowhere else."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
