"""Forges: what GitHub, GitLab and others say about repositories and pull requests, as rows of one shape.

`forges.Forges` answers the requests of `fleet.model.answers`; one module per provider knows its API, `client` what
they have in common. An answer is complete or an error: a page that fails fails the whole of it.
"""
