"""The demo: the main job on three clusters, every claim read back from their API servers."""
