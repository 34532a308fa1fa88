"""The page: report.html and what stands at its head."""
