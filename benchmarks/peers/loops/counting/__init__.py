"""The counting model in other libraries: canvases of digits come in, steps go out.

All copies are drawn once and serve every count k, which is summed over; copies beyond k are masked, and the canvas of each k is
the sum so far, which the guide has painted already.
"""

FROZEN = ("p_x", "q_y", "q_z")  # the digit's networks
PATCH, TEMPERATURE = 28, 0.5
LATENTS = {"size": 1, "place": 2, "z": 10}
