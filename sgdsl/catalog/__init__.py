"""Tables of what exists: a row is facts, a dotted target name and, where it has one, a pure shape rule."""
