"""The ``fleet`` command: one module per noun, no decisions of its own."""
