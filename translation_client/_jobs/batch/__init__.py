"""Wait for many jobs at once, by the same rules as for one, without a thread or a task for each."""
