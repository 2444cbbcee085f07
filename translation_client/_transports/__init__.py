"""How one HTTP request is sent: with requests, with aiohttp, or with requests in threads."""
