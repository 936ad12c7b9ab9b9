"""What runs a step and cannot change a figure: arguments, outcome, progress, outputs, locks, shards, devices, errors.

So its code is no part of a step's fingerprint; this constant is instead.
"""

# The version of results. Raise it when an edit of the engine changes what is computed: everything is made anew then.
RESULTS = 1
