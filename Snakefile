# wsis: from images with weak annotations to instance masks and a trained Mask R-CNN.
#
# results/<dataset>/<run>/<stage>/...   a run is a system plus overrides (config.yaml). Results that do not depend on a
# run are under the reserved name `shared`; those that several runs share, in the folder of the first of them.
# logs/ and benchmarks/ mirror results/; work/ holds checkpoints.
from snakemake.utils import min_version

min_version("9.27")

# A file given with --configfile replaces the default instead of extending it.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "workflow/stages.smk"


rule all:
    default_target: True
    input:
        EVERYTHING,
