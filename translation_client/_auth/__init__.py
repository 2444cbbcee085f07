"""API keys and other headers that only one origin gets, redaction of secrets from text that is shown, and URLs."""
