"""Authorization codes and access tokens."""
