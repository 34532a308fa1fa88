"""Reports: HTML, CSV, Markdown and plots from a run folder alone. No framework is needed."""
