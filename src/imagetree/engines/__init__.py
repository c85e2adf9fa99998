"""A trained network on the library that runs it fastest here, and small enough to give away."""
