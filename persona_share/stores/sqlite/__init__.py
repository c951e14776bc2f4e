"""Tokens in a file of SQLite, for all processes of one machine."""
