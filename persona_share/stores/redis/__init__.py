"""Tokens in Redis or Valkey, for all processes of all machines."""
