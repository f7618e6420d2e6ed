"""The spoke daemon: assignment in, report out."""
