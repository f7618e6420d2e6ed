"""The shared core of the fleet manager: pure decisions, the adapters around them, and the CLI."""

__version__ = "0.1.0"
