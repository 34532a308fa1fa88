"""The PyTorch twin. torch is imported here and nowhere else."""
