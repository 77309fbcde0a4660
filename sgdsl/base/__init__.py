"""Source text, places in it, and diagnostics; imports the standard library alone."""
