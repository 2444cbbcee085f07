"""How are thousands of jobs waited for at once? By the same rules as one, without a thread or a task for each."""
