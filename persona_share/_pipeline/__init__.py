"""Senders that wrap a Sender: each adds one behaviour around a request.

An answer of any status is a value here and travels on as a `Response`; an exception
means that no answer came. A wrapper is named with a participle, holds what it wraps,
and knows neither sockets nor the order of the stack, which is written in `_compose`.
"""
