"""Finished facts to one self-contained HTML file and its JSON twin."""
