# Scores every run with one protocol, in one table.
import json


rule evaluation_score_instances:
    input:
        truth=f"{DATA}/instances_val.h5",
        predictions="results/{dataset}/{run}/predictions/{name}.h5",
    output:
        figures="results/{dataset}/{run}/evaluation/predictions_{name}.json",
    log:
        "logs/{dataset}/{run}/evaluation_score_instances_{name}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/evaluation_score_instances_{name}.tsv"
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_score_instances"),
    shell:
        command(
            "evaluation_score_instances",
            "--truth {input.truth} --predictions {input.predictions} --figures {output.figures}",
        )


rule evaluation_recommend_score:
    input:
        images=IMAGES,
        predictions="results/{dataset}/{run}/predictions/val.h5",
        figures="results/{dataset}/{run}/evaluation/predictions_val.json" if "val" in TRUTH else [],
    output:
        advice="results/{dataset}/{run}/{folder}/{model}.json",  # beside the model, for `wsis predict`
    log:
        "logs/{dataset}/{run}/{folder}/evaluation_recommend_score_{model}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/{folder}/evaluation_recommend_score_{model}.tsv"
    wildcard_constraints:
        folder="|".join(sorted({folder for folder, _ in MODELS})) or "no_model",
        model="|".join(sorted({model for _, model in MODELS})) or "no_model",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_recommend_score"),
        figures=lambda wildcards, input: f"--figures {input.figures}" if input.figures else "",
    shell:
        command(
            "evaluation_recommend_score",
            "--images {input.images} --predictions {input.predictions} {params.figures} --advice {output.advice}",
        )


rule evaluation_score_labels:
    input:
        truth=f"{DATA}/instances_train.h5",
        labels="results/{dataset}/{run}/labels/round{round}.h5",
    output:
        figures="results/{dataset}/{run}/evaluation/labels_round{round}.json",
    log:
        "logs/{dataset}/{run}/evaluation_score_labels_round{round}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/evaluation_score_labels_round{round}.tsv"
    wildcard_constraints:
        round=r"\d\d(_corrected)?",
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_score_labels"),
    shell:
        command(
            "evaluation_score_labels",
            "--truth {input.truth} --labels {input.labels} --figures {output.figures}",
        )


rule evaluation_score_semantics:
    input:
        truth=f"{DATA}/instances_{{split}}.h5",
        semantic="results/{dataset}/{run}/semantic/{split}.h5",
    output:
        figures="results/{dataset}/{run}/evaluation/semantic_{split}.json",
    log:
        "logs/{dataset}/{run}/evaluation_score_semantics_{split}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/evaluation_score_semantics_{split}.tsv"
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_score_semantics"),
    shell:
        command(
            "evaluation_score_semantics",
            "--truth {input.truth} --semantic {input.semantic} --split {wildcards.split} --figures {output.figures}",
        )


rule evaluation_score_proposals:
    input:
        truth=[f"{DATA}/instances_{split}.h5" for split in TRUTH],
        proposals="results/{dataset}/shared/proposals/{name}.h5",
    output:
        figures="results/{dataset}/shared/evaluation/proposals_{name}.json",
        chart=report(
            "results/{dataset}/shared/evaluation/proposals_{name}.svg",
            caption="../report/proposals.rst",
            category="Proposals",
        ),
    log:
        record("logs", "evaluation_score_proposals", ".log", more="_{name}"),
    benchmark:
        record("benchmarks", "evaluation_score_proposals", ".tsv", more="_{name}")
    wildcard_constraints:
        name="[a-z0-9_]+",
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("evaluation_score_proposals"),
        split="+".join(TRUTH),
    shell:
        command(
            "evaluation_score_proposals",
            "--truth {input.truth} --proposals {input.proposals} --split {params.split:q} "
            "--dataset {wildcards.dataset} --figures {output.figures} --chart {output.chart}",
        )


rule evaluation_list_results:
    output:
        listing="results/{dataset}/results.json",
    log:
        "logs/{dataset}/evaluation_list_results.log",
    benchmark:
        "benchmarks/{dataset}/evaluation_list_results.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_list_results"),
        # their order matters: the first of several runs owns a shared result
        configuration=json.dumps({key: value for key, value in config.items() if key != "verdict"}),
        listed=digest(RUNS),  # the chains, which are not part of the configuration
    shell:
        command("evaluation_list_results", "--configuration {params.configuration:q} --listing {output.listing}")


rule evaluation_summarise:
    input:
        listing="results/{dataset}/results.json",
        figures=FIGURES,
        recommended=RECOMMENDED,
        judged=JUDGED,  # not in the command, which they could make too long; the listing names them
    output:
        table=report("results/{dataset}/summary.csv", caption="../report/figures.rst", category="Figures"),
        text=report("results/{dataset}/summary.md", caption="../report/summary.rst", category="Figures"),
        verdicts="results/{dataset}/summary.json",
    log:
        "logs/{dataset}/evaluation_summarise.log",
    benchmark:
        "benchmarks/{dataset}/evaluation_summarise.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **common("evaluation_summarise"),
        judges=digest_of("engine.verdicts", "engine.remedies"),  # the engine is in no code fingerprint
    shell:
        command(
            "evaluation_summarise",
            "--figures {input.figures} --listing {input.listing} --table {output.table} --text {output.text} "
            "--verdicts {output.verdicts}",
        )
