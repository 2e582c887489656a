"""Batches changed at random: ``fit(augment=...)``."""
