"""Having a token: one flight for all who wait, the broker, and renewal in time.

What to do next is decided by pure functions of `_protocol`; this room carries it out. A
flight is a task that the manager owns, so that no caller that is cancelled takes it
along, and no lock is held across an await.
"""
