"""Pure decisions: when to retry, when to send, how long a token is usable."""
