"""The state of a running sandbox: organizations, objects, credentials and the log."""
