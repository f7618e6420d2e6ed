"""One module per change of the schema; revisions are numbered and sort."""
