"""The transports, which send one HTTP request: with requests, with aiohttp, or with requests in threads.

A blocking request goes from `requests` by `sessions`, `adapter`, `connections` and `sockets` to the network, and its
response comes back by `matched_response` and `body`. All of them obey a `cancel_scope`. An asyncio request goes from
`aiohttp` by `async_sessions` and `async_connections`, and comes back by `async_body`, within an `async_cancel_scope`.
"""
