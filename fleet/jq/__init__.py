"""Deleting what jq path expressions select, in a child process that can be killed."""
