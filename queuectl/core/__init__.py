"""Transactions of the queue: requests, the rules that decide them, and the append of events."""
