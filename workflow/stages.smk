# Everything but the configuration and the default target: the stages in their order, for Snakefile and workflow/Snakefile.
report: "report/workflow.rst"


include: "package.smk"
include: "common.smk"
include: "rules/data.smk"
include: "rules/proposals.smk"
include: "rules/classifier.smk"
include: "rules/postprocess.smk"


# Each system is one file here and one folder of wsis_steps/.
for path in sorted(HOME.glob("workflow/systems/*.smk")):

    include: f"systems/{path.name}"


include: "rules/maskrcnn.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"


from wsis_steps.plan.time_left import follow

if workflow.is_main_process:
    follow(Path(f"{PREFIX}{RESULTS}/cost.csv"))

EVERYTHING = [f"{RESULTS}/summary.csv", f"{RESULTS}/cost.csv", f"{RESULTS}/report.html", *SHOWN]
