"""The store of immutable versions: content-addressed Parquet behind four functions."""
