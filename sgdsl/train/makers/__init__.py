"""Makers of data in the formats of real data sets: a seed and a size come in, arrays or files go out."""
