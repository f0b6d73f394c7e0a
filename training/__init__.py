"""Training and validation of detection networks, with a callback at every step."""
