"""The table of kinds: for each group and kind what its status means, as its project documents it.

A row (`fleet.health.rows`) where the notation is enough, a function where a kind truly needs one, None for kinds that
say nothing about their health. Groups and kinds may be globs; the more specific key wins. One module for each
family of projects; nothing here knows an object's name.
"""
