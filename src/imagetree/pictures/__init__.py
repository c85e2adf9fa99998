"""Pictures: first-layer filters, learning curves, the report page."""
