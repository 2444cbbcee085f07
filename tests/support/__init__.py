"""What several test modules use: servers, clients, adapters and tables."""
