"""The pipeline: stages, run folders, and the order in which a run makes them."""
