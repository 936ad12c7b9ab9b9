# Learning to segment with image-level supervision: tags -> semantic network -> semantic maps of both splits. The run
# `supervised_semantic` trains the same network on the true masks.


rule learning_to_segment_train:
    input:
        images=f"{DATA}/images.h5",
        truth=semantic_truth,
        pretrained=own_classifier("learning_to_segment_train"),
    output:
        model="results/{dataset}/{run}/learning_to_segment/model.pt",
        metrics="results/{dataset}/{run}/learning_to_segment/metrics.jsonl",
    log:
        "logs/{dataset}/{run}/learning_to_segment_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/learning_to_segment_train.tsv"
    wildcard_constraints:
        run=RUNS.owners("learning_to_segment_train"),
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("learning_to_segment_train"),
    params:
        settings=settings("learning_to_segment_train"),
        code=code("learning_to_segment.train"),
        work="work/{dataset}/{run}/learning_to_segment_train",
        truth=lambda wildcards, input: f"--truth {input.truth}" if input.truth else "",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.learning_to_segment.train --images {input.images} {params.truth} {params.pretrained}"
        " --model {output.model} --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule learning_to_segment_infer:
    input:
        images=f"{DATA}/images.h5",
        model=result("learning_to_segment_train", "learning_to_segment/model.pt"),
    output:
        train=share("results/{dataset}/{run}/semantic/train", kept=True),
        val=share("results/{dataset}/{run}/semantic/val", kept=True),
    log:
        f"logs/{{dataset}}/{{run}}/learning_to_segment_infer{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/learning_to_segment_infer{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("learning_to_segment_infer"),
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("learning_to_segment_infer"),
    params:
        settings=settings("learning_to_segment_infer"),
        code=code("learning_to_segment.infer"),
        shard=shard,
    shell:
        "python -m wsis_steps.learning_to_segment.infer --images {input.images} --model {input.model}"
        " --train {output.train} --val {output.val} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"
