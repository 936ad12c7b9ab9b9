# What it all cost, and the page a person opens.


rule report_list_costs:
    input:
        listing="results/{dataset}/results.json",
        figures=figures,
        results=results,
    output:
        costs=report("results/{dataset}/cost.csv", caption="../report/cost.rst", category="Costs"),
    log:
        "logs/{dataset}/report_list_costs.log",
    benchmark:
        "benchmarks/{dataset}/report_list_costs.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("report_list_costs"),
        code=code("report.list_costs"),
    shell:
        "python -m wsis_steps.report.list_costs --benchmarks benchmarks/{wildcards.dataset}"
        " --logs logs/{wildcards.dataset} --listing {input.listing} --costs {output.costs}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule report_render_report:
    input:
        listing="results/{dataset}/results.json",
        images=f"{DATA}/images.h5",
        truth=[f"{DATA}/instances_train.h5", f"{DATA}/instances_val.h5"],
        summary="results/{dataset}/summary.csv",
        text="results/{dataset}/summary.md",
        costs="results/{dataset}/cost.csv",
        figures=figures,
        results=results,
    output:
        page="results/{dataset}/report.html",
        cards=directory("results/{dataset}/report_images"),
    log:
        "logs/{dataset}/report_render_report.log",
    benchmark:
        "benchmarks/{dataset}/report_render_report.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    threads: 8
    params:
        settings=settings("report_render_report"),
        code=code("report.render_report"),
    shell:
        "python -m wsis_steps.report.render_report --images {input.images} --truth {input.truth}"
        " --summary {input.summary} --text {input.text} --listing {input.listing}"
        " --costs {input.costs} --page {output.page} --cards {output.cards}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
