"""What a client does with jobs: submit, wait, download, delete."""
