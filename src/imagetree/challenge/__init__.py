"""The recognition challenge: classes and splits, submissions, metrics. No torch here."""
