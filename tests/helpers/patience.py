"""How long tests wait for what is sure to happen: so long that a busy machine fails none, for nothing but a hang."""

PATIENCE = 1800.0  # seconds
