"""Checkpoints of other programs, read where they lie."""
