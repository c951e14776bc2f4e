"""The control API under ``/_sandbox`` and the page that shows what happens."""
