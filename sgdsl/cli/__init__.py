"""The command line: words in, one call, print. One file a command; what is slow is imported inside its command."""
