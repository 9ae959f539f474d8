"""Peers that are used as libraries, each as its own documentation shows."""
