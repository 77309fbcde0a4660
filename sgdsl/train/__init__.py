"""Training: a compiled program and rows of data come in; a trained model, its run folder and its report go out."""
