"""How one HTTP request is sent."""
