"""Bytes to values and back: YAML as Kubernetes reads it, JSON, canonical bytes and their digests."""
