"""Options that several programs share, and how one program hands them on to another."""
