"""Training: from a recipe and a dataset to a model. An extra, which separating never imports."""
