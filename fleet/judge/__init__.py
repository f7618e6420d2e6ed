"""Judging objects by the users' own health rules, in a child process that can be killed."""
