"""Checkpoints of other programs, read in place."""
