"""The hub daemon: facts in, assignments out."""
