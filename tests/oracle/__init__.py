"""Independent exact values of small models, and the tests that hold the emitted step against them."""
