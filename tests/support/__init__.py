"""What tests of several files use: servers, clients, adapters and tables. No test is in here."""
