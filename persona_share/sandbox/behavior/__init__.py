"""Switches for undocumented behavior, planned faults, and limits."""
