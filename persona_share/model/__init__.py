"""The things the domain talks about: ids, scopes, secrets, tokens, inquiries and so on.

Frozen values, one file per thing, named in the singular. Nothing here awaits, asks the
time, logs, or knows how a thing looks on the wire; that is for `_wire`. It sees
`errors` and the standard library, no other room.
"""
