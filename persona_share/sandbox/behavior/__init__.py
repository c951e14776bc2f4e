"""Switches for undocumented behavior, and faults on demand."""
