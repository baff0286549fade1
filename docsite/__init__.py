"""Builds the documentation: the site of `make docs`, and the reference, which is generated from the models."""
