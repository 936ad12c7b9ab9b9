# Every figure of every run, on one protocol, in one table.
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
        "../../envs/environment.yaml"
    params:
        settings=settings("evaluation_score_instances"),
        code=code("evaluation.score_instances"),
    shell:
        "python -m wsis_steps.evaluation.score_instances --truth {input.truth}"
        " --predictions {input.predictions} --figures {output.figures}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


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
        "../../envs/environment.yaml"
    params:
        settings=settings("evaluation_score_labels"),
        code=code("evaluation.score_labels"),
    shell:
        "python -m wsis_steps.evaluation.score_labels --truth {input.truth} --labels {input.labels}"
        " --figures {output.figures}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


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
        "../../envs/environment.yaml"
    params:
        settings=settings("evaluation_score_semantics"),
        code=code("evaluation.score_semantics"),
    shell:
        "python -m wsis_steps.evaluation.score_semantics --truth {input.truth} --semantic {input.semantic}"
        " --split {wildcards.split} --figures {output.figures}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


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
        "logs/{dataset}/shared/evaluation_score_proposals_{name}.log",
    benchmark:
        "benchmarks/{dataset}/shared/evaluation_score_proposals_{name}.tsv"
    wildcard_constraints:
        name="[a-z0-9_]+",
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("evaluation_score_proposals"),
        code=code("evaluation.score_proposals"),
        split="+".join(TRUTH),
    shell:
        "python -m wsis_steps.evaluation.score_proposals --truth {input.truth} --proposals {input.proposals}"
        " --split {params.split:q} --dataset {wildcards.dataset} --figures {output.figures} --chart {output.chart}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule evaluation_list_results:
    output:
        listing="results/{dataset}/results.json",
    log:
        "logs/{dataset}/evaluation_list_results.log",
    benchmark:
        "benchmarks/{dataset}/evaluation_list_results.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("evaluation_list_results"),
        code=code("evaluation.list_results"),
        configuration=json.dumps(config),  # in its order: of runs that share a result the first has it
    shell:
        "python -m wsis_steps.evaluation.list_results --configuration {params.configuration:q}"
        " --listing {output.listing}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule evaluation_summarise:
    input:
        listing="results/{dataset}/results.json",
        figures=figures,
    output:
        table=report("results/{dataset}/summary.csv", caption="../report/figures.rst", category="Figures"),
        text=report("results/{dataset}/summary.md", caption="../report/summary.rst", category="Figures"),
    log:
        "logs/{dataset}/evaluation_summarise.log",
    benchmark:
        "benchmarks/{dataset}/evaluation_summarise.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("evaluation_summarise"),
        code=code("evaluation.summarise"),
    shell:
        "python -m wsis_steps.evaluation.summarise --figures {input.figures} --listing {input.listing}"
        " --table {output.table} --text {output.text}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
