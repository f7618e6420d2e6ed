"""The nouns of the product: frozen values without I/O, one module per noun."""
