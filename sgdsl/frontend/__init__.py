"""The front end: text of a .sgm file comes in, a typed ir.Model or diagnostics go out."""
