"""The exported ONNX graph's runner. ONNX Runtime is imported here and nowhere else."""
