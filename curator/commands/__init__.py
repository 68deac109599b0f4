"""Verbs of the command line, a file per subject; each registers its own."""
