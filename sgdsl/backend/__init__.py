"""A model comes in; text for others goes out: Python, DOT."""
