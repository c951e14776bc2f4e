"""How Persona writes things: headers, paths, JSON, OAuth and errors. All of it is pure.

Nothing here awaits, and the time and random numbers are arguments. The sandbox does not
import it, so that it can be an independent check.
"""
