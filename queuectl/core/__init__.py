"""One transaction of the queue: requests, their rules, and what is appended to the log."""
