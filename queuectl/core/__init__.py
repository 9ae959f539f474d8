"""Transactions of the queue: requests, the rules that decide them, and appending the events."""
