"""Rows to augmented rows, each with its parent, augmenter, copy and seed."""
