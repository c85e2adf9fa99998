"""Recognition: a trained network in a user's hands."""
