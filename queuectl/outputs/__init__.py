"""Write, read and copy the outputs of attempts."""
