# Mask R-CNN on the labels of any run.


rule maskrcnn_train:
    input:
        images=f"{DATA}/images.h5",
        labels=of_run("last_labels"),
        pretrained=own_classifier("maskrcnn_train"),
    output:
        model="results/{dataset}/{run}/maskrcnn/model.pt",
        metrics="results/{dataset}/{run}/maskrcnn/metrics.jsonl",
    log:
        "logs/{dataset}/{run}/maskrcnn_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/maskrcnn_train.tsv"
    wildcard_constraints:
        run=RUNS.owners("maskrcnn_train"),
    priority: 1  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("maskrcnn_train"),
    params:
        settings=settings("maskrcnn_train"),
        code=code("maskrcnn.train"),
        work="work/{dataset}/{run}/maskrcnn_train",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.maskrcnn.train --images {input.images} --labels {input.labels} {params.pretrained}"
        " --model {output.model} --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule maskrcnn_infer:
    input:
        images=f"{DATA}/images.h5",
        model=of_run("detector"),
    output:
        predictions=share("results/{dataset}/{run}/predictions/val"),
    log:
        f"logs/{{dataset}}/{{run}}/maskrcnn_infer{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/maskrcnn_infer{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("maskrcnn_infer"),
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("maskrcnn_infer"),
    params:
        settings=settings("maskrcnn_infer"),
        code=code("maskrcnn.infer"),
        shard=shard,
    shell:
        "python -m wsis_steps.maskrcnn.infer --images {input.images} --model {input.model}"
        " --predictions {output.predictions} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"
