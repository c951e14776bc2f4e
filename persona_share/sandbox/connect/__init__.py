"""Connections between organizations, and share tokens."""
