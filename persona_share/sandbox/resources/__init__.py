"""The objects of the API: one module per resource, with its schema and handlers."""
