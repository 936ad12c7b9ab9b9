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


report: "workflow/report/workflow.rst"


include: "workflow/package.smk"
include: "workflow/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/proposals.smk"
include: "workflow/rules/classifier.smk"
include: "workflow/rules/postprocess.smk"


# Each system is one file here and one folder of wsis_steps/.
for path in sorted(HOME.glob("workflow/systems/*.smk")):

    include: f"workflow/systems/{path.name}"


include: "workflow/rules/maskrcnn.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"


from wsis_steps.plan.time_left import follow

if workflow.is_main_process:
    follow(Path(f"{PREFIX}{RESULTS}/cost.csv"))


rule all:
    default_target: True
    input:
        f"{RESULTS}/summary.csv",
        f"{RESULTS}/cost.csv",
        f"{RESULTS}/report.html",
        SHOWN,
