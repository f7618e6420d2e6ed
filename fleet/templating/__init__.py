"""Templates: Go's text/template with Argo CD's functions, and Argo CD's simple tags. Pure, without I/O, safe in threads.

``gotemplate`` compiles and renders Go templates, ``fasttemplate`` the simple ones, ``document`` walks a document.
"""
