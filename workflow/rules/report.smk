# The page a person opens.


rule report_render_report:
    input:
        images=f"{DATA}/images.h5",
        truth=f"{DATA}/instances_val.h5",
        summary="results/{dataset}/summary.csv",
        text="results/{dataset}/summary.md",
        results=results,
        metrics=metrics,
    output:
        page="results/{dataset}/report.html",
    params:
        settings=settings("report_render_report"),
        code=code("report.render_report"),
    log:
        "logs/{dataset}/report_render_report.log",
    benchmark:
        "benchmarks/{dataset}/report_render_report.tsv"
    conda:
        "../../envs/light.yaml"
    shell:
        "python -m wsis_steps.report.render_report --images {input.images} --truth {input.truth}"
        " --summary {input.summary} --text {input.text} --results {input.results} --metrics {input.metrics}"
        " --page {output.page} " + COMMON
