"""Figures with their yardsticks, taken in the same run: `make bench`."""
