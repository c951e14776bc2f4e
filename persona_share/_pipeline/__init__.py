"""Senders that wrap a Sender: each adds one behavior to a request.

A response of any status is a value here; an exception means that there is no response.
`_compose` decides in which order the senders are stacked.
"""
