"""Reading requests and rendering responses in Persona's JSON:API dialect."""
