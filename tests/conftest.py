"""Disables the deadlines of Hypothesis, because machines are busy, and downloads of weights."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

os.environ["WSIS_OFFLINE"] = "1"
