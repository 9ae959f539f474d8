"""What can happen: one file for each kind of stream."""
