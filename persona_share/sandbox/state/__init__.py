"""What a running sandbox holds: organizations, objects, credentials and its log."""
