"""The transports, which send one HTTP request: with requests, with aiohttp, or with requests in threads."""
