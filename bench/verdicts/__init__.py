"""What the rounds of a run say: comparisons, differences of AP, the noise floor."""
