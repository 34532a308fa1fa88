"""The built-in dataset, and each framework's own pixels beside the shared ones."""
