"""How long tests wait for events that must happen: long enough for busy machines, so that only a hang fails."""

PATIENCE = 1800.0  # seconds
