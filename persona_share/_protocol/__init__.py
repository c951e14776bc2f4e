"""Persona's formats: headers, paths, JSON, OAuth and errors. All functions are pure.

They never await, and take the time and random numbers as arguments. The sandbox does
not import them, so that it is an independent check.
"""
