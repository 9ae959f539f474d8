"""Convert jobs as people write them (options, JSON, files, Python values) to NewJob."""
