# The costs, the pages, and the last lines of a run.


rule report_list_costs:
    input:
        listing="results/{dataset}/results.json",
        figures=FIGURES,
        results=SHOWN,
    output:
        costs=report("results/{dataset}/cost.csv", caption="../report/cost.rst", category="Costs"),
        digest="results/{dataset}/cost.json",
    log:
        "logs/{dataset}/report_list_costs.log",
    benchmark:
        "benchmarks/{dataset}/report_list_costs.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **common("report_list_costs"),
    shell:
        command(
            "report_list_costs",
            f"--benchmarks {PREFIX}benchmarks/{{wildcards.dataset}} --logs {PREFIX}logs/{{wildcards.dataset}} "
            "--listing {input.listing} --costs {output.costs} --digest {output.digest}",
        )


rule report_render_report:
    input:
        listing="results/{dataset}/results.json",
        images=IMAGES,
        truth=[f"{DATA}/instances_train.h5", f"{DATA}/instances_val.h5"],
        summary="results/{dataset}/summary.csv",
        text="results/{dataset}/summary.md",
        costs="results/{dataset}/cost.csv",
        digest="results/{dataset}/cost.json",
        verdicts="results/{dataset}/summary.json",
        figures=FIGURES,
        results=SHOWN,
    output:
        page="results/{dataset}/report.html",
        cards=directory("results/{dataset}/report_images"),
    log:
        "logs/{dataset}/report_render_report.log",
    benchmark:
        "benchmarks/{dataset}/report_render_report.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("report_render_report"),
    shell:
        command(
            "report_render_report",
            "--images {input.images} --truth {input.truth} --summary {input.summary} --text {input.text} "
            "--listing {input.listing} --costs {input.costs} --digest {input.digest} --verdicts {input.verdicts} "
            "--page {output.page} --cards {output.cards}",
        )


rule report_render_first_look:
    input:
        listing="results/{dataset}/results.json",
        images=IMAGES,
        truth=f"{DATA}/instances_train.h5",
        results=FIRST,
        audits=[path for path in JUDGED if path.endswith(".json")],
    output:
        page="results/{dataset}/first_look.html",
        cards=directory("results/{dataset}/first_look_images"),
    log:
        "logs/{dataset}/report_render_first_look.log",
    benchmark:
        "benchmarks/{dataset}/report_render_first_look.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("report_render_first_look"),
        judges=digest_of("engine.verdicts", "engine.remedies"),
    shell:
        command(
            "report_render_first_look",
            "--images {input.images} --truth {input.truth} --listing {input.listing} --page {output.page} "
            "--cards {output.cards}",
        )


rule first_look:  # only on request
    input:
        f"{RESULTS}/first_look.html",


onsuccess:
    last_lines()


onerror:
    last_lines()
