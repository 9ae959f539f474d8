"""What a stream of each kind has become: one pure fold a file."""
