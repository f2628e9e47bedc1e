"""What runs for the page in processes of its own, which may break without the server."""
