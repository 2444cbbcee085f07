"""Waits for many jobs at once: `runner` polls them, and the other modules are its parts.

`thread` runs a batch of a blocking client in an event loop of its own. It sends by aiohttp, unless the client has a
session of the caller's.
"""
