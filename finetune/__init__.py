"""A table and a spec to features, models and scores. Knows no versions, so it favours none."""
