"""Exact values of small models, by interpreting the IR: what emitted code computes is held against formulas of its own.

Shares nothing with the emitted step but the weights, read by name: of the runtime it uses what loads text and makes
batches, and draws where real draws are what is checked; no density, bound or network.
"""
