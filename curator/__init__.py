"""Curate text corpora in versions and measure what each data change did to the model."""
