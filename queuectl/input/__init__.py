"""Jobs as people write them: options, JSON, files and Python values, made into NewJob."""
