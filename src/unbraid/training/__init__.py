"""Training: from a recipe and a dataset to a model. Separating never imports it."""
