"""What trained weights become: IR, ONNX, predictions, and checkpoints of other suites."""
