"""Code that runs steps and cannot change a figure: arguments, outcomes, progress, outputs, locks, shards, errors.

It is therefore not part of a step's fingerprint; this constant is instead.
"""

# Version of the results. Raise it if an edit of the engine changes what is computed: everything is then recomputed.
RESULTS = 1

# Version of the program (semver.org), also in CITATION.cff and CHANGELOG.md. It is stored with every result and reruns
# nothing.
VERSION = "0.2.0"
