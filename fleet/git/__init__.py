"""Git: bare mirrors, revisions, tree listings, blobs, changed paths (the only importer of GitPython).

`Mirrors` is the whole API; the other modules are its parts: `urls` (what is admitted), `environment` (what a git
process gets to see), `command` (running one under limits), `failures` (what its words mean), `revisions` and
`listing` (pure readers of its output), `mirror` (one repository on disk, blocking).
"""
