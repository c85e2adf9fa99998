"""Understanding: what a trained network has learnt, and why it answers as it does."""
