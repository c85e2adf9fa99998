"""Leaderboards: teams and their entries to a challenge, scored behind the seal and ranked."""
