"""Weight files: which exist, how they are fetched and verified, and how they become ours."""
