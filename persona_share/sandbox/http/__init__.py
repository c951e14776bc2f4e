"""The server, and the steps that every request passes through."""
