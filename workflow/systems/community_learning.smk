# Deep Community Learning: tags and boxes -> one network -> labels and predictions, whose masks may be replaced by
# region proposals (postprocess_replace_with_proposals).


rule community_learning_train:
    input:
        images=f"{DATA}/images.h5",
        proposals=proposals("community_learning_train"),
        pretrained=own_classifier("community_learning_train"),
    output:
        model="results/{dataset}/{run}/community_learning/model.pt",
        metrics="results/{dataset}/{run}/community_learning/metrics.jsonl",
    log:
        "logs/{dataset}/{run}/community_learning_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/community_learning_train.tsv"
    wildcard_constraints:
        run=RUNS.owners("community_learning_train"),
    priority: 1  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("community_learning_train"),
    params:
        settings=settings("community_learning_train"),
        code=code("community_learning.train"),
        work="work/{dataset}/{run}/community_learning_train",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.community_learning.train --images {input.images} --proposals {input.proposals}"
        " {params.pretrained} --model {output.model} --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule community_learning_infer:
    input:
        images=f"{DATA}/images.h5",
        proposals=proposals("community_learning_train"),
        model=result("community_learning_train", "community_learning/model.pt"),
    output:
        labels=share("results/{dataset}/{run}/labels/round00", kept=True),
        predictions=share("results/{dataset}/{run}/predictions/direct", kept=True),
    log:
        f"logs/{{dataset}}/{{run}}/community_learning_infer{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/community_learning_infer{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("community_learning_infer"),
    priority: 1  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("community_learning_infer"),
    params:
        settings=settings("community_learning_infer"),
        code=code("community_learning.infer"),
        shard=shard,
    shell:
        "python -m wsis_steps.community_learning.infer --images {input.images} --proposals {input.proposals}"
        " --model {input.model} --labels {output.labels} --predictions {output.predictions} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"
