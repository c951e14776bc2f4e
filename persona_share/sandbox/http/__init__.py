"""The servers, and the steps of every request."""
