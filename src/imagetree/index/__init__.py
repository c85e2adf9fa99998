"""Images found by what a network makes of them: nearest neighbours among any number of features."""
