"""The rules that decide requests: pure functions, one file per kind of stream."""
