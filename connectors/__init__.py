"""The world to rows, rows to the world: addresses, foreign formats, quarantine."""
