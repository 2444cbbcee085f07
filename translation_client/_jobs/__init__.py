"""The operations of a client on jobs: submit, wait, download, delete."""
