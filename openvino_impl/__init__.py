"""OpenVINO and NNCF. They are imported here and nowhere else."""

import os

# NNCF sends statistics of its use to its makers unless it is told that it runs in CI.
os.environ.setdefault("NNCF_CI", "1")
