# BESTIE: cues and semantic maps -> pseudo labels (round00) -> network -> refined labels (round01, ...) and
# predictions of each round. A round trains on the labels of the round before.


rule bestie_label:
    input:
        images=f"{DATA}/images.h5",
        semantic=semantic,
        peaks=cues,
    output:
        labels="results/{dataset}/{run}/labels/round00.h5",
        counts="results/{dataset}/{run}/labels/counts.json",
    log:
        "logs/{dataset}/{run}/bestie_label.log",
    benchmark:
        "benchmarks/{dataset}/{run}/bestie_label.tsv"
    wildcard_constraints:
        run=RUNS.owners("bestie_label"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 8
    params:
        settings=settings("bestie_label"),
        code=code("bestie.label"),
        peaks=lambda wildcards, input: f"--peaks {input.peaks}" if input.peaks else "",
    shell:
        "python -m wsis_steps.bestie.label --images {input.images} --semantic {input.semantic} {params.peaks}"
        " --labels {output.labels} --counts {output.counts}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule bestie_train:
    input:
        images=f"{DATA}/images.h5",
        semantic=semantic,
        labels=of_round("learnt"),
        pretrained=own_classifier("bestie_train"),
    output:
        model="results/{dataset}/{run}/bestie/round{round}/model.pt",
        metrics="results/{dataset}/{run}/bestie/round{round}/metrics.jsonl",
    log:
        "logs/{dataset}/{run}/bestie_train_round{round}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/bestie_train_round{round}.tsv"
    wildcard_constraints:
        run=RUNS.owners("bestie_train"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("bestie_train"),
    params:
        settings=settings("bestie_train"),
        code=code("bestie.train"),
        work="work/{dataset}/{run}/bestie_train_round{round}",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.bestie.train --images {input.images} --semantic {input.semantic}"
        " --labels {input.labels} {params.pretrained} --model {output.model} --metrics {output.metrics}"
        " --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule bestie_infer:
    input:
        images=f"{DATA}/images.h5",
        model=of_round("trained"),
    output:
        labels=share("results/{dataset}/{run}/labels/round{round}", kept=True),
        predictions=share("results/{dataset}/{run}/predictions/round{round}", kept=True),
    log:
        f"logs/{{dataset}}/{{run}}/bestie_infer_round{{round}}{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/bestie_infer_round{{round}}{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("bestie_infer"),
        round="(?!00)[0-9]{2}",
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("bestie_infer"),
    params:
        settings=settings("bestie_infer"),
        code=code("bestie.infer"),
        shard=shard,
    shell:
        "python -m wsis_steps.bestie.infer --images {input.images} --model {input.model}"
        " --labels {output.labels} --predictions {output.predictions} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"
